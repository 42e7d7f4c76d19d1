"""The image as it is shipped, booted: a baker's first days on it, cut after cut.

Everything is asked of a board that runs the built bytes, with nothing of this checkout on its card.
"""

import hashlib
import os
import random
import re
import shutil
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from image.build import build_image
from image.card import open_card
from image.fat_reader import read_fat
from image.materials import gather_materials
from image.partitions import BOOT, DATA, MIB
from image.record import Record
from tests.image.conftest import Built
from tests.image.emulated import RASPI3B, VIRT
from tests.image.virtual_board import Kit, VirtualBoard, boot, make_kit

CARD_BYTES = 512 * MIB
HASH = "11" * 32
OTHER_HASH = "22" * 32
LEVEL = 12_000_000
# The full test cuts twenty times, and boots the image of a Raspberry Pi too.
EMULATED = RASPI3B if os.environ.get("TEZSIGN_IMAGE_MACHINE") == "raspi3b" else VIRT
CUTS = int(os.environ.get("TEZSIGN_IMAGE_CUTS", "1"))
# Three starts take nine minutes where five other emulators share two processors.
LIMIT_S = 900 + 150 * CUTS
pytestmark = [pytest.mark.lab, pytest.mark.timeout(LIMIT_S)]

DAEMONS = ("tezsign.service", "ffs_registrar.service", "attach-gadget.service")
EXPOSURE_LIMIT = 1.5
STALE = 33
# A few may have been signed before a cut that told nobody so.
SKIPPED = 10


@dataclass
class Machine:
    """The card, and what is known of its key."""

    card: Path
    kit: Kit
    folder: Path
    record: Record
    pkh: str = ""
    serial: str = ""
    level: int = LEVEL
    boots: int = 0

    def boot(self, card: Path | None = None) -> AbstractContextManager[VirtualBoard]:
        self.boots += 1
        return boot(card or self.card, self.kit, self.folder / f"boot-{self.boots}")


@pytest.fixture(scope="module")
def machine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("image")
    card = folder / "card.img"
    if EMULATED is VIRT:
        built: Built = request.getfixturevalue("virt")
        shutil.copyfile(built.place, card)
        record = built.record
    else:
        record = build_image(EMULATED.board, card)
    os.truncate(card, CARD_BYTES)
    (folder / "kit").mkdir()
    kit = make_kit(gather_materials(), folder / "kit", machine=EMULATED)
    yield Machine(card=card, kit=kit, folder=folder, record=record)
    for path in folder.glob("*.img"):
        path.unlink()


def sign(board: VirtualBoard, machine: Machine, count: int) -> None:
    said, answer = board.ask_saying(
        "sign", pkh=machine.pkh, level=machine.level + 1, count=count, payload_hash=HASH
    )
    assert answer == {"refused": None}
    machine.level += count
    assert said[-1]["level"] == machine.level


def refuse(board: VirtualBoard, machine: Machine) -> None:
    """Nothing else at the last level that was signed."""
    said, answer = board.ask_saying(
        "sign", pkh=machine.pkh, level=machine.level, count=1, payload_hash=OTHER_HASH
    )
    assert (said, answer) == ([], {"refused": STALE})


def unlock(board: VirtualBoard, machine: Machine) -> None:
    """As a person does after a start; the board is the one that it was."""
    assert board.ask("wait_ready", limit_s=150) == machine.serial
    board.ask("unlock")


def journal(board: VirtualBoard, *words: str) -> str:
    told = board.ask("run", command=["/run/test/journalctl", "--no-pager", "-o", "cat", *words])
    assert told["status"] == 0, told
    return str(told["output"])


def test_a_board_from_its_first_day_on(machine: Machine) -> None:
    """One test, since each start goes on with the card that the one before has left."""
    with machine.boot() as board:
        make_keys(board, machine)
        check_surface(board, machine)
        check_daemons_come_back(board, machine)
        board.ask("sync")  # of the journal, for the next start; the marks need none
        cut_while_signing(board, machine)
    for _ in range(CUTS - 1):
        with machine.boot() as board:
            check_nothing_is_lost(board, machine)
            cut_while_signing(board, machine)
    with machine.boot() as board:
        check_nothing_is_lost(board, machine)
        check_watchdog(board, machine)
        check_full_disk(board, machine)
    check_damage_is_shown_and_not_repaired(machine)


def make_keys(board: VirtualBoard, machine: Machine) -> None:
    machine.serial = board.ask("wait_ready", limit_s=150)
    assert machine.serial
    board.ask("init")
    board.ask("new", name="consensus")
    board.ask("unlock")
    (key,) = board.ask("status")
    machine.pkh = key["pkh"]
    assert machine.pkh.startswith("tz4")
    sign(board, machine, 3)
    refuse(board, machine)
    record = machine.record
    assert board.ask("version") == {"version": record.version, "date": record.date}


def check_surface(board: VirtualBoard, machine: Machine) -> None:
    """What is open and what is closed on a running board."""
    rows = [line.split() for line in board.ask("read", path="/proc/mounts").splitlines()]
    mounts = {row[1]: row for row in rows}
    for place in ("/", "/app"):
        assert mounts[place][2] == "erofs"
        assert "ro" in mounts[place][3].split(",")
    options = mounts["/data"][3].split(",")
    assert {"rw", "nosuid", "nodev", "noexec"} <= set(options)
    # /proc/mounts leaves out what the file system's own default is.
    every = board.ask("read", path=f"/proc/fs/ext4/{machine.kit.machine.partition}4/options")
    assert "data=journal" in every.splitlines()
    assert mounts["/data"][0] != mounts["/var/log"][0]
    blocks = int(board.ask("read", path=f"/sys/class/block/{machine.kit.machine.partition}4/size"))
    assert blocks * 512 == CARD_BYTES - DATA.start - MIB
    assert board.ask("read", path="/proc/sys/kernel/modules_disabled").strip() == "1"
    assert "lockdown=integrity" in board.ask("read", path="/proc/cmdline")
    assert board.ask("write", path="/etc/passwd", text="x") == "Read-only file system"
    assert board.ask("write", path="/app/x", text="x") == "Read-only file system"
    assert set(board.ask("list_files", path="/sys/class/net")) == {"/sys/class/net/lo"}
    assert board.ask("read", path="/run/tezsign-image/data") == "ok\n"
    files = board.ask("list_files", path="/data")
    assert files["/data/tezsign"] == ["drwx------", 990]
    inside = [owner for path, (_, owner) in files.items() if path.startswith("/data/tezsign/")]
    assert inside
    assert set(inside) == {990}


def check_exposure(board: VirtualBoard) -> None:
    words = ["/run/test/systemd-analyze", "security", "--no-pager", *DAEMONS]
    told = board.ask("run", command=words)["output"]
    found = dict(re.findall(r"exposure level for (\S+): ([0-9.]+)", told))
    assert set(found) == set(DAEMONS), told
    assert max(map(float, found.values())) <= EXPOSURE_LIMIT, found


def check_daemons_come_back(board: VirtualBoard, machine: Machine) -> None:
    for unit in DAEMONS:
        before = board.ask("kill", unit=unit)
        board.ask("wait_restarted", unit=unit, before=before, limit_s=120)
        if unit == "tezsign.service":  # the others hold no key
            unlock(board, machine)
        else:
            assert board.ask("wait_ready", limit_s=150) == machine.serial
        sign(board, machine, 1)


def cut_while_signing(board: VirtualBoard, machine: Machine) -> None:
    """Ends the machine at a moment of its own; what was released until then is known."""
    first = machine.level + 1
    board.begin("sign", pkh=machine.pkh, level=first, count=100_000, payload_hash=HASH)
    said = [board.read() for _ in range(random.randrange(1, 40))]  # noqa: S311 - no secret
    said += board.cut_power()
    machine.level = said[-1]["said"]["level"]


def check_nothing_is_lost(board: VirtualBoard, machine: Machine) -> None:
    """Whatever was released before the cut is never signed otherwise after it."""
    unlock(board, machine)
    refuse(board, machine)
    assert board.ask("read", path="/run/tezsign-image/data") == "ok\n"
    machine.level += SKIPPED
    sign(board, machine, 1)
    if machine.boots == 2:  # of later starts journald may have had nothing on the card yet
        for unit in ("tezsign", "ffs_registrar"):
            assert journal(board, "-u", unit, "-b", "-1").strip()


def check_watchdog(board: VirtualBoard, machine: Machine) -> None:
    """A signer that hangs is started again. What needs no signer is looked at meanwhile."""
    before = board.ask("kill", unit="tezsign.service", number=signal.SIGSTOP)
    check_exposure(board)
    check_boot_partition(board, machine)
    board.ask("wait_restarted", unit="tezsign.service", before=before, limit_s=200)
    assert "watchdog" in journal(board, "-u", "tezsign", "-b").lower()
    unlock(board, machine)
    sign(board, machine, 1)


def check_boot_partition(board: VirtualBoard, machine: Machine) -> None:
    """Linux reads the file system that we wrote."""
    with open_card(machine.card) as card:
        files = read_fat(card.read(BOOT.start, BOOT.size))
    hashes = {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    assert (
        board.ask("hash_files", device=f"/dev/{machine.kit.machine.partition}1", kind="vfat")
        == hashes
    )


def check_full_disk(board: VirtualBoard, machine: Machine) -> None:
    """Marks are overwritten in place: signing needs no room."""
    assert board.ask("fill", path="/data/full") > MIB
    sign(board, machine, 2)


def check_damage_is_shown_and_not_repaired(machine: Machine) -> None:
    """The journal's head is destroyed: the board starts, says so, and signs nothing."""
    card = machine.folder / "damaged.img"
    shutil.copyfile(machine.card, card)
    destroy_journal(card)
    before = hash_data(card)
    with machine.boot(card) as board:
        assert board.ask("read", path="/run/tezsign-image/data") == "read-only\n"
        rows = [line.split() for line in board.ask("read", path="/proc/mounts").splitlines()]
        (options,) = (row[3].split(",") for row in rows if row[1] == "/data")
        assert "ro" in options
        assert "nothing is signed" in journal(board, "-b", "-k")
        board.ask("sync")
    assert hash_data(card) == before


def destroy_journal(card: Path) -> None:
    """Its superblock, which is found by its magic number at the start of a block."""
    with open_card(card, writable=True) as opened:
        start = DATA.start
        while opened.read(start, 8) != b"\xc0\x3b\x39\x98\0\0\0\x04":
            start += 4096
        opened.write(start, b"\xff" * 4096)


def hash_data(card: Path) -> str:
    with open_card(card) as opened:
        return hashlib.sha256(opened.read(DATA.start, CARD_BYTES - DATA.start)).hexdigest()
