"""Makes file systems as plain files, without root, the same bytes each time.

Read-only ones are erofs with lz4hc: the fastest to start from of those that were measured.
"""

import os
from pathlib import Path
from typing import Final

from image.tools import Tools

__all__ = ["make_erofs", "make_ext4", "normalise"]

# Sixteen-byte identifiers, the same in every image: reproducible, and nothing looks for them.
_UUIDS: Final = {
    "root": "74657a73-6967-6e00-0000-000000000002",
    "app": "74657a73-6967-6e00-0000-000000000005",
    "log": "74657a73-6967-6e00-0000-000000000006",
    "data": "74657a73-6967-6e00-0000-000000000004",
}
# For root only.
_SECRET: Final = ("gshadow", "shadow")


def normalise(folder: Path, epoch_s: int) -> None:
    """One time for all files, and the same modes whatever the umask of who builds."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o600 if path.name in _SECRET else 0o644)
        os.utime(path, (epoch_s, epoch_s), follow_symlinks=False)


def make_erofs(tools: Tools, folder: Path, place: Path, *, name: str, epoch_s: int) -> None:
    """Everything in it belongs to root."""
    options = [
        "-zlz4hc",
        "-C65536",
        "-T",
        str(epoch_s),
        "-U",
        _UUIDS[name],
        "--all-root",
        "--quiet",
    ]
    tools.run("mkfs.erofs", *options, place, folder)


def make_ext4(
    tools: Tools, place: Path, *, name: str, size_bytes: int, epoch_s: int, journals_data: bool
) -> None:
    """An empty file system of 4 KiB blocks.

    Args: journals_data: data goes through the journal too: whole writes, in order.
    """
    with place.open("wb") as file:
        file.truncate(size_bytes)
    # It may grow to 256 GiB, the largest card that anyone will take. No lazy start: what is not
    # written now would be written on the card at its first mount.
    extended = (
        f"hash_seed={_UUIDS[name]},lazy_itable_init=0,lazy_journal_init=0,nodiscard,resize=67108864"
    )
    words = [
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-m",
        "0",
        "-L",
        f"tezsign-{name}",
        "-J",
        "size=4",
    ]
    words += ["-O", "^metadata_csum_seed", "-U", _UUIDS[name], "-E", f"{extended},root_owner=0:0"]
    environment = {
        "E2FSPROGS_FAKE_TIME": str(epoch_s),
        "SOURCE_DATE_EPOCH": str(epoch_s),
        "MKE2FS_CONFIG": str(tools.folder / "etc/mke2fs.conf"),
    }
    tools.run("mke2fs", *words, place, environment=environment)
    options = ["-c", "0", "-i", "0", "-e", "remount-ro"]
    if journals_data:
        options += ["-o", "journal_data"]
    tools.run("tune2fs", *options, place, environment=environment)
