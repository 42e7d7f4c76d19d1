"""The main flow: own ep0, say on a local socket whether USB is enabled, answer the host. Main.

Without a concurrency library, on purpose. ep0, two kinds of local connections and a stop signal in
one poll loop: nothing here waits, so there is no concurrency to give a structure to, while trio
alone would double the resident memory (25 MB instead of 14) and add a second to the start on the
board. This process must come first, and the kernel must never want to kill it: when it ends, the
device leaves the bus.

It never opens a data endpoint, knows no frame and no key. `registrar.__main__` calls it.
"""

import logging
import selectors
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

from registrar.control import Reply, StallIn, StallOut, answer_setup
from registrar.descriptors import TEZSIGN_FUNCTION, encode_descriptors, encode_strings
from registrar.enabled import EnabledServer
from registrar.ep0 import Ep0, Outcome, open_ep0
from registrar.errors import BadEvent
from registrar.events import Event, Setup, parse_event, split_events
from registrar.ready import ReadyLink
from registrar.settings import Settings
from registrar.state import Action, UsbState, advance

__all__ = ["Registrar", "run", "serve"]

logger = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        RegistrarError: ep0 or a socket is of no use; the supervisor has to start us again.
    """
    descriptors = encode_descriptors(TEZSIGN_FUNCTION)
    strings = encode_strings(TEZSIGN_FUNCTION)
    with closing(open_ep0(settings.functionfs / "ep0")) as ep0, _stop_signals(ep0) as stop:
        ep0.write_descriptors(descriptors, strings)
        logger.info("descriptors are written")
        serve(ep0, settings, stop)
    logger.info("stopped")


def serve(ep0: Ep0, settings: Settings, stop: socket.socket) -> None:
    """Handles events of an ep0 that has its descriptors, until `stop` has a byte to read."""
    with selectors.DefaultSelector() as selector:
        stop_key = selector.register(stop, selectors.EVENT_READ)
        registrar = Registrar(ep0, selector, settings)
        with closing(registrar):
            while stop_key not in registrar.turn():
                pass


class Registrar:
    """One turn of the loop at a time; what it waits for is in the selector."""

    def __init__(self, ep0: Ep0, selector: selectors.BaseSelector, settings: Settings) -> None:
        uids = settings.allowed_uids
        self._ep0 = ep0
        self._selector = selector
        self._enabled = EnabledServer(selector, settings.enabled_socket, allowed_uids=uids)
        self._ready = ReadyLink(selector, settings.ready_socket, allowed_uids=uids)
        self._state = UsbState.UNBOUND
        selector.register(ep0, selectors.EVENT_READ)

    def turn(self) -> list[selectors.SelectorKey]:
        """Waits for something and handles it; returns what it was.

        Raises:
            RegistrarError: the process cannot be of use any more.
        """
        keys = [key for key, _ in self._selector.select(self._ready.wait_s())]
        # Whatever else is due, the host comes first: it is waiting for its answer.
        self._handle_events()
        for key in keys:
            if key.data is not None:
                key.data()
        self._ready.connect_if_due()
        return keys

    def check_ready(self) -> bool:
        """Says what the host is told when it asks now."""
        return self._state is UsbState.ENABLED and self._ready.check()

    def close(self) -> None:
        """The sockets are gone when this returns; ep0 stays open."""
        self._enabled.stop()
        self._ready.stop()

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
        match answer_setup(setup, ready=self.check_ready()):
            case Reply(data=data):
                outcome = self._ep0.reply(data)
            case StallIn():
                outcome = self._ep0.stall_in()
            case StallOut():
                outcome = self._ep0.stall_out()
        if outcome is Outcome.LOST:
            logger.info("host gave up on a control request", extra={"request": setup.bRequest})


@contextmanager
def _stop_signals(ep0: Ep0) -> Iterator[socket.socket]:
    """Gives a socket that has a byte to read once SIGTERM or SIGINT has come."""

    def on_signal(_number: int, _frame: object) -> None:
        ep0.interrupt_reply()

    receiver, sender = socket.socketpair()
    with receiver, sender:
        sender.setblocking(False)
        signal.set_wakeup_fd(sender.fileno())
        before = {n: signal.signal(n, on_signal) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield receiver
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(-1)
