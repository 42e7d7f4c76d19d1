"""The responder's rules: what is queued, dropped, ignored, answered again, invited; all bounded."""

from itertools import count

import pytest

from broker.frame import Frame, FrameReader, FrameType
from broker.intake import Intake, Taken, Work
from tests.fakes.frames import number_id


def request(number: int, payload: bytes = b"request") -> Frame:
    return Frame(FrameType.REQUEST, number_id(number), payload)


def sent(intake: Intake) -> list[Frame]:
    """All that it wants to send now."""
    reader = FrameReader()
    frames = []
    while (data := intake.next_to_send()) is not None:
        reader.feed(data, 0.0)
        frame = reader.next_frame(0.0)
        assert frame is not None
        frames.append(frame)
    assert not intake.has_to_send
    return frames


def take_work(intake: Intake) -> Work:
    work = intake.next_work()
    assert work is not None
    return work


def answer(intake: Intake, number: int, payload: bytes = b"answer") -> bytes:
    assert intake.take_request(request(number)) is Taken.QUEUED
    return intake.finish(take_work(intake).id, payload)


def test_request_is_queued_and_accepted() -> None:
    intake = Intake()
    assert intake.take_request(request(1)) is Taken.QUEUED
    assert intake.has_to_send
    assert sent(intake) == [Frame(FrameType.ACCEPT, number_id(1))]
    assert take_work(intake) == Work(id=number_id(1), payload=b"request")
    assert intake.next_work() is None


def test_requests_are_worked_on_in_order() -> None:
    intake = Intake()
    for number in range(5):
        intake.take_request(request(number))
    assert [take_work(intake).id for _ in range(5)] == [number_id(number) for number in range(5)]


def test_full_queue_drops_without_an_accept() -> None:
    intake = Intake(queue_length=2)
    taken = [intake.take_request(request(number)) for number in range(4)]
    assert taken == [Taken.QUEUED, Taken.QUEUED, Taken.DROPPED, Taken.DROPPED]
    assert [frame.id for frame in sent(intake)] == [number_id(0), number_id(1)]
    assert (intake.dropped, intake.queued, intake.queued_peak) == (2, 2, 2)


def test_dropped_request_is_invited_when_a_slot_is_free() -> None:
    intake = Intake(queue_length=1)
    for number in range(3):
        intake.take_request(request(number))
    sent(intake)
    take_work(intake)
    assert sent(intake) == [Frame(FrameType.RETRY, number_id(1))]
    assert intake.take_request(request(1)) is Taken.QUEUED
    take_work(intake)
    assert sent(intake)[-1] == Frame(FrameType.RETRY, number_id(2))


def test_dropped_request_that_came_again_is_not_invited() -> None:
    intake = Intake(queue_length=1)
    intake.take_request(request(0))
    intake.take_request(request(1))
    sent(intake)
    take_work(intake)
    assert intake.take_request(request(1)) is Taken.QUEUED
    assert [frame.type for frame in sent(intake)] == [FrameType.ACCEPT]


def test_a_slot_is_kept_for_whom_it_was_offered() -> None:
    intake = Intake(queue_length=1)
    for number in range(2):
        intake.take_request(request(number))
    take_work(intake)
    assert [intake.take_request(request(number)) for number in range(2, 6)] == [Taken.DROPPED] * 4
    assert intake.take_request(request(1)) is Taken.QUEUED


def test_under_constant_load_a_dropped_request_has_its_turn() -> None:
    """Whoever has been answered asks again at once, before an invitation can have been read."""
    intake = Intake(queue_length=4)
    numbers = count(1)
    for _ in range(4):
        intake.take_request(request(next(numbers)))
    assert intake.take_request(request(0)) is Taken.DROPPED
    for _ in range(4):
        intake.finish(take_work(intake).id, b"answer")
        intake.take_request(request(next(numbers)))
    assert intake.take_request(request(0)) is Taken.QUEUED


def test_an_offer_that_nobody_takes_lapses_when_the_queue_is_empty() -> None:
    intake = Intake(queue_length=1)
    for number in range(2):
        intake.take_request(request(number))
    take_work(intake)
    assert intake.take_request(request(2)) is Taken.DROPPED
    assert intake.next_work() is None
    assert intake.take_request(request(2)) is Taken.QUEUED


def test_invitations_are_no_more_than_free_slots() -> None:
    intake = Intake(queue_length=3)
    for number in range(20):
        intake.take_request(request(number))
    sent(intake)
    for _ in range(3):
        take_work(intake)
    assert len(sent(intake)) == 3


def test_request_in_progress_is_ignored() -> None:
    intake = Intake()
    intake.take_request(request(1))
    sent(intake)
    assert intake.take_request(request(1)) is Taken.IGNORED  # queued
    work = take_work(intake)
    assert intake.take_request(request(1)) is Taken.IGNORED  # with a worker
    assert sent(intake) == []
    assert (intake.queued, intake.in_progress, intake.duplicates) == (0, 1, 2)
    intake.finish(work.id, b"answer")
    assert intake.in_progress == 0


def test_request_answered_lately_gets_the_same_response_again() -> None:
    intake = Intake()
    frame = answer(intake, 1)
    sent(intake)
    for _ in range(2):
        assert intake.take_request(request(1, b"other bytes")) is Taken.REPEATED
    assert intake.next_work() is None
    assert intake.next_to_send() == frame
    assert intake.next_to_send() is None  # asked twice meanwhile, sent once


def test_eldest_answers_are_forgotten_first() -> None:
    intake = Intake(keep_count=3)
    for number in range(4):
        answer(intake, number)
    taken = [intake.take_request(request(number)) for number in (1, 2, 3, 0)]
    assert taken == [Taken.REPEATED] * 3 + [Taken.QUEUED]


def test_kept_answers_are_bounded_in_bytes() -> None:
    intake = Intake(keep_bytes=1000)
    for number in range(20):
        answer(intake, number, bytes(277))
        assert intake.answered_bytes <= 1000
    assert intake.take_request(request(17)) is Taken.REPEATED
    assert intake.take_request(request(16)) is Taken.QUEUED


def test_answer_that_is_forgotten_before_it_is_repeated_is_not_repeated() -> None:
    intake = Intake(keep_count=1)
    answer(intake, 1)
    sent(intake)
    assert intake.take_request(request(1)) is Taken.REPEATED
    answer(intake, 2)
    assert [frame.type for frame in sent(intake)] == [FrameType.ACCEPT]


def test_answer_over_the_limit_is_refused_and_the_work_stays() -> None:
    intake = Intake(payload_limit=10)
    intake.take_request(request(1))
    work = take_work(intake)
    with pytest.raises(ValueError, match="too many"):
        intake.finish(work.id, bytes(11))
    assert intake.in_progress == 1
    intake.finish(work.id, bytes(10))


def test_accepts_do_not_pile_up_while_the_link_is_stuck() -> None:
    intake = Intake(queue_length=2)
    taken = []
    for number in range(10):
        taken.append(intake.take_request(request(number)))
        if (work := intake.next_work()) is not None:
            intake.finish(work.id, b"answer")
    assert taken == [Taken.QUEUED] * 4 + [Taken.DROPPED] * 6
    assert len(sent(intake)) == 4


def test_memory_of_dropped_requests_is_bounded() -> None:
    intake = Intake(queue_length=50, dropped_count=5)
    for number in range(500):
        intake.take_request(request(number))
    assert intake.dropped == 450
    invited = 0
    for _ in range(50):
        take_work(intake)
        invited += sum(frame.type is FrameType.RETRY for frame in sent(intake))
    assert invited == 5


def test_forgotten_session_keeps_only_its_work() -> None:
    intake = Intake(queue_length=1)
    answer(intake, 1)
    intake.take_request(request(2))
    intake.take_request(request(3))
    intake.take_request(request(1))
    intake.forget_session()
    assert sent(intake) == []
    assert intake.answered_bytes == 0
    assert intake.take_request(request(2)) is Taken.IGNORED
    assert take_work(intake).id == number_id(2)
    assert sent(intake) == []
    assert intake.take_request(request(1)) is Taken.QUEUED


def test_queue_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="one request"):
        Intake(queue_length=0)


def test_repr_of_work_hides_its_content() -> None:
    intake = Intake()
    intake.take_request(request(1, b"hidden"))
    assert "hidden" not in repr(take_work(intake))


def test_state_stays_bounded_over_many_requests() -> None:
    intake = Intake(queue_length=4, keep_count=8, dropped_count=8)
    numbers = count()
    for _ in range(300):
        for _ in range(7):
            intake.take_request(request(next(numbers)))
        while (work := intake.next_work()) is not None:
            intake.finish(work.id, b"answer")
        sent(intake)
    assert intake.queued + intake.in_progress == 0
    assert intake.answered_bytes <= 8 * 29
    assert intake.queued_peak == 4
