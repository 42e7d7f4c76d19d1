"""Destroys single files of a store, one way or another. Pure.

The first property of the marks (docs/on-disk.md): when a signature has been released, either of
the two files may be destroyed. The keystore's two copies promise the same between two changes.
"""

from collections.abc import Iterator, Mapping
from random import Random
from typing import Final

from tests.crash.answered import KeyAnswers

__all__ = ["destroy_copies", "destroy_slots"]

_COPIES: Final = (0, 1)


def destroy_slots(
    files: Mapping[str, bytes], idle: Mapping[str, KeyAnswers], random: Random
) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The same slot of all keys that nothing writes to, for each slot."""
    for slot in _COPIES:
        names = {f"marks/{key.address}.{slot}" for key in idle.values()}
        if names & files.keys():
            yield f"slot {slot} destroyed", _destroy(files, names, random)


def destroy_copies(
    files: Mapping[str, bytes], random: Random
) -> Iterator[tuple[str, dict[str, bytes]]]:
    for copy in _COPIES:
        names = {f"keystore.{copy}"}
        if names & files.keys():
            yield f"keystore copy {copy} destroyed", _destroy(files, names, random)


def _destroy(files: Mapping[str, bytes], names: set[str], random: Random) -> dict[str, bytes]:
    how = random.choice((_remove, _empty, _zero, _garble, _cut))
    changed = dict(files)
    for name in names & files.keys():
        how(changed, name)
    return changed


def _remove(files: dict[str, bytes], name: str) -> None:
    del files[name]


def _empty(files: dict[str, bytes], name: str) -> None:
    files[name] = b""


def _zero(files: dict[str, bytes], name: str) -> None:
    files[name] = bytes(len(files[name]))


def _garble(files: dict[str, bytes], name: str) -> None:
    files[name] = bytes(byte ^ 0xA5 for byte in files[name])


def _cut(files: dict[str, bytes], name: str) -> None:
    files[name] = files[name][: len(files[name]) // 2]
