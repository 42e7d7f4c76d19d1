"""The order of writes: what a power cut, a fault or a full disk leaves of them."""

import contextlib
from random import Random

import pytest

from gadget.keychain.durable import Slots, remove_files, replace_files
from gadget.keychain.errors import NotStored
from tests.fakes.disk import FakeDisk, Fault, PowerCut

_OLD = b"o" * 4096
_NEW = b"n" * 4096
_NAMES = ("marks/0", "marks/1")
_FILES = [(name, _NEW) for name in _NAMES]
_SEEDS = range(30)


def _disk(seed: int = 0, *, journals_data: bool = False) -> FakeDisk:
    disk = FakeDisk(journals_data=journals_data, random=Random(seed))  # noqa: S311
    replace_files(disk, [(name, _OLD) for name in _NAMES])
    disk.calls.clear()
    return disk


def test_one_file_is_durable_before_the_second_is_touched() -> None:
    disk = _disk()
    replace_files(disk, _FILES)
    assert [call for call in disk.calls if call != "remove"] == [
        "write_new", "write_new", "rename", "sync_folder", "rename", "sync_folder",
    ]  # fmt: skip


def test_replaced_files_survive_a_power_cut() -> None:
    for seed in _SEEDS:
        disk = _disk(seed)
        replace_files(disk, _FILES)
        disk = disk.cut_power()
        assert [disk.content(name) for name in _NAMES] == [_NEW, _NEW]


@pytest.mark.parametrize("call", range(8))
def test_a_power_cut_leaves_each_file_whole_and_never_only_the_second_new(call: int) -> None:
    for seed in _SEEDS:
        disk = _disk(seed)
        disk.fail_at(call, Fault.CUT)
        with pytest.raises(PowerCut):
            replace_files(disk, _FILES)
        disk = disk.cut_power()
        contents = tuple(disk.content(name) for name in _NAMES)
        assert contents in {(_OLD, _OLD), (_NEW, _OLD), (_NEW, _NEW)}


def test_a_full_disk_changes_nothing() -> None:
    disk = _disk()
    disk.is_full = True
    with pytest.raises(NotStored, match="No space left") as caught:
        replace_files(disk, _FILES)
    assert not caught.value.unsettled
    assert disk.list_names() == set(_NAMES)
    assert disk.content(_NAMES[0]) == _OLD


def test_a_read_only_disk_changes_nothing() -> None:
    disk = _disk()
    disk.is_read_only = True
    with pytest.raises(NotStored, match="Read-only") as caught:
        replace_files(disk, _FILES)
    assert not caught.value.unsettled


@pytest.mark.parametrize(("call", "unsettled"), [(1, False), (3, False), (4, True), (5, True)])
def test_a_fault_says_whether_the_new_content_may_be_there(call: int, unsettled: bool) -> None:
    disk = _disk()
    disk.fail_at(call, Fault.ERROR)
    with pytest.raises(NotStored) as caught:
        replace_files(disk, _FILES)
    assert caught.value.unsettled is unsettled


def test_a_left_over_temporary_is_in_nobody_s_way() -> None:
    disk = _disk()
    disk.write_new(_NAMES[0] + ".tmp", b"left over")
    replace_files(disk, _FILES)
    assert disk.list_names() == set(_NAMES)


def test_what_can_not_be_removed_stays_and_harms_nobody() -> None:
    disk = _disk()
    disk.is_read_only = True
    remove_files(disk, _NAMES)
    disk.is_read_only = False
    remove_files(disk, (*_NAMES, "absent"))
    assert disk.list_names() == frozenset()


async def test_in_turn_the_second_slot_waits_for_the_first() -> None:
    disk = _disk()
    slots = Slots(disk, _NAMES)
    disk.calls.clear()
    await slots.begin((_NEW, _NEW)).wait()
    assert disk.calls == ["overwrite", "start_sync", "wait"] * 2


async def test_where_data_is_journaled_one_sync_carries_both() -> None:
    disk = _disk(journals_data=True)
    slots = Slots(disk, _NAMES)
    disk.calls.clear()
    await slots.begin((_NEW, _NEW)).wait()
    assert disk.calls == ["overwrite", "overwrite", "start_sync", "wait"]


@pytest.mark.parametrize("journals_data", [False, True])
async def test_written_slots_survive_a_power_cut_both(journals_data: bool) -> None:
    for seed in _SEEDS:
        disk = _disk(seed, journals_data=journals_data)
        await Slots(disk, _NAMES).begin((_NEW, _NEW)).wait()
        disk = disk.cut_power()
        assert [disk.content(name) for name in _NAMES] == [_NEW, _NEW]


@pytest.mark.parametrize("journals_data", [False, True])
@pytest.mark.parametrize("call", range(6))
async def test_a_power_cut_leaves_at_least_one_slot_whole(call: int, journals_data: bool) -> None:
    for seed in _SEEDS:
        disk = _disk(seed, journals_data=journals_data)
        slots = Slots(disk, _NAMES)
        disk.fail_at(call, Fault.CUT)
        with contextlib.suppress(PowerCut):
            await slots.begin((_NEW, _NEW)).wait()
        disk = disk.cut_power()
        assert {_OLD, _NEW} & {disk.content(name) for name in _NAMES}


@pytest.mark.parametrize("fault", [Fault.ERROR, Fault.SHORT])
@pytest.mark.parametrize("call", range(6))
async def test_a_failed_write_is_an_error_and_the_next_one_starts_with_that_slot(
    call: int, fault: Fault
) -> None:
    for seed in _SEEDS:
        disk = _disk(seed)
        slots = Slots(disk, _NAMES)
        disk.fail_at(call, fault)
        with pytest.raises(OSError, match=r"Input/output|bytes were written"):
            await slots.begin((_NEW, _NEW)).wait()
        # The power goes while the rewrite is on its way: the slot that did not fail is whole.
        slots.begin((_NEW, _NEW))
        disk = disk.cut_power()
        assert {_OLD, _NEW} & {disk.content(name) for name in _NAMES}


async def test_a_short_write_is_an_error() -> None:
    disk = _disk()
    slots = Slots(disk, _NAMES)
    disk.fail_at(0, Fault.SHORT)
    with pytest.raises(OSError, match="Input/output"):
        slots.begin((_NEW, _NEW))


def test_slots_that_can_not_all_be_opened_leave_no_descriptor() -> None:
    disk = _disk()
    disk.remove(_NAMES[1])
    with pytest.raises(FileNotFoundError):
        Slots(disk, _NAMES)
    assert disk.open_handles == 0


def test_closing_closes_every_slot() -> None:
    disk = _disk()
    slots = Slots(disk, _NAMES)
    assert disk.open_handles == 2
    slots.close()
    slots.close()
    assert disk.open_handles == 0
