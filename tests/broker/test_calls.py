"""The requester's rules: when a request goes out again, and what ends it."""

from collections.abc import Callable
from itertools import count
from math import inf

import pytest

from broker.calls import Call, Calls
from broker.errors import Overload
from broker.frame import NO_ID, Frame, FrameType, encode_frame
from tests.fakes.frames import number_id


def nothing() -> None:
    pass


def make_calls(limit: int = 8) -> Calls:
    numbers = count(1)
    return Calls(new_id=lambda: number_id(next(numbers)), limit=limit)


def sent_call(calls: Calls, now_s: float = 0.0, on_answer: Callable[[], None] = nothing) -> Call:
    call = calls.open(b"request", on_answer)
    calls.mark_sent(call, now_s)
    return call


def resend_times(calls: Calls, number: int) -> list[float]:
    times = []
    for _ in range(number):
        now_s = calls.deadline_s
        assert calls.next_due(now_s - 0.001) is None
        assert calls.next_due(now_s) is not None
        assert calls.next_due(now_s) is None
        times.append(round(now_s, 6))
    return times


def test_call_is_a_request_frame() -> None:
    call = make_calls().open(b"request", nothing)
    assert call.frame == encode_frame(Frame(FrameType.REQUEST, number_id(1), b"request"))


def test_unaccepted_request_is_sent_again_with_back_off() -> None:
    calls = make_calls()
    sent_call(calls)
    times = resend_times(calls, 9)
    gaps = [round(later - earlier, 6) for earlier, later in zip([0.0, *times], times, strict=False)]
    assert gaps == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0]
    assert calls.resends == 9


def test_request_that_is_still_being_sent_is_not_sent_again() -> None:
    calls = make_calls()
    calls.open(b"request", nothing)
    assert calls.deadline_s == inf
    calls.take_retry(NO_ID)
    assert calls.next_due(1e9) is None


def test_accepted_request_is_sent_again_every_second() -> None:
    calls = make_calls()
    call = sent_call(calls)
    calls.take_accept(call.id, 0.005)
    assert resend_times(calls, 3) == [1.005, 2.005, 3.005]


def test_second_accept_does_not_put_off_the_repeat() -> None:
    calls = make_calls()
    call = sent_call(calls)
    calls.take_accept(call.id, 0.0)
    calls.take_accept(call.id, 0.9)
    assert calls.deadline_s == 1.0


def test_accept_that_comes_before_the_send_returns_counts() -> None:
    calls = make_calls()
    call = calls.open(b"request", nothing)
    calls.take_accept(call.id, 0.0)
    calls.mark_sent(call, 0.1)
    assert calls.deadline_s == 1.1


def test_answer_goes_to_its_call_once() -> None:
    calls = make_calls()
    woken: list[int] = []
    first = sent_call(calls, on_answer=lambda: woken.append(1))
    second = sent_call(calls, on_answer=lambda: woken.append(2))
    calls.take_response(Frame(FrameType.RESPONSE, second.id, b"answer"))
    assert (first.answer, second.answer, woken) == (None, b"answer", [2])
    assert len(calls) == 1
    calls.take_response(Frame(FrameType.RESPONSE, second.id, b"again"))
    assert (second.answer, woken, calls.unknown_answers) == (b"answer", [2], 1)


def test_answer_to_a_forgotten_call_is_ignored_and_counted() -> None:
    calls = make_calls()
    call = sent_call(calls)
    calls.forget(call)
    calls.forget(call)
    assert (len(calls), calls.deadline_s) == (0, inf)
    calls.take_response(Frame(FrameType.RESPONSE, call.id, b"late"))
    assert (call.answer, calls.unknown_answers) == (None, 1)


def test_accept_and_retry_for_unknown_ids_are_ignored() -> None:
    calls = make_calls()
    sent_call(calls)
    calls.take_accept(number_id(99), 0.0)
    calls.take_retry(number_id(99))
    assert (calls.deadline_s, calls.retries) == (0.01, 0)


def test_retry_sends_that_request_again_at_once() -> None:
    calls = make_calls()
    first = sent_call(calls)
    resend_times(calls, 7)
    second = sent_call(calls, 2.0)
    calls.take_retry(first.id)
    assert calls.next_due(2.0) is first
    assert calls.next_due(2.0) is None
    assert calls.next_due(2.01) is second


def test_retry_with_a_zero_id_sends_all_that_is_not_accepted() -> None:
    calls = make_calls()
    waiting = [sent_call(calls) for _ in range(4)]
    calls.take_accept(waiting[2].id, 0.0)
    resend_times_all = [calls.next_due(0.5) for _ in range(3)]
    assert None not in resend_times_all
    assert calls.next_due(0.515) is None
    calls.take_retry(NO_ID)
    due = [calls.next_due(0.515) for _ in range(4)]
    assert due == [waiting[0], waiting[1], waiting[3], None]
    assert calls.retries == 3


def test_stream_of_retries_sends_no_faster_than_the_first_delay() -> None:
    calls = make_calls()
    sent_call(calls)
    sent = 0
    for millisecond in range(1, 1001):
        calls.take_retry(NO_ID)
        while calls.next_due(millisecond / 1000) is not None:
            sent += 1
    assert sent <= 101


def test_calls_are_bounded() -> None:
    calls = make_calls(limit=2)
    first = sent_call(calls)
    sent_call(calls)
    with pytest.raises(Overload, match="2 calls"):
        calls.open(b"request", nothing)
    calls.forget(first)
    sent_call(calls)


def test_oversized_request_is_refused_and_not_kept() -> None:
    calls = Calls(new_id=lambda: number_id(1), payload_limit=10)
    with pytest.raises(ValueError, match="too many"):
        calls.open(bytes(11), nothing)
    assert len(calls) == 0


def test_no_room_for_any_call_is_refused() -> None:
    with pytest.raises(ValueError, match="one call"):
        make_calls(limit=0)


def test_repr_of_a_call_hides_its_content() -> None:
    call = make_calls().open(b"hidden", nothing)
    call.answer = b"hidden"
    assert "hidden" not in repr(call)
