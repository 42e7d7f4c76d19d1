"""Each fault that the field reports is in the report after one interval; what is mended is gone.

The keys, marks and passphrases are the real keychain's; memory, files and the card say what the
test makes them say. tests/system/test_health.py has the same on a whole daemon.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from broker.codec import encode_request
from broker.health_messages import CLOCK_EPOCH_UNIX_S
from broker.messages import UnlockRequest
from gadget.health.rescue import Rescue
from gadget.imageinfo import ImageInfo
from gadget.keychain.errors import KeychainError
from gadget.logs import LogBook
from gadget.part import Part
from gadget.rpc import Service
from gadget.signature_log import SignatureLog
from tests.gadget.health.bench import Bench
from tests.gadget.keychain.board import Board, attest, init
from tezos.keys import KeyType


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    """All is well: two unlocked keys, and ten quiet minutes behind it."""
    board = Board()
    await init(board)
    await board.new("consensus", KeyType.TZ1)
    await board.new("companion", KeyType.TZ1)
    await board.unlock()
    bench = Bench(tmp_path, board)
    assert await bench.look(12) == set()
    return bench


async def test_a_leak(bench: Bench) -> None:
    bench.change_process(heap_bytes=100 << 20)
    assert await bench.look() == set()  # it may be a key derivation
    assert await bench.look(2) == {"memory_growth"}
    bench.change_process(heap_bytes=30 << 20)
    assert await bench.look() == set()


async def test_a_descriptor_leak(bench: Bench) -> None:
    bench.change_process(descriptors=60)
    assert await bench.look(3) == {"descriptors_growth"}
    bench.change_process(descriptors=2100)
    assert await bench.look() == {"descriptors_growth", "descriptors_half"}


async def test_leaks_are_not_looked_for_where_that_is_switched_off(bench: Bench) -> None:
    bench.settings = replace(bench.settings, memory_leak_detection=False)
    bench.start()
    bench.change_process(heap_bytes=100 << 20, descriptors=60)
    assert await bench.look(20) == {"recent_crash"}  # the start itself


async def test_a_stuck_task(bench: Bench) -> None:
    bench.usb.beat(-1e6)
    assert await bench.look() == {"task_late"}
    rescue = Rescue([bench.usb], [], attempts=3, give_up=lambda _part: None)
    rescue.look()
    rescue.look()
    bench.usb.beat(1e9)
    assert await bench.look() == {"task_stuck"}


async def test_a_task_that_fails_on_a_bug_is_a_crash(bench: Bench) -> None:
    bench.usb.note_bug("KeyError at x.py:3")
    assert await bench.look() == {"recent_crash"}
    (record,) = bench.crashes.records
    assert record.reason == "task usb failed: KeyError at x.py:3"


async def test_a_crash_loop(bench: Bench) -> None:
    for _ in range(6):
        bench.now_s += 5
        bench.start()
    assert await bench.look() == {"crash_loop", "recent_crash"}


async def test_a_full_disk(bench: Bench) -> None:
    bench.storage = replace(bench.storage, free_bytes=0)
    assert await bench.look() == {"disk_full", "disk_low"}


async def test_a_damaged_watermark_file(bench: Bench) -> None:
    address = bench.board.keyring.status()[0].pkh
    disk, name = bench.board.disk, f"marks/{address}.1"
    whole = disk.read(name, 5000)
    for damaged in (b"", whole[:100], bytes(4096), whole + b"x"):
        disk.remove(name)
        disk.write_new(name, damaged)
        assert await bench.look() == {"marks_damaged"}
    disk.remove(name)
    assert await bench.look() == {"marks_damaged"}
    disk.write_new(name, whole)
    assert await bench.look() == set()


async def test_marks_that_cannot_be_read_at_unlock(bench: Bench) -> None:
    (first, _) = bench.board.keyring.status()
    await bench.board.keyring.lock((first.id,))
    for slot in (0, 1):
        bench.board.disk.remove(f"marks/{first.pkh}.{slot}")
    await bench.board.unlock()
    assert await bench.look() == {"marks_damaged", "marks_unusable"}


async def test_a_disabled_usb(bench: Bench) -> None:
    bench.usb.status = "waiting for USB"
    assert await bench.look() == {"usb_down"}
    bench.usb.status = "serving"
    assert await bench.look() == set()


async def test_a_locked_key(bench: Bench) -> None:
    await bench.board.keyring.lock(("companion",))
    assert await bench.look() == {"key_locked"}
    await bench.board.keyring.lock(())
    assert await bench.look() == {"keys_locked"}


WRONG_UNLOCK = encode_request(UnlockRequest(passphrase=b"wrong", ids=()))


async def test_a_throttled_passphrase(bench: Bench) -> None:
    service = service_of(bench)
    for _ in range(6):
        await service.answer(1, WRONG_UNLOCK)
    assert await bench.look() == {"passphrase_throttled", "passphrase_wrong"}
    bench.now_s += 3600
    assert await bench.look(13) == set()


async def test_requests_below_the_marks(bench: Bench) -> None:
    address = bench.board.keyring.status()[0].pkh
    await bench.board.keyring.sign(address, attest(100))
    with pytest.raises(KeychainError):
        await bench.board.keyring.sign(address, attest(99))
    for _ in range(6):
        bench.meters.reject(33)
    assert await bench.look() == {"stale_requests"}


async def test_the_signature_is_split_into_its_steps(bench: Bench) -> None:
    address = bench.board.keyring.status()[0].pkh
    for level in range(10):
        await bench.board.keyring.sign(address, attest(level + 1))
    await bench.board.keyring.sign(address, attest(10))  # again: no marks are written
    latency = json.loads(bench.monitor.answer(None))["signing"]["latency"]
    await bench.look()
    latency = json.loads(bench.monitor.answer(None))["signing"]["latency"]
    assert latency["marks"]["count"] == latency["signature"]["count"] == 10


async def test_a_broken_setting_is_an_alert(bench: Bench) -> None:
    bench.settings = replace(bench.settings, problems=("enabled: expected true or false",))
    bench.start()
    assert "settings" in await bench.look()


async def test_it_answers_at_once_and_looks_anew_after_some_seconds(bench: Bench) -> None:
    first = bench.monitor.answer(None)
    await bench.board.keyring.lock(())
    assert bench.monitor.answer(None) is first
    bench.now_s += 3.1
    assert json.loads(bench.monitor.answer(None))["status"] == "critical"


async def test_the_hosts_time_dates_what_is_told(bench: Bench) -> None:
    await bench.board.keyring.lock(())
    await bench.look()
    unix_s = 1_795_161_600  # 2026-11-20T08:00:00Z
    bench.now_s += 60
    report = json.loads(bench.monitor.answer(unix_s - CLOCK_EPOCH_UNIX_S))
    assert report["timestamp"] == "2026-11-20T08:00:00Z"
    assert report["alerts"][0]["since"] == "2026-11-20T07:59:00Z"
    assert bench.clock.correct(bench.now_s) == unix_s


async def test_a_change_is_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        await bench.board.keyring.lock(())
        await bench.look(3)
    lines = [record for record in caplog.records if record.message == "health has changed"]
    assert [getattr(line, "new") for line in lines] == ["keys_locked"]  # noqa: B009


async def test_it_looks_each_interval(
    bench: Bench, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_s = trio.current_time()
    looks_s: list[float] = []

    async def look(_part: Part) -> None:
        looks_s.append(trio.current_time() - begun_s)

    # The real one has a thread look at the files, which a clock that jumps does not wait for.
    monkeypatch.setattr(bench.monitor, "look", look)
    with trio.move_on_after(200):
        await bench.monitor.run(bench.parts[-1])
    assert looks_s == pytest.approx([0, 60, 120, 180])
    assert not bench.parts[-1].is_late()


def service_of(bench: Bench) -> Service:
    return Service(
        keyring=bench.board.keyring,
        log_book=LogBook(),
        image=ImageInfo(version="", date=""),
        signatures=SignatureLog(),
        meters=bench.meters,
        health=bench.monitor.answer,
    )
