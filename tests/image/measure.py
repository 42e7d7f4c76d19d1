"""Measures what docs/image.md has numbers of: `python -m tests.image.measure [--boots N]`.

Builds the image of the emulated board, boots it some times, and tells the median of what systemd
and the kernel noted themselves. The agent starts only when the signer is ready.
"""

import argparse
import json
import lzma
import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from image.build import build_image
from image.card import open_card
from image.materials import gather_materials
from image.partitions import APP, ROOT
from tests.image.virtual_board import Kit, VirtualBoard, boot, make_kit

_UNITS: Final = ("tezsign.service", "ffs_registrar.service", "attach-gadget.service")


def main() -> int:
    arguments = argparse.ArgumentParser(prog="python -m tests.image.measure")
    arguments.add_argument("--boots", type=int, default=3)
    count = arguments.parse_args().boots
    with tempfile.TemporaryDirectory(prefix="tezsign-measure.") as name:
        folder = Path(name)
        image = folder / "virt.img"
        build_image("qemu-virt", image)
        print_sizes(image)
        (folder / "kit").mkdir()
        kit = make_kit(gather_materials(), folder / "kit")
        files = (folder / "kit").rglob("*")
        size = sum(path.stat().st_size for path in files if path.is_file())
        found = [look(image, kit, folder / str(number), size) for number in range(count)]
        for key in found[0]:
            print(f"{key:58} {statistics.median(row[key] for row in found):8.2f}")
    return 0


def print_sizes(image: Path) -> None:
    """Of the whole image as xz makes it, and of what is in the two read-only partitions."""
    packed = len(lzma.compress(image.read_bytes(), preset=6))
    print(f"{'image, xz -6, MB':58} {packed / 1e6:8.2f}")
    with open_card(image) as card:
        for partition in (ROOT, APP):
            used = len(card.read(partition.start, partition.size).rstrip(b"\0"))
            print(f"{f'{partition.name}, MB':58} {used / 1e6:8.2f}")


def look(image: Path, kit: Kit, folder: Path, kit_bytes: int) -> Mapping[str, float]:
    """One boot of a fresh card. Args: kit_bytes: of the kit in the guest's /run."""
    card = folder.with_suffix(".img")
    shutil.copyfile(image, card)
    with boot(card, kit, folder) as board:
        return {
            **_read_times(board),
            **_read_memory(board, kit_bytes),
            **_read_exposure(board),
            **_read_imports(board),
        }


def _read_times(board: VirtualBoard) -> dict[str, float]:
    """Seconds since the kernel's start."""
    kernel = run(board, "journalctl", "-b", "-k", "-o", "json", "--no-pager").splitlines()
    lines = [line for line in map(json.loads, kernel) if line["MESSAGE"].startswith("Run /init as")]
    (init,) = (int(line["_SOURCE_MONOTONIC_TIMESTAMP"]) / 1e6 for line in lines)
    manager = read_numbers(run(board, "systemctl", "show", "-p", "UserspaceTimestampMonotonic"))
    words = ["-p", "ExecMainStartTimestampMonotonic", "-p", "ActiveEnterTimestampMonotonic"]
    signer = read_numbers(run(board, "systemctl", "show", *words, "tezsign.service"))
    board.ask("wait_ready", limit_s=150)
    seen = board.ask("read", path="/proc/uptime").split()[0]
    return {
        "kernel to its first program, s": init,
        "to systemd, s": manager["UserspaceTimestampMonotonic"],
        "to the signer's process, s": signer["ExecMainStartTimestampMonotonic"],
        "to the signer's READY, s": signer["ActiveEnterTimestampMonotonic"],
        "to a host that has asked whether it is ready, s": float(seen),
    }


def _read_memory(board: VirtualBoard, kit_bytes: int) -> dict[str, float]:
    lines = board.ask("read", path="/proc/meminfo").splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    # What could be read again from the card does not count.
    again = ("MemFree", "Buffers", "Cached", "SReclaimable")
    stat = board.ask("read", path="/sys/fs/cgroup/system.slice/agent.service/memory.stat")
    (agent,) = re.findall(r"^anon (\d+)", stat, re.MULTILINE)
    used = kib["MemTotal"] + kib["Shmem"] - sum(kib[name] for name in again)
    used -= (int(agent) + kit_bytes) // 1024
    found = {"memory of the guest without the agent, MiB": used / 1024}
    for unit in _UNITS:
        folder = f"/sys/fs/cgroup/system.slice/{unit}"
        (process,) = board.ask("read", path=f"{folder}/cgroup.procs").split()
        status = board.ask("read", path=f"/proc/{process}/status")
        (rss,) = re.findall(r"VmRSS:\s+(\d+)", status)
        found[f"resident memory of {unit}, MiB"] = int(rss) / 1024
    return found


def _read_exposure(board: VirtualBoard) -> dict[str, float]:
    told = run(board, "systemd-analyze", "security", "--no-pager", *_UNITS)
    found = re.findall(r"exposure level for (\S+): ([0-9.]+)", told)
    return {f"exposure of {unit}": float(number) for unit, number in found}


def _read_imports(board: VirtualBoard) -> dict[str, float]:
    """Of all that the signer imports, by Python's own clock."""
    code = "import sys; sys.path.append('/app/lib'); import gadget.__main__"
    words = ["/usr/bin/python3", "-IS", "-X", "importtime", "-c", code]
    told = board.ask("run", command=words)["output"]
    times = {name: int(number) / 1e6 for number, name in re.findall(r"\| +(\d+) \| +(\S+)", told)}
    return {f"import of {name}, s": times[name] for name in ("gadget.__main__", "trio")}


def run(board: VirtualBoard, program: str, *words: str) -> str:
    told = board.ask("run", command=[f"/run/test/{program}", *words])
    assert told["status"] == 0, told
    return str(told["output"])


def read_numbers(properties: str) -> dict[str, float]:
    """`systemctl show` gives microseconds."""
    rows = (line.split("=") for line in properties.splitlines())
    return {key: int(number) / 1e6 for key, number in rows}


if __name__ == "__main__":
    sys.exit(main())
