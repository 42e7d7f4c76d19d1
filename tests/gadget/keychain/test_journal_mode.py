"""Only a kernel that says data=journal is believed; everything unknown means no."""

import os
from pathlib import Path

import pytest

from gadget.keychain.journal_mode import find_journals_data

_DEVICE = os.makedev(8, 1)


def _tree(path: Path, options: str | None) -> dict[str, Path]:
    (path / "sys/dev/block").mkdir(parents=True)
    (path / "sys/devices/mmc/mmcblk0p2").mkdir(parents=True)
    (path / "sys/dev/block/8:1").symlink_to("../../devices/mmc/mmcblk0p2")
    if options is not None:
        (path / "proc/fs/ext4/mmcblk0p2").mkdir(parents=True)
        (path / "proc/fs/ext4/mmcblk0p2/options").write_text(options)
    return {"sys": path / "sys", "proc": path / "proc"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("rw\ndata=journal\ncommit=5\n", True),
        ("rw\ndata=ordered\n", False),
        ("rw\nxdata=journal\n", False),
        ("", False),
        (None, False),
    ],
)
def test_the_mount_option_decides(tmp_path: Path, options: str | None, expected: bool) -> None:
    assert find_journals_data(_DEVICE, **_tree(tmp_path, options)) is expected


def test_a_device_that_is_not_known_means_no(tmp_path: Path) -> None:
    assert not find_journals_data(os.makedev(0, 99), **_tree(tmp_path, "data=journal\n"))


def test_the_real_kernel_is_asked_without_harm(tmp_path: Path) -> None:
    assert find_journals_data(tmp_path.stat().st_dev) in (True, False)
