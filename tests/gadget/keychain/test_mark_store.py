"""Two slots of marks: which one holds, and when nothing does."""

import contextlib
import os
from random import Random

import pytest

from gadget.keychain.errors import NotRecorded, NotStored, WatermarkUnusable
from gadget.keychain.mark_record import BLOCK_BYTES, MarkSealer, encode_marks
from gadget.keychain.mark_store import MarkStore, create_marks, load_marks, read_marks
from gadget.keychain.marks import Marks
from gadget.keychain.secret import Secret
from tests.fakes.disk import FakeDisk, Fault, Killed, PowerCut

_ADDRESS = "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb"
_NAMES = (f"marks/{_ADDRESS}.0", f"marks/{_ADDRESS}.1")
_SEALER = MarkSealer(Secret(b"k" * 32), b"context")
_MARKS = Marks(last_level=1)
_NEXT = Marks(last_level=2)
_DAMAGE = [None, b"", bytes(BLOCK_BYTES), b"\xff" * BLOCK_BYTES, b"short", bytes(BLOCK_BYTES + 1)]


def _disk(seed: int = 0, *, journals_data: bool = False) -> FakeDisk:
    disk = FakeDisk(journals_data=journals_data, random=Random(seed))  # noqa: S311
    create_marks(disk, _ADDRESS, _SEALER, _MARKS, os.urandom)
    return disk


def _load(disk: FakeDisk) -> MarkStore:
    return load_marks(disk, _ADDRESS, _SEALER, os.urandom)


def _block(slot: int, sequence: int, marks: Marks) -> bytes:
    return _SEALER.encode_block(slot, sequence, encode_marks(marks), os.urandom(12))


async def _advance(store: MarkStore, marks: Marks) -> None:
    await store.finish(store.begin(marks), marks)


def test_a_new_key_has_two_whole_slots_of_one_block() -> None:
    disk = _disk().cut_power()
    assert [len(disk.content(name)) for name in _NAMES] == [BLOCK_BYTES, BLOCK_BYTES]
    assert read_marks(disk, _ADDRESS, _SEALER).marks == _MARKS


async def test_loaded_marks_are_not_confirmed_before_they_were_rewritten() -> None:
    store = _load(_disk())
    assert store.marks == _MARKS
    assert not store.is_confirmed
    await store.rewrite()
    assert store.is_confirmed


async def test_a_rewrite_has_a_higher_number_and_a_new_nonce_in_each_slot() -> None:
    disk = _disk()
    before = [disk.content(name) for name in _NAMES]
    store = _load(disk)
    await store.rewrite()
    await store.rewrite()
    after = [disk.content(name) for name in _NAMES]
    assert [int.from_bytes(block[16:24], "little") for block in before] == [1, 1]
    assert [int.from_bytes(block[16:24], "little") for block in after] == [3, 3]
    assert len({block[24:36] for block in before + after}) == 4


@pytest.mark.parametrize("how", _DAMAGE)
@pytest.mark.parametrize("slot", [0, 1])
async def test_either_slot_may_be_destroyed_without_losing_the_mark(
    slot: int, how: bytes | None
) -> None:
    for journals_data in (False, True):
        disk = _disk(journals_data=journals_data)
        store = _load(disk)
        await _advance(store, _NEXT)
        disk = disk.cut_power()
        disk.damage(_NAMES[slot], how)
        store = _load(disk)
        assert store.marks == _NEXT
        await store.rewrite()
        disk = disk.cut_power()
        disk.damage(_NAMES[1 - slot], how)
        assert _load(disk).marks == _NEXT


@pytest.mark.parametrize("how", _DAMAGE)
async def test_a_damaged_slot_is_mended_before_the_whole_one_is_touched(how: bytes | None) -> None:
    for seed in range(10):
        for slot in (0, 1):
            for call in range(14):
                disk = _disk(seed)
                disk.damage(_NAMES[slot], how)
                disk.fail_at(call, Fault.CUT)
                try:
                    await _load(disk).rewrite()
                except PowerCut:
                    disk = disk.cut_power()
                disk.fail_never()
                assert _load(disk).marks == _MARKS


@pytest.mark.parametrize("how", _DAMAGE)
def test_two_damaged_slots_are_unusable_never_zero(how: bytes | None) -> None:
    disk = _disk()
    for name in _NAMES:
        disk.damage(name, how)
    with pytest.raises(WatermarkUnusable):
        _load(disk)
    with pytest.raises(WatermarkUnusable):
        read_marks(disk, _ADDRESS, _SEALER)


def test_slots_that_were_exchanged_are_unusable() -> None:
    disk = _disk()
    blocks = [disk.content(name) for name in _NAMES]
    disk.damage(_NAMES[0], blocks[1])
    disk.damage(_NAMES[1], blocks[0])
    with pytest.raises(WatermarkUnusable):
        _load(disk)


def test_newest_whole_slot_wins() -> None:
    disk = _disk()
    disk.damage(_NAMES[0], _block(0, 7, _MARKS))
    disk.damage(_NAMES[1], _block(1, 8, _NEXT))
    assert _load(disk).marks == _NEXT
    disk.damage(_NAMES[0], _block(0, 9, _MARKS))
    assert _load(disk).marks == _MARKS


def test_equal_numbers_with_different_content_are_unusable() -> None:
    disk = _disk()
    disk.damage(_NAMES[0], _block(0, 7, _MARKS))
    disk.damage(_NAMES[1], _block(1, 7, _NEXT))
    with pytest.raises(WatermarkUnusable):
        _load(disk)


@pytest.mark.parametrize("journals_data", [False, True])
async def test_a_power_cut_at_any_call_leaves_a_slot_not_older_than_the_last_mark(
    journals_data: bool,
) -> None:
    for seed in range(20):
        for call in range(6):
            disk = _disk(seed, journals_data=journals_data)
            store = _load(disk)
            await store.rewrite()
            disk.fail_at(call, Fault.CUT)
            allowed = {_NEXT}
            try:
                await _advance(store, _NEXT)
            except PowerCut:
                allowed.add(_MARKS)
            assert _load(disk.cut_power()).marks in allowed


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.SHORT])
@pytest.mark.parametrize("call", range(6))
async def test_a_failed_write_uses_up_its_number_and_leaves_the_old_marks(
    call: int, fault: Fault
) -> None:
    disk = _disk()
    store = _load(disk)
    await store.rewrite()
    disk.fail_at(call, fault)
    with pytest.raises(NotRecorded, match="could not record"):
        await _advance(store, _NEXT)
    assert (store.marks, store.is_confirmed) == (_MARKS, False)
    await store.rewrite()
    disk = disk.cut_power()
    found = [_SEALER.decode_block(slot, disk.content(_NAMES[slot])) for slot in (0, 1)]
    assert [one.marks for one in found] == [_MARKS, _MARKS]
    assert [one.sequence for one in found] == [4, 4]


@pytest.mark.parametrize("call", range(6))
async def test_what_a_killed_process_left_on_its_way_is_waited_for(call: int) -> None:
    for seed in range(30):
        for cut in range(12):
            disk = _disk(seed)
            store = _load(disk)
            await store.rewrite()
            disk.fail_at(call, Fault.KILL)
            with pytest.raises(Killed):
                await _advance(store, _NEXT)
            disk = disk.restart_process()
            store = _load(disk)
            disk.fail_at(cut, Fault.CUT)
            with contextlib.suppress(PowerCut):
                await store.rewrite()
            assert _load(disk.cut_power()).marks in {_MARKS, _NEXT}


async def test_a_failed_rewrite_stays_unconfirmed() -> None:
    disk = _disk()
    store = _load(disk)
    disk.fail_at(2, Fault.ERROR)
    with pytest.raises(NotRecorded):
        await store.rewrite()
    assert not store.is_confirmed


def test_a_damaged_slot_that_can_not_be_replaced_keeps_the_key_locked() -> None:
    disk = _disk()
    disk.damage(_NAMES[0], b"")
    disk.is_full = True
    with pytest.raises(NotRecorded, match="No space left"):
        _load(disk)
    disk.is_full = False
    assert _load(disk).marks == _MARKS


def test_a_full_disk_does_not_keep_whole_slots_from_being_loaded() -> None:
    disk = _disk()
    disk.is_full = True
    assert _load(disk).marks == _MARKS


def test_slots_that_can_not_be_opened_are_not_unusable() -> None:
    disk = _disk()
    disk.is_read_only = True
    with pytest.raises(NotRecorded):
        _load(disk)


def test_marks_that_can_not_be_created_are_not_there() -> None:
    disk = FakeDisk()
    disk.is_full = True
    with pytest.raises(NotStored):
        create_marks(disk, _ADDRESS, _SEALER, _MARKS, os.urandom)
    assert disk.list_names() == frozenset()


def test_a_rename_that_a_dead_process_left_is_made_durable() -> None:
    for seed in range(20):
        disk = _disk(seed)
        disk.damage(_NAMES[0], None)
        disk.fail_at(5, Fault.ERROR)  # the replaced slot is there, its folder is not synced
        with pytest.raises(NotRecorded):
            _load(disk)
        _load(disk)
        disk = disk.cut_power()
        disk.damage(_NAMES[1], None)
        assert _load(disk).marks == _MARKS
