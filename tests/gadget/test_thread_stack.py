"""A job's use of its thread's stack is seen after it, in that thread."""

import ctypes
import threading
from collections.abc import Callable

import pytest

from gadget import thread_stack
from gadget.thread_stack import StackMeter, StackUse, read_stack_use
from tests.gadget.keychain.board import Board, init

STACK_BYTES = 512 * 1024
PAGE_BYTES = 64 * 1024  # the largest that our boards may have
DEPTH_BYTES = 100 * 1024


def in_thread(job: Callable[[], int]) -> int:
    """Returns what the job returned in a thread with a small stack."""
    results: list[int] = []
    before = threading.stack_size(STACK_BYTES)
    try:
        thread = threading.Thread(target=lambda: results.append(job()))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    return results[0]


def go_deep() -> None:
    """qsort(3) calls us back through C, again within each call: each takes 2.5 KiB of stack."""
    libc = ctypes.CDLL(None)
    order = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    pair = (ctypes.c_int * 2)(2, 1)

    def compare(_one: int, _other: int) -> int:
        if levels:
            levels.pop()
            libc.qsort(pair, 2, ctypes.sizeof(ctypes.c_int), callback)
        return 0

    callback = order(compare)
    levels = [0] * 80
    libc.qsort(pair, 2, ctypes.sizeof(ctypes.c_int), callback)


def test_what_a_job_has_used_is_told() -> None:
    idle = StackMeter()
    deep = StackMeter()

    def work() -> int:
        idle.run(lambda: None)
        deep.run(go_deep)
        return read_stack_use().used_bytes

    assert in_thread(work) == deep.peak_bytes
    assert 0 < idle.peak_bytes < DEPTH_BYTES
    assert DEPTH_BYTES < deep.peak_bytes <= deep.limit_bytes
    assert idle.limit_bytes == deep.limit_bytes
    assert STACK_BYTES - PAGE_BYTES <= deep.limit_bytes <= STACK_BYTES  # glibc takes a guard page


def test_the_most_of_several_jobs_is_kept_also_of_those_that_fail() -> None:
    meter = StackMeter()

    def fail() -> None:
        go_deep()
        raise KeyError

    def work() -> int:
        with pytest.raises(KeyError):
            meter.run(fail)
        return meter.peak_bytes

    deep_bytes = in_thread(work)
    assert deep_bytes > DEPTH_BYTES
    in_thread(lambda: meter.run(lambda: 1))
    assert meter.peak_bytes == deep_bytes


def test_a_job_gets_its_arguments_and_gives_its_result() -> None:
    def power(base: int, *, exponent: int) -> int:
        return int(base**exponent)

    assert StackMeter().run(power, 2, exponent=10) == 1024


async def test_a_key_derivation_tells_of_its_stack() -> None:
    board = Board()
    assert board.keyring.health.stack.peak_bytes == 0
    await init(board)
    assert board.keyring.health.stack.peak_bytes > 0


def test_where_it_cannot_be_told_it_is_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_stack, "_SMAPS", thread_stack._SMAPS / "none")
    assert read_stack_use().used_bytes == 0
    monkeypatch.setattr(thread_stack, "_find_stack", lambda: (0, 0))
    assert read_stack_use() == StackUse(0, 0)
