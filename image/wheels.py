"""The board's Python packages: wheels for its architecture, of the versions and hashes in
requirements/.

Debian's are too old (cryptography has no Argon2id there), only python3-systemd comes from Debian:
it has no wheel. pip asks whatever index the machine has, and checks the hashes.
"""

import re
import sys
import zipfile
from pathlib import Path
from typing import Final

from image.cache import find_folder, name_content
from image.errors import BuildFailed
from image.run import run

__all__ = ["find_wheels", "unpack_wheels"]

_NOT_AS_WHEELS: Final = ("systemd-python",)
# Only cffi's compiler needs it; the board compiles nothing.
_NOT_NEEDED: Final = ("pycparser",)
_PLATFORMS: Final = tuple(
    f"{name}_aarch64" for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
)
_ABIS: Final = ("cp313", "abi3", "none")
_LEFT_OUT: Final = re.compile(
    r"(^|/)(tests?|_tests|testing|hazmat_testing)/|\.dist-info/(?!METADATA$|licenses/)|\.pyi$|\.h$|py\.typed$|\.c$"
)


def find_wheels(cache: Path, requirements: Path) -> tuple[Path, ...]:
    """Raises: BuildFailed where an index has not got one."""
    text = select_requirements(requirements.read_text())

    def fill(folder: Path) -> None:
        wanted = folder / "requirements.txt"
        wanted.write_text(text)
        options = ["--require-hashes", "--no-deps", "--only-binary=:all:", "-q", "-d", str(folder)]
        target = ["--python-version", "3.13", "--implementation", "cp"]
        target += [word for abi in _ABIS for word in ("--abi", abi)]
        target += [word for name in (*_PLATFORMS, "any") for word in ("--platform", name)]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
        run([*pip, *options, *target, "-r", str(wanted)], limit_s=900.0)

    folder = find_folder(cache, "wheels-" + name_content(text.encode()), fill)
    return tuple(sorted(folder.glob("*.whl")))


def select_requirements(text: str) -> str:
    """The lock without what does not come as a wheel. Pure."""
    left_out = (*_NOT_AS_WHEELS, *_NOT_NEEDED)
    entries = re.split(r"\n(?=\S)", text.strip())
    return (
        "\n".join(e for e in entries if not e.startswith(tuple(f"{n}==" for n in left_out))) + "\n"
    )


def unpack_wheels(wheels: tuple[Path, ...], folder: Path) -> None:
    """Without tests, stubs and what only an installer reads."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith("/") or _LEFT_OUT.search(name):
                    continue
                place = folder / name
                if ".." in place.parts or ".data" in place.parts[-2]:
                    raise BuildFailed(f"{wheel.name} wants to put a file to {name}")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(archive.read(name))
