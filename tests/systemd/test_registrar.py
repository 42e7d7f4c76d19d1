"""A registrar that is killed or restarted under real systemd: a host that is in a session sees
nothing of it, and neither does the gadget."""

import os
from collections.abc import Callable

import trio

from broker.contract import INTERFACE_MANAGE
from host import discover
from host.session import open_client
from tests.registrar.loop import wait_until
from tests.systemd.units import (
    PATIENCE_S,
    device_number,
    journal,
    kill,
    main_pid,
    read_property,
    run,
    wait_ready,
    wait_started_again,
)

KILLS_VARIABLE = "TEZSIGN_TEST_KILLS"  # tests.faults counts higher
KILLS = int(os.environ.get(KILLS_VARIABLE, "10"))
RESTARTS = 3


def sessions_of_the_gadget() -> int:
    return sum(entry["MESSAGE"] == "session is live" for entry in journal("tezsign"))


def kill_registrar() -> None:
    before, killed_s = kill("ffs_registrar")
    started_s = wait_started_again("ffs_registrar", before)
    print(f"registrar: started {started_s - killed_s:.2f} s after it was killed")


async def worst_ping_s(act: Callable[[], object], times: int) -> float:
    """Does that many times what must not be seen, while a session pings all the time."""
    worst_s = 0.0
    is_over = False

    async def ping() -> None:
        nonlocal worst_s
        device = discover.choose(None)
        async with open_client(device, INTERFACE_MANAGE) as client:
            begun.set()
            while not is_over:
                started_s = trio.current_time()
                await client.ping()
                worst_s = max(worst_s, trio.current_time() - started_s)

    begun = trio.Event()
    with trio.fail_after(PATIENCE_S * times):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ping)
            await begun.wait()
            for _ in range(times):
                await trio.to_thread.run_sync(act)
            is_over = True
    return worst_s


def test_store_has_ep0_and_the_session() -> None:
    wait_ready()
    wait_until(lambda: read_property("ffs_registrar", "NFileDescriptorStore") == "2", PATIENCE_S)


def test_killed_registrar_is_not_seen_by_a_session() -> None:
    wait_ready()
    before = (device_number(), main_pid("tezsign"), sessions_of_the_gadget())
    worst_s = trio.run(worst_ping_s, kill_registrar, KILLS)
    print(f"registrar: killed {KILLS} times, slowest echo meanwhile {worst_s:.2f} s")
    wait_ready()
    assert (device_number(), main_pid("tezsign"), sessions_of_the_gadget()) == before
    assert read_property("ffs_registrar", "NFileDescriptorStore") == "2"


def test_restarted_registrar_is_not_seen_by_a_session() -> None:
    wait_ready()
    before = (device_number(), main_pid("tezsign"), sessions_of_the_gadget())
    trio.run(worst_ping_s, lambda: run("systemctl", "restart", "ffs_registrar"), RESTARTS)
    wait_ready()
    assert (device_number(), main_pid("tezsign"), sessions_of_the_gadget()) == before


def test_stopped_registrar_ends_the_session_and_a_started_one_begins_anew() -> None:
    wait_ready()
    before = sessions_of_the_gadget()
    run("systemctl", "stop", "ffs_registrar")
    assert read_property("ffs_registrar", "NFileDescriptorStore") == "0"
    run("systemctl", "start", "ffs_registrar")
    wait_ready()
    assert sessions_of_the_gadget() > before
