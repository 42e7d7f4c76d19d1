"""ep0 of a real FunctionFS keeps the contract of the fake one. Run with:

python -m tests.lab -- pytest -p no:cacheprovider tests/kernel/test_ep0.py
"""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from registrar.descriptors import TEZSIGN_FUNCTION, encode_descriptors, encode_strings
from registrar.ep0 import Ep0File, Outcome, open_ep0
from tests.kernel.registrar_board import Assets
from tests.kernel.usb_control import ControlHost
from tests.registrar.ep0_contract import ASK_IN, Ep0Contract, HostGaveUp, take_setup
from tests.registrar.loop import signals_coming


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assets]:
    assets = Assets(tmp_path_factory.mktemp("board"))
    assets.set_up()
    yield assets
    assets.remove()


@pytest.fixture(scope="module")
def ep0(assets: Assets) -> Iterator[Ep0File]:
    """ep0 in this process, enabled; nothing reads its events but the test."""
    ep0 = open_ep0(assets.functionfs / "ep0")
    ep0.write_descriptors(encode_descriptors(TEZSIGN_FUNCTION), encode_strings(TEZSIGN_FUNCTION))
    yield ep0
    assets.detach()
    ep0.close()


@pytest.fixture(scope="module")
def host(assets: Assets, ep0: Ep0File) -> Iterator[ControlHost]:
    host = ControlHost(assets.attach())
    yield host
    host.close()


class TestRealEp0(Ep0Contract):
    gives_up_s = 0.5

    def test_signal_ends_a_reply_that_the_host_does_not_fetch(
        self, ep0: Ep0File, host: ControlHost
    ) -> None:
        with pytest.raises(HostGaveUp):
            host.request(ASK_IN, timeout_s=self.gives_up_s)
        assert take_setup(ep0) == ASK_IN
        with signals_coming(ep0.interrupt_reply):
            assert ep0.reply(b"nobody fetches this") is Outcome.LOST
        assert ep0.read_events() == b""

    @pytest.mark.timeout(60, method="thread")  # SIGALRM is ours here
    def test_time_limit_ends_a_reply_that_the_host_does_not_fetch(
        self, ep0: Ep0File, host: ControlHost
    ) -> None:
        limited = Ep0File(ep0.fileno(), reply_limit_s=0.3)
        before = signal.signal(signal.SIGALRM, lambda *_: limited.interrupt_reply())
        with pytest.raises(HostGaveUp):
            host.request(ASK_IN, timeout_s=self.gives_up_s)
        assert take_setup(limited) == ASK_IN
        started_s = time.monotonic()
        assert limited.reply(b"nobody fetches this") is Outcome.LOST
        assert 0.3 <= time.monotonic() - started_s < 5
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        signal.signal(signal.SIGALRM, before)
        assert limited.read_events() == b""

    def test_enabled_is_what_the_host_has_selected(self, ep0: Ep0File, host: ControlHost) -> None:
        """Told by the kernel, not by events: none is read here."""
        for _ in range(3):
            assert ep0.is_enabled()
            host.set_configuration(0)
            assert not ep0.is_enabled()
            host.set_configuration(1)
        assert ep0.is_enabled()
        while ep0.read_events():
            pass

    def test_next_request_ends_a_reply_that_the_host_does_not_fetch(
        self, ep0: Ep0File, host: ControlHost
    ) -> None:
        with pytest.raises(HostGaveUp):
            host.request(ASK_IN, timeout_s=self.gives_up_s)
        assert take_setup(ep0) == ASK_IN
        with ThreadPoolExecutor(max_workers=1) as pool:
            next_answer = pool.submit(host.request, ASK_IN)
            assert ep0.reply(b"late") is Outcome.LOST
            assert take_setup(ep0) == ASK_IN
            ep0.reply(b"in time")
            assert next_answer.result() == b"in time"
