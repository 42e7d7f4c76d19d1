"""What belongs to the link as a whole: dispatch, keep-alive, the silent session, counters."""

from itertools import count
from math import inf

import pytest

from broker.calls import Call
from broker.contract import KEEP_ALIVE_S, SILENT_SESSION_S
from broker.exchange import Effect, Exchange
from broker.frame import NO_ID, Frame, FrameType, encode_frame
from tests.fakes.frames import number_id

KEEP_ALIVE = Frame(FrameType.KEEP_ALIVE, NO_ID)


def make_exchange(*, serves: bool, queue_length: int = 4) -> Exchange:
    numbers = count(1)
    return Exchange(
        serves=serves, new_id=lambda: number_id(next(numbers)), queue_length=queue_length
    )


def request(number: int) -> Frame:
    return Frame(FrameType.REQUEST, number_id(number), b"request")


def open_call(exchange: Exchange, now_s: float) -> Call:
    call = exchange.open_call(b"request", lambda: None)
    exchange.mark_sent(call.frame, now_s, call)
    return call


def test_request_is_work_and_gets_an_accept() -> None:
    board = make_exchange(serves=True)
    assert board.receive(request(1), 0.0) is Effect.WORK
    had_control = board.has_control
    assert board.next_control() == encode_frame(Frame(FrameType.ACCEPT, number_id(1)))
    assert (had_control, board.has_control) == (True, False)
    work = board.next_work()
    assert work is not None
    answer = Frame(FrameType.RESPONSE, number_id(1), b"answer")
    assert board.finish_work(work, b"answer") == encode_frame(answer)


def test_end_without_a_handler_drops_requests() -> None:
    host = make_exchange(serves=False)
    assert host.receive(request(1), 0.0) is Effect.DROPPED
    assert host.next_work() is None
    assert not host.has_control
    assert host.counters(skipped_bytes=0).dropped_requests == 1


def test_retry_may_move_the_deadline() -> None:
    host = make_exchange(serves=False)
    call = open_call(host, 0.0)
    for now_s in (0.01, 0.03, 0.07):
        assert host.next_due(now_s) == call.frame
    assert host.deadline_s == pytest.approx(0.15)
    assert host.receive(Frame(FrameType.RETRY, call.id), 0.1) is Effect.DUE
    assert host.deadline_s <= 0.1
    assert host.next_due(0.1) == call.frame


def test_keep_alive_is_sent_by_an_end_that_has_asked() -> None:
    host = make_exchange(serves=False)
    assert host.deadline_s == inf
    host.forget_call(open_call(host, 0.0))
    assert host.deadline_s == KEEP_ALIVE_S
    assert host.next_due(KEEP_ALIVE_S - 0.001) is None
    frame = host.next_due(KEEP_ALIVE_S)
    assert frame == encode_frame(KEEP_ALIVE)
    assert host.next_due(KEEP_ALIVE_S) is None
    host.mark_sent(frame, KEEP_ALIVE_S)
    assert host.deadline_s == 2 * KEEP_ALIVE_S


def test_anything_sent_puts_the_keep_alive_off() -> None:
    host = make_exchange(serves=False)
    host.forget_call(open_call(host, 0.0))
    host.forget_call(open_call(host, 20.0))
    assert host.deadline_s == 20.0 + KEEP_ALIVE_S
    host.mark_sent(encode_frame(KEEP_ALIVE), 25.0)
    assert host.deadline_s == 25.0 + KEEP_ALIVE_S


def test_end_that_only_answers_sends_no_keep_alive() -> None:
    board = make_exchange(serves=True)
    board.receive(request(1), 0.0)
    control = board.next_control()
    assert control is not None
    board.mark_sent(control, 0.0)
    assert board.next_due(100.0) is None


def test_silent_session_is_forgotten_once() -> None:
    board = make_exchange(serves=True)
    assert not board.expire(1e6)
    board.receive(request(1), 0.0)
    work = board.next_work()
    assert work is not None
    board.finish_work(work, b"answer")
    assert board.deadline_s == SILENT_SESSION_S
    assert not board.expire(SILENT_SESSION_S - 0.001)
    assert board.expire(SILENT_SESSION_S)
    assert not board.expire(SILENT_SESSION_S + 1000)
    assert board.deadline_s == inf
    assert board.receive(request(1), SILENT_SESSION_S + 1001) is Effect.WORK  # not answered lately


def test_any_frame_keeps_the_session() -> None:
    board = make_exchange(serves=True)
    board.receive(request(1), 0.0)
    for turn in range(1, 20):
        assert board.receive(KEEP_ALIVE, turn * 100.0) is Effect.NOTHING
        assert not board.expire(turn * 100.0 + 99)
    assert board.deadline_s == 1900.0 + SILENT_SESSION_S


def test_first_frame_of_a_session_sets_its_deadline() -> None:
    board = make_exchange(serves=True)
    assert board.receive(KEEP_ALIVE, 5.0) is Effect.NOTHING
    assert board.deadline_s == 5.0 + SILENT_SESSION_S


def test_end_that_only_asks_has_no_session_to_forget() -> None:
    host = make_exchange(serves=False)
    host.receive(KEEP_ALIVE, 0.0)
    assert host.deadline_s == inf


def test_dropped_request_is_told_apart() -> None:
    board = make_exchange(serves=True, queue_length=1)
    effects = [board.receive(request(number), 0.0) for number in (1, 2, 1)]
    assert effects == [Effect.WORK, Effect.DROPPED, Effect.NOTHING]


def test_counters_tell_what_happened() -> None:
    host = make_exchange(serves=False)
    board = make_exchange(serves=True, queue_length=1)
    call = open_call(host, 0.0)
    for frame in (request(1), request(2), request(1), KEEP_ALIVE):
        board.receive(frame, 0.0)
    accept = board.next_control()
    assert accept is not None
    board.mark_sent(accept, 0.0)
    of_board = board.counters(skipped_bytes=7)
    assert (of_board.frames_in.request, of_board.frames_in.keep_alive) == (3, 1)
    assert (of_board.frames_out.accept, of_board.frames_out.response) == (1, 0)
    assert (of_board.dropped_requests, of_board.duplicates, of_board.skipped_bytes) == (1, 1, 7)
    assert (of_board.queued, of_board.queued_peak, of_board.in_progress) == (1, 1, 0)
    board.next_work()
    assert board.counters(skipped_bytes=7).in_progress == 1
    host.next_due(0.02)
    host.receive(Frame(FrameType.RETRY, call.id), 0.02)
    host.receive(Frame(FrameType.RESPONSE, number_id(99), b""), 0.02)
    of_host = host.counters(skipped_bytes=0)
    assert (of_host.calls_waiting, of_host.resends, of_host.retries) == (1, 1, 1)
    assert (of_host.unknown_answers, of_host.frames_out.request) == (1, 1)
