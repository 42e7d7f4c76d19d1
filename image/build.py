"""Builds an image. `build_image` is the table of contents: every step, in order.

Takes no rights, no loop device and nothing of the machine but Python, apt's downloader and
dpkg-deb; the same checkout gives the same bytes anywhere.
"""

import hashlib
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

from broker.version import VERSION
from image import development
from image.app import fill_app
from image.boards import Board, find_board
from image.boot import make_boot_files
from image.cache import hash_file
from image.development import add_development
from image.errors import BuildFailed
from image.fat import encode_fat
from image.filesystems import make_erofs, make_ext4, normalise
from image.image_hash import hash_image
from image.manifest import encode_manifest
from image.materials import PROJECT, Materials, gather_materials
from image.partitions import (
    APP,
    BOOT,
    DATA,
    IMAGE_BYTES,
    LAYOUT,
    LOG,
    ROOT,
    Partition,
    encode_tables,
)
from image.record import DATA_FORMAT, RECORD_COPIES, RECORD_START, Record, encode_record
from image.rootfs import copy_libraries, fill_root
from image.stage import unpack
from image.wheels import unpack_wheels

__all__ = ["build_image"]

_CHUNK: Final = 1024 * 1024


def build_image(
    board_name: str,
    out: Path,
    *,
    loader: Mapping[int, bytes] = MappingProxyType({}),
    developer_key: str = "",
) -> Record:
    """Writes the image, and beside it FILE.manifest.json and FILE.sha256.

    Args:
        loader: a boot loader's parts, by their place on the card.
        developer_key: whose ssh key opens the board; where there is one, it is a development image.
    Raises: ImageError; nothing is left at `out` then that was not there.
    """
    board = find_board(board_name)
    if developer_key:
        board = replace(board, modules=(*board.modules, *development.MODULES))
    started = time.monotonic()

    def report(message: str) -> None:
        sys.stderr.write(f"image: {time.monotonic() - started:5.1f} s  {message}\n")

    report("packages and tools")
    materials = gather_materials()
    with tempfile.TemporaryDirectory(prefix="tezsign-image.") as folder:
        work = Path(folder)
        report("root file system")
        root = _make_root(materials, work, developer_key)
        report("kernel, initramfs, boot files")
        boot_files = make_boot_files(
            board, materials.stages, materials.tools, cache=materials.cache, work=work
        )
        boot = _make_boot(boot_files, work, materials.epoch_s)
        report("/app")
        record = _describe_parts(materials, board, root, boot, is_development=bool(developer_key))
        app, record = _make_app(materials, work, record)
        report("/data and the log")
        data, log = _make_writable(materials, work)
        report("the image")
        contents = {BOOT: boot, ROOT: root, APP: app, LOG: log, DATA: data}
        draft = out.with_name(f".{out.name}.draft")
        record = _assemble(draft, contents, record, loader)
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


def _make_root(materials: Materials, work: Path, developer_key: str) -> Path:
    folder = work / "root"
    assets = PROJECT / "builder/assets"
    fill_root(folder, stage=materials.stages.root, assets=assets, tools=materials.tools)
    if developer_key:
        stage = unpack(materials.cache, [p for p in materials.lock if p.part in ("root", "dev")])
        busybox = materials.stages.initramfs / "usr/bin/busybox"
        add_development(folder, stage=stage, busybox=busybox, assets=assets, key=developer_key)
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


def _describe_parts(
    materials: Materials, board: Board, root: Path, boot: Path, *, is_development: bool
) -> Record:
    """Returns the record, without what only /app can tell."""
    partitions = {p.name: _hash_padded(path, p.size) for p, path in ((BOOT, boot), (ROOT, root))}
    date = datetime.fromtimestamp(materials.epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Record(
        board=board.name,
        version=f"{VERSION}-development" if is_development else VERSION,
        date=date,
        image_hash="",
        layout=LAYOUT,
        data_format=DATA_FORMAT,
        is_development=is_development,
        partitions=partitions,
    )


def _make_app(materials: Materials, work: Path, record: Record) -> tuple[Path, Record]:
    """Returns the file system, and the record with the hash of all that runs."""
    folder = work / "app"
    more = development.APP_PROGRAMS if record.is_development else ()
    fill_app(
        folder,
        project=PROJECT,
        wheels=materials.wheels,
        tools=materials.tools,
        more_programs=more,
    )
    record = replace(record, image_hash=hash_image(record.partitions, folder))
    notes = {
        "version": record.version,
        "date": record.date,
        "hash": record.image_hash,
        "board": record.board,
    }
    for name, text in notes.items():
        (folder / f".image-{name}").write_text(f"{text}\n")
    normalise(folder, materials.epoch_s)
    place = work / "app.erofs"
    make_erofs(materials.tools, folder, place, name="app", epoch_s=materials.epoch_s)
    return place, record


def _make_writable(materials: Materials, work: Path) -> tuple[Path, Path]:
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


def _assemble(
    place: Path, contents: Mapping[Partition, Path], record: Record, loader: Mapping[int, bytes]
) -> Record:
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
        for start, sector in (*encode_tables().items(), *loader.items()):
            file.seek(start)
            file.write(sector)
        for partition, path in contents.items():
            _copy_sparse(path, file, partition.start)
        app = _hash_padded(contents[APP], APP.size)
        record = replace(record, partitions={**record.partitions, APP.name: app})
        file.seek(RECORD_START)
        file.write(encode_record(record) * RECORD_COPIES)
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
    materials: Materials,
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
