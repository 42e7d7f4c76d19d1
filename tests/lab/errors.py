"""The lab's one error. A command that fails inside is none: its exit status is passed on."""

__all__ = ["LabError"]


class LabError(Exception):
    """The lab itself can't do its work; the message says what to do about it."""
