"""One request of the host in, one response out: decode, policy, keychain, encode.

It holds no state but counters of its own and does no I/O; the broker peer of each interface calls
`Service.answer`. What makes and changes keys is in `key_requests`. Every refusal and failure
becomes an `Error` message here, so that an exception never reaches the broker. The signature's way
runs through `_sign` (docs/flow.md).
"""

import logging
import secrets
from collections.abc import Callable
from typing import Final

from broker.board_messages import START_ID_BYTES
from broker.codec import decode_request, encode_response
from broker.contract import PROTOCOL_VERSION
from broker.errors import BadMessage, UnknownRequest
from broker.messages import (
    Error,
    ErrorCode,
    HealthRequest,
    HealthResponse,
    InitInfoRequest,
    InitInfoResponse,
    LogsRequest,
    LogsResponse,
    PingRequest,
    PingResponse,
    ProvePossessionRequest,
    ProvePossessionResponse,
    Request,
    Response,
    SignRequest,
    SignResponse,
    StatusRequest,
    StatusResponse,
    VersionRequest,
    VersionResponse,
)
from broker.version import VERSION
from gadget.health.meters import Meters
from gadget.imageinfo import ImageInfo
from gadget.key_requests import Route, key_routes
from gadget.keychain.errors import KeychainError
from gadget.keychain.keyring import Keyring
from gadget.logs import LogBook
from gadget.policy import refusal
from gadget.signature_log import SignatureLog

__all__ = ["BUG_ANSWER", "Service"]

logger = logging.getLogger(__name__)

_MESSAGE_CHARACTERS: Final = 500


class Service:
    """Answers requests with what the keychain, the log book and the image say.

    Args:
        meters: count what is refused.
        health: returns the report, given the host's time.
    """

    def __init__(
        self,
        *,
        keyring: Keyring,
        log_book: LogBook,
        image: ImageInfo,
        signatures: SignatureLog,
        meters: Meters | None = None,
        health: Callable[[int | None], bytes] | None = None,
    ) -> None:
        self._keyring = keyring
        self._log_book = log_book
        self._image = image
        self._signatures = signatures
        self._meters = meters or Meters()
        self._health = health
        self._start_id = secrets.token_bytes(START_ID_BYTES)
        self._routes: dict[type[Request], Route] = {
            SignRequest: self._sign,
            PingRequest: self._ping,
            VersionRequest: self._version,
            StatusRequest: self._status,
            InitInfoRequest: self._init_info,
            LogsRequest: self._logs,
            ProvePossessionRequest: self._prove_possession,
            HealthRequest: self._report_health,
            **key_routes(keyring),
        }

    async def answer(self, interface: int, payload: bytes) -> bytes:
        """Returns the encoded response to one encoded request; raises nothing but cancellation."""
        try:
            request = decode_request(payload)
        except UnknownRequest as error:
            return self._refuse(ErrorCode.UNKNOWN_REQUEST, str(error))
        except BadMessage as error:
            return self._refuse(ErrorCode.BAD_MESSAGE, str(error))
        refused = refusal(interface, request)
        if refused is not None:
            self._meters.reject(refused.code)
            return encode_response(refused)
        try:
            return encode_response(await self._routes[type(request)](request))
        except KeychainError as error:
            logger.warning(
                "request not done",
                extra={"op": request.op, "code": int(error.code), "reason": str(error)},
            )
            return self._refuse(error.code, str(error))

    def _refuse(self, code: ErrorCode, message: str) -> bytes:
        self._meters.reject(code)
        return _encode_error(code, message)

    async def _sign(self, request: SignRequest) -> SignResponse:
        started = self._signatures.now()
        signature = await self._keyring.sign(request.pkh, request.message)
        self._signatures.note(request.pkh, request.message, started)
        return SignResponse(signature=signature)

    async def _ping(self, request: PingRequest) -> PingResponse:
        return PingResponse(token=request.token, start_id=self._start_id)

    async def _version(self, _request: VersionRequest) -> VersionResponse:
        return VersionResponse(
            version=VERSION,
            protocol=PROTOCOL_VERSION,
            image_version=self._image.version,
            image_date=self._image.date,
        )

    async def _status(self, _request: StatusRequest) -> StatusResponse:
        return StatusResponse(keys=self._keyring.status())

    async def _init_info(self, _request: InitInfoRequest) -> InitInfoResponse:
        return InitInfoResponse(
            initialised=self._keyring.is_initialised, deterministic=self._keyring.is_deterministic
        )

    async def _logs(self, request: LogsRequest) -> LogsResponse:
        return LogsResponse(lines=self._log_book.last_lines(request.lines))

    async def _report_health(self, request: HealthRequest) -> Response:
        if self._health is None:
            return Error(code=ErrorCode.UNKNOWN_REQUEST, message="health is not looked at here")
        return HealthResponse(report=self._health(request.clock_s))

    async def _prove_possession(self, request: ProvePossessionRequest) -> ProvePossessionResponse:
        return ProvePossessionResponse(
            proof=self._keyring.prove_possession(request.pkh, request.public_key)
        )


def _encode_error(code: ErrorCode, message: str) -> bytes:
    return encode_response(Error(code=code, message=message[:_MESSAGE_CHARACTERS]))


# For a fault in our own code; the log says where.
BUG_ANSWER: Final = _encode_error(ErrorCode.INTERNAL, "the board failed on this request: see logs")
