"""The list of what an image was made of, beside the image: packages, wheels, files, sizes, hashes.
Pure.
"""

import json
from collections.abc import Mapping, Sequence

from image.lockfile import Package
from image.record import Record

__all__ = ["encode_manifest"]


def encode_manifest(
    record: Record,
    *,
    packages: Sequence[Package],
    wheels: Mapping[str, str],
    boot_files: Mapping[str, tuple[int, str]],
    modules: Sequence[str],
    sizes: Mapping[str, int],
) -> str:
    """Args: wheels: SHA-256 by name; boot_files: size and SHA-256 by path; sizes: bytes by
    partition.
    """
    unused = ("tools", "test") if record.is_development else ("tools", "test", "dev")
    content = {
        "board": record.board,
        "version": record.version,
        "date": record.date,
        "image_hash": record.image_hash,
        "layout": record.layout,
        "data_format": record.data_format,
        "is_development": record.is_development,
        "partitions": {
            name: {"sha256": digest, "used_bytes": sizes[name]}
            for name, digest in sorted(record.partitions.items())
        },
        "boot_files": {
            path: {"size_bytes": size, "sha256": digest}
            for path, (size, digest) in sorted(boot_files.items())
        },
        "modules": list(modules),
        "packages": [
            {"name": p.name, "version": p.version, "set": p.part, "sha256": p.sha256}
            for p in packages
            if p.part not in unused
        ],
        "wheels": dict(sorted(wheels.items())),
    }
    return json.dumps(content, indent=1) + "\n"
