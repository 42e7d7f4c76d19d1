"""A request to the HTTP signer, as starlette hands it on: an action, or a refusal in JSON.

The input is three lines, method, path with its query, and body; the last may hold more lines.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Final
from urllib.parse import unquote

from starlette.requests import Request

from host.signer_api import HttpRequest, HttpResponse, ProvePossession, Sign, parse_request
from tests.payloads import attestation
from tezos.errors import BadEncoding
from tezos.keys import address_type
from tezos.verify import decode_signature

__all__ = ["one_input", "seeds"]

_REFUSALS: Final = {400, 403, 404, 405}
_TZ4: Final = b"tz4AQcKaQU1sUzsmPTX43qnK4ddkCeeknJnf"
_BLPK: Final = b"BLpk1wMU34nS7N96D2owyejLxQtwZwLARLg6tdTFMP5N8fz6yCiLogfFXkYo9ZHnZ95Kba3D3cvt"


def one_input(data: bytes) -> None:
    method, _, rest = data.partition(b"\n")
    target, _, body = rest.partition(b"\n")
    path, _, query = target.partition(b"?")
    request = HttpRequest(
        method=method.decode("latin-1"),
        path=unquote(path.decode("latin-1")),
        query=tuple(Request({"type": "http", "query_string": query}).query_params.multi_items()),
        body=body,
    )
    answer = parse_request(request)
    if isinstance(answer, HttpResponse):
        assert answer.status in _REFUSALS
        assert not answer.body or json.loads(answer.body)[0]["kind"] == "temporary"
    elif isinstance(answer, Sign):
        assert answer.payload
        assert body.strip(b" \t\r\n") == b'"%b"' % answer.payload.hex().encode()
        _check_texts(answer.address, answer.authentication)
    elif isinstance(answer, ProvePossession):
        assert answer.over is None or len(answer.over) == 48
        _check_texts(answer.address, answer.authentication)


def _check_texts(address: str, authentication: str | None) -> None:
    with suppress(BadEncoding):
        address_type(address)
    with suppress(BadEncoding):
        decode_signature(authentication or "")


def seeds() -> Iterator[bytes]:
    payload = attestation("tz4", 7, 1).hex().encode()
    yield b"GET\n/authorized_keys\n"
    yield b"HEAD\n/known_keys\n"
    yield b"GET\n/keys/%b\n" % _TZ4
    yield b'POST\n/keys/%b?version=2&authentication=BLsigA%%20\n"%b"\n' % (_TZ4, payload)
    yield b'POST\n//keys/%b/?version=1\n"%b"' % (_TZ4, payload)
    yield b'POST\n/keys/%%ff%%2f%b?version=2&version=3\n"0G"' % _TZ4
    yield b"GET\n/bls_prove_possession/%b?bls_pk=%b\n" % (_TZ4, _BLPK)
    yield b"DELETE\n/keys/%b\n" % _TZ4
