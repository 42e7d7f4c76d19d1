"""The gadget daemon with ailments that a ping sets off, and with health's patience shortened.

`python -m tests.system.ailing_gadget` runs it. Never part of the product: it patches what the
daemon has loaded, from outside. Memory and files are really taken, tasks really hang: what the
report then says has gone through /proc, the parts and the rules as it does on a board.
"""

import os
import resource
import sys
from collections.abc import Callable
from typing import Final

import trio

import gadget.health.growth
import gadget.health.rescue
import gadget.health.rules
import gadget.part
import gadget.signature_log
import gadget.watch
from broker.messages import PingRequest, PingResponse
from gadget.__main__ import main
from gadget.part import Part
from gadget.rpc import Service
from gadget.signature_log import SignatureLog

__all__ = [
    "FILES_LIMIT",
    "HANG_FOR_GOOD",
    "HANG_ONCE",
    "LEAK_FILES",
    "LEAK_MEMORY",
    "MEND",
]

FILES_LIMIT: Final = 640
LEAK_MEMORY: Final = b"leak memory"
LEAK_FILES: Final = b"leak files"
MEND: Final = b"mend"
HANG_ONCE: Final = b"hang once"
HANG_FOR_GOOD: Final = b"hang for good"

_LEAKED_BYTES: Final = 64 << 20
_LEAKED_FILES: Final = 120
_FOR_GOOD: Final = 1000


class _Ailments:
    """What the daemon suffers from."""

    def __init__(self) -> None:
        self.memory = b""
        self.files: list[int] = []
        self.hangs_left = 0

    def leak_memory(self) -> None:
        self.memory = b"\1" * _LEAKED_BYTES  # touched, so that it is resident

    def leak_files(self) -> None:
        self.files += [os.open("/dev/null", os.O_RDONLY) for _ in range(_LEAKED_FILES)]

    def mend(self) -> None:
        self.memory = b""
        while self.files:
            os.close(self.files.pop())

    def hang(self, times: int) -> None:
        self.hangs_left = times

    async def hang_if_due(self) -> None:
        if self.hangs_left:
            self.hangs_left -= 1
            await trio.sleep_forever()


def _shorten_patience() -> None:
    """A start of the board, and the ten minutes until there is a baseline, become seconds."""
    shortened = (
        (gadget.health.growth, "WARM_UP_S", 1.0),
        (gadget.health.rescue, "_PATIENCE_S", 1.0),
        (gadget.health.rules, "_START_S", 0.0),
        (gadget.part, "_GRACE_S", 1.0),
        (gadget.signature_log, "_HEARTBEAT_S", 0.5),
        (gadget.watch, "_PERIOD_S", 0.5),
    )
    for module, name, value in shortened:
        assert hasattr(module, name)
        setattr(module, name, value)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_LIMIT, FILES_LIMIT))


def _listen_to_pings(ailments: _Ailments) -> None:
    begin: dict[bytes, Callable[[], None]] = {
        LEAK_MEMORY: ailments.leak_memory,
        LEAK_FILES: ailments.leak_files,
        MEND: ailments.mend,
        HANG_ONCE: lambda: ailments.hang(1),
        HANG_FOR_GOOD: lambda: ailments.hang(_FOR_GOOD),
    }
    answer_ping = Service._ping

    async def ping(service: Service, request: PingRequest) -> PingResponse:
        if request.token in begin:
            begin[request.token]()
        return await answer_ping(service, request)

    setattr(Service, "_ping", ping)  # noqa: B010 - mypy guards plain ones


def _let_the_log_hang(ailments: _Ailments) -> None:
    write_held = SignatureLog._write_held

    async def write_or_hang(log: SignatureLog, part: Part) -> None:
        await ailments.hang_if_due()
        await write_held(log, part)

    setattr(SignatureLog, "_write_held", write_or_hang)  # noqa: B010


if __name__ == "__main__":
    _shorten_patience()
    _ailments = _Ailments()
    _listen_to_pings(_ailments)
    _let_the_log_hang(_ailments)
    sys.exit(main())
