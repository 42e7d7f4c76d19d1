"""A FunctionFS gadget without daemons: this process holds ep0.

Made with the scripts and the descriptors of the product, in the lab only.
"""

import os
import select
import time
from pathlib import Path
from typing import Final

from broker.contract import PROTOCOL_VERSION, READY_MAGIC
from registrar.descriptors import TEZSIGN_FUNCTION, encode_descriptors, encode_strings
from registrar.events import EventType, parse_event, split_events
from tests.process.run import run_process

__all__ = ["RawGadget"]

_ASSETS: Final = Path(__file__).parents[2] / "builder" / "assets"
_CONFIGFS: Final = Path("/sys/kernel/config/usb_gadget/tezsign")
_LIMIT_S: Final = 10.0
_SCRIPT_S: Final = 60.0


class RawGadget:
    """A gadget that is set up, and on the bus between `attach` and `detach`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {**os.environ, "TEZSIGN_FFS": str(folder)}
        self._ep0 = -1

    def set_up(self) -> None:
        self._run("setup-gadget")
        self._ep0 = os.open(self.folder / "ep0", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        os.write(self._ep0, encode_descriptors(TEZSIGN_FUNCTION))
        os.write(self._ep0, encode_strings(TEZSIGN_FUNCTION))

    def attach(self, *, max_speed: str = "high-speed") -> None:
        """Puts it on the bus and returns when the host has enabled it."""
        (_CONFIGFS / "max_speed").write_text(max_speed)
        self._run("attach-gadget")
        self.wait_event(EventType.ENABLE)

    def detach(self) -> None:
        self._run("attach-gadget", "detach")

    def wait_event(self, wanted: EventType) -> None:
        """Returns when ep0 has told it; forgets the events before."""
        poll = select.poll()
        poll.register(self._ep0, select.POLLIN)
        give_up_s = time.monotonic() + _LIMIT_S
        while time.monotonic() < give_up_s:
            if poll.poll(100):
                records = split_events(os.read(self._ep0, 48))
                if wanted in [parse_event(record).type for record in records]:
                    return
        raise TimeoutError(f"no {wanted.name} event")

    def answer_ready(self) -> None:
        """Says "ready" to the next host that asks."""
        self.wait_event(EventType.SETUP)
        os.write(self._ep0, READY_MAGIC + PROTOCOL_VERSION.to_bytes(2, "little") + b"\1\0")

    def tear_down(self) -> None:
        """Leaves nothing of it, so that another test module can have a gadget."""
        self.detach()
        os.close(self._ep0)
        run_process(["umount", str(self.folder)], limit_s=_LIMIT_S).check_returncode()
        (_CONFIGFS / "os_desc" / "c.1").unlink()
        (_CONFIGFS / "configs/c.1/ffs.tezsign").unlink()
        for path in (
            "configs/c.1/strings/0x409",
            "configs/c.1",
            "functions/ffs.tezsign",
            "strings/0x409",
            ".",
        ):
            (_CONFIGFS / path).rmdir()

    def _run(self, script: str, *arguments: str) -> None:
        words = [str(_ASSETS / script), *arguments]
        done = run_process(words, environment=self._environment, limit_s=_SCRIPT_S)
        assert done.returncode == 0, done.stderr
