"""What can go wrong with an image, in one family."""

__all__ = ["BadImage", "BuildFailed", "ImageError", "UpdateRefused"]


class ImageError(Exception):
    """The root of this package's errors; its text is for the person who typed the command."""


class BuildFailed(ImageError):
    """Something that the build needs is missing, or a tool said no."""


class BadImage(ImageError):
    """These bytes are no image of ours, or a damaged one."""


class UpdateRefused(ImageError):
    """The card is as it was: the new image does not belong on it."""
