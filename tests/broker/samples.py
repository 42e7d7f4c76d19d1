"""One message of each class, with every kind of value in it."""

from typing import Final

from broker.messages import (
    DeleteRequest,
    DeleteResponse,
    Error,
    ErrorCode,
    InitInfoRequest,
    InitInfoResponse,
    InitRequest,
    InitResponse,
    KeyOutcome,
    KeyStatus,
    LockRequest,
    LockResponse,
    LogsRequest,
    LogsResponse,
    MarksStatus,
    MarkStatus,
    NewRequest,
    NewResponse,
    PingRequest,
    PingResponse,
    ProvePossessionRequest,
    ProvePossessionResponse,
    Request,
    Response,
    SignRequest,
    SignResponse,
    StatusRequest,
    StatusResponse,
    UnlockRequest,
    UnlockResponse,
    VersionRequest,
    VersionResponse,
)

__all__ = ["REQUESTS", "RESPONSES"]

_OPEN_KEY: Final = KeyStatus(
    id="open",
    type="tz4",
    pkh="tz4HVR6aty9KwsQFHh81C1G7gBdhxT8kuytm",
    public_key="BLpk1nRV5SBB2QCxsiem5Neoywcizr3mkdp167HL1iKFgFvzPhKo4RSy7J8JBh2BgGgVYjNsRGwU",
    proof_of_possession="BLsig",
    lock_state="unlocked",
    chain_id="NetXdQprcVkpaWU",
    marks=MarksStatus(
        block=MarkStatus(level=2**31 - 1, round=0),
        preattestation=None,
        attestation=MarkStatus(level=1, round=300),
    ),
    last_level=70_000,
)
_LOCKED_KEY: Final = KeyStatus(
    id="locked",
    type="tz1",
    pkh="tz1",
    public_key="edpk",
    proof_of_possession=None,
    lock_state="locked",
    chain_id=None,
    marks=None,
    last_level=None,
)
_OUTCOMES: Final = (
    KeyOutcome(id="a", code=0, message=""),
    KeyOutcome(id="b", code=ErrorCode.KEY_NOT_FOUND, message="no such key"),
)
REQUESTS: Final[tuple[Request, ...]] = (
    SignRequest(pkh=_OPEN_KEY.pkh, message=bytes(range(78))),
    PingRequest(token=b"token"),
    VersionRequest(),
    StatusRequest(),
    InitInfoRequest(),
    InitRequest(passphrase=b"pass", deterministic=True),
    NewRequest(passphrase=b"pass", id="k", type="tz4", chain_id=None),
    UnlockRequest(passphrase=b"", ids=("a", "b")),
    LockRequest(ids=()),
    DeleteRequest(passphrase=b"pass", id="k"),
    LogsRequest(lines=1000),
    ProvePossessionRequest(pkh="tz4", public_key=bytes(48)),
)
RESPONSES: Final[tuple[Response, ...]] = (
    Error(code=ErrorCode.STALE_WATERMARK, message="level 5 was signed already"),
    SignResponse(signature=bytes(96)),
    PingResponse(token=b"token", start_id=bytes(16)),
    VersionResponse(version="0.1.0", protocol=1, image_version="", image_date=""),
    StatusResponse(keys=(_OPEN_KEY, _LOCKED_KEY)),
    InitInfoResponse(initialised=True, deterministic=False),
    InitResponse(),
    NewResponse(key=_OPEN_KEY),
    UnlockResponse(outcomes=_OUTCOMES),
    LockResponse(outcomes=_OUTCOMES),
    DeleteResponse(),
    LogsResponse(lines=("first", "zweite: ä", "")),
    ProvePossessionResponse(proof=bytes(96)),
)
