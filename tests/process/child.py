"""One child with its whole group: started in a session of its own, told to end, killed, reaped.

The standard library starts and waits well, but knows one process only, and reading a child's pipe
to the end waits for whoever inherited it. So here the group is what is ended: it is killed while
its leader is still unreaped, since until then the group's number can't be anybody else's. What has
left the group (setsid) survives; nobody waits for it. Linux only (pidfd).
"""

import contextlib
import math
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

__all__ = ["Child"]

_KILLED_S: Final = 30.0
_CHUNK_BYTES: Final = 64 * 1024


class Child:
    """A started process, which `with` ends. Names that `subprocess.Popen` has mean the same here.

    Args:
        stdin, stdout, stderr: as for Popen; a PIPE holds bytes. Without a pipe nobody has to read.
        before_exec: called in the child; only where this process has no other thread.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
        inherited: Sequence[int] = (),
        before_exec: Callable[[], None] | None = None,
    ) -> None:
        """Raises: OSError where the command can't be started; nothing is left then."""
        self._popen = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=inherited,
            start_new_session=True,
            preexec_fn=before_exec,  # noqa: PLW1509 - as documented above
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdin(self) -> IO[bytes]:
        assert self._popen.stdin is not None
        return self._popen.stdin

    @property
    def stdout(self) -> IO[bytes]:
        assert self._popen.stdout is not None
        return self._popen.stdout

    @property
    def stderr(self) -> IO[bytes]:
        assert self._popen.stderr is not None
        return self._popen.stderr

    @property
    def returncode(self) -> int | None:
        return self._popen.returncode

    def poll(self) -> int | None:
        return self._reap() if self._has_ended_within(0.0) else None

    def wait(self, timeout: float | None = None) -> int:
        """Returns the exit status once the leader has ended; its group is then killed.

        Raises:
            subprocess.TimeoutExpired: it goes on.
        """
        if not self._has_ended_within(timeout):
            raise subprocess.TimeoutExpired(self._popen.args, timeout or 0.0)
        return self._reap()

    def send_signal(self, number: int) -> None:
        """To the leader alone; to nobody once it has been reaped."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        self._signal_group(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM, *, grace_s: float = 10.0) -> int:
        """Tells the group to end, kills what has not after the grace time, and closes the pipes.

        Returns the exit status; may be called again, and for one that has ended.
        """
        try:
            if self.poll() is None:
                self._signal_group(number)
            if not self._has_ended_within(grace_s):
                self.kill()
            return self.wait(_KILLED_S)
        finally:
            for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):  # what was buffered for nobody
                        pipe.close()

    def lines(self, pipe: IO[bytes], limit_s: float | None = None) -> Iterator[str]:
        """Yields each line that comes, and ends with the pipe, or with the leader and what it left.

        Raises:
            TimeoutError: the limit is over and neither has ended.
        """
        give_up_s = None if limit_s is None else time.monotonic() + limit_s
        partial = b""
        while chunk := self._read(pipe, give_up_s):
            *lines, partial = (partial + chunk).split(b"\n")
            yield from (line.decode(errors="replace") + "\n" for line in lines)
        if partial:
            yield partial.decode(errors="replace")

    def _read(self, pipe: IO[bytes], give_up_s: float | None) -> bytes:
        """Returns what is there; nothing at the end."""
        while not _wait_readable(0.0, pipe.fileno()):
            if self.poll() is not None:
                # Who has left the group may hold the pipe for ever: what is not there never comes.
                is_there = _wait_readable(0.0, pipe.fileno())
                return os.read(pipe.fileno(), _CHUNK_BYTES) if is_there else b""
            if give_up_s is not None and time.monotonic() > give_up_s:
                raise TimeoutError(f"{self._popen.args!r} said too little")
            with _watch(self.pid) as ended:
                _wait_readable(_remaining_s(give_up_s), pipe.fileno(), ended)
        return os.read(pipe.fileno(), _CHUNK_BYTES)

    def _has_ended_within(self, limit_s: float | None) -> bool:
        """Waits for the leader's end and reaps nothing."""
        if self._popen.returncode is not None:
            return True
        with _watch(self.pid) as ended:
            return _wait_readable(limit_s, ended)

    def _signal_group(self, number: int) -> None:
        if self._popen.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def _reap(self) -> int:
        self._signal_group(signal.SIGKILL)
        return self._popen.wait()


@contextlib.contextmanager
def _watch(pid: int) -> Iterator[int]:
    """A descriptor that is readable once the process has ended."""
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _wait_readable(limit_s: float | None, *descriptors: int) -> bool:
    poll = select.poll()  # unlike select it takes descriptors of any size
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if limit_s is None else math.ceil(limit_s * 1000)))


def _remaining_s(give_up_s: float | None) -> float | None:
    return None if give_up_s is None else max(0.0, give_up_s - time.monotonic())
