"""What is kept of crashes: records as values, and the bytes of their file. Pure.

The file is one block of text, overwritten in place: JSON, and before it a checksum, so that a torn
or foreign file is seen and begins anew. Crashes are evidence and no promise: none is worth a sync
that a signature would wait for. Read and written by `gadget.health.crash_log`.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

__all__ = [
    "FILE_BYTES",
    "CrashHistory",
    "CrashRecord",
    "age_s",
    "count_last_day",
    "decode_history",
    "encode_history",
    "forget_old",
    "parse_fatal_text",
]

FILE_BYTES: Final = 8 * 1024
_RECORDS: Final = 16
_TRACE_LINES: Final = 8
_LINE_CHARACTERS: Final = 100
_REASON_CHARACTERS: Final = 160
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashRecord:
    """`unix_s` is None where no host had told the time. `trace`: files, lines, functions."""

    reason: str
    boot_id: str
    boottime_s: float
    unix_s: float | None
    version: str
    trace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashHistory:
    """`open_boot_id`: the boot in which the signer runs, "" once it was told to stop."""

    open_boot_id: str = ""
    records: tuple[CrashRecord, ...] = ()

    def with_record(self, record: CrashRecord) -> "CrashHistory":
        """The newest is last; over the limit the eldest goes."""
        short = replace(
            record,
            reason=record.reason[:_REASON_CHARACTERS],
            version=record.version[:40],
            trace=tuple(line[:_LINE_CHARACTERS] for line in record.trace[:_TRACE_LINES]),
        )
        return replace(self, records=(*self.records, short)[-_RECORDS:])


def encode_history(history: CrashHistory) -> bytes:
    """Returns exactly `FILE_BYTES`; where the records don't fit, the eldest are left out."""
    while True:
        body = json.dumps(asdict(history), separators=(",", ":")).encode()
        text = b"%08x %s\n" % (zlib.crc32(body), body)
        if len(text) <= FILE_BYTES:
            return text.ljust(FILE_BYTES, b" ")
        history = replace(history, records=history.records[1:])


def decode_history(data: bytes) -> CrashHistory | None:
    """Returns None for what is no whole history."""
    checksum, _, body = data.strip(b" \n\0").partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(body):
            return None
        fields = json.loads(body)
        records = tuple(
            CrashRecord(**{**record, "trace": tuple(record["trace"])})
            for record in fields["records"]
        )
        return CrashHistory(open_boot_id=str(fields["open_boot_id"]), records=records)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def age_s(
    record: CrashRecord, boot_id: str, boottime_s: float, unix_s: float | None
) -> float | None:
    """Returns how long ago it was; None where neither the boot nor the time of day tells."""
    if record.boot_id == boot_id:
        return boottime_s - record.boottime_s
    if record.unix_s is not None and unix_s is not None:
        return unix_s - record.unix_s
    return None


def count_last_day(
    records: Sequence[CrashRecord], boot_id: str, boottime_s: float, unix_s: float | None
) -> int:
    """One of an unknown age counts until the board itself has been on for a day."""
    count = 0
    for record in records:
        age = age_s(record, boot_id, boottime_s, unix_s)
        count += (boottime_s if age is None else age) < _DAY_S
    return count


def forget_old(
    history: CrashHistory, keep_days: int, boot_id: str, boottime_s: float, unix_s: float | None
) -> CrashHistory:
    """Drops what is known to be over `keep_days` old."""
    limit_s = keep_days * _DAY_S
    kept = tuple(
        record
        for record in history.records
        if (age_s(record, boot_id, boottime_s, unix_s) or 0.0) < limit_s
    )
    return replace(history, records=kept)


def parse_fatal_text(text: str) -> tuple[str, tuple[str, ...]] | None:
    """Reads what faulthandler has written: the reason, and the stack of the thread it hit.

    Its lines name files and functions, never values. Returns None where it has written nothing.
    """
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("Fatal Python error:"):
            reason = line.removeprefix("Fatal Python error:").strip()
            frames = _frames(lines[number:])
            return f"fatal signal: {reason}", frames
    return None


def _frames(lines: Sequence[str]) -> tuple[str, ...]:
    begin = next((n for n, line in enumerate(lines) if line.startswith("Current thread")), 0)
    frames = []
    for line in lines[begin + 1 :]:
        if not line.startswith("  File "):
            break
        frames.append(_shorten(line))
    return tuple(frames)


def _shorten(line: str) -> str:
    """`  File "/app/…/gadget/aio.py", line 3 in submit` becomes `gadget/aio.py:3 submit`."""
    _, _, rest = line.partition('"')
    path, _, rest = rest.partition('", line ')
    number, _, function = rest.partition(" in ")
    place = "/".join(path.split("/")[-2:])
    return f"{place}:{number} {function}".strip()
