"""Each typed call: what it sends, what it returns, which error means what."""

from collections.abc import Awaitable, Callable

import pytest

from broker.codec import decode_request, encode_response
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
    Response,
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
from host.client import Client
from host.errors import BadAnswer, ExitStatus, Refused, UsageError

Call = Callable[[Client], Awaitable[object]]

KEY = KeyStatus(
    id="baker",
    type="tz4",
    pkh="tz4address",
    public_key="BLpkkey",
    proof_of_possession=None,
    lock_state="locked",
    chain_id=None,
    marks=None,
    last_level=None,
)
VERSION = VersionResponse(version="0.1.0", protocol=1, image_version="", image_date="")
INFO = InitInfoResponse(initialised=True, deterministic=False)
OUTCOMES = (KeyOutcome(id="baker", code=0, message=""),)
PASS = b"passphrase"
MARKS = KeyMarks(id="baker", pkh="tz4address", chains=())


class Wire:
    """Answers every request with `response` and remembers it."""

    def __init__(self, response: Response | bytes) -> None:
        self.response = response if isinstance(response, bytes) else encode_response(response)
        self.request: Request | None = None
        self.was_repeatable = False

    async def call(self, payload: bytes, *, repeatable: bool) -> bytes:
        self.request = decode_request(payload)
        self.was_repeatable = repeatable
        return self.response


@pytest.mark.parametrize(
    ("call", "request_sent", "response", "result", "repeatable"),
    [
        (
            lambda c: c.sign("tz4a", b"payload"),
            SignRequest(pkh="tz4a", message=b"payload"),
            SignResponse(signature=bytes(96)),
            bytes(96),
            True,
        ),
        (
            lambda c: c.prove_possession("tz4a", bytes(48)),
            ProvePossessionRequest(pkh="tz4a", public_key=bytes(48)),
            ProvePossessionResponse(proof=bytes(96)),
            bytes(96),
            True,
        ),
        (
            lambda c: c.prove_possession("tz4a"),
            ProvePossessionRequest(pkh="tz4a", public_key=None),
            ProvePossessionResponse(proof=bytes(96)),
            bytes(96),
            True,
        ),
        (lambda c: c.status(), StatusRequest(), StatusResponse(keys=(KEY,)), (KEY,), True),
        (lambda c: c.version(), VersionRequest(), VERSION, VERSION, True),
        (lambda c: c.logs(7), LogsRequest(lines=7), LogsResponse(lines=("a",)), ("a",), True),
        (lambda c: c.init_info(), InitInfoRequest(), INFO, INFO, True),
        (
            lambda c: c.init(PASS, deterministic=True),
            InitRequest(passphrase=PASS, deterministic=True),
            InitResponse(),
            None,
            False,
        ),
        (
            lambda c: c.new(PASS, "baker", "tz4", None),
            NewRequest(passphrase=PASS, id="baker", type="tz4", chain_id=None, exportable=False),
            NewResponse(key=KEY),
            KEY,
            False,
        ),
        (
            lambda c: c.unlock(PASS, ("baker",)),
            UnlockRequest(passphrase=PASS, ids=("baker",)),
            UnlockResponse(outcomes=OUTCOMES),
            OUTCOMES,
            False,
        ),
        (lambda c: c.lock(), LockRequest(ids=()), LockResponse(outcomes=OUTCOMES), OUTCOMES, True),
        (
            lambda c: c.delete(PASS, "baker"),
            DeleteRequest(passphrase=PASS, id="baker"),
            DeleteResponse(),
            None,
            False,
        ),
        (
            lambda c: c.passwd(PASS, b"new"),
            PasswdRequest(passphrase=PASS, new_passphrase=b"new"),
            PasswdResponse(),
            None,
            False,
        ),
        (
            lambda c: c.set_level(PASS, "baker", None, 5),
            SetLevelRequest(passphrase=PASS, id="baker", chain_id=None, level=5),
            SetLevelResponse(key=KEY),
            KEY,
            False,
        ),
        (
            lambda c: c.set_chain(PASS, "baker", "NetX"),
            SetChainRequest(passphrase=PASS, id="baker", chain_id="NetX"),
            SetChainResponse(key=KEY),
            KEY,
            False,
        ),
        (
            lambda c: c.export_key(PASS, "baker", b"file"),
            ExportKeyRequest(passphrase=PASS, id="baker", file_passphrase=b"file"),
            ExportKeyResponse(pkh="tz4address", sealed=b"sealed"),
            ("tz4address", b"sealed"),
            False,
        ),
        (
            lambda c: c.import_key(PASS, b"sealed", b"file", None),
            ImportKeyRequest(passphrase=PASS, id=None, file_passphrase=b"file", sealed=b"sealed"),
            ImportKeyResponse(key=KEY),
            KEY,
            False,
        ),
        (
            lambda c: c.export_marks("baker"),
            ExportMarksRequest(id="baker"),
            ExportMarksResponse(marks=MARKS),
            MARKS,
            True,
        ),
        (
            lambda c: c.import_marks(PASS, (MARKS,)),
            ImportMarksRequest(passphrase=PASS, keys=(MARKS,)),
            ImportMarksResponse(outcomes=OUTCOMES),
            OUTCOMES,
            False,
        ),
        (
            lambda c: c.retire(PASS, "baker", 5),
            RetireRequest(passphrase=PASS, id="baker", last_level=5),
            RetireResponse(key=KEY),
            KEY,
            False,
        ),
    ],
    ids=lambda value: value.op if hasattr(value, "op") else "",
)
async def test_call_sends_its_request_and_returns_what_the_answer_holds(
    call: Call, request_sent: Request, response: Response, result: object, repeatable: bool
) -> None:
    wire = Wire(response)
    assert await call(Client(wire)) == result
    assert wire.request == request_sent
    assert wire.was_repeatable == repeatable


async def test_refusal_carries_its_code_and_message() -> None:
    wire = Wire(Error(code=ErrorCode.KEY_LOCKED, message="the key is locked"))
    with pytest.raises(Refused, match=r"the key is locked \(code 32\)") as caught:
        await Client(wire).sign("tz4a", b"payload")
    assert caught.value.code == ErrorCode.KEY_LOCKED
    assert caught.value.message == "the key is locked"
    assert caught.value.exit_status == ExitStatus.REFUSED


@pytest.mark.parametrize("answer", [VERSION, b"", b"junk", b"\x81\xa4sign"])
async def test_answer_to_another_request_is_a_bad_answer(answer: Response | bytes) -> None:
    with pytest.raises(BadAnswer):
        await Client(Wire(answer)).sign("tz4a", b"payload")


async def test_ping_wants_its_own_token_back() -> None:
    class Echo(Wire):
        async def call(self, payload: bytes, *, repeatable: bool) -> bytes:
            await super().call(payload, repeatable=repeatable)
            assert isinstance(self.request, PingRequest)
            tokens.add(self.request.token)
            return encode_response(PingResponse(token=self.request.token, start_id=bytes(16)))

    tokens: set[bytes] = set()
    client = Client(Echo(b""))
    await client.ping()
    await client.ping()
    assert len(tokens) == 2
    with pytest.raises(BadAnswer, match="another token"):
        await Client(Wire(PingResponse(token=tokens.pop(), start_id=bytes(16)))).ping()


async def test_argument_that_no_request_can_have_is_a_usage_error_and_is_not_sent() -> None:
    wire = Wire(b"")
    with pytest.raises(UsageError, match="key id"):
        await Client(wire).delete(PASS, "Not An Id")
    assert wire.request is None
