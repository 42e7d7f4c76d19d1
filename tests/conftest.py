"""Which tests run where: tests/kernel and tests/systemd inside the lab's guest only, others outside
it."""

import os
import signal
import sys

import pytest
from hypothesis import settings

collect_ignore_glob = [] if os.environ.get("TEZSIGN_IN_LAB") else ["kernel/*", "systemd/*"]

# Wall-clock deadlines of single examples say how busy the machine is, not if the code is right.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")

# A shell that starts us in the background (`make test` does) has us and all our children ignore
# Ctrl-C: a Python that begins so never takes it, and tests of Ctrl-C wait for nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_RECURSION_LIMIT = sys.getrecursionlimit()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests in the lab first, those that may take longest before the others: what is short
    fills what the last one leaves."""
    items.sort(key=_patience_s, reverse=True)


def _patience_s(item: pytest.Item) -> float:
    limit = item.get_closest_marker("timeout")
    is_in_lab = item.get_closest_marker("lab") is not None
    return float(limit.args[0]) if is_in_lab and limit is not None else 0.0


def pytest_collection_finish() -> None:
    """py_ecc raises the limit for the whole process when it is imported, so far that a parser of
    hostile bytes would meet the end of the stack before it: no Python of ours runs like that."""
    sys.setrecursionlimit(_RECURSION_LIMIT)
