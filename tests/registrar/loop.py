"""Waits for what a test needs: in a selector's loop, in another process, or until signals come."""

import selectors
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

__all__ = ["signals_coming", "turn_until", "wait_for", "wait_until"]

_LIMIT_S = 10.0
T = TypeVar("T")


def turn_until(selector: selectors.BaseSelector, condition: Callable[[], bool]) -> None:
    """Calls the keys' callbacks."""
    deadline_s = time.monotonic() + _LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "the condition never became true"
        for key, _ in selector.select(0.01):
            key.data()


def wait_until(condition: Callable[[], bool], limit_s: float = _LIMIT_S) -> None:
    """For what happens in another thread or process."""
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s, "the condition never became true"
        time.sleep(0.001)


def wait_for(attempt: Callable[[], T]) -> T:
    """Returns what `attempt` does as soon as it fails with no OSError."""
    deadline_s = time.monotonic() + _LIMIT_S
    while True:
        try:
            return attempt()
        except OSError:
            assert time.monotonic() < deadline_s, "the attempt never succeeded"
            time.sleep(0.001)


@contextmanager
def signals_coming(handler: Callable[[], object]) -> Iterator[None]:
    """Calls `handler` as a signal handler, every 50 ms; only in the main thread.

    Not SIGALRM: that one belongs to the time limit of the test.
    """
    main, is_over = threading.get_ident(), threading.Event()

    def send() -> None:
        while not is_over.wait(0.05):
            signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: handler())
    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        is_over.set()
        sender.join()
        signal.signal(signal.SIGUSR1, before)
