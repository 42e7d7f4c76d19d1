"""Why the link between the two ends failed, and what an errno from it means. One root: BrokerError.

The peer's fault: BadMessage, UnknownRequest. The link's: LinkLost. Our own, for now: Overload. None
of them ever carries content of a message.
"""

import errno
from enum import Enum, auto
from typing import Final

__all__ = [
    "BadMessage",
    "BrokerError",
    "Decision",
    "LinkLost",
    "Overload",
    "UnknownRequest",
    "classify",
]


class BrokerError(Exception):
    """The root of all errors of this package."""


class BadMessage(BrokerError):
    """The payload of a frame is not one of our messages."""


class UnknownRequest(BadMessage):
    """The payload is well formed but names an operation that this version does not have."""


class Overload(BrokerError):
    """As many calls as allowed wait for an answer already; the request was not sent."""


class LinkLost(BrokerError):
    """The link has ended, for this reason; it does not come back, open another."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Decision(Enum):
    """What an error of the stream means for the link."""

    RETRY = auto()
    END = auto()


# Device gone or not enabled yet, cable disturbed, transfer cut: it may come back on the same files.
_RETRYABLE: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EINTR,
        errno.EIO,
        errno.ENODEV,
        errno.EPROTO,
        errno.ESHUTDOWN,
        errno.EBADMSG,
        errno.ETIMEDOUT,
    }
)


def classify(error: OSError) -> Decision:
    """Decides by errno; one that is not in the table ends the link."""
    return Decision.RETRY if error.errno in _RETRYABLE else Decision.END
