"""Both ends of a link over wires that lose, double and reorder frames, in any order of events.

Whatever happens: an answer is the right one, nothing is done twice while it is remembered,
everything kept is bounded, and once the wires work again every call is answered.
"""

from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from broker.calls import Call
from broker.exchange import Exchange
from broker.frame import Frame, FrameReader
from broker.intake import Work
from tests.fakes.frames import number_id

CALLS = 6
QUEUE = 2
WORKERS = 2


class ExchangeMachine(RuleBasedStateMachine):
    """A host, a board with two workers, a wire each way. `wires[0]` leads to the board."""

    def __init__(self) -> None:
        super().__init__()
        numbers = count(1)
        self.now_s = 0.0
        self.host = Exchange(
            serves=False, new_id=lambda: number_id(next(numbers)), calls_limit=CALLS
        )
        self.board = Exchange(serves=True, new_id=lambda: b"", queue_length=QUEUE)
        self.wires: tuple[list[Frame], list[Frame]] = ([], [])
        self.calls: dict[Call, bytes] = {}
        self.works: list[Work] = []
        self.done: set[bytes] = set()  # ids whose work has begun and is remembered

    def send(self, sender: Exchange, data: bytes, call: Call | None = None) -> None:
        reader = FrameReader()
        reader.feed(data, self.now_s)
        frame = reader.next_frame(self.now_s)
        assert frame is not None
        self.wires[0 if sender is self.host else 1].append(frame)
        sender.mark_sent(data, self.now_s, call)

    def let_send(self) -> None:
        for end in (self.host, self.board):
            while (data := end.next_control() or end.next_due(self.now_s)) is not None:
                self.send(end, data)

    @precondition(lambda self: len(self.calls) < CALLS)
    @rule(size=st.integers(0, 40))
    def ask(self, size: int) -> None:
        payload = bytes([len(self.calls)]) * size
        call = self.host.open_call(payload, lambda: None)
        self.calls[call] = payload
        self.send(self.host, call.frame, call)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def stop_waiting(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(sorted(self.calls, key=lambda call: call.id)))
        self.host.forget_call(call)
        del self.calls[call]

    @precondition(lambda self: self.wires[0] or self.wires[1])
    @rule(data=st.data(), fate=st.sampled_from(["arrive", "arrive", "arrive", "lose", "double"]))
    def move_frame(self, data: st.DataObject, fate: str) -> None:
        """Any frame on the wire may be the next one: that is the reordering."""
        way = data.draw(st.sampled_from([way for way in (0, 1) if self.wires[way]]))
        place = data.draw(st.integers(0, len(self.wires[way]) - 1))
        frame = self.wires[way][place]
        if fate != "double":
            del self.wires[way][place]
        if fate != "lose":
            (self.board, self.host)[way].receive(frame, self.now_s)
            self.let_send()

    @precondition(lambda self: len(self.works) < WORKERS)
    @rule()
    def begin_work(self) -> None:
        work = self.board.next_work()
        if work is not None:
            assert work.id not in self.done, "done twice"
            self.done.add(work.id)
            self.works.append(work)
            self.let_send()

    @precondition(lambda self: self.works)
    @rule(data=st.data())
    def end_work(self, data: st.DataObject) -> None:
        work = self.works.pop(data.draw(st.integers(0, len(self.works) - 1)))
        self.send(self.board, self.board.finish_work(work, b"answer to " + work.payload))

    @rule(step_s=st.sampled_from([0.001, 0.01, 0.1, 1.0, 10.0, 200.0]))
    def wait(self, step_s: float) -> None:
        self.now_s += step_s
        if self.board.expire(self.now_s):
            self.done = {work.id for work in self.works}
        self.let_send()

    @invariant()
    def answers_are_right(self) -> None:
        for call, payload in self.calls.items():
            assert call.answer is None or call.answer == b"answer to " + payload

    @invariant()
    def memory_is_bounded(self) -> None:
        host = self.host.counters(skipped_bytes=0)
        board = self.board.counters(skipped_bytes=0)
        assert host.calls_waiting <= CALLS
        assert board.queued <= QUEUE
        assert board.in_progress == len(self.works) <= WORKERS
        intake = self.board._intake
        assert len(intake._accepts) <= 2 * QUEUE
        assert len(intake._invites) <= QUEUE
        assert intake._repeats.keys() <= intake._answered.keys()
        assert len(intake._dropped) <= 128

    @invariant()
    def requester_keeps_no_more_than_its_open_calls(self) -> None:
        assert self.host.counters(skipped_bytes=0).calls_waiting == sum(
            call.answer is None for call in self.calls
        )

    def teardown(self) -> None:
        """The wires work again: within a few seconds every call has its answer."""
        for _ in range(60):
            for way, end in enumerate((self.board, self.host)):
                for frame in self.wires[way]:
                    end.receive(frame, self.now_s)
                self.wires[way].clear()
            self.begin_work()
            while self.works:
                work = self.works.pop()
                self.send(self.board, self.board.finish_work(work, b"answer to " + work.payload))
            self.wait(0.2)
            self.answers_are_right()
        assert all(call.answer is not None for call in self.calls)


TestExchangeMachine = ExchangeMachine.TestCase
TestExchangeMachine.settings = settings(max_examples=70, stateful_step_count=60, deadline=None)
