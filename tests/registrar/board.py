"""A registrar in a thread over the fake ep0: what a gadget and a host can do to it."""

import signal
import socket
import threading
from concurrent.futures import Future

from registrar.daemon import serve
from registrar.errors import RegistrarError
from registrar.events import Setup
from registrar.settings import Settings
from registrar.sockets import connect_local
from tests.fakes.ep0 import FakeEp0
from tests.registrar.loop import wait_for, wait_until

__all__ = ["IS_READY", "NOT_READY", "READY", "Board"]

READY = Setup(bmRequestType=0xC1, bRequest=0x5A, wValue=0, wIndex=0, wLength=8)
IS_READY = b"TZSG\x01\x00\x01\x00"
NOT_READY = b"TZSG\x01\x00\x00\x00"


class Board:
    """A registrar in a thread, its ep0 and its sockets."""

    def __init__(self, settings: Settings) -> None:
        self.ep0 = FakeEp0()
        self.settings = settings
        self.ended: Future[None] = Future()
        self.inherited: dict[str, socket.socket] = {}
        self._stop, self._receiver = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)

    def start(self) -> None:
        self._thread.start()

    def _serve(self) -> None:
        try:
            serve(self.ep0, self.settings, self._receiver, self.inherited)
        except RegistrarError as error:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)

    def send_signal(self, number: signal.Signals) -> None:
        """What `set_wakeup_fd` does with a signal."""
        self._stop.send(bytes([number]))

    def stop(self) -> None:
        self.send_signal(signal.SIGTERM)
        self._thread.join()
        self._stop.close()
        self._receiver.close()
        self.ep0.close()

    def connect(self) -> socket.socket:
        """A gadget's connection to the enabled socket, as soon as it is served."""
        return wait_for(lambda: connect_local(self.settings.enabled_socket))

    def wait_gone(self) -> None:
        wait_until(lambda: not self.settings.enabled_socket.exists())

    def ask_ready(self) -> bytes:
        return self.ep0.request(READY)
