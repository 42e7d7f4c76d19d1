"""One end of a link on trio: reads frames, runs the handler, sends the answers, wakes the callers.

Owns the tasks of one link and ends them all with it: a reader, a timekeeper and the workers. Calls
and answers are sent by the task that has them, so that nobody waits for a task switch. The reader
of an end that serves sends its accepts, before a worker can begin to compute. The reader of an end
that only asks never sends, so it always reads, and the two can't block each other: let only one end
of a link serve.

Carries bytes: messages are `broker.codec`'s. The rules are `broker.exchange`'s. Never opens or
closes the stream. Used by the gadget's channels and the host's sessions.
"""

import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable
from math import inf
from pathlib import PurePath
from typing import Final, NamedTuple, Never

import trio

from broker.calls import CALLS_LIMIT, Call
from broker.contract import PAYLOAD_LIMIT_BYTES, QUEUE_LENGTH, WORKERS
from broker.counters import Counters
from broker.errors import LinkLost
from broker.exchange import Effect, Exchange
from broker.frame import ID_BYTES, FrameReader
from broker.intake import Work
from broker.latency import LatencyMeter
from broker.link import Link
from broker.pulse import IN_LINK, Missed, Pulse, Turn
from broker.stream import ByteStream

__all__ = ["Handler", "Peer", "PeerTimes"]

logger = logging.getLogger(__name__)

Handler = Callable[[bytes], Awaitable[bytes]]

_DROP_LOG_S: Final = 10.0


class PeerTimes(NamedTuple):
    """Where the times of answered requests go: until a worker had them, and sending the answer."""

    queue: LatencyMeter
    sending: LatencyMeter


def _random_id() -> bytes:
    return secrets.token_bytes(ID_BYTES)


class Peer:
    """A link in use: `run` it once, `call` through it meanwhile.

    Args:
        stream: stays its owner's to close.
        handler: answers the other end's requests; None for an end that only asks.
        workers: how many requests are handled at once; at least 1.
        queue_length: how many more may wait; at least 1.
        calls_limit: how many calls may wait for their answer.
        payload_limit: bytes in one request or answer.
        on_bug: the answer where the handler raised an exception or returned too much.
        new_id: returns 16 bytes that no other request has.
        times: of the requests that are handled here.
    """

    def __init__(
        self,
        stream: ByteStream,
        *,
        handler: Handler | None,
        workers: int = WORKERS,
        queue_length: int = QUEUE_LENGTH,
        calls_limit: int = CALLS_LIMIT,
        payload_limit: int = PAYLOAD_LIMIT_BYTES,
        on_bug: bytes = b"",
        new_id: Callable[[], bytes] = _random_id,
        times: PeerTimes | None = None,
    ) -> None:
        if workers < 1:
            raise ValueError("a peer needs one worker at least")
        if len(on_bug) > payload_limit:
            raise ValueError("on_bug is over the payload limit")
        self._link = Link(stream)
        self._handler = handler
        self._workers = workers
        self._on_bug = on_bug
        self._times = times or PeerTimes(LatencyMeter(), LatencyMeter())
        self._reader = FrameReader(payload_limit=payload_limit)
        self._exchange = Exchange(
            serves=handler is not None,
            new_id=new_id,
            queue_length=queue_length,
            calls_limit=calls_limit,
            payload_limit=payload_limit,
        )
        self._has_run = False
        self._lost: LinkLost | None = None
        self._scopes: set[trio.CancelScope] = set()  # what the end of the link cancels
        self._idle_workers = trio.lowlevel.ParkingLot()
        self._alarm = trio.lowlevel.ParkingLot()  # where the timekeeper sleeps
        self._sleep = trio.CancelScope()
        self._pulse = Pulse()
        self._reading = trio.CancelScope()
        self._is_receiving = False
        self._drops = 0
        self._log_drops_s = -inf

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serves the link until it ends; no task is left then, and every call has got the reason.

        Raises:
            LinkLost: the link has ended; open another.
        """
        if self._has_run:
            raise RuntimeError("a peer runs once")
        self._has_run = True
        if self._lost is not None:
            raise self._loss()
        try:
            async with trio.open_nursery() as nursery:
                self._scopes.add(nursery.cancel_scope)
                nursery.start_soon(self._until_lost, self._keep_time)
                if self._handler is not None:
                    for _ in range(self._workers):
                        nursery.start_soon(self._until_lost, self._work, self._handler)
                task_status.started()
                await self._until_lost(self._read)
        finally:
            self._lose(LinkLost("the link was stopped"))
        raise self._loss()

    async def call(self, payload: bytes) -> bytes:
        """Sends a request and returns its answer. How long it may take is the caller's deadline.

        Raises:
            LinkLost: the link has ended. The request may have been done.
            Overload: too many calls wait already; nothing was sent.
            ValueError: the payload is over the limit.

        Cancel: the request is forgotten, a late answer is ignored. It may still be done.
        """
        if self._lost is not None:
            raise self._loss()
        answered = trio.Event()
        call = self._exchange.open_call(payload, answered.set)
        scope = trio.CancelScope()
        self._scopes.add(scope)
        try:
            with scope:
                await self._send(call.frame, call)
                if call.answer is None:
                    await answered.wait()
        except LinkLost as error:
            self._lose(error)
        finally:
            self._scopes.discard(scope)
            self._exchange.forget_call(call)
        if call.answer is None:
            raise self._loss()
        return call.answer

    def counters(self) -> Counters:
        return self._exchange.counters(skipped_bytes=self._reader.skipped_bytes)

    def take_pulse(self) -> Missed:
        """Begins a round in which every task of the link has to show itself.

        Call it at a steady pace. What it wakes are the tasks that wait for something to do, so a
        request is never held up. A handler that is busy misses rounds until it has answered.

        Returns: who missed most rounds in a row before this one.
        """
        missed = self._pulse.begin_round()
        self._idle_workers.unpark_all()
        self._alarm.unpark_all()
        if self._is_receiving:
            self._is_receiving = False
            self._reading.cancel()
        return missed

    async def _until_lost(self, task: Callable[..., Awaitable[None]], *args: object) -> None:
        try:
            await task(*args)
        except LinkLost as error:
            self._lose(error)

    def _lose(self, error: LinkLost) -> None:
        """Ends everything; the first reason counts."""
        if self._lost is None:
            self._lost = error
            for scope in self._scopes:
                scope.cancel()

    def _loss(self) -> LinkLost:
        # One exception for each that gets it: a shared one would collect their tracebacks.
        lost = self._lost or LinkLost("the link was stopped")
        loss = LinkLost(lost.reason)
        loss.__cause__ = lost.__cause__
        return loss

    async def _read(self) -> Never:
        turn = self._pulse.join("reader")
        while True:
            # One scope for each round of the pulse: one for each read would cost the path.
            with trio.CancelScope() as self._reading:
                while True:
                    turn.seen = self._pulse.round
                    data = b""
                    self._is_receiving = True
                    data = await self._receive()
                    if not self._is_receiving:
                        break  # a round has begun; what came all the same is taken below
                    self._is_receiving = False
                    await self._take(data, turn)
            await self._take(data, turn)

    async def _receive(self) -> bytes:
        """Returns b"" where a frame has been incomplete for too long. Cancel: loses nothing."""
        deadline_s = self._reader.deadline_s
        if deadline_s is None:
            return await self._link.receive()
        with trio.move_on_at(deadline_s):
            return await self._link.receive()
        return b""

    async def _take(self, data: bytes, turn: Turn) -> None:
        reader, exchange = self._reader, self._exchange
        now_s = trio.current_time()
        if data:
            reader.feed(data, now_s)
        while (frame := reader.next_frame(now_s)) is not None:
            effect = exchange.receive(frame, now_s)
            if effect is not Effect.NOTHING:
                self._react(effect, now_s)
        if self._sleep.deadline == inf:
            self._sleep.deadline = exchange.deadline_s
        while (control := exchange.next_control()) is not None:
            turn.seen = IN_LINK
            await self._send(control)

    def _react(self, effect: Effect, now_s: float) -> None:
        if effect is Effect.WORK:
            self._idle_workers.unpark()
        elif effect is Effect.DUE:
            self._alarm.unpark()
        elif effect is Effect.DROPPED:
            self._drops += 1
            if now_s >= self._log_drops_s:
                logger.warning("requests dropped", extra={"dropped": self._drops})
                self._log_drops_s = now_s + _DROP_LOG_S
                self._drops = 0

    async def _work(self, handler: Handler) -> Never:
        exchange, pulse, times = self._exchange, self._pulse, self._times
        now_s = trio.current_time
        turn = pulse.join("worker")
        while True:
            turn.seen = pulse.round
            work = exchange.next_work()
            if work is None:
                await self._idle_workers.park()
                continue
            if exchange.has_control:  # there is room now for one that was dropped
                self._alarm.unpark()
            times.queue.add(now_s() - work.taken_s)
            answer = await self._answer(handler, work)
            turn.seen = IN_LINK
            answered_s = now_s()
            await self._send(answer)
            times.sending.add(now_s() - answered_s)

    async def _answer(self, handler: Handler, work: Work) -> bytes:
        try:
            return self._exchange.finish_work(work, await handler(work.payload))
        except Exception as error:  # noqa: BLE001 - a bug must cost neither the worker nor the link
            # Not the exception's text: it may quote the request.
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{PurePath(frame.filename).name}:{frame.lineno}"
            logger.error(  # noqa: TRY400 - likewise
                "request handler failed", extra={"error": type(error).__name__, "place": place}
            )
        return self._exchange.finish_work(work, self._on_bug)

    async def _keep_time(self) -> Never:
        exchange, pulse = self._exchange, self._pulse
        turn = pulse.join("timekeeper")
        while True:
            turn.seen = pulse.round
            now_s = trio.current_time()
            if exchange.expire(now_s):
                self._reader.clear()
                logger.info("session dropped: nothing was heard for too long")
            frame = exchange.next_control() or exchange.next_due(now_s)
            if frame is not None:
                turn.seen = IN_LINK
                await self._send(frame)
                continue
            with trio.CancelScope(deadline=exchange.deadline_s) as self._sleep:
                await self._alarm.park()

    async def _send(self, frame: bytes, call: Call | None = None) -> None:
        await self._link.send(frame)
        self._exchange.mark_sent(frame, trio.current_time(), call)
        if call is not None and call.resend_s < self._sleep.deadline:
            # Moves the alarm without waking the timekeeper, who mostly sleeps through a call.
            self._sleep.deadline = call.resend_s
