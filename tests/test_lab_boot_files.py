"""What the guest boots from: initramfs, kernel and modules, and the cache they are in. No guest."""

import fcntl
import itertools
import json
import lzma
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from image import cpio
from image.cpio import Entry, encode_archive
from tests.lab.boot_files import encode_settings
from tests.lab.cache import Cache
from tests.lab.errors import LabError
from tests.lab.kernel import MODULES, extract_vmlinux, order_modules


def read_archive(archive: bytes) -> Iterator[tuple[str, int, bytes]]:
    """An independent reader of the header, by the offsets in the module's table."""
    offset = 0
    while offset < len(archive):
        assert archive[offset : offset + 6] == b"070701"
        mode, size, name_size = (
            int(archive[offset + at : offset + at + 8], 16) for at in (14, 54, 94)
        )
        name_start = offset + 110
        name = archive[name_start : name_start + name_size - 1].decode()
        start = (name_start + name_size + 3) // 4 * 4
        yield name, mode, archive[start : start + size]
        offset = (start + size + 3) // 4 * 4


def test_archive_reads_back() -> None:
    entries = (
        Entry.folder("bin"),
        Entry.file("bin/tool", b"12345", executable=True),
        Entry.link("bin/name", "tool"),
    )
    assert list(read_archive(encode_archive(entries))) == [
        ("bin", 0o40755, b""),
        ("bin/tool", 0o100755, b"12345"),
        ("bin/name", 0o120777, b"tool"),
        ("TRAILER!!!", 0, b""),
    ]


def test_header_table_is_complete() -> None:
    assert cpio.__doc__ is not None
    rows = re.findall(r"^\| (\d+) \| (\d+) \|", cpio.__doc__, re.MULTILINE)
    offsets = list(itertools.accumulate((int(size) for _, size in rows), initial=0))
    assert offsets == [*(int(offset) for offset, _ in rows), 110]


def test_settings_survive_the_shell() -> None:
    value = "a 'b' $(c)\n\"d\""
    files = {name: data for name, _, data in read_archive(encode_settings({"OUT": value}, [1]))}
    script = files["lab/settings"].decode() + 'printf %s "$OUT"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == value
    assert json.loads(files["lab/plan.json"]) == [1]


def module(*depends: str) -> bytes:
    return b"\x7fELF..\0depends=" + ",".join(depends).encode() + b"\0name=x\0"


def test_modules_come_after_what_they_need_and_without_built_in_ones() -> None:
    modules = dict.fromkeys(MODULES, module()) | {
        "ext4": lzma.compress(module("jbd2", "crc16")),
        "jbd2": module("crc16"),
        "crc16": module(),
        "overlay": b"",
        "unused": module(),
    }
    order = order_modules(modules)
    assert order.index("crc16") < order.index("jbd2") < order.index("ext4")
    assert set(order) == set(MODULES) - {"overlay"} | {"jbd2", "crc16"}


def test_kernel_without_a_needed_module_is_refused() -> None:
    modules = dict.fromkeys(MODULES, module())
    del modules["dummy_hcd"]
    with pytest.raises(LabError, match="no module dummy_hcd"):
        order_modules(modules)


def test_vmlinux_is_taken_out_of_its_compression() -> None:
    inner = b"\x7fELF" + bytes(100)
    decoy = b"\xfd7zXZ\0 in the loader's code"
    assert extract_vmlinux(b"MZ" + decoy + lzma.compress(inner) + b"rest") == inner
    assert extract_vmlinux(b"MZ not compressed") == b"MZ not compressed"


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(folder=tmp_path)

    def fail(folder: Path) -> None:
        (folder / "part").write_text("half")
        raise LabError("no network")

    with pytest.raises(LabError):
        cache.find_folder("kernel", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_things_are_made_once_and_by_one_at_a_time(tmp_path: Path) -> None:
    cache = Cache(folder=tmp_path)
    made = []

    def make() -> bytes:
        made.append(1)
        with (tmp_path / "lock").open("w") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return b"content"

    assert cache.find_file("thing", make) == cache.find_file("thing", make)
    assert made == [1]
    assert (tmp_path / "thing").read_bytes() == b"content"
