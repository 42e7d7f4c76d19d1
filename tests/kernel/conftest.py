"""Fixtures of the tests that run inside the lab's guest, on a real FunctionFS."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker.contract import INTERFACE_SIGN, VENDOR_ID
from tests.kernel.raw_gadget import RawGadget
from tests.kernel.usbfs import UsbHost, find_device


@pytest.fixture(scope="module")
def idle_gadget() -> Iterator[RawGadget]:
    """A gadget that is set up and not on the bus."""
    gadget = RawGadget(Path("/run/raw-gadget"))
    gadget.set_up()
    yield gadget
    gadget.tear_down()


@pytest.fixture
def gadget(idle_gadget: RawGadget) -> Iterator[RawGadget]:
    """A gadget that a host has enabled at high speed."""
    idle_gadget.attach()
    yield idle_gadget
    idle_gadget.detach()


@pytest.fixture
def host(gadget: RawGadget) -> Iterator[UsbHost]:
    """The host's side of interface 0."""
    host = UsbHost(find_device(VENDOR_ID), interface=INTERFACE_SIGN)
    host.drain()
    yield host
    host.close()
