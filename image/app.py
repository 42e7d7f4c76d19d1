"""/app as a folder: our programs and packages, and the wheels that they need."""

import shutil
from pathlib import Path
from typing import Final

from image.byte_code import compile_tree
from image.tools import Tools
from image.wheels import unpack_wheels

__all__ = ["PROGRAMS", "fill_app"]

_PACKAGES: Final = ("broker", "gadget", "registrar", "tezos")
_ASSETS: Final = ("attach-gadget", "generate-serial", "setup-gadget")
_LAUNCHERS: Final = {"ffs-registrar": "registrar", "tezsign-gadget": "gadget"}
PROGRAMS: Final = (*_ASSETS, *_LAUNCHERS)
# -S: the site module looks for folders that are not there, which costs a tenth of the start.
_LAUNCHER: Final = """\
#!/usr/bin/python3 -IS
import sys
sys.path.append("/app/lib")
from {package}.__main__ import main
sys.exit(main())
"""


def fill_app(
    folder: Path,
    *,
    project: Path,
    wheels: tuple[Path, ...],
    tools: Tools,
    more_programs: tuple[str, ...] = (),
) -> None:
    """Args: folder: does not exist yet; more_programs: of `builder/assets`, beside those of
    everybody.
    """
    (folder / "bin").mkdir(parents=True)
    for name in (*_ASSETS, *more_programs):
        shutil.copyfile(project / "builder/assets" / name, folder / "bin" / name)
    for name, package in _LAUNCHERS.items():
        (folder / "bin" / name).write_text(_LAUNCHER.format(package=package))
    for path in (folder / "bin").iterdir():
        path.chmod(0o755)
    unpack_wheels(wheels, folder / "lib")
    for package in _PACKAGES:
        shutil.copytree(
            project / package,
            folder / "lib" / package,
            ignore=shutil.ignore_patterns("__pycache__", "*.pyc"),
        )
    compile_tree(tools, folder / "lib", place="/app/lib")
