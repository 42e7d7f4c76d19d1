"""What USB events mean for the enabled socket: one table. Pure; `registrar.daemon` acts on it.

FunctionFS keeps at most four events and drops what a later one makes moot (__ffs_event_add in
drivers/usb/gadget/function/f_fs.c): ENABLE, DISABLE, BIND and UNBIND remove everything but SUSPEND
and RESUME, a RESUME removes a SUSPEND. So a DISABLE may never be seen, and each event is
judged by where it leads, not by what should have come before it.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from registrar.events import EventType

__all__ = ["Action", "Step", "UsbState", "advance"]


class UsbState(Enum):
    """UNBOUND: no controller. BOUND: no host has configured us. SUSPENDED: enabled, but paused."""

    UNBOUND = auto()
    BOUND = auto()
    ENABLED = auto()
    SUSPENDED = auto()


class Action(Enum):
    """What to do with the enabled socket. RENEW: drop all connections, then serve again."""

    NONE = auto()
    SERVE = auto()
    RENEW = auto()
    STOP = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    state: UsbState
    action: Action


_SESSION_STATES: Final = (UsbState.ENABLED, UsbState.SUSPENDED)


def advance(state: UsbState, event: EventType) -> Step:
    """Returns the state after `event` and what it asks for."""
    in_session = state in _SESSION_STATES
    match event:
        case EventType.BIND | EventType.DISABLE:
            return _leave_session(UsbState.BOUND, in_session=in_session)
        case EventType.UNBIND:
            return _leave_session(UsbState.UNBOUND, in_session=in_session)
        case EventType.ENABLE:
            # FunctionFS has disabled and enabled the endpoints: what was in flight is lost.
            action = Action.RENEW if in_session else Action.SERVE
            return Step(state=UsbState.ENABLED, action=action)
        case EventType.SUSPEND if in_session:
            return Step(state=UsbState.SUSPENDED, action=Action.NONE)
        case EventType.RESUME | EventType.SETUP if in_session:
            # No SETUP comes over a suspended bus: a RESUME that got lost is made good here.
            return Step(state=UsbState.ENABLED, action=Action.NONE)
        case _:
            return Step(state=state, action=Action.NONE)


def _leave_session(state: UsbState, *, in_session: bool) -> Step:
    return Step(state=state, action=Action.STOP if in_session else Action.NONE)
