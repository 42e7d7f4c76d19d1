"""The command line: python -m tests.lab [OPTIONS] -- CMD ARG…

Exit status: CMD's own; 128 + n when signal n ended it; 124 on timeout; 125 when the lab itself
failed, which includes a guest that died; 126 and 127 when CMD can't be run or isn't there; 2 for
wrong usage.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.lab.machine import Forward

__all__ = ["EXIT_LAB_FAILED", "EXIT_TIMEOUT", "Arguments", "parse_arguments"]

EXIT_TIMEOUT = 124
EXIT_LAB_FAILED = 125
_MOST_PROCESSORS = 4

_DESCRIPTION = """\
Boot a real Linux kernel and run CMD there as root: it sees this machine's files read-only at the
same place, with /tmp and /run writable (what it writes there is gone afterwards) and /data of its
own.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """What to run, and in which guest. Paths are absolute."""

    command: tuple[str, ...]
    gadget: bool = False
    systemd: bool = False
    out: Path | None = None
    timeout_s: float | None = None
    disk: Path | None = None
    forwards: tuple[Forward, ...] = ()
    count_instructions: bool = False
    processors: int = 1

    def __post_init__(self) -> None:
        """Refuses what can't be run."""
        if not self.command:
            raise ValueError("no command given")
        if self.gadget and self.systemd:
            raise ValueError("--systemd starts the gadget too; --gadget is another way")
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise ValueError(f"a timeout is more than 0 s, not {self.timeout_s}")
        if not 1 <= self.processors <= _MOST_PROCESSORS:
            raise ValueError(f"1 to {_MOST_PROCESSORS} processors, not {self.processors}")
        if self.count_instructions and self.processors > 1:
            raise ValueError("only one processor can count its instructions")
        for path in (self.out, self.disk):
            if path is not None and not path.is_absolute():
                raise ValueError(f"{path} is not absolute")


def parse_arguments(words: Sequence[str]) -> Arguments:
    """Ends the program with status 2 and a usage line where the words are wrong."""
    parser = _create_parser()
    if "--" not in words:
        parser.error("the command stands behind --")
    border = list(words).index("--")
    options = parser.parse_args(words[:border])
    try:
        return Arguments(
            command=tuple(words[border + 1 :]),
            gadget=options.gadget,
            systemd=options.systemd,
            out=options.out,
            timeout_s=options.timeout,
            disk=options.disk,
            forwards=tuple(options.forward),
            count_instructions=options.count_instructions,
            processors=options.processors,
        )
    except ValueError as error:
        parser.error(str(error))


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab",
        usage="%(prog)s [OPTIONS] -- CMD [ARG…]",
        description=_DESCRIPTION,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--gadget",
        action="store_true",
        help="start registrar and gadget, and CMD once a ready device is on the bus",
    )
    parser.add_argument(
        "--systemd",
        action="store_true",
        help="boot systemd with the board's units, and run CMD as a service of it once a ready"
        " device is on the bus",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=_absolute, help="a folder that CMD may write to; gets the logs"
    )
    parser.add_argument(
        "--timeout", metavar="S", type=float, help="kill the guest after S seconds, exit status 124"
    )
    parser.add_argument(
        "--disk",
        metavar="FILE",
        type=_absolute,
        help="a raw disk for /data, made (64 MiB) and formatted if need be; or an NBD socket",
    )
    parser.add_argument(
        "--forward",
        metavar="HOST_PORT:GUEST_PORT",
        type=_parse_forward,
        action="append",
        default=[],
        help="lead this machine's 127.0.0.1:HOST_PORT to the guest; may be said again",
    )
    parser.add_argument(
        "--count-instructions",
        action="store_true",
        help="one processor whose clock goes 1 ns an instruction, as a board's of 1 GHz: what is"
        " measured doesn't depend on this machine or what else it does; no KVM",
    )
    parser.add_argument(
        "--processors",
        metavar="N",
        type=int,
        default=1,
        help="of the guest (1); emulated ones take a core each and wait for each other, so two"
        " guests do more than one with two",
    )
    return parser


def _absolute(text: str) -> Path:
    return Path(text).absolute()


def _parse_forward(text: str) -> Forward:
    host_port, _, guest_port = text.partition(":")
    return Forward(host_port=int(host_port), guest_port=int(guest_port))
