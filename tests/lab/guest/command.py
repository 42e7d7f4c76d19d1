"""Runs the command: its output to the host as it comes, the host's signals to it, its status back.

As process 1 it also reaps whatever is orphaned.
"""

import contextlib
import os
import selectors
import signal
import sys

from tests.lab.guest.ports import Control, open_port
from tests.lab.guest.processes import Processes

__all__ = ["Command"]

_STREAMS = {"stdout": 1, "stderr": 2}
_CHUNK_BYTES = 64 * 1024
_NOT_EXECUTABLE = 126
_NOT_FOUND = 127
_CHANGED_BY_PYTHON = (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ)


class Command:
    """One command; `sent` counts the bytes of each stream: the host then knows when it has all."""

    def __init__(
        self, words: list[str], folder: str, control: Control, processes: Processes
    ) -> None:
        """Takes the output ports; starts nothing."""
        self.sent = dict.fromkeys(_STREAMS, 0)
        self._words = words
        self._folder = folder
        self._control = control
        self._processes = processes
        self._ports = {name: open_port(name, os.O_WRONLY) for name in _STREAMS}
        self._pipes: dict[int, str] = {}
        self._pid = 0
        self._status: int | None = None

    def start(self) -> None:
        """Starts it; when this returns it can be sent signals."""
        pipes = {name: os.pipe() for name in _STREAMS}
        is_running, closes_on_exec = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            self._become({_STREAMS[name]: write_end for name, (_, write_end) in pipes.items()})
        for name, (read_end, write_end) in pipes.items():
            os.close(write_end)
            self._pipes[read_end] = name
        os.close(closes_on_exec)
        os.read(is_running, 1)
        os.close(is_running)

    def run(self) -> int:
        """Follows it to its end, then kills what it left behind.

        Returns: an exit status as a shell gives it.
        """
        with selectors.DefaultSelector() as selector:
            children = _watch_children()
            selector.register(children, selectors.EVENT_READ)
            selector.register(self._control.descriptor, selectors.EVENT_READ)
            self._reap()  # it may have ended before anybody watched
            for pipe in self._pipes:
                selector.register(pipe, selectors.EVENT_READ)
            while self._status is None or self._pipes:
                for key, _ in selector.select():
                    if key.fd == children:
                        os.read(children, _CHUNK_BYTES)
                        self._reap()
                    elif key.fd == self._control.descriptor:
                        self._forward_signals()
                    elif not self._relay(key.fd):
                        selector.unregister(key.fd)
        return self._status

    def _become(self, outputs: dict[int, int]) -> None:
        """In the child: never returns."""
        try:
            os.setsid()
            self._processes.join()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for descriptor, pipe in outputs.items():
                os.dup2(pipe, descriptor)
            for number in _CHANGED_BY_PYTHON:
                signal.signal(number, signal.SIG_DFL)
            os.chdir(self._folder)
            os.execvp(self._words[0], self._words)  # noqa: S606  (no shell is the point)
        except OSError as error:
            print(f"lab: {self._words[0]}: {error.strerror}", file=sys.stderr, flush=True)
            os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._pid:
                    code = os.waitstatus_to_exitcode(status)
                    self._status = code if code >= 0 else 128 - code
                    self._processes.kill()  # pipes end

    def _forward_signals(self) -> None:
        for number in self._control.receive_signals():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, number)

    def _relay(self, pipe: int) -> bool:
        """Moves what is there. Returns: whether more may come."""
        name = self._pipes[pipe]
        data = os.read(pipe, _CHUNK_BYTES)
        if not data:
            del self._pipes[pipe]
            os.close(pipe)
            return False
        self.sent[name] += len(data)
        while data:
            data = data[os.write(self._ports[name], data) :]
        return True


def _watch_children() -> int:
    """A descriptor that becomes readable when a child ends."""
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    return read_end
