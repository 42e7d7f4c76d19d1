"""The main flow: own ep0, say on a local socket whether USB is enabled, answer the host. Main.

Without a concurrency library, on purpose. ep0, two kinds of local connections and a stop signal in
one poll loop: nothing here waits, so there is no concurrency to give a structure to, while trio
alone would double the resident memory (25 MB instead of 14) and add a second to the start on the
board. This process must come first, and the kernel must never want to kill it: when it ends, the
device leaves the bus.

When it is killed or restarted under systemd, the next one goes on with the same ep0 and the same
connections (`registrar.inheritance`), and neither host nor gadget sees anything of it.

It never opens a data endpoint, knows no frame and no key. `registrar.__main__` calls it.
"""

import logging
import selectors
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from registrar.bounce import Bouncer
from registrar.control import NOT_READY, Reply, StallIn, StallOut, answer_setup
from registrar.descriptors import TEZSIGN_FUNCTION, encode_descriptors, encode_strings
from registrar.enabled import EnabledServer
from registrar.ep0 import REPLY_LIMIT_S, Ep0, Outcome, open_ep0
from registrar.errors import BadEvent, Ep0Gone
from registrar.events import Event, Setup, parse_event, split_events
from registrar.inheritance import EP0_NAME, take_inheritance
from registrar.notify import notify_stopping, remove_stored, store_descriptor
from registrar.ready import ReadyLink
from registrar.report import Report
from registrar.settings import Settings
from registrar.state import Action, UsbState, advance

__all__ = ["Registrar", "run", "serve"]

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)

logger = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        RegistrarError: ep0 or a socket is of no use; the supervisor has to start us again.
    """
    path = settings.functionfs / "ep0"
    inheritance = take_inheritance(path)
    ep0 = inheritance.ep0 or open_ep0(path, reply_limit_s=REPLY_LIMIT_S)
    with closing(ep0), _signals(ep0) as stop:
        prepare(ep0)
        if inheritance.ep0 is None:
            store_descriptor(EP0_NAME, ep0.fileno())
        serve(ep0, settings, stop, inheritance.sessions)
    logger.info("stopped")


def prepare(ep0: Ep0) -> None:
    """Brings ep0 to where it has its descriptors, and no request waits that we have not read."""
    if ep0.wants_descriptors():
        ep0.write_descriptors(
            encode_descriptors(TEZSIGN_FUNCTION), encode_strings(TEZSIGN_FUNCTION)
        )
        logger.info("descriptors are written")
    else:
        # Of a registrar that was killed; systemd or the gadget's endpoint files kept it alive.
        logger.info("ep0 is taken over", extra={"enabled": ep0.is_enabled()})
        if ep0.has_open_request():
            # Which request it is only its reader knew. This is the true answer to the one that our
            # hosts send, and it stalls any host-to-device one.
            ep0.reply(NOT_READY)


def serve(
    ep0: Ep0,
    settings: Settings,
    stop: socket.socket,
    sessions: dict[str, socket.socket],
) -> None:
    """Handles events of an ep0 that has its descriptors, until `stop` says so.

    Args:
        stop: gives the numbers of signals, a byte each.
        sessions: connections of the gadget to the enabled socket, from an earlier process.

    Raises:
        Ep0Gone: there will be no further event; systemd does not keep this ep0 any more.
    """
    with selectors.DefaultSelector() as selector:
        stop_key = selector.register(stop, selectors.EVENT_READ)
        registrar = Registrar(ep0, selector, settings)
        with closing(registrar):
            try:
                registrar.take_over(sessions)
                while not (stop_key in registrar.turn() and _is_told_to_stop(stop)):
                    pass
            except Ep0Gone:
                registrar.leave()
                remove_stored(EP0_NAME)
                raise
            notify_stopping()


class Registrar:
    """One turn of the loop at a time; what it waits for is in the selector."""

    def __init__(self, ep0: Ep0, selector: selectors.BaseSelector, settings: Settings) -> None:
        uids = settings.allowed_uids
        self._ep0 = ep0
        self._selector = selector
        self._enabled = EnabledServer(selector, settings.enabled_socket, allowed_uids=uids)
        self._bouncer = Bouncer(settings.attach_socket)
        self._ready = ReadyLink(
            selector, settings.ready_socket, allowed_uids=uids, on_wedge=self._bouncer.ask
        )
        self._report = Report()
        self._state = UsbState.UNBOUND
        selector.register(ep0, selectors.EVENT_READ)

    def take_over(self, sessions: dict[str, socket.socket]) -> None:
        """Goes on where an earlier process has ended, before its unread events are handled.

        A suspended bus counts as enabled until it resumes: nobody can ask meanwhile.
        """
        if self._ep0.is_enabled():
            self._state = UsbState.ENABLED
            self._enabled.start()
            self._ready.start()
        else:
            self._enabled.clean()
        self._enabled.adopt(sessions)
        self._report.turned(self._describe())

    def turn(self) -> list[selectors.SelectorKey]:
        """Waits for something and handles it; returns what it was.

        Raises:
            RegistrarError: the process cannot be of use any more.
        """
        waits_s = [w for w in (self._ready.wait_s(), self._report.wait_s()) if w is not None]
        keys = [key for key, _ in self._selector.select(min(waits_s, default=None))]
        # Whatever else is due, the host comes first: it is waiting for its answer.
        self._handle_events()
        for key in keys:
            if key.data is not None:
                key.data()
        self._ready.connect_if_due()
        self._report.turned(self._describe())
        return keys

    def check_ready(self) -> bool:
        """Says what the host is told when it asks now."""
        return self._state is UsbState.ENABLED and self._ready.check()

    def leave(self) -> None:
        """The device is not on the bus any more: ends the gadget's session."""
        self._enabled.stop()
        self._ready.stop()

    def close(self) -> None:
        """Our sockets are gone when this returns. ep0 stays open, and what systemd has a copy of
        goes on: the gadget's session, if another process follows this one."""
        self._enabled.release()
        self._ready.stop()

    def _describe(self) -> str:
        signer = "ready" if self._ready.is_connected else "not ready"
        return f"usb {self._state.name.lower()}, signer {signer}, {self._bouncer.count} bounces"

    def _handle_events(self) -> None:
        for record in split_events(self._ep0.read_events()):
            try:
                event = parse_event(record)
            except BadEvent as error:  # a newer kernel; its other events stay good
                logger.warning("event skipped", extra={"reason": str(error)})
            else:
                self._handle_event(event)

    def _handle_event(self, event: Event) -> None:
        step = advance(self._state, event.type)
        if step.state is not self._state or step.action is not Action.NONE:
            fields = {"event": event.type.name, "state": step.state.name.lower()}
            logger.info("usb state changed", extra=fields)
        if step.state is UsbState.SUSPENDED and self._state is not UsbState.SUSPENDED:
            self._ready.tell_suspended()
        self._state = step.state
        if step.action in (Action.STOP, Action.RENEW):
            self._enabled.stop()
            self._ready.stop()
        if step.action in (Action.SERVE, Action.RENEW):
            self._enabled.start()
            self._ready.start()
        if event.setup is not None:
            self._answer(event.setup)

    def _answer(self, setup: Setup) -> None:
        answer = answer_setup(setup, ready=self.check_ready())
        match answer:
            case Reply():
                outcome = self._ep0.reply(answer.data)
                if answer.opens_session and outcome is Outcome.DONE:
                    self._ready.announce()
            case StallIn():
                outcome = self._ep0.stall_in()
            case StallOut():
                outcome = self._ep0.stall_out()
        if outcome is Outcome.LOST:
            logger.info("host gave up on a control request", extra={"request": setup.bRequest})


def _is_told_to_stop(stop: socket.socket) -> bool:
    """SIGALRM only ends a reply that nobody fetches."""
    return bool(set(stop.recv(64)) - {signal.SIGALRM})


@contextmanager
def _signals(ep0: Ep0) -> Iterator[socket.socket]:
    """Gives a socket that has the number of each signal to read; each ends a reply that waits."""

    def on_signal(_number: int, _frame: object) -> None:
        ep0.interrupt_reply()

    receiver, sender = socket.socketpair()
    with receiver, sender:
        sender.setblocking(False)
        signal.set_wakeup_fd(sender.fileno())
        before = {number: signal.signal(number, on_signal) for number in _SIGNALS}
        try:
            yield receiver
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(-1)
