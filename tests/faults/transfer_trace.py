"""What the board's controller did with transfers, as the kernel's own tracing tells it.

Source: drivers/usb/gadget/udc/trace.h, events usb_ep_dequeue (somebody took a transfer back) and
usb_gadget_giveback_request (it is over, with a status), for all endpoints but ep0.
"""

import re
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["TransferTrace"]

_TRACING: Final = Path("/sys/kernel/tracing")
_EVENTS: Final = ("usb_ep_dequeue", "usb_gadget_giveback_request")
_LINE: Final = re.compile(r": (usb_\w+): ep\d+\w*-\w+: .* status (-?\d+) --> ")


class TransferTrace:
    """Watches for the time of a block. In the lab, as root; one at a time."""

    def __init__(self) -> None:
        self.completed = 0
        self.failed = 0
        self.taken_back = 0

    def __enter__(self) -> Self:
        if not (_TRACING / "trace").exists():
            subprocess.run(["mount", "-t", "tracefs", "none", _TRACING], check=True)
        (_TRACING / "trace").write_text("")
        self._switch(is_on=True)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._switch(is_on=False)
        text = (_TRACING / "trace").read_text()
        written = re.search(r"entries-in-buffer/entries-written: (\d+)/(\d+)", text)
        assert written is not None
        assert written[1] == written[2], "the kernel's buffer was too small"
        for event, status in _LINE.findall(text):
            if event == "usb_ep_dequeue":
                self.taken_back += 1
            elif status == "0":
                self.completed += 1
            else:
                self.failed += 1

    def _switch(self, *, is_on: bool) -> None:
        for event in _EVENTS:
            (_TRACING / "events" / "gadget" / event / "enable").write_text(str(int(is_on)))
