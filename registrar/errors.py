"""Everything the registrar raises on purpose."""

__all__ = ["BadEvent", "BadSetting", "Ep0Gone", "Ep0Refused", "RegistrarError", "SocketRefused"]


class RegistrarError(Exception):
    """The root. `__main__` reports it in one line and ends with an error status."""


class BadSetting(RegistrarError):
    """An environment variable has a value that cannot be used; a person must correct it."""


class BadEvent(RegistrarError):
    """Bytes from ep0 are no event that this registrar knows."""


class Ep0Refused(RegistrarError):
    """ep0 cannot be opened, or does not take the descriptors."""


class Ep0Gone(RegistrarError):
    """ep0 ended for good: the process must end too, and its supervisor starts it again."""


class SocketRefused(RegistrarError):
    """The enabled socket cannot be served at its path."""
