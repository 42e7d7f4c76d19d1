"""Decides the answer to a control request from the host. Pure; `registrar.daemon` calls it.

One request is known, the vendor request "are you ready?". Everything else stalls, in its own
direction.
Source: docs/protocol.md (the ready request); USB 2.0, 9.3 (SETUP) and 8.5.3.4 (protocol stall).

The ready reply:

    offset  size  type    meaning
    0       4     bytes   "TZSG"
    4       2     u16 LE  protocol version
    6       1     u8      ready flag: 1 while both brokers of the gadget are live, else 0
    7       1     u8      zero
    8                     total
"""

import struct
from dataclasses import dataclass
from typing import Final

from broker.contract import (
    PROTOCOL_VERSION,
    READY_MAGIC,
    READY_REQUEST,
    READY_REQUEST_TYPES,
    READY_SESSION_FOLLOWS,
)
from registrar.events import Setup

__all__ = ["NOT_READY", "Answer", "Reply", "StallIn", "StallOut", "answer_setup"]

_READY_REPLY: Final = struct.Struct("<4sHBx")
NOT_READY: Final = _READY_REPLY.pack(READY_MAGIC, PROTOCOL_VERSION, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Bytes for a device-to-host request, never more than it asked for; empty is a valid answer.

    `opens_session`: a host that is told "ready" by this sends its first frame now.
    """

    data: bytes
    opens_session: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StallIn:
    """Refuses a device-to-host request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StallOut:
    """Refuses a host-to-device request, one without data (wLength 0) too."""


Answer = Reply | StallIn | StallOut


def answer_setup(setup: Setup, *, ready: bool) -> Answer:
    """The answer is the same for both interfaces, and whatever the host is about to do."""
    if not setup.is_in:
        return StallOut()
    if setup.bRequest != READY_REQUEST or setup.bmRequestType not in READY_REQUEST_TYPES:
        return StallIn()
    reply = _READY_REPLY.pack(READY_MAGIC, PROTOCOL_VERSION, ready)
    opens_session = ready and setup.wValue == READY_SESSION_FOLLOWS
    return Reply(data=reply[: setup.wLength], opens_session=opens_session)
