"""The file of what this host has seen each key sign: read strictly, replaced as a whole.

    {"format": 1, "check": SHA-256 of the rest, "marks": [
      {"address": tz4…, "chain": NetX…, "kind": "attestation", "level": n, "round": n,
       "hash": 64 hexadecimal digits or null}]}

Owns the layout and the order of writing: lock, read what another `tezsign run` has written
meanwhile, merge by the higher mark, temporary file, fsync, rename, fsync of the folder. A power cut
leaves the old file or the new one. What can't be read is damage and never taken for "nothing seen";
only a file that is not there is new. Everything here blocks. Used by `host.witnessed_board`.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from host.errors import UsageError, WitnessDamaged
from host.witness import Place, SeenMark, Witness
from tezos.consensus import Kind

__all__ = ["WitnessFile", "default_place"]

_FORMAT: Final = 1
_SIZE_LIMIT_BYTES: Final = 4 * 1024 * 1024
_NAME: Final = "witness.json"
_KINDS: Final = {kind.name.lower(): kind for kind in Kind}

Marks = dict[Place, SeenMark]


def default_place(environment: Mapping[str, str] = os.environ) -> Path:
    """systemd's state folder of the service, or the person's own (XDG base directories).

    Raises: UsageError: the account has none.
    """
    if folder := environment.get("STATE_DIRECTORY"):
        return Path(folder.partition(":")[0]) / _NAME
    if home := environment.get("XDG_STATE_HOME"):
        return Path(home) / "tezsign" / _NAME
    try:
        return Path("~/.local/state/tezsign").expanduser() / _NAME
    except RuntimeError as error:
        raise UsageError("this account has no home: say --witness-file PATH") from error


class WitnessFile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Marks:
        """Returns what was seen; nothing where there is no file yet.

        Raises:
            WitnessDamaged: there is one, and it can't be relied on.
        """
        try:
            with self.path.open("rb") as file:
                data = file.read(_SIZE_LIMIT_BYTES)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._damaged(error.strerror or str(error)) from error
        try:
            return _decode(data)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._damaged("it is not whole") from error

    def merge(self, marks: Marks) -> Marks:
        """Makes these marks, and those in the file where they are higher, durable; returns them.

        Raises:
            WitnessDamaged: the file was changed by somebody; it stays as it is.
            OSError: it could not be written; it is as it was.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            merged = Witness(self.load())
            merged.see_all(marks)
            self._replace(_encode(merged.marks()))
        return merged.marks()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fd = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _replace(self, data: bytes) -> None:
        temporary = self.path.with_name(f"{self.path.name}.tmp")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
        temporary.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _damaged(self, reason: str) -> WitnessDamaged:
        return WitnessDamaged(
            f"{self.path} can't be relied on ({reason}). It holds what this host has seen the keys"
            " sign, and protects from a board whose marks were rolled back. Bring it back from a"
            " backup; or, if you are sure of the board, move it away to begin a new one"
        )


def _encode(marks: Marks) -> bytes:
    entries = [
        {
            "address": place.address,
            "chain": place.chain_id,
            "kind": place.kind.name.lower(),
            "level": mark.level,
            "round": mark.round,
            "hash": None if mark.payload_hash is None else mark.payload_hash.hex(),
        }
        for place, mark in marks.items()
    ]
    value = {"format": _FORMAT, "check": _check(entries), "marks": entries}
    return json.dumps(value, indent=1).encode() + b"\n"


def _decode(data: bytes) -> Marks:
    value = json.loads(data)
    if value["format"] != _FORMAT or value["check"] != _check(value["marks"]):
        raise ValueError("not of this format, or changed")
    return {
        Place(
            address=entry["address"], chain_id=entry["chain"], kind=_KINDS[entry["kind"]]
        ): SeenMark(
            level=entry["level"],
            round=entry["round"],
            payload_hash=None if entry["hash"] is None else bytes.fromhex(entry["hash"]),
        )
        for entry in value["marks"]
    }


def _check(entries: list[dict[str, Any]]) -> str:
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
