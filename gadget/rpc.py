"""One request of the host in, one response out: decode, policy, keychain, encode.

It holds no state but counters of its own and does no I/O; the broker peer of each interface calls
`Service.answer`. Every refusal and failure becomes an `Error` message here, so that an exception
never reaches the broker. The signature's way runs through `_sign` (docs/flow.md).
"""

import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final

from broker.board_messages import START_ID_BYTES
from broker.codec import decode_request, encode_response
from broker.contract import PROTOCOL_VERSION
from broker.errors import BadMessage, UnknownRequest
from broker.messages import (
    DeleteRequest,
    DeleteResponse,
    Error,
    ErrorCode,
    InitInfoRequest,
    InitInfoResponse,
    InitRequest,
    InitResponse,
    LockRequest,
    LockResponse,
    LogsRequest,
    LogsResponse,
    NewRequest,
    NewResponse,
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
    UnlockRequest,
    UnlockResponse,
    VersionRequest,
    VersionResponse,
)
from broker.version import VERSION
from gadget.imageinfo import ImageInfo
from gadget.keychain.errors import KeychainError
from gadget.keychain.keyring import Keyring
from gadget.keychain.secret import Secret
from gadget.logs import LogBook
from gadget.policy import refusal
from gadget.signature_log import SignatureLog
from tezos.errors import BadEncoding
from tezos.keys import KeyType, parse_chain_id

__all__ = ["BUG_ANSWER", "Service"]

logger = logging.getLogger(__name__)

_MESSAGE_CHARACTERS: Final = 500


class Service:
    """Answers requests with what the keychain, the log book and the image say."""

    def __init__(
        self, *, keyring: Keyring, log_book: LogBook, image: ImageInfo, signatures: SignatureLog
    ) -> None:
        self._keyring = keyring
        self._log_book = log_book
        self._image = image
        self._signatures = signatures
        self._start_id = secrets.token_bytes(START_ID_BYTES)
        # Any: each route takes its own request class, which a dict's type cannot say.
        self._routes: dict[type[Request], Callable[[Any], Awaitable[Response]]] = {
            SignRequest: self._sign,
            PingRequest: self._ping,
            VersionRequest: self._version,
            StatusRequest: self._status,
            InitInfoRequest: self._init_info,
            InitRequest: self._init,
            NewRequest: self._new,
            UnlockRequest: self._unlock,
            LockRequest: self._lock,
            DeleteRequest: self._delete,
            LogsRequest: self._logs,
            ProvePossessionRequest: self._prove_possession,
        }

    async def answer(self, interface: int, payload: bytes) -> bytes:
        """Returns the encoded response to one encoded request; raises nothing but cancellation."""
        try:
            request = decode_request(payload)
        except UnknownRequest as error:
            return _encode_error(ErrorCode.UNKNOWN_REQUEST, str(error))
        except BadMessage as error:
            return _encode_error(ErrorCode.BAD_MESSAGE, str(error))
        refused = refusal(interface, request)
        if refused is not None:
            return encode_response(refused)
        try:
            return encode_response(await self._routes[type(request)](request))
        except KeychainError as error:
            logger.warning(
                "request not done",
                extra={"op": request.op, "code": int(error.code), "reason": str(error)},
            )
            return _encode_error(error.code, str(error))

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

    async def _init(self, request: InitRequest) -> InitResponse:
        with Secret(request.passphrase) as passphrase:
            await self._keyring.init(passphrase, request.deterministic)
        return InitResponse()

    async def _new(self, request: NewRequest) -> Response:
        try:
            key_type = KeyType(request.type)
            chain_id = None if request.chain_id is None else parse_chain_id(request.chain_id)
        except (ValueError, BadEncoding):
            return Error(code=ErrorCode.NEW_REFUSED, message="unknown key type or chain id")
        with Secret(request.passphrase) as passphrase:
            key = await self._keyring.new(passphrase, request.id, key_type, chain_id)
        return NewResponse(key=key)

    async def _unlock(self, request: UnlockRequest) -> UnlockResponse:
        with Secret(request.passphrase) as passphrase:
            return UnlockResponse(outcomes=await self._keyring.unlock(passphrase, request.ids))

    async def _lock(self, request: LockRequest) -> LockResponse:
        return LockResponse(outcomes=await self._keyring.lock(request.ids))

    async def _delete(self, request: DeleteRequest) -> DeleteResponse:
        with Secret(request.passphrase) as passphrase:
            await self._keyring.delete(passphrase, request.id)
        return DeleteResponse()

    async def _logs(self, request: LogsRequest) -> LogsResponse:
        return LogsResponse(lines=self._log_book.last_lines(request.lines))

    async def _prove_possession(self, request: ProvePossessionRequest) -> ProvePossessionResponse:
        return ProvePossessionResponse(
            proof=self._keyring.prove_possession(request.pkh, request.public_key)
        )


def _encode_error(code: ErrorCode, message: str) -> bytes:
    return encode_response(Error(code=code, message=message[:_MESSAGE_CHARACTERS]))


# For a fault in our own code; the log says where.
BUG_ANSWER: Final = _encode_error(ErrorCode.INTERNAL, "the board failed on this request: see logs")
