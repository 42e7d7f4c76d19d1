"""Messages check themselves, and show no secrets."""

from dataclasses import replace
from typing import get_args

import pytest

from broker import messages
from broker.messages import (
    Error,
    ErrorCode,
    InitRequest,
    KeyOutcome,
    KeyStatus,
    LogsRequest,
    LogsResponse,
    MarksStatus,
    MarkStatus,
    NewRequest,
    PingRequest,
    PingResponse,
    ProvePossessionRequest,
    SignRequest,
    SignResponse,
    StatusResponse,
    UnlockRequest,
)

LEVEL_LIMIT = 2**31 - 1
KEY = KeyStatus(
    id="baker_1-a",
    type="tz4",
    pkh="tz4HVR6aty9KwsQFHh81C1G7gBdhxT8kuytm",
    public_key="BLpk1nRV5SBB2QCxsiem5Neoywcizr3mkdp167HL1iKFgFvzPhKo4RSy7J8JBh2BgGgVYjNsRGwU",
    proof_of_possession=None,
    lock_state="locked",
    chain_id="NetXdQprcVkpaWU",
    marks=None,
    last_level=None,
)


@pytest.mark.parametrize(
    "secret",
    [
        SignRequest(pkh="tz4", message=b"hidden"),
        InitRequest(passphrase=b"hidden", deterministic=False),
        NewRequest(passphrase=b"hidden", id="a", type="tz4", chain_id=None, exportable=False),
        UnlockRequest(passphrase=b"hidden", ids=()),
        messages.DeleteRequest(passphrase=b"hidden", id="a"),
        messages.PasswdRequest(passphrase=b"hidden", new_passphrase=b"hidden"),
        messages.SetLevelRequest(passphrase=b"hidden", id="a", chain_id=None, level=0),
        messages.SetChainRequest(passphrase=b"hidden", id="a", chain_id=""),
        messages.RetireRequest(passphrase=b"hidden", id="a", last_level=0),
        messages.ImportMarksRequest(passphrase=b"hidden", keys=()),
        messages.ExportKeyRequest(passphrase=b"hidden", id="a", file_passphrase=b"hidden"),
        messages.ImportKeyRequest(
            passphrase=b"hidden", id=None, file_passphrase=b"hidden", sealed=b"hidden"
        ),
    ],
    ids=lambda message: type(message).__name__,
)
def test_repr_hides_passphrases_and_payloads(secret: object) -> None:
    assert "hidden" not in repr(secret)


def test_error_of_a_constructor_hides_the_value() -> None:
    with pytest.raises(ValueError, match="passphrase") as caught:
        InitRequest(passphrase=b"hidden" * 1000, deterministic=False)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("value", [-1, LEVEL_LIMIT + 1])
def test_level_and_round_out_of_range_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match="level"):
        MarkStatus(level=value, round=0)
    with pytest.raises(ValueError, match="round"):
        MarkStatus(level=0, round=value)
    with pytest.raises(ValueError, match="last_level"):
        replace(KEY, last_level=value)


@pytest.mark.parametrize("value", [0, LEVEL_LIMIT])
def test_level_and_round_in_range_are_taken(value: int) -> None:
    mark = MarkStatus(level=value, round=value)
    marks = MarksStatus(block=mark, preattestation=None, attestation=None)
    assert replace(KEY, marks=marks, last_level=value).marks == marks


@pytest.mark.parametrize("key_id", ["", "A", "a b", "a\n", "../a", "ä", "a" * 65])
def test_odd_key_id_is_refused(key_id: str) -> None:
    for make in (
        lambda: replace(KEY, id=key_id),
        lambda: KeyOutcome(id=key_id, code=0, message=""),
        lambda: UnlockRequest(passphrase=b"", ids=("a", key_id)),
    ):
        with pytest.raises(ValueError, match="key id"):
            make()


def test_number_of_keys_is_bounded() -> None:
    ids = tuple(f"k{number}" for number in range(65))
    assert UnlockRequest(passphrase=b"", ids=ids[:64]).ids == ids[:64]
    with pytest.raises(ValueError, match="64 keys"):
        UnlockRequest(passphrase=b"", ids=ids)
    with pytest.raises(ValueError, match="64 keys"):
        StatusResponse(keys=(KEY,) * 65)


def test_marks_on_their_way_are_bounded() -> None:
    chains = tuple(
        messages.ChainEntry(
            chain_id=str(n), last_level=None, block=None, preattestation=None, attestation=None
        )
        for n in range(17)
    )
    key = messages.KeyMarks(id="a", pkh="tz1", chains=chains[:16])
    for make in (
        lambda: replace(key, chains=chains),
        lambda: replace(key, chains=chains[:1] * 2),
        lambda: replace(chains[0], last_level=LEVEL_LIMIT + 1),
        lambda: messages.MarkEntry(level=LEVEL_LIMIT + 1, round=0, hash=None),
        lambda: messages.MarkEntry(level=0, round=-1, hash=None),
        lambda: messages.MarkEntry(level=0, round=0, hash=b"short"),
        lambda: messages.ImportMarksRequest(passphrase=b"", keys=(key,) * 17),
    ):
        with pytest.raises(ValueError, match=r"."):
            make()


def test_unknown_lock_state_is_refused() -> None:
    with pytest.raises(ValueError, match="lock_state"):
        replace(KEY, lock_state="open")


@pytest.mark.parametrize("lines", [-1, 1001])
def test_log_lines_out_of_range_are_refused(lines: int) -> None:
    with pytest.raises(ValueError, match="lines"):
        LogsRequest(lines=lines)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(("",) * 1001, id="too many"),
        pytest.param(("x" * 2001,), id="one too long"),
        pytest.param(("€" * 1000,) * 69, id="too many bytes in all"),
    ],
)
def test_oversized_logs_are_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="line"):
        LogsResponse(lines=lines)


def test_sizes_are_bounded() -> None:
    with pytest.raises(ValueError, match="message is over 8192"):
        SignRequest(pkh="tz4", message=bytes(8193))
    with pytest.raises(ValueError, match="signature is over 96"):
        SignResponse(signature=bytes(97))
    with pytest.raises(ValueError, match="token is over 64"):
        PingRequest(token=bytes(65))
    with pytest.raises(ValueError, match="start_id is not 16 bytes"):
        PingResponse(token=b"", start_id=bytes(15))
    with pytest.raises(ValueError, match="message is over 500"):
        Error(code=1, message="x" * 501)


def test_error_without_a_code_is_refused() -> None:
    with pytest.raises(ValueError, match="code"):
        Error(code=0, message="")


@pytest.mark.parametrize("size", [0, 47, 49])
def test_proof_over_a_key_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="48 bytes"):
        ProvePossessionRequest(pkh="tz4", public_key=bytes(size))


def test_each_request_has_its_response() -> None:
    requests = {kind.op for kind in get_args(messages.Request)}
    responses = {kind.op for kind in get_args(messages.Response)}
    assert responses == requests | {"error"}
    assert len(requests) == len(get_args(messages.Request))


def test_codes_are_stable() -> None:
    """A change here is a change of the wire: docs/protocol.md, version rule."""
    assert {code.value for code in ErrorCode} == {
        *(1, 10, 11, 12, 13, 20, 30, 31, 32, 33, 34, 35, 36, 37, 38, 40, 41, 42, 43, 44),
        *(50, 51, 60, 61, 62, 70, 80, 81, 82, 83, 84, 85, 86),
        *(90, 91, 92, 93, 98, 99, 100, 1000, 1001),
    }
