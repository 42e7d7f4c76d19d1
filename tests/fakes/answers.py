"""What runs on a fake board: a broker that answers requests, and can be told to stay silent."""

from collections.abc import Callable

import trio

from broker.codec import decode_request, encode_response
from broker.errors import LinkLost
from broker.messages import (
    Error,
    ErrorCode,
    PingRequest,
    PingResponse,
    Request,
    Response,
    SignRequest,
    SignResponse,
)
from broker.peer import Peer
from broker.stream import ByteStream

__all__ = ["Answers"]


class Answers:
    """Echoes pings, signs with `payload[:1] * 64`, refuses the rest."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.is_silent = False
        self.start_id = bytes(16)
        self.answer: Callable[[Request], Response] = self._answer
        self.hold: trio.Event | None = None  # a request that came waits for it

    async def serve(
        self,
        stream: ByteStream,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        peer = Peer(stream, handler=self._handle)
        try:
            await peer.run(task_status=task_status)
        except LinkLost:
            return

    async def _handle(self, payload: bytes) -> bytes:
        request = decode_request(payload)
        self.requests.append(request)
        if self.is_silent:
            await trio.sleep_forever()
        if self.hold is not None:
            await self.hold.wait()
        return encode_response(self.answer(request))

    def _answer(self, request: Request) -> Response:
        match request:
            case PingRequest(token=token):
                return PingResponse(token=token, start_id=self.start_id)
            case SignRequest(message=message):
                return SignResponse(signature=message[:1] * 64)
            case _:
                return Error(code=ErrorCode.KEY_NOT_FOUND, message="no such key")
