"""Two copies of the record: which one holds, and what a failed change leaves."""

from dataclasses import replace
from random import Random

import pytest

from gadget.keychain.envelope import PRODUCTION_KDF
from gadget.keychain.errors import KeystoreUnusable, NotStored
from gadget.keychain.keystore import Keystore
from gadget.keychain.keystore_record import KeystoreRecord, encode_record
from tests.fakes.disk import FakeDisk, Fault, PowerCut

_RECORD = KeystoreRecord(
    salt=b"s" * 16, kdf=PRODUCTION_KDF, verifier=b"v" * 28, sealed_seed=None, next_index=1
)
_NEXT = replace(_RECORD, next_index=2)
_DAMAGE = [None, b"", bytes(200), b"x" * 500]


def _load(disk: FakeDisk) -> Keystore:
    keystore = Keystore(disk)
    keystore.load()
    return keystore


def _stored(seed: int = 0) -> tuple[FakeDisk, Keystore]:
    disk = FakeDisk(random=Random(seed))  # noqa: S311
    keystore = _load(disk)
    keystore.store(_RECORD)
    return disk, keystore


def test_an_empty_folder_is_not_initialised() -> None:
    assert _load(FakeDisk()).record is None


def test_what_was_stored_is_loaded() -> None:
    disk, _ = _stored()
    assert _load(disk.restart_process()).record == _RECORD
    assert disk.content("keystore.0") == disk.content("keystore.1")


@pytest.mark.parametrize("how", _DAMAGE)
@pytest.mark.parametrize("copy", ["keystore.0", "keystore.1"])
def test_one_damaged_copy_is_mended_from_the_other(copy: str, how: bytes | None) -> None:
    disk, _ = _stored()
    disk.damage(copy, how)
    assert _load(disk).record == _RECORD
    assert disk.content("keystore.0") == disk.content("keystore.1")


@pytest.mark.parametrize("how", _DAMAGE[1:])
def test_two_damaged_copies_are_unusable(how: bytes) -> None:
    disk, _ = _stored()
    disk.damage("keystore.0", how)
    disk.damage("keystore.1", how)
    with pytest.raises(KeystoreUnusable, match="both copies"):
        _load(disk)


def test_one_missing_and_one_damaged_copy_are_unusable() -> None:
    disk, _ = _stored()
    disk.damage("keystore.0", None)
    disk.damage("keystore.1", b"junk")
    with pytest.raises(KeystoreUnusable):
        _load(disk)


def test_missing_copies_are_unusable_where_marks_are_left() -> None:
    disk = FakeDisk()
    disk.write_new("marks/tz1.0", b"")
    with pytest.raises(KeystoreUnusable):
        _load(disk)


def test_newest_whole_copy_wins() -> None:
    disk, _ = _stored()
    for number, copy in enumerate(("keystore.0", "keystore.1")):
        disk.damage(copy, encode_record(replace(_RECORD, next_index=number), 5 + number))
    assert _load(disk).record == replace(_RECORD, next_index=1)


def test_equal_numbers_with_different_content_are_unusable() -> None:
    disk, _ = _stored()
    disk.damage("keystore.0", encode_record(_RECORD, 5))
    disk.damage("keystore.1", encode_record(_NEXT, 5))
    with pytest.raises(KeystoreUnusable, match="contradict"):
        _load(disk)


def test_a_power_cut_at_any_call_leaves_the_old_record_or_the_new_one() -> None:
    for seed in range(10):
        for call in range(8):
            disk, keystore = _stored(seed)
            disk.fail_at(call, Fault.CUT)
            with pytest.raises(PowerCut):
                keystore.store(_NEXT)
            assert _load(disk.cut_power()).record in {_RECORD, _NEXT}


def test_a_power_cut_while_mending_loses_nothing() -> None:
    for seed in range(10):
        for call in range(10):
            disk, _ = _stored(seed)
            disk.damage("keystore.0", b"junk")
            disk.fail_at(call, Fault.CUT)
            try:
                _load(disk)
            except PowerCut:
                disk = disk.cut_power()
            disk.fail_never()
            assert _load(disk).record == _RECORD


@pytest.mark.parametrize("call", range(8))
def test_after_a_failed_change_memory_holds_and_a_second_one_succeeds(call: int) -> None:
    for seed in range(10):
        disk, keystore = _stored(seed)
        disk.fail_at(call, Fault.ERROR)
        with pytest.raises(NotStored):
            keystore.store(_NEXT)
        assert keystore.record == _RECORD
        other = replace(_RECORD, next_index=3)
        keystore.store(other)
        assert keystore.record == other
        assert _load(disk.cut_power()).record == other


@pytest.mark.parametrize("call", [4, 5, 6, 7])
def test_settling_takes_a_half_made_change_back(call: int) -> None:
    for seed in range(10):
        disk, keystore = _stored(seed)
        disk.fail_at(call, Fault.ERROR)
        with pytest.raises(NotStored) as caught:
            keystore.store(_NEXT)
        assert caught.value.unsettled
        keystore.settle()
        assert _load(disk.cut_power()).record == _RECORD


def test_settling_writes_nothing_where_all_is_well() -> None:
    disk, keystore = _stored()
    disk.is_full = True
    with pytest.raises(NotStored):
        keystore.store(_NEXT)
    disk.calls.clear()
    keystore.settle()
    assert disk.calls == []


def test_a_full_disk_does_not_keep_the_whole_copy_from_being_read() -> None:
    disk, _ = _stored()
    disk.damage("keystore.0", b"junk")
    disk.is_full = True
    assert _load(disk).record == _RECORD


def test_a_read_only_disk_is_read() -> None:
    disk, _ = _stored()
    disk.write_new("keystore.0.tmp", b"left over")
    disk.is_read_only = True
    assert _load(disk).record == _RECORD


def test_left_over_temporaries_are_removed() -> None:
    disk, _ = _stored()
    disk.write_new("keystore.0.tmp", b"left over")
    disk.write_new("marks/tz1.0.tmp", b"left over")
    _load(disk)
    assert disk.list_names() == {"keystore.0", "keystore.1"}


def test_a_folder_that_can_not_be_listed_is_unusable_not_empty() -> None:
    disk, _ = _stored()
    disk.fail_at(0, Fault.ERROR)
    with pytest.raises(KeystoreUnusable):
        _load(disk)


def test_a_rename_that_a_dead_process_left_is_made_durable() -> None:
    for seed in range(20):
        disk, keystore = _stored(seed)
        disk.fail_at(7, Fault.ERROR)  # the last sync of the folder
        with pytest.raises(NotStored):
            keystore.store(_NEXT)
        disk = disk.restart_process()
        loaded = _load(disk).record
        disk = disk.cut_power()
        disk.damage("keystore.0", None)
        assert _load(disk).record == loaded
