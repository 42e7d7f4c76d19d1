"""The programs that the build runs: pinned packages too, so that every machine makes the same
bytes.

They are unpacked, not installed, and run with their own C library, whatever the machine has.
"""

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from image.errors import BuildFailed
from image.lockfile import Package
from image.package_names import TOOL_ARCHITECTURES
from image.run import run
from image.stage import unpack

__all__ = ["Tools", "open_tools"]

_LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """A folder of programs, made by `open_tools`."""

    folder: Path
    machine: str

    def run(
        self,
        program: str,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        good: tuple[int, ...] = (0,),
    ) -> bytes:
        """Returns what it wrote to standard output. Raises: BuildFailed as `image.run` does."""
        libraries = self.folder / "usr/lib" / f"{self.machine}-linux-gnu"
        loader: list[str | Path] = [libraries / _LOADERS[self.machine], "--library-path", libraries]
        command = [*loader, self._find(program), *arguments]
        return run(command, environment={"LC_ALL": "C.UTF-8", **(environment or {})}, good=good)

    def _find(self, program: str) -> Path:
        for folder in ("usr/bin", "usr/sbin"):
            if (place := self.folder / folder / program).exists():
                return place
        raise BuildFailed(f"no package of the tools has {program}")


def open_tools(cache: Path, packages: tuple[Package, ...]) -> Tools:
    """Args: packages: the whole lock. Raises: BuildFailed on a machine that has no tools."""
    machine = platform.machine()
    if machine not in TOOL_ARCHITECTURES:
        raise BuildFailed(
            f"images are built on {' or '.join(TOOL_ARCHITECTURES)}, not on {machine}"
        )
    wanted = (TOOL_ARCHITECTURES[machine], "all")
    tools = [p for p in packages if p.part == "tools" and p.architecture in wanted]
    return Tools(folder=unpack(cache, tools), machine=machine)
