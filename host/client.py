"""Typed calls: one method for each request of `broker.messages`.

Owns the pairing of request and answer. Never times anything out: a deadline is a cancel scope
around the call. `host.session` makes clients; commands and the HTTP signer use them.
"""

import secrets
from collections.abc import Callable
from typing import Final, ParamSpec, Protocol, TypeVar

from broker.codec import decode_response, encode_request
from broker.errors import BadMessage
from broker.messages import (
    DeleteRequest,
    DeleteResponse,
    Error,
    ExportKeyRequest,
    ExportKeyResponse,
    ExportMarksRequest,
    ExportMarksResponse,
    HealthRequest,
    HealthResponse,
    ImportKeyRequest,
    ImportKeyResponse,
    ImportMarksRequest,
    ImportMarksResponse,
    InitInfoRequest,
    InitInfoResponse,
    InitRequest,
    InitResponse,
    KeyMarks,
    KeyOutcome,
    KeyStatus,
    LockRequest,
    LockResponse,
    LogsRequest,
    LogsResponse,
    NewRequest,
    NewResponse,
    PasswdRequest,
    PasswdResponse,
    PingRequest,
    PingResponse,
    ProvePossessionRequest,
    ProvePossessionResponse,
    Request,
    RetireRequest,
    RetireResponse,
    SetChainRequest,
    SetChainResponse,
    SetLevelRequest,
    SetLevelResponse,
    SignRequest,
    SignResponse,
    StatusRequest,
    StatusResponse,
    UnlockRequest,
    UnlockResponse,
    VersionRequest,
    VersionResponse,
)
from host.errors import BadAnswer, Refused, UsageError

__all__ = ["Caller", "Client"]

_TOKEN_BYTES: Final = 16

_Answer = TypeVar("_Answer")
_Request = TypeVar("_Request")
_Arguments = ParamSpec("_Arguments")


class Caller(Protocol):
    """What carries a request to the board and brings its answer back."""

    async def call(self, payload: bytes, *, repeatable: bool) -> bytes:
        """Sends one request.

        Args:
            payload: an encoded request.
            repeatable: sending it twice does no harm, so it may go out again after a reconnect.

        Raises:
            DeviceGone: the link ended first.
        """
        ...


class Client:
    """Asks one interface of one board. Calls may run at the same time.

    Every method raises `Refused` for the board's refusal, `DeviceGone` where the link broke,
    `BadAnswer` where the answer is not one to the request, and `UsageError` for arguments that no
    request can have.
    """

    def __init__(self, link: Caller) -> None:
        self._link = link

    async def sign(self, pkh: str, payload: bytes) -> bytes:
        """Returns the raw signature of `payload` (96 bytes for tz4, 64 otherwise)."""
        request = _build(SignRequest, pkh=pkh, message=payload)
        return (await self._ask(request, SignResponse, repeatable=True)).signature

    async def prove_possession(self, pkh: str, public_key: bytes | None = None) -> bytes:
        """Returns the proof of a tz4 key over `public_key` (48 bytes), or over its own."""
        request = _build(ProvePossessionRequest, pkh=pkh, public_key=public_key)
        return (await self._ask(request, ProvePossessionResponse, repeatable=True)).proof

    async def status(self) -> tuple[KeyStatus, ...]:
        return (await self._ask(StatusRequest(), StatusResponse, repeatable=True)).keys

    async def version(self) -> VersionResponse:
        return await self._ask(VersionRequest(), VersionResponse, repeatable=True)

    async def ping(self) -> bytes:
        """Returns the board's start id once it has echoed a new random token."""
        token = secrets.token_bytes(_TOKEN_BYTES)
        echo = await self._ask(PingRequest(token=token), PingResponse, repeatable=False)
        if echo.token != token:
            raise BadAnswer("the board echoed another token than the one it was sent")
        return echo.start_id

    async def logs(self, lines: int) -> tuple[str, ...]:
        """Returns the newest log lines, oldest first.

        Args:
            lines: 1 to 1,000.
        """
        request = _build(LogsRequest, lines=lines)
        return (await self._ask(request, LogsResponse, repeatable=True)).lines

    async def health(self, clock_s: int | None) -> bytes:
        """Returns the board's health report: JSON, see docs/health.md.

        Args:
            clock_s: what time it is, as `broker.health_messages` counts; None: not known.
        """
        request = _build(HealthRequest, clock_s=clock_s)
        return (await self._ask(request, HealthResponse, repeatable=True)).report

    async def init_info(self) -> InitInfoResponse:
        return await self._ask(InitInfoRequest(), InitInfoResponse, repeatable=True)

    async def init(self, passphrase: bytes, *, deterministic: bool) -> None:
        request = _build(InitRequest, passphrase=passphrase, deterministic=deterministic)
        await self._ask(request, InitResponse, repeatable=False)

    async def new(
        self,
        passphrase: bytes,
        key_id: str,
        key_type: str,
        chain_id: str | None,
        *,
        exportable: bool = False,
    ) -> KeyStatus:
        """Creates one key and returns its status.

        Args:
            key_type: "tz1" to "tz4".
            chain_id: NetX…, or None for the first chain that it is asked to sign on.
            exportable: whether it may ever leave the board.
        """
        request = _build(
            NewRequest,
            passphrase=passphrase,
            id=key_id,
            type=key_type,
            chain_id=chain_id,
            exportable=exportable,
        )
        return (await self._ask(request, NewResponse, repeatable=False)).key

    async def unlock(self, passphrase: bytes, ids: tuple[str, ...] = ()) -> tuple[KeyOutcome, ...]:
        """Unlocks these keys, or all where `ids` is empty; returns what became of each."""
        request = _build(UnlockRequest, passphrase=passphrase, ids=ids)
        return (await self._ask(request, UnlockResponse, repeatable=False)).outcomes

    async def lock(self, ids: tuple[str, ...] = ()) -> tuple[KeyOutcome, ...]:
        """Locks these keys, or all where `ids` is empty; returns what became of each."""
        request = _build(LockRequest, ids=ids)
        return (await self._ask(request, LockResponse, repeatable=True)).outcomes

    async def delete(self, passphrase: bytes, key_id: str) -> None:
        request = _build(DeleteRequest, passphrase=passphrase, id=key_id)
        await self._ask(request, DeleteResponse, repeatable=False)

    async def passwd(self, passphrase: bytes, new_passphrase: bytes) -> None:
        request = _build(PasswdRequest, passphrase=passphrase, new_passphrase=new_passphrase)
        await self._ask(request, PasswdResponse, repeatable=False)

    async def set_level(
        self, passphrase: bytes, key_id: str, chain_id: str | None, level: int
    ) -> KeyStatus:
        """Uses up all levels up to `level`.

        Args:
            chain_id: NetX…, or None for the chain that the key signs on.
        """
        request = _build(
            SetLevelRequest, passphrase=passphrase, id=key_id, chain_id=chain_id, level=level
        )
        return (await self._ask(request, SetLevelResponse, repeatable=False)).key

    async def set_chain(self, passphrase: bytes, key_id: str, chain_id: str) -> KeyStatus:
        request = _build(SetChainRequest, passphrase=passphrase, id=key_id, chain_id=chain_id)
        return (await self._ask(request, SetChainResponse, repeatable=False)).key

    async def retire(self, passphrase: bytes, key_id: str, last_level: int) -> KeyStatus:
        """Lets a key sign nothing above `last_level`, for good."""
        request = _build(RetireRequest, passphrase=passphrase, id=key_id, last_level=last_level)
        return (await self._ask(request, RetireResponse, repeatable=False)).key

    async def export_marks(self, key_id: str) -> KeyMarks:
        """Returns all marks of an unlocked key."""
        request = _build(ExportMarksRequest, id=key_id)
        return (await self._ask(request, ExportMarksResponse, repeatable=True)).marks

    async def import_marks(
        self, passphrase: bytes, keys: tuple[KeyMarks, ...]
    ) -> tuple[KeyOutcome, ...]:
        """Raises marks to those of another board; returns what became of each.

        Args:
            keys: at most 16.
        """
        request = _build(ImportMarksRequest, passphrase=passphrase, keys=keys)
        return (await self._ask(request, ImportMarksResponse, repeatable=False)).outcomes

    async def export_key(
        self, passphrase: bytes, key_id: str, file_passphrase: bytes
    ) -> tuple[str, bytes]:
        """Retires a key and returns its address, and the key sealed under `file_passphrase`."""
        request = _build(
            ExportKeyRequest, passphrase=passphrase, id=key_id, file_passphrase=file_passphrase
        )
        answer = await self._ask(request, ExportKeyResponse, repeatable=False)
        return answer.pkh, answer.sealed

    async def import_key(
        self, passphrase: bytes, sealed: bytes, file_passphrase: bytes, key_id: str | None
    ) -> KeyStatus:
        """Takes in a key.

        Args:
            sealed: from `export_key`.
            key_id: what it is to be called; None: as it was.
        """
        request = _build(
            ImportKeyRequest,
            passphrase=passphrase,
            id=key_id,
            file_passphrase=file_passphrase,
            sealed=sealed,
        )
        return (await self._ask(request, ImportKeyResponse, repeatable=False)).key

    async def _ask(self, request: Request, expected: type[_Answer], *, repeatable: bool) -> _Answer:
        payload = await self._link.call(encode_request(request), repeatable=repeatable)
        try:
            answer = decode_response(payload)
        except BadMessage as error:
            raise BadAnswer(
                f"the board's answer to {request.op} cannot be read: {error}"
            ) from error
        if isinstance(answer, Error):
            raise Refused(answer.code, answer.message)
        if not isinstance(answer, expected):
            raise BadAnswer(f"the board answered {request.op} with {answer.op}")
        return answer


def _build(
    make: Callable[_Arguments, _Request], *args: _Arguments.args, **kwargs: _Arguments.kwargs
) -> _Request:
    try:
        return make(*args, **kwargs)
    except ValueError as error:  # its texts are for people and quote no secret
        raise UsageError(str(error)) from error
