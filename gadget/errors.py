"""The error classes of the gadget daemon, but for those of the keychain."""

__all__ = ["GadgetError", "PartStuckError", "SlotsInUseError"]


class GadgetError(Exception):
    """Root of what the gadget raises by itself; what the kernel refuses stays an OSError."""


class SlotsInUseError(GadgetError):
    """More transfers at once than the AIO context was opened for: a fault of the caller."""


class PartStuckError(GadgetError):
    """A task has not come round for so long that it never will: its session is given up."""
