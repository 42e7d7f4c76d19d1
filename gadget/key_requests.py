"""The requests that make and change keys: from message to keychain call to response.

Owns nothing but the translation; passphrases go into a `Secret` and are wiped. Refusals and
failures leave as KeychainError or as `Error`. Called by `gadget.rpc`.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from broker.messages import (
    DeleteRequest,
    DeleteResponse,
    Error,
    ErrorCode,
    ExportKeyRequest,
    ExportKeyResponse,
    ExportMarksRequest,
    ExportMarksResponse,
    ImportKeyRequest,
    ImportKeyResponse,
    ImportMarksRequest,
    ImportMarksResponse,
    InitRequest,
    InitResponse,
    LockRequest,
    LockResponse,
    NewRequest,
    NewResponse,
    PasswdRequest,
    PasswdResponse,
    Request,
    Response,
    RetireRequest,
    RetireResponse,
    SetChainRequest,
    SetChainResponse,
    SetLevelRequest,
    SetLevelResponse,
    UnlockRequest,
    UnlockResponse,
)
from gadget.keychain.errors import ChangeRefused
from gadget.keychain.keyring import Keyring
from gadget.keychain.secret import Secret
from gadget.mark_entries import from_entries, to_entries
from tezos.errors import BadEncoding
from tezos.keys import KeyType, parse_chain_id

__all__ = ["Route", "key_routes"]

# Any: each route takes its own request class, which a dict's type cannot say.
Route = Callable[[Any], Awaitable[Response]]


def key_routes(keyring: Keyring) -> dict[type[Request], Route]:
    requests = _KeyRequests(keyring)
    return {
        InitRequest: requests.init,
        NewRequest: requests.new,
        UnlockRequest: requests.unlock,
        LockRequest: requests.lock,
        DeleteRequest: requests.delete,
        PasswdRequest: requests.passwd,
        SetLevelRequest: requests.set_level,
        SetChainRequest: requests.set_chain,
        RetireRequest: requests.retire,
        ExportMarksRequest: requests.export_marks,
        ImportMarksRequest: requests.import_marks,
        ExportKeyRequest: requests.export_key,
        ImportKeyRequest: requests.import_key,
    }


class _KeyRequests:
    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def init(self, request: InitRequest) -> InitResponse:
        with Secret(request.passphrase) as passphrase:
            await self._keyring.init(passphrase, request.deterministic)
        return InitResponse()

    async def new(self, request: NewRequest) -> Response:
        try:
            key_type = KeyType(request.type)
            chain_id = None if request.chain_id is None else parse_chain_id(request.chain_id)
        except (ValueError, BadEncoding):
            return Error(code=ErrorCode.NEW_REFUSED, message="unknown key type or chain id")
        with Secret(request.passphrase) as passphrase:
            key = await self._keyring.new(
                passphrase, request.id, key_type, chain_id, exportable=request.exportable
            )
        return NewResponse(key=key)

    async def unlock(self, request: UnlockRequest) -> UnlockResponse:
        with Secret(request.passphrase) as passphrase:
            return UnlockResponse(outcomes=await self._keyring.unlock(passphrase, request.ids))

    async def lock(self, request: LockRequest) -> LockResponse:
        return LockResponse(outcomes=await self._keyring.lock(request.ids))

    async def delete(self, request: DeleteRequest) -> DeleteResponse:
        with Secret(request.passphrase) as passphrase:
            await self._keyring.delete(passphrase, request.id)
        return DeleteResponse()

    async def passwd(self, request: PasswdRequest) -> PasswdResponse:
        with Secret(request.passphrase) as old, Secret(request.new_passphrase) as new:
            await self._keyring.passwd(old, new)
        return PasswdResponse()

    async def set_level(self, request: SetLevelRequest) -> SetLevelResponse:
        chain_id = None if request.chain_id is None else _parse_chain(request.chain_id)
        with Secret(request.passphrase) as passphrase:
            key = await self._keyring.failover.set_level(
                passphrase, request.id, chain_id, request.level
            )
        return SetLevelResponse(key=key)

    async def set_chain(self, request: SetChainRequest) -> SetChainResponse:
        chain_id = _parse_chain(request.chain_id)
        with Secret(request.passphrase) as passphrase:
            key = await self._keyring.failover.set_chain(passphrase, request.id, chain_id)
        return SetChainResponse(key=key)

    async def retire(self, request: RetireRequest) -> RetireResponse:
        with Secret(request.passphrase) as passphrase:
            key = await self._keyring.failover.retire(passphrase, request.id, request.last_level)
        return RetireResponse(key=key)

    async def export_marks(self, request: ExportMarksRequest) -> ExportMarksResponse:
        key, marks = self._keyring.failover.export_marks(request.id)
        chain_id = key.entry.chain_id or marks.bound_chain
        return ExportMarksResponse(marks=to_entries(request.id, key.address, marks, chain_id))

    async def import_marks(self, request: ImportMarksRequest) -> ImportMarksResponse:
        try:
            marks_of = [(key.id, key.pkh, from_entries(key)) for key in request.keys]
        except BadEncoding as error:
            raise ChangeRefused("unknown chain id") from error
        with Secret(request.passphrase) as passphrase:
            outcomes = await self._keyring.failover.import_marks(passphrase, marks_of)
        return ImportMarksResponse(outcomes=outcomes)

    async def export_key(self, request: ExportKeyRequest) -> ExportKeyResponse:
        with Secret(request.passphrase) as own, Secret(request.file_passphrase) as of_file:
            pkh, sealed = await self._keyring.transfer.export_key(own, request.id, of_file)
        return ExportKeyResponse(pkh=pkh, sealed=sealed)

    async def import_key(self, request: ImportKeyRequest) -> ImportKeyResponse:
        with Secret(request.passphrase) as own, Secret(request.file_passphrase) as of_file:
            key = await self._keyring.transfer.import_key(
                own, request.sealed, of_file, key_id=request.id
            )
        return ImportKeyResponse(key=key)


def _parse_chain(text: str) -> bytes:
    try:
        return parse_chain_id(text)
    except BadEncoding as error:
        raise ChangeRefused("unknown chain id") from error
