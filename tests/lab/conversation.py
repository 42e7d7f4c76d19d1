"""Talks with a running guest until it is clear how the run ends: output, control, deadlines.

A selector loop on the main thread. Source of truth for the exit status; starts and ends no process.
"""

import contextlib
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

from tests.lab.arguments import EXIT_TIMEOUT
from tests.lab.errors import LabError

__all__ = ["Conversation"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_OUTPUTS = {"stdout": 1, "stderr": 2}
_BOOT_S = 300.0
_GRACE_S = 5.0
_DRAIN_S = 10.0
_PARENT_CHECK_S = 0.5
_CHUNK_BYTES = 256 * 1024


class Conversation:
    """The host's half of one run."""

    def __init__(self, ports: Mapping[str, socket.socket], qemu_pid: int) -> None:
        """Takes the host's ends of the ports, by name."""
        self._ports = ports
        self._qemu_pid = qemu_pid
        self._parent = os.getppid()
        self._selector = selectors.DefaultSelector()
        self._open_ports = set(ports)
        self._received = dict.fromkeys(_OUTPUTS, 0)
        self._expected: dict[str, int] | None = None
        self._line = b""
        self._is_started = False
        self._signalled = 0
        self._status: int | None = None
        self._deadlines: dict[Callable[[], None], float] = {}

    def run(self, timeout_s: float | None) -> int:
        """Gives the exit status. Raises: LabError if the guest died or failed."""
        self._set_deadline(self._fail_boot, _BOOT_S)
        if timeout_s is not None:
            self._set_deadline(self._time_out, timeout_s)
        with self._selector, self._watch_signals(), self._watch_qemu():
            for name, port in self._ports.items():
                react = self._receive_events if name == "control" else self._pass_on
                self._selector.register(port, selectors.EVENT_READ, (react, name))
            while self._status is None or not self._has_everything():
                self._step()
        return self._status

    def _step(self) -> None:
        nearest = min(self._deadlines.values(), default=float("inf")) - time.monotonic()
        for key, _ in self._selector.select(max(0.0, min(nearest, _PARENT_CHECK_S))):
            react, name = key.data
            react(name)
        if os.getppid() != self._parent:
            raise LabError("who started the lab is gone")
        react = min(self._deadlines, key=self._deadlines.__getitem__, default=None)
        if react is not None and self._deadlines[react] <= time.monotonic():
            del self._deadlines[react]
            react()

    def _set_deadline(self, react: Callable[[], None], delay_s: float) -> None:
        self._deadlines[react] = time.monotonic() + delay_s

    def _has_everything(self) -> bool:
        return self._expected is None or self._expected == self._received

    def _pass_on(self, name: str) -> None:
        data = self._ports[name].recv(_CHUNK_BYTES)
        if not data:
            self._close_port(name)
            return
        self._received[name] += len(data)
        try:
            while data:
                data = data[os.write(_OUTPUTS[name], data) :]
        except BrokenPipeError:  # whoever read our output has left
            self._end(128 + signal.SIGPIPE)

    def _receive_events(self, name: str) -> None:
        data = self._ports[name].recv(_CHUNK_BYTES)
        if not data:
            self._close_port(name)
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._take_event(json.loads(line))

    def _close_port(self, name: str) -> None:
        if name in self._open_ports:
            self._open_ports.remove(name)
            self._selector.unregister(self._ports[name])

    def _take_event(self, event: Mapping[str, object]) -> None:
        match event:
            case {"event": "started"}:
                self._is_started = True
                self._deadlines.pop(self._fail_boot, None)
            case {"event": "ended", "status": int(status), "sent": dict(sent)}:
                self._end(status)
                self._expected = sent
                self._set_deadline(self._fail_drain, _DRAIN_S)
            case {"event": "failed", "reason": reason}:
                raise LabError(f"the guest failed: {reason}")
            case _:
                raise LabError(f"the guest said {event}")

    def _end(self, status: int) -> None:
        """From here on only output is waited for that the guest has counted."""
        self._status = status
        self._deadlines.clear()

    def _time_out(self) -> None:
        self._end(EXIT_TIMEOUT)

    def _give_up(self) -> None:
        self._end(128 + self._signalled)

    def _fail_boot(self) -> None:
        raise LabError(f"the guest was not ready within {_BOOT_S:.0f} s")

    def _fail_drain(self) -> None:
        raise LabError(f"the guest sent {self._expected} bytes of output, {self._received} came")

    @contextlib.contextmanager
    def _watch_qemu(self) -> Iterator[None]:
        descriptor = os.pidfd_open(self._qemu_pid)
        self._selector.register(descriptor, selectors.EVENT_READ, (self._lose_qemu, ""))
        try:
            yield
        finally:
            os.close(descriptor)

    def _lose_qemu(self, _: str) -> None:
        """QEMU ended, and nobody here ended it: passes on what it still sent."""
        for name in self._ports:
            react = self._receive_events if name == "control" else self._pass_on
            while name in self._open_ports:
                react(name)
        if self._status is None or not self._has_everything():
            raise LabError("the guest died")

    @contextlib.contextmanager
    def _watch_signals(self) -> Iterator[None]:
        """Signals arrive as bytes on a socket, so that the loop is the only place that reacts."""
        with contextlib.ExitStack() as stack:
            ours, kernels = (stack.enter_context(end) for end in socket.socketpair())
            ours.setblocking(False)
            kernels.setblocking(False)
            # First the descriptor, then the handlers: no signal is lost in between.
            stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(kernels.fileno()))
            for number in _SIGNALS:
                stack.callback(signal.signal, number, signal.signal(number, _take_note))
            self._selector.register(
                ours, selectors.EVENT_READ, (lambda _: self._take_signals(ours.recv(64)), "")
            )
            yield

    def _take_signals(self, numbers: bytes) -> None:
        """The first is the command's, which then has a moment to end; the second ends the guest."""
        for number in numbers:
            if self._signalled or not self._is_started:
                self._signalled = number
                self._give_up()
            else:
                self._signalled = number
                self._ports["control"].sendall(bytes([number]))
                self._set_deadline(self._give_up, _GRACE_S)


def _take_note(number: int, frame: FrameType | None) -> None:
    """Python writes the number to the wake-up descriptor; there is nothing else to do."""
