"""Everything the host's code raises on purpose, and the exit status that each one means.

Three families: the person's mistake (`UsageError`), no usable board (`DeviceUnavailable`: it may
come back), the board's refusal (`Refused`: a normal answer with a code). Anything else under
`HostError` is broken.
"""

from enum import IntEnum
from typing import ClassVar

__all__ = [
    "BadAnswer",
    "DeviceBusy",
    "DeviceGone",
    "DeviceSilent",
    "DeviceUnavailable",
    "ExitStatus",
    "HostError",
    "NoDevice",
    "NoPermission",
    "NotReady",
    "Refused",
    "SeveralDevices",
    "UsageError",
    "UsbUnsupported",
    "VersionMismatch",
    "WitnessDamaged",
    "WitnessRefusal",
]


class ExitStatus(IntEnum):
    """Exit statuses of the `tezsign` command. Stable: scripts read them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NO_DEVICE = 3
    REFUSED = 4
    BUSY = 5
    DEGRADED = 6
    CRITICAL = 7


class HostError(Exception):
    """Root of this package's errors. Its text is one line for people: what happened and what to
    do."""

    exit_status: ClassVar[ExitStatus] = ExitStatus.FAILED


class UsageError(HostError):
    """What was asked for makes no sense as it stands."""

    exit_status = ExitStatus.USAGE


class SeveralDevices(UsageError):
    """More than one board is attached and none was named."""


class UsbUnsupported(HostError):
    """This machine has no libusb, or one that trio cannot wait on."""


class BadAnswer(HostError):
    """The board answered with something that does not belong to the request."""


class DeviceUnavailable(HostError):
    """No board can be used now. It may come back by itself."""

    exit_status = ExitStatus.NO_DEVICE


class NoDevice(DeviceUnavailable):
    """No board is attached, or not the one that was named."""


class NoPermission(DeviceUnavailable):
    """A board is attached and the operating system does not let this user open it."""


class NotReady(DeviceUnavailable):
    """The board is there and its signer is not (starting, or failing)."""


class VersionMismatch(DeviceUnavailable):
    """The board speaks another version of the protocol."""


class DeviceBusy(DeviceUnavailable):
    """Another process holds the interface."""

    exit_status = ExitStatus.BUSY


class DeviceGone(DeviceUnavailable):
    """The board left, or the link to it broke. What was asked may have been done or not."""


class DeviceSilent(DeviceUnavailable):
    """The board is attached and does not answer."""


class WitnessRefusal(HostError):
    """This host has seen the key sign more than the board, or the baker, knows of."""

    exit_status = ExitStatus.REFUSED


class WitnessDamaged(HostError):
    """The file of what this host has seen can't be read as such."""


class Refused(HostError):
    """The board's own answer that it did not do what was asked; `code` is a `broker` ErrorCode or
    newer."""

    exit_status = ExitStatus.REFUSED

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} (code {self.code})"
