"""The registrar, its scripts and a host on a real FunctionFS. Run with:

python -m tests.lab -- pytest -p no:cacheprovider tests/kernel/test_registrar.py
"""

import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from broker.contract import VENDOR_ID
from registrar.ep0 import open_ep0
from registrar.errors import Ep0Refused
from registrar.events import Setup
from registrar.sockets import listen_local, remove_socket
from tests.kernel.registrar_board import CONFIGFS, SERIAL, Assets, RegistrarProcess, Session
from tests.kernel.usb_control import ControlHost
from tests.kernel.usbfs import find_device
from tests.registrar.ep0_contract import (
    Stalled,
)
from tests.registrar.loop import wait_until

IS_READY = b"TZSG\x01\x00\x01\x00"
NOT_READY = b"TZSG\x01\x00\x00\x00"
RESIDENT_LIMIT_KB = 20 * 1024


def request(kind: int, code: int, value: int = 0, index: int = 0, length: int = 255) -> Setup:
    return Setup(bmRequestType=kind, bRequest=code, wValue=value, wIndex=index, wLength=length)


READY = request(0xC1, 0x5A, length=8)


def is_ready(host: ControlHost) -> bool:
    return host.request(READY) == IS_READY


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assets]:
    assets = Assets(tmp_path_factory.mktemp("board"))
    for _ in range(2):  # the second time it finds all there
        assets.set_up()
    yield assets
    assets.remove()


@pytest.fixture(scope="class")
def registrar(assets: Assets) -> Iterator[RegistrarProcess]:
    registrar = RegistrarProcess(assets)
    assets.attach()
    yield registrar
    assets.detach()
    assert registrar.end() == 0


class TestWithTheRegistrar:
    """One process for all; each test finds the device on the bus, and leaves it there."""

    @pytest.fixture
    def device(self, registrar: RegistrarProcess) -> Path:
        assert registrar.process.poll() is None
        return find_device(VENDOR_ID)

    @pytest.fixture
    def host(self, device: Path) -> Iterator[ControlHost]:
        host = ControlHost(device)
        yield host
        host.close()

    def test_device_says_who_it_is(self, device: Path) -> None:
        found = {
            name: (device / name).read_text().strip()
            for name in ("idVendor", "idProduct", "manufacturer", "product", "serial", "speed")
        }
        assert found == {
            "idVendor": "9997",
            "idProduct": "0001",
            "manufacturer": "TzC",
            "product": "tezsign-gadget",
            "serial": SERIAL,
            "speed": "480",
        }

    @pytest.mark.parametrize("number", [0, 1])
    def test_each_interface_has_its_name_and_a_bulk_pair(self, device: Path, number: int) -> None:
        """Addresses are not looked at: the kernel gives those that the controller has."""
        interface = device / f"{device.name}:1.{number}"
        assert (interface / "interface").read_text() == f"tezsign-{number}\n"
        assert (interface / "bInterfaceClass").read_text() == "ff\n"
        endpoints = {
            (endpoint / "direction").read_text().strip(): (
                (endpoint / "type").read_text().strip(),
                int((endpoint / "wMaxPacketSize").read_text(), 16),
            )
            for endpoint in interface.glob("ep_*")
        }
        print(sorted(endpoint.name for endpoint in interface.glob("ep_*")))
        assert endpoints == {"in": ("Bulk", 512), "out": ("Bulk", 512)}

    @pytest.mark.parametrize("kind", [0xC1, 0x81])
    @pytest.mark.parametrize("index", [0, 1])
    def test_ready_request_has_its_eight_bytes(
        self, host: ControlHost, kind: int, index: int
    ) -> None:
        assert host.request(request(kind, 0x5A, index=index)) == NOT_READY

    @pytest.mark.parametrize("length", [0, 1, 4, 7, 64])
    def test_ready_reply_is_cut_to_what_the_host_asks_for(
        self, host: ControlHost, length: int
    ) -> None:
        assert host.request(request(0xC1, 0x5A, length=length)) == NOT_READY[:length]

    @pytest.mark.parametrize("kind", [0xC1, 0x41, 0xA1, 0x21, 0xC0, 0x40, 0xC2, 0x42, 0xC3])
    @pytest.mark.parametrize("length", [0, 64])
    def test_unknown_request_is_stalled_and_the_device_goes_on(
        self, host: ControlHost, kind: int, length: int
    ) -> None:
        index = 0x81 if kind & 3 == 2 else 0
        with pytest.raises(Stalled):
            host.request(request(kind, 0x33, index=index, length=length))
        assert host.request(READY) == NOT_READY

    def test_thousand_requests_of_all_kinds_are_answered(
        self, host: ControlHost, registrar: RegistrarProcess
    ) -> None:
        before = registrar.open_files()
        for _ in range(250):
            assert host.request(READY) == NOT_READY
            for kind in (0xC1, 0x41):
                with pytest.raises(Stalled):
                    host.request(request(kind, 0x33, length=32))
            assert host.request(READY) == NOT_READY
        assert registrar.open_files() == before

    def test_ready_flag_follows_the_ready_socket(
        self, host: ControlHost, registrar: RegistrarProcess
    ) -> None:
        for _ in range(3):
            gadget = listen_local(registrar.ready_socket, 0o660)
            wait_until(partial(is_ready, host))
            remove_socket(registrar.ready_socket, gadget)
            assert host.request(READY) == NOT_READY

    def test_windows_finds_its_descriptors(self, host: ControlHost) -> None:
        os_string = host.request(request(0x80, 6, value=0x03EE, length=18))
        assert os_string == b"\x12\x03" + "MSFT100".encode("utf-16le") + b"\xcd\0"
        compat_ids = host.request(request(0xC0, 0xCD, index=4))
        assert compat_ids[:16] == bytes.fromhex("40000000 0001 0400 02 00000000000000")
        assert compat_ids[16:40] == b"\x00\x01WINUSB".ljust(24, b"\0")
        assert compat_ids[40:] == b"\x01\x01WINUSB".ljust(24, b"\0")
        for number in (0, 1):
            properties = host.request(request(0xC1, 0xCD, value=number, index=5))
            assert len(properties) == int.from_bytes(properties[:4], "little")
            assert "DeviceInterfaceGUID\0".encode("utf-16le") in properties
            assert "{7d2f2a7e-".encode("utf-16le") in properties

    def test_selecting_the_configuration_again_is_a_new_session(
        self, host: ControlHost, registrar: RegistrarProcess
    ) -> None:
        for _ in range(10):
            # Each interface has an ENABLE of its own; when this is answered both have been handled.
            assert host.request(READY) == NOT_READY
            with Session(registrar) as session:
                assert host.request(READY) == NOT_READY
                assert session.lasts
                host.set_configuration(1)
                session.wait_end()

    def test_suspend_keeps_the_session_and_resume_goes_on(
        self, device: Path, registrar: RegistrarProcess
    ) -> None:
        gadget = listen_local(registrar.ready_socket, 0o660)
        with Session(registrar) as session:
            for _ in range(3):
                before = registrar.count("state=suspended")
                (device / "power/autosuspend_delay_ms").write_text("0")
                (device / "power/control").write_text("auto")
                wait_until(partial(registrar.has_more, "state=suspended", before))
                assert session.lasts
                (device / "power/control").write_text("on")
                host = ControlHost(device)
                wait_until(partial(is_ready, host))
                host.close()
            assert session.lasts
        remove_socket(registrar.ready_socket, gadget)

    def test_socket_goes_and_comes_with_the_bus(
        self, assets: Assets, registrar: RegistrarProcess
    ) -> None:
        files = []
        for _ in range(20):
            with Session(registrar) as session:
                files.append(registrar.open_files())
                assets.detach()
                session.wait_end()
                wait_until(lambda: not registrar.enabled_socket.exists())
            host = ControlHost(assets.attach())
            assert host.request(READY) == NOT_READY
            host.close()
        assert max(files) <= min(files) + 1  # with this session's connection, or before it

    def test_scripts_may_run_again_while_the_device_is_in_use(
        self, assets: Assets, host: ControlHost
    ) -> None:
        assert assets.run("setup-gadget").returncode == 0
        assert assets.run("attach-gadget").returncode == 0
        assert host.request(READY) == NOT_READY

    def test_second_registrar_is_refused_and_does_no_harm(
        self, assets: Assets, host: ControlHost
    ) -> None:
        with pytest.raises(Ep0Refused, match="another process serves"):
            open_ep0(assets.functionfs / "ep0")
        assert host.request(READY) == NOT_READY

    def test_resident_memory_stays_small(self, registrar: RegistrarProcess) -> None:
        print(f"registrar: {registrar.resident_kb()} kB resident at most")
        assert registrar.resident_kb() <= RESIDENT_LIMIT_KB


class TestStartAndEnd:
    """Each test has its own process."""

    def test_attach_waits_for_the_registrar(self, assets: Assets) -> None:
        with assets.start("attach-gadget") as waiting:
            started_s = time.monotonic()
            registrar = RegistrarProcess(assets)
            print(f"registrar: up after {time.monotonic() - started_s:.2f} s")
            assert waiting.wait(timeout=30) == 0
        wait_until(registrar.enabled_socket.exists)
        assert registrar.end() == 0

    def test_attach_without_a_registrar_gives_up_and_says_why(self, assets: Assets) -> None:
        done = assets.run("attach-gadget", TEZSIGN_ATTACH_TRIES="2")
        assert done.returncode == 1
        assert "is the registrar running?" in done.stderr

    def test_attach_without_a_controller_gives_up_and_says_why(self, assets: Assets) -> None:
        registrar = RegistrarProcess(assets)
        done = assets.run("attach-gadget", TEZSIGN_ATTACH_TRIES="2", TEZSIGN_UDC="nothing.0")
        assert done.returncode == 1
        assert "no USB device controller" in done.stderr
        assert registrar.end() == 0

    def test_wrong_word_is_refused(self, assets: Assets) -> None:
        done = assets.run("attach-gadget", "atach")
        assert done.returncode == 1
        assert "found atach" in done.stderr

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_signal_takes_the_device_off_the_bus_and_the_socket_away(
        self, assets: Assets, number: signal.Signals
    ) -> None:
        registrar = RegistrarProcess(assets)
        assets.attach()
        with Session(registrar) as session:
            registrar.process.send_signal(number)
            session.wait_end()
        assert registrar.process.wait(timeout=30) == 0
        assert not registrar.enabled_socket.exists()
        assert not (CONFIGFS / "UDC").read_text().strip()

    def test_killed_registrar_is_replaced(self, assets: Assets) -> None:
        for _ in range(3):
            registrar = RegistrarProcess(assets)
            host = ControlHost(assets.attach())
            with Session(registrar):
                assert host.request(READY) == NOT_READY
                registrar.process.kill()
                registrar.process.wait()
            host.close()
            assert registrar.enabled_socket.exists()
        registrar = RegistrarProcess(assets)
        assets.attach()
        with Session(registrar) as session:
            assert session.lasts
        assert registrar.end() == 0
