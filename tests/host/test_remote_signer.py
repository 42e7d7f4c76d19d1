"""What the signer answers, whatever the board does."""

import json

import pytest
import trio
import trio.testing

from broker.messages import ErrorCode
from host.authentication import Authenticator, RequestTag, encode_signed_bytes
from host.errors import (
    BadAnswer,
    DeviceBusy,
    DeviceGone,
    HostError,
    NoDevice,
    Refused,
    SeveralDevices,
)
from host.key_directory import REFRESH_S, KeyDirectory
from host.remote_signer import ANSWER_S, RemoteSigner
from host.signer_api import HttpRequest, HttpResponse
from tests.host.fake_board import FakeBoard, make_signer
from tezos.keys import KeyType, PublicKey
from tezos.verify import decode_signature, encode_signature, verify, verify_possession

PAYLOAD = b"\x13payload"


@pytest.fixture
def board() -> FakeBoard:
    return FakeBoard(KeyType.TZ4, KeyType.TZ1)


def sign_request(address: str, authentication: str | None = None) -> HttpRequest:
    query = [("version", "3")]
    if authentication is not None:
        query.append(("authentication", authentication))
    body = f'"{PAYLOAD.hex()}"\n'.encode()
    return HttpRequest(method="POST", path=f"/keys/{address}", query=tuple(query), body=body)


def get(path: str, *query: tuple[str, str]) -> HttpRequest:
    return HttpRequest(method="GET", path=path, query=query)


def value(response: HttpResponse, name: str) -> str:
    assert response.status == 200, response
    answer: dict[str, str] = json.loads(response.body)
    assert list(answer) == [name]
    return answer[name]


@pytest.mark.parametrize("key_type", list(KeyType))
async def test_a_key_of_each_type_signs(key_type: KeyType) -> None:
    board = FakeBoard(key_type)
    (key,) = board.keys
    signer = RemoteSigner(board, KeyDirectory())
    text = value(await signer.answer(sign_request(key.address)), "signature")
    signature = decode_signature(text)
    assert signature.type is key_type
    assert verify(key, signature.data, PAYLOAD)
    shown = await signer.answer(get(f"/keys/{key.address}"))
    assert value(shown, "public_key") == key.base58


async def test_known_keys_are_the_served_ones(board: FakeBoard) -> None:
    signer = RemoteSigner(board, KeyDirectory(("key1",)))
    response = await signer.answer(get("/known_keys"))
    assert json.loads(response.body) == {"known_keys": [board.keys[1].address]}


async def test_a_key_that_is_not_served_does_not_sign(board: FakeBoard) -> None:
    signer = RemoteSigner(board, KeyDirectory(("key1",)))
    response = await signer.answer(sign_request(board.keys[0].address))
    assert response == HttpResponse(status=404)
    assert "sign" not in board.asked


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Refused(ErrorCode.KEY_LOCKED, "locked"), 403),
        (Refused(ErrorCode.STALE_WATERMARK, "stale"), 409),
        (Refused(ErrorCode.BAD_PAYLOAD, "bad"), 400),
        (Refused(ErrorCode.BUSY, "busy"), 503),
        (DeviceGone("gone"), 503),
        (NoDevice("none"), 503),
        (DeviceBusy("busy"), 503),
        (SeveralDevices("two"), 503),
        (BadAnswer("junk"), 500),
    ],
)
async def test_each_failure_of_the_board_has_its_status(
    board: FakeBoard, failure: HostError, status: int
) -> None:
    signer = RemoteSigner(board, KeyDirectory())
    await signer.answer(get("/known_keys"))
    board.failure = failure
    response = await signer.answer(sign_request(board.keys[0].address))
    assert response.status == status
    assert json.loads(response.body)[0]["id"] == "failure"


async def test_a_board_that_vanishes_in_mid_request_is_503(board: FakeBoard) -> None:
    signer = RemoteSigner(board, KeyDirectory())
    await signer.answer(get("/known_keys"))

    async def vanish() -> None:
        await trio.lowlevel.checkpoint()
        raise DeviceGone("the board left")

    board.before = vanish
    assert (await signer.answer(sign_request(board.keys[0].address))).status == 503
    board.before = trio.lowlevel.checkpoint
    assert (await signer.answer(sign_request(board.keys[0].address))).status == 200


async def test_no_answer_in_time_is_504(
    board: FakeBoard, autojump_clock: trio.testing.MockClock
) -> None:
    signer = RemoteSigner(board, KeyDirectory())
    await signer.answer(get("/known_keys"))
    board.before = trio.sleep_forever
    started_s = trio.current_time()
    response = await signer.answer(sign_request(board.keys[0].address))
    assert response.status == 504
    assert trio.current_time() - started_s == pytest.approx(ANSWER_S)


async def test_no_answer_from_a_board_that_is_away_is_503(
    board: FakeBoard, autojump_clock: trio.testing.MockClock
) -> None:
    board.before = trio.sleep_forever
    board.problem = NoDevice("no board is attached")
    signer = RemoteSigner(board, KeyDirectory())
    response = await signer.answer(sign_request(board.keys[0].address))
    assert response.status == 503
    assert b"no board is attached" in response.body


async def test_before_the_first_list_every_key_is_503_and_not_404(board: FakeBoard) -> None:
    board.failure = board.problem = NoDevice("no board is attached")
    signer = RemoteSigner(board, KeyDirectory())
    for request in [sign_request(board.keys[0].address), get("/known_keys")] * 3:
        response = await signer.answer(request)
        assert response.status == 503
        assert b"no board is attached" in response.body
    assert board.asked == ["status"]


async def test_known_keys_are_told_while_the_board_is_away(
    board: FakeBoard, autojump_clock: trio.testing.MockClock
) -> None:
    signer = RemoteSigner(board, KeyDirectory())
    before = await signer.answer(get("/known_keys"))
    board.failure = DeviceGone("gone")
    await trio.sleep(REFRESH_S)
    assert await signer.answer(get("/known_keys")) == before


async def test_an_unknown_key_asks_the_board_again_but_not_each_time(
    board: FakeBoard, autojump_clock: trio.testing.MockClock
) -> None:
    signer = RemoteSigner(board, KeyDirectory())
    new = make_signer(KeyType.TZ4, 9)
    request = sign_request(new.public_key.address)
    for _ in range(10):
        assert (await signer.answer(request)).status == 404
    assert board.asked == ["status"]
    board.signers["new"] = new
    await trio.sleep(REFRESH_S)
    assert (await signer.answer(request)).status == 200


async def test_many_requests_at_once_ask_for_the_keys_once(board: FakeBoard) -> None:
    signer = RemoteSigner(board, KeyDirectory())
    statuses = []

    async def ask() -> None:
        statuses.append((await signer.answer(sign_request(board.keys[0].address))).status)

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
    assert statuses == [200] * 5
    assert board.asked.count("status") == 1


async def test_what_is_no_address_is_404_without_asking_the_board(board: FakeBoard) -> None:
    signer = RemoteSigner(board, KeyDirectory())
    wrong_checksum = board.keys[0].address[:-1] + "x"
    for address in ("junk", "tz4", wrong_checksum):
        assert await signer.answer(sign_request(address)) == HttpResponse(status=404)
    assert board.asked == []


async def test_the_own_proof_needs_no_call(board: FakeBoard) -> None:
    key = board.keys[0]
    signer = RemoteSigner(board, KeyDirectory())
    path = f"/bls_prove_possession/{key.address}"
    for query in ([], [("bls_pk", key.base58)]):
        text = value(await signer.answer(get(path, *query)), "bls_prove_possession")
        assert verify_possession(key, decode_signature(text).data)
    assert board.asked == ["status"]


async def test_a_proof_over_another_key_is_made_by_the_board(board: FakeBoard) -> None:
    key = board.keys[0]
    other = make_signer(KeyType.TZ4, 9).public_key
    signer = RemoteSigner(board, KeyDirectory())
    request = get(f"/bls_prove_possession/{key.address}", ("bls_pk", other.base58))
    text = value(await signer.answer(request), "bls_prove_possession")
    assert verify_possession(key, decode_signature(text).data, other)


async def test_only_a_tz4_key_proves_its_possession(board: FakeBoard) -> None:
    signer = RemoteSigner(board, KeyDirectory())
    response = await signer.answer(get(f"/bls_prove_possession/{board.keys[1].address}"))
    assert response.status == 400


class TestAuthentication:
    """Where clients are named, only they get signatures; public things stay public."""

    CLIENT = make_signer(KeyType.TZ1, 7)

    def open(self, board: FakeBoard) -> RemoteSigner:
        named = Authenticator([self.CLIENT.public_key.base58])
        return RemoteSigner(board, KeyDirectory(), named)

    def authenticate(self, request: RequestTag, asked: PublicKey, data: bytes) -> str:
        signed = encode_signed_bytes(request, asked.address, data)
        return encode_signature(KeyType.TZ1, self.CLIENT.sign(signed))

    async def test_who_is_named_is_told(self, board: FakeBoard) -> None:
        response = await self.open(board).answer(get("/authorized_keys"))
        assert json.loads(response.body) == {"authorized_keys": [self.CLIENT.public_key.address]}

    async def test_without_names_the_object_is_empty(self, board: FakeBoard) -> None:
        response = await RemoteSigner(board, KeyDirectory()).answer(get("/authorized_keys"))
        assert response.body == b"{}"

    async def test_a_named_client_gets_its_signature(self, board: FakeBoard) -> None:
        key = board.keys[0]
        text = self.authenticate(RequestTag.SIGN, key, PAYLOAD)
        response = await self.open(board).answer(sign_request(key.address, text))
        assert value(response, "signature")

    async def test_nobody_else_does(self, board: FakeBoard) -> None:
        key, other = board.keys
        signer = self.open(board)
        for_other = self.authenticate(RequestTag.SIGN, other, PAYLOAD)
        for_more = self.authenticate(RequestTag.SIGN, key, PAYLOAD + b"x")
        cases = [(None, 401), (for_other, 403), (for_more, 403), ("junk", 400), ("", 400)]
        for text, status in cases:
            assert (await signer.answer(sign_request(key.address, text))).status == status
        assert "sign" not in board.asked

    async def test_public_keys_and_the_own_proof_are_for_all(self, board: FakeBoard) -> None:
        signer = self.open(board)
        address = board.keys[0].address
        for path in ("/known_keys", f"/keys/{address}", f"/bls_prove_possession/{address}"):
            assert (await signer.answer(get(path))).status == 200

    async def test_a_proof_over_another_key_is_for_named_clients(self, board: FakeBoard) -> None:
        key, other = board.keys[0], make_signer(KeyType.TZ4, 9).public_key
        signer = self.open(board)
        path, over = f"/bls_prove_possession/{key.address}", ("bls_pk", other.base58)
        assert (await signer.answer(get(path, over))).status == 401
        text = self.authenticate(RequestTag.PROVE_POSSESSION, key, other.data)
        assert (await signer.answer(get(path, over, ("authentication", text)))).status == 200
