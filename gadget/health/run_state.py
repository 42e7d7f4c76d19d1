"""What one start of the signer leaves to the next one of the same boot, in memory (/run). I/O.

So a crash loop is counted, and what crashed is known, without a single write to the SD card.
Losing the file loses counts and nothing else: no failure here is raised. Used by
`gadget.health.crash_log`.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gadget.health.crash_record import CrashHistory, decode_history, encode_history

__all__ = ["RunState", "load_run_state", "store_run_state"]

logger = logging.getLogger(__name__)

_STARTS: Final = 64
_LIMIT_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """`starts_s`: boot times of the last starts, this one's included; `start_count`: of all.
    `is_running`: nobody has told it to stop. `history` is newer than the card's.
    """

    boot_id: str
    start_count: int
    starts_s: tuple[float, ...]
    is_running: bool
    is_stopping: bool
    written_s: float | None
    history: CrashHistory

    @classmethod
    def first(cls, boot_id: str) -> "RunState":
        return cls(
            boot_id=boot_id,
            start_count=0,
            starts_s=(),
            is_running=False,
            is_stopping=False,
            written_s=None,
            history=CrashHistory(),
        )


def load_run_state(file: Path, boot_id: str) -> RunState | None:
    """Returns None where there is none of this boot."""
    try:
        with file.open("rb") as opened:
            head, _, history = opened.read(_LIMIT_BYTES).partition(b"\n")
        fields = json.loads(head)
        state = RunState(
            boot_id=fields["boot_id"],
            start_count=int(fields["start_count"]),
            starts_s=tuple(float(start_s) for start_s in fields["starts_s"]),
            is_running=bool(fields["is_running"]),
            is_stopping=bool(fields["is_stopping"]),
            written_s=fields["written_s"],
            history=decode_history(history) or CrashHistory(),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if state.boot_id == boot_id else None


def store_run_state(file: Path, state: RunState) -> None:
    """Replaces the file. It need not survive anything but the process."""
    head = {
        "boot_id": state.boot_id,
        "start_count": state.start_count,
        "starts_s": state.starts_s[-_STARTS:],
        "is_running": state.is_running,
        "is_stopping": state.is_stopping,
        "written_s": state.written_s,
    }
    temporary = file.with_name(f"{file.name}.new")
    try:
        temporary.write_bytes(json.dumps(head).encode() + b"\n" + encode_history(state.history))
        temporary.replace(file)
    except OSError as error:
        logger.warning("health state can't be kept", extra={"reason": str(error)})
