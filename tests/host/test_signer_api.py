"""The HTTP protocol as values: every path, parameter, body form and status."""

import json

import pytest

from broker.messages import ErrorCode
from host.signer_api import (
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
    parse_request,
)
from tezos.errors import BadEncoding
from tezos.keys import KeyType

TZ4 = "tz4AQcKaQU1sUzsmPTX43qnK4ddkCeeknJnf"
TZ1 = "tz1hZvgjekGo7DmQjWh7XnY5eLQD8wNYPczE"
BLPK = "BLpk1wMU34nS7N96D2owyejLxQtwZwLARLg6tdTFMP5N8fz6yCiLogfFXkYo9ZHnZ95Kba3D3cvt"
BLPK_BYTES = bytes.fromhex(
    "ac9dd48ec134a82e3e2547b10df97735b3de5c3c9eb4b5252c27ec894c10413f962b4579eb6d47c13b3d8d8ba5f7001c"
)


def get(path: str, *query: tuple[str, str]) -> HttpRequest:
    return HttpRequest(method="GET", path=path, query=query)


def post(body: bytes, *query: tuple[str, str], address: str = TZ4) -> HttpRequest:
    return HttpRequest(method="POST", path=f"/keys/{address}", query=query, body=body)


def refused(request: HttpRequest) -> HttpResponse:
    response = parse_request(request)
    assert isinstance(response, HttpResponse)
    return response


def message(response: HttpResponse) -> str:
    (error,) = json.loads(response.body)
    assert set(error) == {"kind", "id", "msg"}
    assert (error["kind"], error["id"]) == ("temporary", "failure")
    assert isinstance(error["msg"], str)
    return error["msg"]


def test_each_path_is_its_action() -> None:
    assert parse_request(get("/authorized_keys")) == ListAuthorizedKeys()
    assert parse_request(get("/known_keys")) == ListKnownKeys()
    assert parse_request(get(f"/keys/{TZ4}")) == ShowPublicKey(address=TZ4)
    proof = ProvePossession(address=TZ4, over=None, authentication=None)
    assert parse_request(get(f"/bls_prove_possession/{TZ4}")) == proof


def test_head_is_as_get() -> None:
    request = HttpRequest(method="HEAD", path="/authorized_keys")
    assert parse_request(request) == ListAuthorizedKeys()


def test_slashes_too_many_do_no_harm() -> None:
    assert parse_request(get(f"//keys/{TZ4}/")) == ShowPublicKey(address=TZ4)


@pytest.mark.parametrize(
    "path", ["/", "", "/keys", "/keys/a/b", "/Keys/x", "/metrics", "*", "/bls_prove_possession"]
)
def test_an_unknown_path_is_404_with_an_empty_body(path: str) -> None:
    assert refused(get(path)) == HttpResponse(status=404, body=b"")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/authorized_keys", "GET, HEAD"),
        ("DELETE", f"/keys/{TZ4}", "GET, POST, HEAD"),
        ("PUT", f"/bls_prove_possession/{TZ4}", "GET, HEAD"),
        ("OPTIONS", "/known_keys", "GET, HEAD"),
    ],
)
def test_another_method_is_405_and_names_the_right_ones(method: str, path: str, allow: str) -> None:
    response = refused(HttpRequest(method=method, path=path))
    assert response.status == 405
    assert response.allow == allow
    assert allow in message(response)


@pytest.mark.parametrize("body", [b'"12ab"', b'"12ab"\n', b' \t\r\n"12ab"\r\n '])
def test_a_hex_string_is_the_payload(body: bytes) -> None:
    expected = Sign(address=TZ4, payload=b"\x12\xab", authentication=None)
    assert parse_request(post(body)) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'""',
        b"12ab",
        b'"12aB"',
        b'"123"',
        b'"0x12"',
        b'"12 ab"',
        b'"12ab',
        b"'12ab'",
        b'["12ab"]',
        b'"12ab""12ab"',
        b'"12ab"x',
        b'{"data":"12ab"}',
        b'"\\u0031\\u0032"',
        '"\uff11\uff12"'.encode(),
        b"\xff\xfe",
        b"null",
        b'"12ab"\x00',
    ],
)
def test_any_other_body_is_400(body: bytes) -> None:
    response = refused(post(body))
    assert response.status == 400
    assert "hexadecimal" in message(response)


@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("address", [TZ1, TZ4])
def test_versions_2_and_3_sign(version: str, address: str) -> None:
    assert isinstance(parse_request(post(b'"12"', ("version", version), address=address)), Sign)


def test_version_0_signs_unless_the_key_is_tz4() -> None:
    assert isinstance(parse_request(post(b'"12"', ("version", "0"), address=TZ1)), Sign)
    assert refused(post(b'"12"', ("version", "0"))).status == 400


@pytest.mark.parametrize("version", ["1", "4", "", "02", "3 ", "-1", "two", "٣"])
def test_any_other_version_is_400(version: str) -> None:
    for address in (TZ1, TZ4):
        assert refused(post(b'"12"', ("version", version), address=address)).status == 400


def test_a_parameter_given_twice_is_400() -> None:
    twice = [("version", "2"), ("version", "3")]
    assert refused(post(b'"12"', *twice)).status == 400


def test_unknown_parameters_are_ignored() -> None:
    query = [("version", "3"), ("a", "b"), ("a", "c"), ("bls_pk", "x")]
    assert isinstance(parse_request(post(b'"12"', *query)), Sign)


def test_authentication_is_handed_on() -> None:
    action = parse_request(post(b'"12"', ("authentication", "edsig")))
    assert action == Sign(address=TZ4, payload=b"\x12", authentication="edsig")


def test_bls_pk_is_decoded() -> None:
    action = parse_request(get(f"/bls_prove_possession/{TZ4}", ("bls_pk", BLPK)))
    assert action == ProvePossession(address=TZ4, over=BLPK_BYTES, authentication=None)


@pytest.mark.parametrize("text", ["", "BLpk", BLPK[:-1], BLPK[:-1] + "x", TZ4, BLPK + " "])
def test_a_bls_pk_that_is_none_is_400(text: str) -> None:
    assert refused(get(f"/bls_prove_possession/{TZ4}", ("bls_pk", text))).status == 400


@pytest.mark.parametrize("path", ["/authorized_keys", f"/keys/{TZ4}", "/nowhere"])
def test_what_a_web_page_caused_is_403(path: str) -> None:
    response = refused(HttpRequest(method="GET", path=path, from_browser=True))
    assert response.status == 403
    assert message(response)


def test_nobody_to_authenticate_is_not_an_empty_list() -> None:
    assert answer_authorized_keys(None).body == b"{}"
    assert answer_authorized_keys([]).body == b'{"authorized_keys":[]}'
    assert answer_authorized_keys([TZ1]).body == b'{"authorized_keys":["%s"]}' % TZ1.encode()


def test_answers_have_no_field_more() -> None:
    assert json.loads(answer_known_keys([TZ4]).body) == {"known_keys": [TZ4]}
    assert json.loads(answer_public_key(BLPK).body) == {"public_key": BLPK}
    proof = json.loads(answer_proof(bytes(96)).body)
    assert list(proof) == ["bls_prove_possession"]
    assert answer_proof(proof["bls_prove_possession"]) == answer_proof(bytes(96))


@pytest.mark.parametrize(
    ("key_type", "size", "prefix"),
    [
        (KeyType.TZ1, 64, "edsig"),
        (KeyType.TZ2, 64, "spsig1"),
        (KeyType.TZ3, 64, "p2sig"),
        (KeyType.TZ4, 96, "BLsig"),
    ],
)
def test_a_signature_is_written_as_its_key_type_has_it(
    key_type: KeyType, size: int, prefix: str
) -> None:
    answer = json.loads(answer_signature(key_type, bytes(size)).body)
    assert list(answer) == ["signature"]
    assert answer["signature"].startswith(prefix)
    with pytest.raises(BadEncoding):
        answer_signature(key_type, bytes(size - 1))


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.BAD_PAYLOAD, 400),
        (ErrorCode.KEY_LOCKED, 403),
        (ErrorCode.STALE_WATERMARK, 409),
        (ErrorCode.LEVEL_JUMP, 409),
        (ErrorCode.WRONG_CHAIN, 409),
        (ErrorCode.KEY_RETIRED, 409),
        (ErrorCode.BUSY, 503),
        (ErrorCode.WATERMARK_UNUSABLE, 500),
        (ErrorCode.SIGN_FAILED, 500),
        (ErrorCode.KEYSTORE_UNUSABLE, 500),
        (ErrorCode.WRONG_INTERFACE, 500),
        (12345, 500),
    ],
)
def test_each_refusal_of_the_board_has_its_status(code: int, status: int) -> None:
    response = answer_refusal(code, "why")
    assert response.status == status
    assert message(response) == "why"


def test_a_key_that_the_board_does_not_know_is_404_with_an_empty_body() -> None:
    assert answer_refusal(ErrorCode.KEY_NOT_FOUND, "why") == HttpResponse(status=404)


def test_502_can_not_be_made() -> None:
    with pytest.raises(ValueError, match="502"):
        HttpResponse(status=502)


def test_a_message_is_ascii_json_whatever_is_in_it() -> None:
    assert message(answer_error(500, 'é"\n\ud800')) == 'é"\n\ud800'
    assert answer_error(500, "é").body.isascii()
