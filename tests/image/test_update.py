"""An update on a plain file: what it refuses, what it keeps, and a cut at each of its writes."""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from image import update
from image.card import Card, open_card
from image.errors import BadImage, UpdateRefused
from image.partitions import APP, BOOT, DATA, LAYOUT, LOG, MIB, ROOT, SECTOR, encode_tables
from image.record import Record
from image.update import check_update, update_card

# The same places, less to hash.
SMALL = tuple(replace(partition, size=2 * MIB) for partition in (BOOT, ROOT, APP))
DATA_BYTES = 24 * MIB
LOADER = 32768


class Cut(BaseException):
    """The power goes."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A file as an image, with what it was made from."""

    path: Path
    record: Record
    contents: dict[str, bytes]


def make(path: Path, seed: int, **changes: object) -> Made:
    """The partitions begin with random bytes; where seeds are equal, so are they."""
    draw = random.Random(seed)  # noqa: S311 - content, no secret
    contents = {p.name: draw.randbytes(1500 * 1024).ljust(p.size, b"\0") for p in SMALL}
    with path.open("wb") as file:
        file.truncate(DATA.start + DATA_BYTES)
        for start, sector in encode_tables(data_size=DATA_BYTES).items():
            file.seek(start)
            file.write(sector)
    with open_card(path, writable=True) as card:
        for partition in SMALL:
            card.write(partition.start, contents[partition.name])
        for partition in (LOG, DATA):
            card.write(partition.start, draw.randbytes(MIB))
        record = Record(
            board="rpi",
            version=f"1.{seed}",
            date="2026-01-01T00:00:00Z",
            image_hash=f"{seed:064x}",
            layout=LAYOUT,
            data_format=1,
            is_development=False,
            partitions={p.name: card.hash_partition(p) for p in SMALL},
        )
        record = replace(record, **changes)  # type: ignore[arg-type]  # the caller's words
        card.write_record(record)
    return Made(path=path, record=record, contents=contents)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "FIXED", SMALL)
    monkeypatch.setattr(update, "BOOT", SMALL[0])


@pytest.fixture
def new(tmp_path: Path) -> Made:
    return make(tmp_path / "new.img", 2)


@pytest.fixture
def old(tmp_path: Path) -> Made:
    return make(tmp_path / "card.img", 1)


def read_kept(path: Path) -> bytes:
    """The log and /data, as far as they are filled."""
    with open_card(path) as card:
        return card.read(LOG.start, 2 * MIB) + card.read(DATA.start, 2 * MIB)


def read_all(path: Path) -> bytes:
    """What is filled of a card, the table and the record too."""
    with open_card(path) as card:
        fixed = b"".join(card.read(p.start, p.size) for p in SMALL)
        return card.read(0, MIB) + fixed + read_kept(path)


def read_fixed(path: Path) -> dict[str, bytes]:
    with open_card(path) as card:
        return {p.name: card.read(p.start, p.size) for p in SMALL}


def test_everything_but_log_and_data_is_the_new_images(old: Made, new: Made) -> None:
    kept = read_kept(old.path)
    assert update_card(new.path, old.path) == new.record
    assert read_fixed(old.path) == new.contents
    assert read_kept(old.path) == kept
    with open_card(old.path) as card:
        assert card.read_record() == new.record
        assert card.read_data_size() == DATA_BYTES


REFUSED: dict[str, dict[str, object]] = {
    "another board": {"board": "radxa-zero3"},
    "an older data format": {"data_format": 0},
    "another layout": {"layout": LAYOUT + 1},
    "a development image": {"is_development": True},
    "a card that was cut": {"updating_to": "ff"},
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_image_that_does_not_belong_there_is_refused(
    case: str, tmp_path: Path, old: Made
) -> None:
    wrong = make(tmp_path / "wrong.img", 3, **REFUSED[case])
    before = read_all(old.path)
    with pytest.raises(UpdateRefused):
        update_card(wrong.path, old.path)
    assert read_all(old.path) == before


def test_a_newer_data_format_is_taken_and_not_taken_back(new: Made) -> None:
    newer = replace(new.record, data_format=2)
    check_update(newer, new.record)
    with pytest.raises(UpdateRefused, match="format 2"):
        check_update(new.record, newer)


def test_a_damaged_image_is_not_begun_with(old: Made, new: Made) -> None:
    with open_card(new.path, writable=True) as card:
        card.write(ROOT.start + 1000, b"damage")
    before = read_all(old.path)
    with pytest.raises(BadImage, match="damaged"):
        update_card(new.path, old.path)
    assert read_all(old.path) == before


def test_a_card_of_somebody_else_is_not_touched(tmp_path: Path, new: Made) -> None:
    card = tmp_path / "photos.img"
    with card.open("wb") as file:
        file.truncate(DATA.start + DATA_BYTES)
    with pytest.raises(BadImage, match="no tezsign image"):
        update_card(new.path, card)
    assert not any(read_all(card))


@pytest.mark.parametrize("new_has_it", [True, False])
def test_a_boot_loader_stays_where_the_new_image_brings_none(
    old: Made, new: Made, *, new_has_it: bool
) -> None:
    with open_card(old.path, writable=True) as card:
        card.write(LOADER, b"old loader")
    if new_has_it:
        with open_card(new.path, writable=True) as card:
            card.write(LOADER, b"new loader")
    update_card(new.path, old.path)
    with open_card(old.path) as card:
        assert card.read(LOADER, 10) == (b"new loader" if new_has_it else b"old loader")


def cut_at(monkeypatch: pytest.MonkeyPatch, number: int, *, torn: bool) -> Callable[[], int]:
    """The write of that number fails, after half of it where torn; returns how many there were."""
    count = 0
    write = Card.write

    def write_or_cut(self: Card, start: int, data: bytes) -> None:
        nonlocal count
        count += 1
        if count == number:
            if torn:
                write(self, start, data[: len(data) // 2 // SECTOR * SECTOR])
            raise Cut
        write(self, start, data)

    monkeypatch.setattr(Card, "write", write_or_cut)
    return lambda: count


def starts(path: Path) -> bool:
    """Whether a boot ROM finds the boot partition."""
    with open_card(path) as card:
        return any(card.read(BOOT.start, SECTOR))


@pytest.mark.parametrize("torn", [False, True])
def test_a_card_cut_at_any_write_starts_or_says_so(
    tmp_path: Path, new: Made, *, torn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = 0
    seen = set()
    while True:
        number += 1
        old = make(tmp_path / "card.img", 1)
        kept = read_kept(old.path)
        with monkeypatch.context() as patch:
            count = cut_at(patch, number, torn=torn)
            try:
                update_card(new.path, old.path)
            except Cut:
                pass
            else:
                assert count() == number - 1
                break
        fixed = read_fixed(old.path)
        with open_card(old.path) as card:
            record = card.read_record()
        if starts(old.path):
            assert fixed in (old.contents, new.contents), number
            seen.add("old" if fixed == old.contents else "new")
        else:
            assert record.updating_to == new.record.image_hash
            seen.add("says so")
        update_card(new.path, old.path)
        assert read_fixed(old.path) == new.contents
        assert read_kept(old.path) == kept
    assert {"old", "new", "says so"} <= seen


def test_a_card_that_forgets_what_is_written_is_found_out(
    old: Made, new: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Card.write

    def forget_root(self: Card, start: int, data: bytes) -> None:
        if not ROOT.start <= start < APP.start:
            write(self, start, data)

    monkeypatch.setattr(Card, "write", forget_root)
    with pytest.raises(BadImage, match="does not keep"):
        update_card(new.path, old.path)
    assert not starts(old.path)


def test_each_step_is_on_the_card_before_the_next_begins(
    old: Made, new: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order on the card is the order of writes only where a sync lies between."""
    steps = []
    write, sync = Card.write, os.fsync

    def note_write(self: Card, start: int, data: bytes) -> None:
        known = {4096: "record", 8192: "second record", BOOT.start: "boot sector"}
        steps.append(known.get(start, "contents"))
        write(self, start, data)

    def note_sync(descriptor: int) -> None:
        steps.append("sync")
        sync(descriptor)

    monkeypatch.setattr(Card, "write", note_write)
    monkeypatch.setattr(os, "fsync", note_sync)
    update_card(new.path, old.path)
    short = [step for n, step in enumerate(steps) if n == 0 or steps[n - 1] != step]
    record = ("record", "second record")
    wanted = (*record, "boot sector", "contents", "boot sector", *record)
    assert short == [word for step in wanted for word in (step, "sync")]
