"""Builds an image. `build_image` is the table of contents: every step, in order.

Takes no rights, no loop device and nothing of the machine but Python, apt's downloader and
dpkg-deb; the same checkout gives the same bytes anywhere.
"""

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from broker.version import VERSION
from image.app import fill_app
from image.boards import Board, find_board
from image.boot import Stages, make_boot_files
from image.cache import hash_file, open_cache
from image.errors import BuildFailed
from image.fat import encode_fat
from image.filesystems import make_erofs, make_ext4, normalise
from image.lock import LOCK_FILE
from image.lockfile import Package, parse_lock
from image.manifest import encode_manifest
from image.partitions import (
    APP,
    BOOT,
    DATA,
    FIXED,
    IMAGE_BYTES,
    LAYOUT,
    LOG,
    ROOT,
    Partition,
    encode_tables,
)
from image.record import DATA_FORMAT, RECORD_START, Record, encode_record
from image.rootfs import copy_libraries, fill_root
from image.run import run
from image.stage import unpack
from image.tools import Tools, open_tools
from image.wheels import find_wheels, unpack_wheels

__all__ = ["build_image"]

_PROJECT: Final = Path(__file__).resolve().parent.parent
_CHUNK: Final = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class _Materials:
    """What the build starts from."""

    lock: tuple[Package, ...]
    tools: Tools
    stages: Stages
    wheels: tuple[Path, ...]
    cache: Path
    epoch_s: int


def build_image(board_name: str, out: Path) -> Record:
    """Writes the image, and beside it FILE.manifest.json and FILE.sha256.

    Raises: ImageError; nothing is left at `out` then that was not there.
    """
    board = find_board(board_name)
    started = time.monotonic()

    def report(message: str) -> None:
        sys.stderr.write(f"image: {time.monotonic() - started:5.1f} s  {message}\n")

    report("packages and tools")
    materials = _gather()
    with tempfile.TemporaryDirectory(prefix="tezsign-image.") as folder:
        work = Path(folder)
        report("root file system")
        root = _make_root(materials, work)
        report("kernel, initramfs, boot files")
        boot_files = make_boot_files(
            board, materials.stages, materials.tools, cache=materials.cache, work=work
        )
        boot = _make_boot(boot_files, work, materials.epoch_s)
        report("/app")
        app, record = _make_app(materials, work, board, root, boot)
        report("/data and the log")
        data, log = _make_writable(materials, work)
        report("the image")
        contents = {BOOT: boot, ROOT: root, APP: app, LOG: log, DATA: data}
        draft = out.with_name(f".{out.name}.draft")
        record = _assemble(draft, contents, record)
        draft.replace(out)
        sizes = {partition.name: path.stat().st_size for partition, path in contents.items()}
        _describe(
            out,
            record=record,
            board=board,
            materials=materials,
            boot_files=boot_files,
            sizes=sizes,
        )
    report(f"{out}: {record.image_hash}")
    return record


def _gather() -> _Materials:
    cache = open_cache()
    lock = parse_lock(LOCK_FILE.read_text())

    def stage(part: str) -> Path:
        return unpack(cache, [package for package in lock if package.part == part])

    return _Materials(
        lock=lock,
        tools=open_tools(cache, lock),
        stages=Stages(
            root=stage("root"),
            kernel=stage("kernel"),
            initramfs=stage("initramfs"),
            firmware=stage("firmware"),
        ),
        wheels=find_wheels(cache, _PROJECT / "requirements/gadget.txt"),
        cache=cache,
        epoch_s=_find_epoch(),
    )


def _find_epoch() -> int:
    """The date of the build is that of the commit, unless the environment has one."""
    if chosen := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(chosen)
    try:
        return int(run(["git", "-C", _PROJECT, "log", "-1", "--format=%ct"]))
    except (BuildFailed, ValueError) as error:
        raise BuildFailed("this is no git checkout: set SOURCE_DATE_EPOCH") from error


def _make_root(materials: _Materials, work: Path) -> Path:
    folder = work / "root"
    assets = _PROJECT / "builder/assets"
    fill_root(folder, stage=materials.stages.root, assets=assets, tools=materials.tools)
    # What the modules of the wheels need lies in the root too.
    unpack_wheels(materials.wheels, work / "wheels")
    copy_libraries(materials.stages.root, folder, work / "wheels")
    normalise(folder, materials.epoch_s)
    place = work / "root.erofs"
    make_erofs(materials.tools, folder, place, name="root", epoch_s=materials.epoch_s)
    return place


def _make_boot(files: Mapping[str, bytes], work: Path, epoch_s: int) -> Path:
    place = work / "boot.fat"
    place.write_bytes(encode_fat(files, size_bytes=BOOT.size, epoch_s=epoch_s, start=BOOT.start))
    return place


def _make_app(
    materials: _Materials, work: Path, board: Board, root: Path, boot: Path
) -> tuple[Path, Record]:
    """Returns the file system, and the record without the hashes of partitions."""
    folder = work / "app"
    fill_app(folder, project=_PROJECT, wheels=materials.wheels, tools=materials.tools)
    date = datetime.fromtimestamp(materials.epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record = Record(
        board=board.name,
        version=VERSION,
        date=date,
        image_hash=_hash_image(root, boot, folder),
        layout=LAYOUT,
        data_format=DATA_FORMAT,
        is_development=False,
        partitions={},
    )
    notes = {
        "version": record.version,
        "date": date,
        "hash": record.image_hash,
        "board": board.name,
    }
    for name, text in notes.items():
        (folder / f".image-{name}").write_text(f"{text}\n")
    normalise(folder, materials.epoch_s)
    place = work / "app.erofs"
    make_erofs(materials.tools, folder, place, name="app", epoch_s=materials.epoch_s)
    return place, record


def _hash_image(root: Path, boot: Path, app: Path) -> str:
    """Of all that runs: /app tells it, so it can't be the hash of a file that /app is in."""
    digest = hashlib.sha256(f"{hash_file(root)} root\n{hash_file(boot)} boot\n".encode())
    for path in sorted(path for path in app.rglob("*") if path.is_file()):
        digest.update(f"{hash_file(path)} app/{path.relative_to(app)}\n".encode())
    return digest.hexdigest()


def _make_writable(materials: _Materials, work: Path) -> tuple[Path, Path]:
    for partition in (DATA, LOG):
        make_ext4(
            materials.tools,
            work / f"{partition.name}.ext4",
            name=partition.name,
            size_bytes=partition.size,
            epoch_s=materials.epoch_s,
            journals_data=partition is DATA,
        )
    return work / "data.ext4", work / "log.ext4"


def _assemble(place: Path, contents: Mapping[Partition, Path], record: Record) -> Record:
    """Writes the whole card; returns the record with the hashes of the partitions that don't
    change.
    """
    for partition, path in contents.items():
        if path.stat().st_size > partition.size:
            raise BuildFailed(
                f"{partition.name} is larger than its partition: {path.stat().st_size}"
            )
    with place.open("wb") as file:
        file.truncate(IMAGE_BYTES)
        for start, sector in encode_tables().items():
            file.seek(start)
            file.write(sector)
        for partition, path in contents.items():
            _copy_sparse(path, file, partition.start)
        hashes = {p.name: _hash_padded(path, p.size) for p, path in contents.items() if p in FIXED}
        record = replace(record, partitions=hashes)
        file.seek(RECORD_START)
        file.write(encode_record(record))
    return record


def _hash_padded(path: Path, size: int) -> str:
    """Of the partition, whose rest is zeros."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(bytes(size - path.stat().st_size))
    return digest.hexdigest()


def _copy_sparse(path: Path, file: BinaryIO, start: int) -> None:
    """Leaves holes for zeros: the image takes no more of the disk than what is in it."""
    with path.open("rb") as source:
        place = start
        while chunk := source.read(_CHUNK):
            if chunk.strip(b"\0"):
                file.seek(place)
                file.write(chunk)
            place += len(chunk)


def _describe(
    out: Path,
    *,
    record: Record,
    board: Board,
    materials: _Materials,
    boot_files: Mapping[str, bytes],
    sizes: Mapping[str, int],
) -> None:
    text = encode_manifest(
        record,
        packages=materials.lock,
        wheels={wheel.name: hash_file(wheel) for wheel in materials.wheels},
        boot_files={
            path: (len(data), hashlib.sha256(data).hexdigest()) for path, data in boot_files.items()
        },
        modules=board.all_modules,
        sizes=sizes,
    )
    out.with_name(f"{out.name}.manifest.json").write_text(text)
    out.with_name(f"{out.name}.sha256").write_text(f"{hash_file(out)}  {out.name}\n")
