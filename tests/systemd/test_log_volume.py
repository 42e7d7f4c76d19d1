"""How much the journal of a board grows with a signature, on a real journald, and so in a day.

python -m tests.lab --systemd -- pytest -s -p no:cacheprovider tests/systemd/test_log_volume.py
"""

import time
from pathlib import Path

import trio

from broker.contract import INTERFACE_SIGN
from host.discover import choose
from host.session import open_client
from tests.health_socket import wait_health
from tests.kernel.board import PASSPHRASE, tezsign
from tests.payloads import attestation, preattestation
from tests.registrar.loop import wait_until
from tests.systemd.journal_file import JournalFile, find_journal
from tests.systemd.units import PATIENCE_S, journal, wait_ready

# A block each 6 s; the consensus key signs a preattestation and an attestation for it, the
# companion key an attestation. A fourth one stands for blocks and further rounds. Here one key
# signs all four: a line has its address once either way.
SIGNATURES_A_DAY = 4 * 86_400 // 6
LIMIT_BYTES = 50_000_000
FILE_BYTES = 4 * 1024 * 1024  # image/rootfs.py: SystemMaxFileSize=4M
HEALTH_SOCKET = Path("/run/tezsign/health.sock")
LEVEL = 13_000_000
BLOCKS = 60


def unlock_key() -> str:
    """Returns the address of a key; another test may have made it."""
    wait_ready()
    if not tezsign("status"):
        tezsign("init", passphrase=PASSPHRASE)
        tezsign("new", "consensus", passphrase=PASSPHRASE)
    tezsign("unlock", passphrase=PASSPHRASE)
    (key,) = tezsign("status")
    return str(key["pkh"])


async def bake(address: str) -> None:
    """Signs as fast as the board does: what is logged does not depend on it."""
    async with open_client(choose(None), INTERFACE_SIGN) as client:
        for level in range(LEVEL, LEVEL + BLOCKS):
            for round_number in (0, 1):
                await client.sign(address, preattestation("tz4", level, round_number))
                await client.sign(address, attestation("tz4", level, round_number))


def read_told_bytes() -> int:
    """From a report that was made after this call: a young one is given again."""
    asked_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    report = wait_health(
        HEALTH_SOCKET, lambda report: bool(report["boottime_seconds"] > asked_s), PATIENCE_S
    )
    return int(report["log"]["bytes"])


def count_signed() -> int:
    return sum(entry["MESSAGE"] == "signed" for entry in journal("tezsign"))


def test_a_day_of_signatures_is_far_below_the_limit() -> None:
    address = unlock_key()
    told_before = read_told_bytes()
    signed, before = count_signed(), JournalFile.read(find_journal())
    trio.run(bake, address)
    wait_until(lambda: count_signed() == signed + 4 * BLOCKS, PATIENCE_S)
    after, told_after = JournalFile.read(find_journal()), read_told_bytes()
    entries = after.entries - before.entries
    assert 4 * BLOCKS <= entries < 5 * BLOCKS  # the lines of a session, and no other ones
    grown_bytes = after.used_bytes - before.used_bytes
    each_bytes = grown_bytes / (4 * BLOCKS)
    share = (FILE_BYTES - after.fixed_bytes) / FILE_BYTES
    day_bytes = each_bytes * SIGNATURES_A_DAY / share
    print(f"{each_bytes:.0f} bytes a signature, {day_bytes / 1e6:.1f} MB a day")
    assert day_bytes < LIMIT_BYTES
    # What alerts about the log go by.
    told_bytes = told_after - told_before
    print(f"{told_bytes / (4 * BLOCKS):.0f} bytes a signature in the report")
    assert 0.8 < told_bytes / grown_bytes < 1.25
