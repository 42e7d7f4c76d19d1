"""The HTTP remote-signer protocol as values: a request becomes an action, a result becomes a
response. Pure.

Owns paths, parameters, bodies, statuses and the JSON that octez reads. Never talks to a device and
never looks into a payload: the board decides what is signed. Called by `remote_signer`.
Source: octez `src/lib_signer_services/signer_services.ml`; docs/tezos.md section 3.

Answers carry no field beside the documented ones: octez fails on any other. Errors are traces that
octez prints; an unknown key or path is 404 with an empty body. 502 is never sent: octez asks again
ten times.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from broker.messages import ErrorCode
from tezos import base58
from tezos.base58 import Prefix
from tezos.errors import BadEncoding
from tezos.keys import KeyType

__all__ = [
    "Action",
    "HttpRequest",
    "HttpResponse",
    "ListAuthorizedKeys",
    "ListKnownKeys",
    "ProvePossession",
    "ShowPublicKey",
    "Sign",
    "answer_authorized_keys",
    "answer_error",
    "answer_known_keys",
    "answer_proof",
    "answer_public_key",
    "answer_refusal",
    "answer_signature",
    "not_found",
    "parse_request",
]

_BODY: Final = re.compile(rb'[ \t\r\n]*"((?:[0-9a-f]{2})+)"[ \t\r\n]*\Z')
_SIGNATURE_PREFIX: Final = {
    KeyType.TZ1: Prefix.EDSIG,
    KeyType.TZ2: Prefix.SPSIG,
    KeyType.TZ3: Prefix.P2SIG,
    KeyType.TZ4: Prefix.BLSIG,
}
_VERSIONS: Final = frozenset({"0", "2", "3"})

# Refused by the rules that protect from double signing: 409, whatever the rule. A person reads
# which one. A mark that can't be read or stored is no refusal by rule but damage: 500, as
# everything not listed here.
_STATUS_OF_CODE: Final = {
    ErrorCode.BAD_PAYLOAD: 400,
    ErrorCode.KEY_LOCKED: 403,
    ErrorCode.KEY_NOT_FOUND: 404,
    ErrorCode.STALE_WATERMARK: 409,
    ErrorCode.WRONG_CHAIN: 409,
    ErrorCode.LEVEL_JUMP: 409,
    ErrorCode.KEY_RETIRED: 409,
    ErrorCode.BUSY: 503,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """`path` and `query` are percent-decoded. `from_browser`: some web page caused it (Origin, Sec-
    Fetch-Site).
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    from_browser: bool = False
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """`body` is JSON if not said otherwise, or empty. `reason`: for the log. `allow`: the path's
    methods, with 405.
    """

    status: int
    body: bytes = b""
    reason: str | None = None
    allow: str | None = None
    media_type: str = "application/json"

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599 or self.status == 502:
            raise ValueError(f"status {self.status} is never sent")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAuthorizedKeys:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ListKnownKeys:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowPublicKey:
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """`payload`: at least 1 byte. `authentication`: a signature as base58check text, not looked at
    yet.
    """

    address: str
    payload: bytes
    authentication: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvePossession:
    """`over`: the 48 bytes of the key given as bls_pk; None = the key's own."""

    address: str
    over: bytes | None
    authentication: str | None


Action = ListAuthorizedKeys | ListKnownKeys | ShowPublicKey | Sign | ProvePossession


class _Refused(Exception):
    """Leaves the parsing of one request with the response that ends it."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__()
        self.response = response


def parse_request(request: HttpRequest) -> Action | HttpResponse:
    """Returns what to do, or the response where nothing is to be done.

    HEAD is answered as GET (the server leaves the body out). Parameters that we don't know are
    ignored.
    """
    if request.from_browser:
        return answer_error(403, "requests from web pages are not served")
    route = _find_route(tuple(part for part in request.path.split("/") if part))
    if route is None:
        return not_found()
    methods, address = route
    parse = methods.get("GET" if request.method == "HEAD" else request.method)
    if parse is None:
        return _not_allowed(methods)
    try:
        return parse(request, address)
    except _Refused as refused:
        return refused.response


def answer_authorized_keys(addresses: Sequence[str] | None) -> HttpResponse:
    """Args: addresses: who must sign requests; None = nobody has to (an empty list is not the
    same).
    """
    value: Mapping[str, list[str]] = (
        {} if addresses is None else {"authorized_keys": list(addresses)}
    )
    return _answer(value)


def answer_known_keys(addresses: Sequence[str]) -> HttpResponse:
    return _answer({"known_keys": list(addresses)})


def answer_public_key(public_key: str) -> HttpResponse:
    return _answer({"public_key": public_key})


def answer_signature(key_type: KeyType, signature: bytes) -> HttpResponse:
    """Args: signature: raw, 96 bytes, or 64 (tz1-tz3). Raises: BadEncoding: another size."""
    return _answer({"signature": base58.encode(_SIGNATURE_PREFIX[key_type], signature)})


def answer_proof(proof: bytes | str) -> HttpResponse:
    """Args: proof: raw, 96 bytes, or BLsig…. Raises: BadEncoding: another size."""
    text = proof if isinstance(proof, str) else base58.encode(Prefix.BLSIG, proof)
    return _answer({"bls_prove_possession": text})


def answer_error(status: int, message: str) -> HttpResponse:
    """A trace of one error, as octez prints it. `message` is shown to anyone who can connect."""
    trace = [{"kind": "temporary", "id": "failure", "msg": message}]
    return HttpResponse(status=status, body=_encode(trace), reason=message)


def answer_refusal(code: int, message: str) -> HttpResponse:
    """The board's own refusal; `code` is an ErrorCode, or a newer board's."""
    try:
        status = _STATUS_OF_CODE.get(ErrorCode(code), 500)
    except ValueError:
        status = 500
    return not_found() if status == 404 else answer_error(status, message)


def not_found() -> HttpResponse:
    return HttpResponse(status=404)


_Parse = Callable[[HttpRequest, str], Action]


def _find_route(parts: tuple[str, ...]) -> tuple[dict[str, _Parse], str] | None:
    """Returns the path's methods and its address ("" where it has none)."""
    match parts:
        case ("authorized_keys",):
            return {"GET": lambda _request, _address: ListAuthorizedKeys()}, ""
        case ("known_keys",):
            return {"GET": lambda _request, _address: ListKnownKeys()}, ""
        case ("keys", address):
            return {"GET": _parse_show, "POST": _parse_sign}, address
        case ("bls_prove_possession", address):
            return {"GET": _parse_proof}, address
    return None


def _parse_show(_request: HttpRequest, address: str) -> Action:
    return ShowPublicKey(address=address)


def _parse_sign(request: HttpRequest, address: str) -> Action:
    _check_version(_parameter(request, "version"), address)
    body = _BODY.match(request.body)
    if body is None:
        raise _bad("expected a JSON string of lowercase hexadecimal digits, at least two")
    return Sign(
        address=address,
        payload=bytes.fromhex(body[1].decode("ascii")),
        authentication=_parameter(request, "authentication"),
    )


def _parse_proof(request: HttpRequest, address: str) -> Action:
    text = _parameter(request, "bls_pk")
    try:
        over = None if text is None else base58.decode(Prefix.BLPK, text)
    except BadEncoding as error:
        raise _bad("bls_pk: expected a public key BLpk…") from error
    return ProvePossession(
        address=address, over=over, authentication=_parameter(request, "authentication")
    )


def _check_version(version: str | None, address: str) -> None:
    """Version 1 is a signature scheme with the public key prepended; 0 is older than tz4."""
    if version is None:
        return
    if version == "1":
        raise _bad("signature version 1 is not supported: use an octez of version 23 or newer")
    if version not in _VERSIONS:
        raise _bad("version: expected 0, 2 or 3")
    if version == "0" and address.startswith(KeyType.TZ4):
        raise _bad("signature version 0 does not exist for a tz4 key")


def _parameter(request: HttpRequest, name: str) -> str | None:
    values = [value for key, value in request.query if key == name]
    if len(values) > 1:
        raise _bad(f"{name} is given more than once")
    return values[0] if values else None


def _bad(message: str) -> _Refused:
    return _Refused(answer_error(400, message))


def _not_allowed(methods: dict[str, _Parse]) -> HttpResponse:
    allow = ", ".join([*methods, "HEAD"])
    return replace(answer_error(405, f"this path allows {allow}"), allow=allow)


def _answer(value: Mapping[str, str | list[str]]) -> HttpResponse:
    return HttpResponse(status=200, body=_encode(value))


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")
