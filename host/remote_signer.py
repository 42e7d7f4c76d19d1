"""Answers signer requests with the help of a board.

Owns the order of the checks (is it served? may they ask? then the board) and the time limit of an
answer. Never looks into a payload and never checks the board's signature: the board keeps the
marks, the baker verifies. Called by `http_server`; `commands.run` brings the board.
"""

from typing import Final, Protocol

import trio

from broker.messages import KeyStatus
from host.authentication import Authenticator, RequestTag, encode_signed_bytes
from host.errors import (
    DeviceUnavailable,
    HostError,
    NotReady,
    Refused,
    SeveralDevices,
    WitnessRefusal,
)
from host.key_directory import KeyDirectory, ServedKey
from host.signer_api import (
    Action,
    HttpRequest,
    HttpResponse,
    ListAuthorizedKeys,
    ListKnownKeys,
    ProvePossession,
    ShowPublicKey,
    Sign,
    answer_authorized_keys,
    answer_error,
    answer_known_keys,
    answer_proof,
    answer_public_key,
    answer_refusal,
    answer_signature,
    not_found,
    parse_request,
)
from tezos import base58
from tezos.base58 import Prefix
from tezos.errors import BadEncoding
from tezos.keys import KeyType, address_type

__all__ = ["ANSWER_S", "Board", "RemoteSigner"]

ANSWER_S: Final = 5.0
"""octez waits for ever, a slot does not: after this long the baker is better off with an error."""


class Board(Protocol):
    """What is asked of the board. Each raises `Refused` or `DeviceUnavailable`."""

    @property
    def problem(self) -> HostError | None:
        """Why it can't be reached now."""
        ...

    async def status(self) -> tuple[KeyStatus, ...]: ...
    async def sign(self, pkh: str, payload: bytes) -> bytes: ...
    async def prove_possession(self, pkh: str, public_key: bytes) -> bytes: ...


class RemoteSigner:
    """One per `tezsign run`. Requests may be answered at the same time."""

    def __init__(
        self,
        board: Board,
        directory: KeyDirectory,
        authenticator: Authenticator | None = None,
        *,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._board = board
        self._directory = directory
        self._authenticator = authenticator
        self._answer_s = answer_s
        self._refreshing = trio.Lock()

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """Returns within `answer_s`, whatever the board does."""
        action = parse_request(request)
        if isinstance(action, HttpResponse):
            return action
        try:
            with trio.fail_after(self._answer_s):
                return await self._perform(action)
        except trio.TooSlowError:
            problem = self._board.problem
            late = f"the board gave no answer within {self._answer_s:g} s"
            return answer_error(504, late) if problem is None else answer_error(503, str(problem))
        except HostError as error:
            return _answer_failure(error)

    async def _perform(self, action: Action) -> HttpResponse:
        match action:
            case ListAuthorizedKeys():
                named = self._authenticator
                return answer_authorized_keys(None if named is None else named.addresses)
            case ListKnownKeys():
                return await self._list_known_keys()
        key = await self._find(action.address)
        if key is None:
            return not_found()
        match action:
            case ShowPublicKey():
                return answer_public_key(key.public_key)
            case Sign():
                return await self._sign(key, action)
            case ProvePossession():
                return await self._prove(key, action)

    async def _list_known_keys(self) -> HttpResponse:
        try:
            await self._refresh_in_turn()
        except DeviceUnavailable:
            if not self._directory.is_loaded:
                raise
        return answer_known_keys([key.address for key in self._directory.keys])

    async def _sign(self, key: ServedKey, action: Sign) -> HttpResponse:
        refusal = self._authenticate(RequestTag.SIGN, key, action.payload, action.authentication)
        if refusal is not None:
            return refusal
        return answer_signature(key.type, await self._board.sign(key.address, action.payload))

    async def _prove(self, key: ServedKey, action: ProvePossession) -> HttpResponse:
        if key.type is not KeyType.TZ4:
            return answer_error(400, "only a tz4 key proves its possession")
        own = base58.decode(Prefix.BLPK, key.public_key)
        over = own if action.over is None else action.over
        if over == own and key.proof is not None:  # public: it goes on chain
            return answer_proof(key.proof)
        data = action.over or b""
        refusal = self._authenticate(RequestTag.PROVE_POSSESSION, key, data, action.authentication)
        if refusal is not None:
            return refusal
        return answer_proof(await self._board.prove_possession(key.address, over))

    def _authenticate(
        self, request: RequestTag, key: ServedKey, data: bytes, authentication: str | None
    ) -> HttpResponse | None:
        if self._authenticator is None:
            return None
        if authentication is None:
            return answer_error(401, "requests to this signer must carry an authentication")
        try:
            genuine = self._authenticator.is_genuine(
                authentication, encode_signed_bytes(request, key.address, data)
            )
        except BadEncoding as error:
            return answer_error(400, f"authentication: {error}")
        return None if genuine else answer_error(403, "authentication: not by an authorized key")

    async def _find(self, address: str) -> ServedKey | None:
        """Looks the key up, in a new list from the board where the last one doesn't have it."""
        key = self._directory.find(address)
        if key is None and _is_address(address):
            await self._refresh_in_turn()
            key = self._directory.find(address)
        return key

    async def _refresh_in_turn(self) -> None:
        async with self._refreshing:
            if self._directory.take_turn(trio.current_time()):
                self._directory.load(await self._board.status())
        if not self._directory.is_loaded:
            raise NotReady(str(self._board.problem or "the board has not listed its keys yet"))


def _answer_failure(error: HostError) -> HttpResponse:
    if isinstance(error, Refused):
        return answer_refusal(error.code, error.message)
    if isinstance(error, WitnessRefusal):
        return answer_error(409, str(error))
    away = isinstance(error, DeviceUnavailable | SeveralDevices)
    return answer_error(503 if away else 500, str(error))


def _is_address(text: str) -> bool:
    try:
        address_type(text)
    except BadEncoding:
        return False
    return True
