"""Makes `debian.lock` anew: asks the machine's mirrors what the newest packages of the suite are.

A private folder holds apt's state, so that nothing of the machine changes and no rights are needed.
apt checks the archive's signature with Debian's keyring.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from image.archive import find_mirrors
from image.errors import BuildFailed
from image.lockfile import Package, encode_lock
from image.package_names import BOARD_ARCHITECTURE, KERNEL, NAMES, SUITES, TOOL_ARCHITECTURES
from image.run import run

__all__ = ["LOCK_FILE", "write_lock"]

LOCK_FILE = Path(__file__).with_name("debian.lock")
_COMPONENTS = "main non-free-firmware"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def write_lock() -> None:
    """Raises: BuildFailed where a package is not to be had."""
    with TemporaryDirectory(prefix="tezsign-lock.") as folder:
        options = _prepare_apt(Path(folder))
        run(["apt-get", *options, "update"], limit_s=600.0)
        wanted = []
        for part, names in NAMES.items():
            architectures = (
                TOOL_ARCHITECTURES.values() if part == "tools" else (BOARD_ARCHITECTURE,)
            )
            wanted += [(part, f"{n}:{a}") for a in architectures for n in sorted(names)]
        wanted.append(("kernel", f"{_find_kernel(options)}:{BOARD_ARCHITECTURE}"))
        packages = _look_up(options, wanted)
    LOCK_FILE.write_text(encode_lock(packages))


def _prepare_apt(folder: Path) -> list[str]:
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    (folder / "status").touch()
    architectures = sorted({BOARD_ARCHITECTURE, *TOOL_ARCHITECTURES.values()})
    signed = f"[arch={','.join(architectures)} signed-by={_KEYRING}]"
    lines = []
    for mirror in find_mirrors():
        kind = "security" if mirror.rstrip("/").endswith("security") else "debian"
        lines += [f"deb {signed} {mirror} {s} {_COMPONENTS}\n" for k, s in SUITES if k == kind]
    (folder / "sources.list").write_text("".join(lines))
    settings = {
        "Dir::State": folder,
        "Dir::Cache": folder / "cache",
        "Dir::State::status": folder / "status",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Architecture": BOARD_ARCHITECTURE,
        "Acquire::Languages": "none",
    }
    words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    return words + [word for a in architectures for word in ("-o", f"APT::Architectures::={a}")]


def _find_kernel(options: list[str]) -> str:
    """The package behind linux-image-arm64, which is empty itself."""
    (control,) = _show(options, [f"{KERNEL}:{BOARD_ARCHITECTURE}"])
    found = re.search(r"\blinux-image-\d[^\s,]*", control["Depends"])
    if not found:
        raise BuildFailed(f"{KERNEL} depends on no kernel: {control['Depends']}")
    return found[0]


def _look_up(options: list[str], wanted: Sequence[tuple[str, str]]) -> list[Package]:
    """Args: wanted: set and "name:architecture" of each."""
    known = {}
    for control in _show(options, [name for _, name in wanted]):
        # A package for all architectures is asked for as one of the board's.
        architecture = control["Architecture"].replace("all", BOARD_ARCHITECTURE)
        known[f"{control['Package']}:{architecture}"] = control
    if missing := [name for _, name in wanted if name not in known]:
        raise BuildFailed(f"no mirror has {', '.join(missing)}")
    return [_read_control(part, known[name]) for part, name in wanted]


def _read_control(part: str, control: dict[str, str]) -> Package:
    return Package(
        part=part,
        name=control["Package"],
        architecture=control["Architecture"],
        version=control["Version"],
        size=int(control["Size"]),
        sha256=control["SHA256"],
        place=re.sub(r"^.*?(?=pool/)", "", control["Filename"]),
    )


def _show(options: list[str], names: Sequence[str]) -> list[dict[str, str]]:
    """The newest of each. One call: apt reads all its lists again in each."""
    told = run(["apt-cache", *options, "show", "--no-all-versions", *names]).decode()
    stanzas = (stanza.splitlines() for stanza in told.split("\n\n") if stanza.strip())
    return [
        {key: value for key, colon, value in (line.partition(": ") for line in stanza) if colon}
        for stanza in stanzas
    ]
