"""A controller that moves no data any more is bounced on evidence, and on nothing else. On a real
kernel, with the real registrar, gadget and attach-gadget. Run with:

python -m tests.lab -- pytest -p no:cacheprovider tests/kernel/test_wedge.py

dummy_hcd cannot be wedged. A gadget that submits no OUT transfer looks the same from both ends:
control requests are answered, and no transfer completes.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from broker.codec import encode_request
from broker.contract import INTERFACE_SIGN, READY_LOOK, READY_SESSION_FOLLOWS, VENDOR_ID
from broker.frame import Frame, FrameType, encode_frame
from broker.messages import VersionRequest
from registrar.events import Setup
from tests.kernel.board import Board, open_board
from tests.kernel.usb_control import ControlHost
from tests.kernel.usbfs import UsbHost, find_device
from tests.process.child import Child
from tests.registrar.loop import wait_until

# The gadget as it is, but that its OUT endpoints submit nothing.
_WEDGED_GADGET: Final = """
import sys, trio
from gadget import __main__, endpoint_aio

async def receive(_endpoint):
    await trio.sleep_forever()

endpoint_aio.AioOutEndpoint.receive = receive
sys.exit(__main__.main())
"""
_LIMIT_S: Final = 90.0
_HOST_TRIES_EVERY_S: Final = 3.2
_REPORTED: Final = "usb controller seems wedged"
_BOUNCED: Final = "bounce asked for"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with (
        open_board(tmp_path, tmp_path / "data") as board,
        Child(
            [Path(__file__).parents[2] / "builder/assets/attach-gadget", "serve"],
            environment=board.assets.environment,
        ),
    ):
        wait_until((board.assets.run_folder / "attach.sock").exists, _LIMIT_S)
        yield board


def ask(value: int) -> None:
    """The ready request, as a host that looks or as one that opens a session."""
    host = ControlHost(find_device(VENDOR_ID))
    host.request(
        Setup(bmRequestType=0xC1, bRequest=0x5A, wValue=value, wIndex=INTERFACE_SIGN, wLength=8)
    )
    host.close()


def address() -> str:
    """Changes whenever the device comes anew."""
    return (find_device(VENDOR_ID) / "devnum").read_text()


def test_wedge_is_bounced_once_and_a_look_never_counts(board: Board) -> None:
    board.start_gadget((sys.executable, "-c", _WEDGED_GADGET))
    before = address()
    looking_until_s = time.monotonic() + 12
    while time.monotonic() < looking_until_s:
        ask(READY_LOOK)
        time.sleep(0.05)
    assert _REPORTED not in board.gadget_log()

    started_s = time.monotonic()
    while not board.registrar.count(_BOUNCED):
        assert time.monotonic() - started_s < _LIMIT_S
        ask(READY_SESSION_FOLLOWS)
        time.sleep(_HOST_TRIES_EVERY_S)
    wait_until(lambda: address() != before, _LIMIT_S)
    wait_until(board.is_ready, _LIMIT_S)
    print(f"wedge: bounced and ready again after {time.monotonic() - started_s:.1f} s")

    while board.gadget_log().count(_REPORTED) < 2:
        assert time.monotonic() - started_s < _LIMIT_S
        ask(READY_SESSION_FOLLOWS)
        time.sleep(_HOST_TRIES_EVERY_S)
    wait_until(lambda: board.registrar.has_more("too soon for a bounce", 0))
    assert board.registrar.count(_BOUNCED) == 1


def test_host_that_stops_reading_is_left_alone(board: Board) -> None:
    board.start_gadget()
    before = address()
    host = UsbHost(find_device(VENDOR_ID), interface=INTERFACE_SIGN, timeout_s=2.0)
    request = encode_frame(Frame(FrameType.REQUEST, b"h" * 16, encode_request(VersionRequest())))
    for _ in range(3):
        ask(READY_SESSION_FOLLOWS)
        host.write(request)
        time.sleep(_HOST_TRIES_EVERY_S)
    assert host.read()  # what it was sent at first is still there
    time.sleep(10)
    assert _REPORTED not in board.gadget_log()
    assert not board.registrar.count(_BOUNCED)
    assert address() == before
    host.close()
