"""The measurements, inside the lab. Each figure is taken in five rounds; the median of them counts.

A round is complete in itself: a raw echo, one BLS signature, one durable write of marks, then a
board that was started anew and a host that signs through it. So the ratio compares what was
measured within the same minute. The same round compares ways to get marks onto the disk: `Store`.
"""

import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import trio

from broker.contract import INTERFACE_SIGN, VENDOR_ID
from gadget.aio import open_aio
from gadget.keychain.disk import FolderDisk
from gadget.keychain.durable import Slots
from host.client import Client
from host.discover import choose
from host.session import open_client
from registrar.sockets import connect_local
from tests.bench.table import Round, Store, print_table
from tests.kernel.board import PASSPHRASE, Board, open_board, open_signer, tezsign
from tests.kernel.raw_gadget import RawGadget
from tests.kernel.usbfs import UsbHost, find_device
from tests.payloads import attestation
from tests.registrar.loop import wait_for, wait_until
from tezos.keys import KeyType
from tezos.signers import create_secret
from tezos.signers import open_signer as open_key

__all__ = ["main"]

_ROUNDS: Final = 5
_SIGNATURES: Final = 1000
_IN_FLIGHT: Final = 8
_WARM_UP: Final = 50
_REPEATS: Final = 300
_PACKET_BYTES: Final = 100
_DATA: Final = Path("/data/tezsign")
_SLOTS: Final = ("marks/bench.0", "marks/bench.1")
_BLOCK_BYTES: Final = 4096
_KEYS: Final = ("consensus", "companion")
_PORT: Final = 20090


def main() -> None:
    title = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        rounds = []
        for number in range(_ROUNDS):
            place = Path(folder) / str(number)
            place.mkdir()
            rounds.append(measure_round(place, number))
            print(f"{title}: round {number + 1} of {_ROUNDS} done", flush=True)
    print_table(title, rounds)


def measure_round(folder: Path, number: int) -> Round:
    echo_ms = measure_echo(folder)
    bls_ms = measure_bls()
    store = trio.run(measure_store)
    (folder / "board").mkdir()
    with open_board(folder / "board", _DATA) as board:
        started_s = time.monotonic()
        board.start_gadget()
        start_ms = (time.monotonic() - started_s) * 1000
        if number == 0:
            tezsign("init", passphrase=PASSPHRASE)
            tezsign("new", *_KEYS, passphrase=PASSPHRASE)
        tezsign("unlock", passphrase=PASSPHRASE)
        level = 10_000 * (number + 1)
        sign_ms, per_second = trio.run(measure_signing, level)
        assert board.gadget is not None
        with open_signer(_PORT, *_KEYS) as signer:
            resident_kb = {
                "gadget": read_resident_kb(board.gadget.pid),
                "registrar": read_resident_kb(board.registrar.process.pid),
                "tezsign run": read_resident_kb(signer.pid),
            }
        enable_ms = measure_enable(board)
    return Round(
        echo_ms=echo_ms,
        bls_ms=bls_ms,
        store=store,
        sign_ms=tuple(sign_ms),
        per_second=per_second,
        start_ms=start_ms,
        enable_ms=enable_ms,
        resident_kb=resident_kb,
    )


def measure_echo(folder: Path) -> float:
    """The median of blocking round trips: two ioctls here, read(2) and write(2) in the gadget."""
    gadget = RawGadget(folder / "echo")
    gadget.set_up()
    child = os.fork()
    if child == 0:
        echo_for_ever(folder / "echo")
    try:
        gadget.attach()
        host = UsbHost(find_device(VENDOR_ID), interface=INTERFACE_SIGN)
        packet = bytes(_PACKET_BYTES)

        def echo() -> None:
            host.write(packet)
            host.read()

        times = [time_ms(echo) for _ in range(_WARM_UP + _REPEATS)]
        host.close()
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        gadget.tear_down()
    return statistics.median(times[_WARM_UP:])


def echo_for_ever(functionfs: Path) -> None:
    """In the child: opened without O_NONBLOCK these files wait until the host has enabled them."""
    out_file = os.open(functionfs / "ep2", os.O_RDWR)
    in_file = os.open(functionfs / "ep1", os.O_RDWR)
    while True:
        # Enabling comes in two steps, one for each interface: a transfer between them is lost.
        with contextlib.suppress(OSError):
            os.write(in_file, os.read(out_file, 16 * 1024))


def measure_bls() -> float:
    key = open_key(KeyType.TZ4, create_secret(KeyType.TZ4, os.urandom))
    payload = attestation("tz4", 1, 0)
    return statistics.median(time_ms(lambda: key.sign(payload)) for _ in range(_REPEATS))


async def measure_store() -> Store:
    """The marks of one key, with the code and on the disk of the real ones."""
    key = open_key(KeyType.TZ4, create_secret(KeyType.TZ4, os.urandom))
    payload = attestation("tz4", 1, 0)
    aio = open_aio(1)
    disk = FolderDisk.open(_DATA.parent / "bench", aio)
    try:
        for name in _SLOTS:
            if name not in disk.list_names():
                disk.write_new(name, bytes(_BLOCK_BYTES))
        slots = Slots(disk, _SLOTS)
        blocks = (os.urandom(_BLOCK_BYTES), os.urandom(_BLOCK_BYTES))
        handle = disk.open_file(_SLOTS[0])

        async def write() -> None:
            await slots.begin(blocks).wait()

        async def write_and_sign() -> None:
            pending = slots.begin(blocks)
            key.sign(payload)
            await pending.wait()

        async def write_by_aio() -> None:
            for descriptor, block in ((handle, blocks[0]), (handle, blocks[1])):
                os.pwrite(descriptor, block, 0)
            await aio.submit_fdsync(handle).wait()

        return Store(
            bare_ms=measure_bare_write(_DATA.parent / "bench" / _SLOTS[1]),
            write_ms=await median_ms(write),
            aio_ms=await median_ms(write_by_aio),
            with_bls_ms=await median_ms(write_and_sign),
        )
    finally:
        disk.close()
        await aio.aclose()


def measure_bare_write(path: Path) -> float:
    """One block, durable when write(2) returns: the least that any signer must wait for."""
    file = os.open(path, os.O_WRONLY | os.O_DSYNC)
    block = os.urandom(_BLOCK_BYTES)
    try:
        return statistics.median(
            time_ms(lambda: os.pwrite(file, block, 0)) for _ in range(_REPEATS)
        )
    finally:
        os.close(file)


async def median_ms(action: Callable[[], Awaitable[None]]) -> float:
    return statistics.median([await time_async_ms(action) for _ in range(_REPEATS)])


async def measure_signing(level: int) -> tuple[list[float], float]:
    """Returns the time of each of 1,000 signatures in turn, and signatures a second with two keys
    and eight requests in flight."""
    async with open_client(choose(None), INTERFACE_SIGN) as client:
        addresses = [key.pkh for key in await client.status()]
        levels = iter(range(level, level + 9_000))

        async def sign() -> None:
            await client.sign(addresses[0], attestation("tz4", next(levels), 0))

        times = [await time_async_ms(sign) for _ in range(_WARM_UP + _SIGNATURES)]
        started_s = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for number in range(_IN_FLIGHT):
                nursery.start_soon(sign_many, client, addresses[number % 2], levels, number)
        elapsed_s = time.perf_counter() - started_s
    return times[_WARM_UP:], _SIGNATURES / elapsed_s


async def sign_many(client: Client, address: str, levels: Iterator[int], number: int) -> None:
    """One of the requesters: each takes the next level, and a round of its own at that level, so
    that no order of arrival makes a request stale."""
    for _ in range(_SIGNATURES // _IN_FLIGHT):
        payload = attestation("tz4", next(levels), number)
        await client.sign(address, payload)


def measure_enable(board: Board) -> float:
    """From "USB is enabled" on the registrar's socket until a host is told that all is ready."""
    board.assets.detach()
    wait_until(lambda: not board.registrar.enabled_socket.exists())
    attach = board.assets.start("attach-gadget")
    connection = wait_for(lambda: connect_local(board.registrar.enabled_socket))
    started_s = time.monotonic()
    wait_until(board.is_ready)
    connection.close()
    attach.wait()
    return (time.monotonic() - started_s) * 1000


def read_resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def time_ms(action: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    action()
    return (time.perf_counter() - started_s) * 1000


async def time_async_ms(action: Callable[[], Awaitable[None]]) -> float:
    started_s = time.perf_counter()
    await action()
    return (time.perf_counter() - started_s) * 1000


if __name__ == "__main__":
    main()
