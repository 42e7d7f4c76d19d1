"""Interface 0 signs and looks; interface 1 manages and never signs."""

import pytest

from broker.contract import INTERFACE_MANAGE, INTERFACE_SIGN
from broker.messages import (
    DeleteRequest,
    ErrorCode,
    ExportKeyRequest,
    ExportMarksRequest,
    HealthRequest,
    ImportKeyRequest,
    ImportMarksRequest,
    InitInfoRequest,
    InitRequest,
    LockRequest,
    LogsRequest,
    NewRequest,
    PasswdRequest,
    PingRequest,
    ProvePossessionRequest,
    Request,
    RetireRequest,
    SetChainRequest,
    SetLevelRequest,
    SignRequest,
    StatusRequest,
    UnlockRequest,
    VersionRequest,
)
from gadget.policy import refusal

LOOKING: tuple[Request, ...] = (
    PingRequest(token=b""),
    StatusRequest(),
    VersionRequest(),
    HealthRequest(clock_s=None),
)
MANAGING: tuple[Request, ...] = (
    InitInfoRequest(),
    InitRequest(passphrase=b"p", deterministic=False),
    NewRequest(passphrase=b"p", id="a", type="tz4", chain_id=None, exportable=False),
    UnlockRequest(passphrase=b"p", ids=()),
    LockRequest(ids=()),
    DeleteRequest(passphrase=b"p", id="a"),
    LogsRequest(lines=1),
    ProvePossessionRequest(pkh="tz4", public_key=None),
    PasswdRequest(passphrase=b"p", new_passphrase=b"q"),
    SetLevelRequest(passphrase=b"p", id="a", chain_id=None, level=1),
    SetChainRequest(passphrase=b"p", id="a", chain_id="NetXdQprcVkpaWU"),
    RetireRequest(passphrase=b"p", id="a", last_level=1),
    ExportMarksRequest(id="a"),
    ImportMarksRequest(passphrase=b"p", keys=()),
    ExportKeyRequest(passphrase=b"p", id="a", file_passphrase=b"q"),
    ImportKeyRequest(passphrase=b"p", id="a", file_passphrase=b"q", sealed=b""),
)
SIGN = SignRequest(pkh="tz4", message=b"")


@pytest.mark.parametrize("request_", LOOKING, ids=lambda r: r.op)
def test_looking_is_taken_on_both_interfaces(request_: Request) -> None:
    assert refusal(INTERFACE_SIGN, request_) is None
    assert refusal(INTERFACE_MANAGE, request_) is None


@pytest.mark.parametrize("request_", MANAGING, ids=lambda r: r.op)
def test_managing_is_refused_on_the_signing_interface(request_: Request) -> None:
    refused = refusal(INTERFACE_SIGN, request_)
    assert refused is not None
    assert refused.code == ErrorCode.WRONG_INTERFACE
    assert refusal(INTERFACE_MANAGE, request_) is None


def test_signing_is_refused_on_the_management_interface() -> None:
    assert refusal(INTERFACE_SIGN, SIGN) is None
    refused = refusal(INTERFACE_MANAGE, SIGN)
    assert refused is not None
    assert refused.code == ErrorCode.SIGN_ON_MANAGEMENT


def test_every_request_class_is_in_one_of_the_lists() -> None:
    listed = {type(request) for request in (*LOOKING, *MANAGING, SIGN)}
    assert listed == set(Request.__args__)
