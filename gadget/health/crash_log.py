"""Notes every end of the signer that nobody asked for, to be read after the reboot. I/O.

| what happened | how the next start knows |
|---|---|
| an exception that ended the process | noted at once, in /run |
| SIGSEGV, SIGABRT (systemd's watchdog) and the like | faulthandler has written the stack to /run |
| SIGKILL, the kernel out of memory | /run says that it was running |
| a stop that took too long | /run says that it was stopping |
| a power cut, a reset of the board | the file on /data names another boot, as running |

The file on /data is overwritten in place at most once a minute, on a thread and without a sync: the
file system commits it by itself within seconds, and a signature never waits for it. A failure here
costs evidence and nothing else, so none is raised. Called by `gadget.__main__` and `gadget.daemon`.
"""

import faulthandler
import logging
import os
import traceback
from dataclasses import replace
from pathlib import Path
from typing import IO, Final, final

import trio

from gadget.health.clock import BoardClock
from gadget.health.crash_record import (
    FILE_BYTES,
    CrashHistory,
    CrashRecord,
    count_last_day,
    decode_history,
    encode_history,
    forget_old,
    parse_fatal_text,
)
from gadget.health.run_state import RunState, load_run_state, store_run_state

__all__ = ["CrashLog"]

logger = logging.getLogger(__name__)

_WRITE_PERIOD_S: Final = 60.0
_HOUR_S: Final = 3600.0
_FATAL_LIMIT_BYTES: Final = 16 * 1024
_FRAMES: Final = 8
_ABORTED: Final = "fatal signal: Aborted"


@final
class CrashLog:
    """One process's. Order: `begin`, `watch_signals`, `open_history` once there is a data folder,
    `end`.

    Args:
        folder: on the data partition; made where it is missing.
        run: the folder in memory.
        enabled: False: starts are counted, and nothing is recorded.
    """

    def __init__(
        self,
        folder: Path,
        run: Path,
        clock: BoardClock,
        *,
        version: str,
        keep_days: int,
        enabled: bool,
    ) -> None:
        self._folder = folder
        self._file = folder / "crashes"
        self._state_file = run / "health.state"
        self._fatal_file = run / "health.fatal"
        self._clock = clock
        self._version = version
        self._keep_days = keep_days
        self._enabled = enabled
        self._state = RunState.first(clock.boot_id)
        self._is_first_start = True
        self._fatal: IO[str] | None = None
        self._on_disk = b""

    def begin(self) -> None:
        """Reads how the last start of this boot ended."""
        before = load_run_state(self._state_file, self._clock.boot_id)
        self._is_first_start = before is None
        if before is not None:
            self._state = before
            if before.is_running:
                self._note_last_end(before)
        now_s = self._clock.now_s()
        self._keep(
            start_count=self._state.start_count + 1,
            starts_s=(*self._state.starts_s, now_s),
            is_running=True,
            is_stopping=False,
        )

    def open_history(self) -> None:
        """Reads what earlier boots have left."""
        if not self._enabled:
            return
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with self._file.open("rb") as file:
                self._on_disk = file.read(FILE_BYTES)
        except FileNotFoundError:
            pass
        except OSError as error:
            logger.warning("crash record can't be read", extra={"reason": str(error)})
        boot_id = self._clock.boot_id
        if self._is_first_start:
            mine = self._state.history.records
            history = decode_history(self._on_disk) or CrashHistory()
            if history.open_boot_id not in ("", boot_id):
                cut = self._record("the board lost power, or was reset", (), boot_id="")
                history = history.with_record(cut)
            for record in mine:
                history = history.with_record(record)
            self._keep(history=history)
        history = replace(self._state.history, open_boot_id=boot_id)
        now_s = self._clock.now_s()
        unix_s = self._clock.unix_at(now_s)
        self._keep(history=forget_old(history, self._keep_days, boot_id, now_s, unix_s))

    def watch_signals(self) -> None:
        """Has the stack of every thread written to /run when a fatal signal comes."""
        if not self._enabled:
            return
        try:
            self._fatal = self._fatal_file.open("w", encoding="utf-8")
            faulthandler.enable(self._fatal)
        except OSError as error:
            logger.warning("fatal signals leave no trace", extra={"reason": str(error)})

    def note(self, reason: str, trace: tuple[str, ...] = ()) -> None:
        """Takes a record; /data follows with the next `flush`."""
        if self._enabled:
            self._keep(history=self._state.history.with_record(self._record(reason, trace)))

    def note_exception(self, error: BaseException) -> None:
        """Takes its class and places. Never its text, which may quote a request."""
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        trace = tuple(
            f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"
            for frame in reversed(frames)
        )
        self.note(f"ended by {type(error).__name__}", trace)

    def note_stopping(self) -> None:
        """Somebody has told the process to stop."""
        self._keep(is_stopping=True)

    async def flush(self) -> None:
        """Brings /data up to date, if the last write is a minute ago."""
        written_s = self._state.written_s
        now_s = self._clock.now_s()
        if written_s is not None and now_s - written_s < _WRITE_PERIOD_S:
            return
        if self._enabled and encode_history(self._state.history) != self._on_disk:
            self._keep(written_s=now_s)
            await trio.to_thread.run_sync(self._write)

    def end(self) -> None:
        """The process ends because it was told to."""
        self._keep(is_running=False, is_stopping=False)
        if self._enabled:
            self._keep(history=replace(self._state.history, open_boot_id=""))
            self._write()

    @property
    def records(self) -> tuple[CrashRecord, ...]:
        """The eldest first."""
        return self._state.history.records

    @property
    def restart_count(self) -> int:
        """Since the board was switched on."""
        return max(0, self._state.start_count - 1)

    def restarts_last_hour(self) -> int:
        since_s = self._clock.now_s() - _HOUR_S
        first = self._state.start_count <= len(self._state.starts_s)
        starts = self._state.starts_s[1:] if first else self._state.starts_s
        return sum(start_s > since_s for start_s in starts)

    def count_last_day(self) -> int:
        now_s = self._clock.now_s()
        unix_s = self._clock.unix_at(now_s)
        return count_last_day(self.records, self._clock.boot_id, now_s, unix_s)

    def _note_last_end(self, before: RunState) -> None:
        try:
            with self._fatal_file.open(encoding="utf-8", errors="replace") as file:
                text = file.read(_FATAL_LIMIT_BYTES)
            self._fatal_file.unlink()
        except OSError:
            text = ""
        fatal = parse_fatal_text(text)
        if fatal is not None:
            reason, trace = fatal
            if reason == _ABORTED:
                reason = "aborted: by systemd's watchdog, or by a library"
            self.note(reason, trace)
        elif before.is_stopping:
            self.note("a stop took too long")
        else:
            self.note("killed: by SIGKILL, or for want of memory")

    def _record(
        self, reason: str, trace: tuple[str, ...], boot_id: str | None = None
    ) -> CrashRecord:
        now_s = self._clock.now_s()
        return CrashRecord(
            reason=reason,
            boot_id=self._clock.boot_id if boot_id is None else boot_id,
            boottime_s=round(now_s, 1),
            unix_s=self._clock.unix_at(now_s),
            version=self._version,
            trace=trace,
        )

    def _keep(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]  # names and types are RunState's
        store_run_state(self._state_file, self._state)

    def _write(self) -> None:
        data = encode_history(self._state.history)
        try:
            fd = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(fd, data, 0)
            finally:
                os.close(fd)
        except OSError as error:
            logger.warning("crash record can't be written", extra={"reason": str(error)})
        else:
            self._on_disk = data
