"""The requests and responses that cross the cable, one frozen dataclass each. Pure values.

On the wire a message is a msgpack map with one key, its `op`; `broker.codec` does that. A response
has the `op` of its request, a refusal is `Error`. Which interface takes which: `gadget.policy`.
Passphrases and payloads are left out of `repr`, so that a logged message shows none.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from broker import bounds
from broker.board_messages import PingRequest, PingResponse, VersionRequest, VersionResponse
from broker.change_messages import (
    PasswdRequest,
    PasswdResponse,
    RetireRequest,
    RetireResponse,
    SetChainRequest,
    SetChainResponse,
    SetLevelRequest,
    SetLevelResponse,
)
from broker.codes import ErrorCode
from broker.health_messages import HealthRequest, HealthResponse
from broker.key_marks import ChainEntry, KeyMarks, MarkEntry
from broker.key_messages import (
    DeleteRequest,
    DeleteResponse,
    InitRequest,
    InitResponse,
    LockRequest,
    LockResponse,
    NewRequest,
    NewResponse,
    UnlockRequest,
    UnlockResponse,
)
from broker.key_status import KeyOutcome, KeyStatus, MarksStatus, MarkStatus
from broker.transfer_messages import (
    ExportKeyRequest,
    ExportKeyResponse,
    ExportMarksRequest,
    ExportMarksResponse,
    ImportKeyRequest,
    ImportKeyResponse,
    ImportMarksRequest,
    ImportMarksResponse,
)

__all__ = [
    "ChainEntry",
    "DeleteRequest",
    "DeleteResponse",
    "Error",
    "ErrorCode",
    "ExportKeyRequest",
    "ExportKeyResponse",
    "ExportMarksRequest",
    "ExportMarksResponse",
    "HealthRequest",
    "HealthResponse",
    "ImportKeyRequest",
    "ImportKeyResponse",
    "ImportMarksRequest",
    "ImportMarksResponse",
    "InitInfoRequest",
    "InitInfoResponse",
    "InitRequest",
    "InitResponse",
    "KeyMarks",
    "KeyOutcome",
    "KeyStatus",
    "LockRequest",
    "LockResponse",
    "LogsRequest",
    "LogsResponse",
    "MarkEntry",
    "MarkStatus",
    "MarksStatus",
    "NewRequest",
    "NewResponse",
    "PasswdRequest",
    "PasswdResponse",
    "PingRequest",
    "PingResponse",
    "ProvePossessionRequest",
    "ProvePossessionResponse",
    "Request",
    "Response",
    "RetireRequest",
    "RetireResponse",
    "SetChainRequest",
    "SetChainResponse",
    "SetLevelRequest",
    "SetLevelResponse",
    "SignRequest",
    "SignResponse",
    "StatusRequest",
    "StatusResponse",
    "UnlockRequest",
    "UnlockResponse",
    "VersionRequest",
    "VersionResponse",
]

_ADDRESS_LIMIT: Final = 64
_SIGNED_LIMIT: Final = 8192
_TEXT_LIMIT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """The refusal or failure of any request; `message` is one line for people, without secrets.

    `code` is an ErrorCode, or one that a newer board knows.
    """

    op: ClassVar[str] = "error"
    code: int
    message: str

    def __post_init__(self) -> None:
        bounds.check_number("code", self.code, least=1)
        bounds.check_size("message", self.message, _TEXT_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignRequest:
    """Asks for a signature of a consensus payload, by the key with this address."""

    op: ClassVar[str] = "sign"
    pkh: str
    message: bytes = field(repr=False)

    def __post_init__(self) -> None:
        bounds.check_size("pkh", self.pkh, _ADDRESS_LIMIT)
        bounds.check_size("message", self.message, _SIGNED_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignResponse:
    """`signature` is raw: 96 bytes for tz4, 64 for the others."""

    op: ClassVar[str] = "sign"
    signature: bytes

    def __post_init__(self) -> None:
        bounds.check_size("signature", self.signature, 96)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRequest:
    op: ClassVar[str] = "status"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusResponse:
    op: ClassVar[str] = "status"
    keys: tuple[KeyStatus, ...]

    def __post_init__(self) -> None:
        bounds.check_keys(len(self.keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class InitInfoRequest:
    op: ClassVar[str] = "init_info"


@dataclass(frozen=True, slots=True, kw_only=True)
class InitInfoResponse:
    op: ClassVar[str] = "init_info"
    initialised: bool
    deterministic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsRequest:
    """Asks for the newest log lines, at most 1,000."""

    op: ClassVar[str] = "logs"
    lines: int

    def __post_init__(self) -> None:
        bounds.check_number("lines", self.lines, bounds.LOG_LINES_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogsResponse:
    """The newest lines, oldest first: at most 1,000, of 2,000 characters, of 200 KiB in all."""

    op: ClassVar[str] = "logs"
    lines: tuple[str, ...]

    def __post_init__(self) -> None:
        bounds.check(
            len(self.lines) <= bounds.LOG_LINES_LIMIT, f"more than {bounds.LOG_LINES_LIMIT} lines"
        )
        for line in self.lines:
            bounds.check_size("line", line, bounds.LOG_LINE_LIMIT)
        total = sum(len(line.encode()) for line in self.lines)
        bounds.check(
            total <= bounds.LOG_BYTES_LIMIT, f"lines are over {bounds.LOG_BYTES_LIMIT} bytes in all"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvePossessionRequest:
    """Asks an unlocked tz4 key for a proof over `public_key` (48 bytes; None means its own)."""

    op: ClassVar[str] = "prove_possession"
    pkh: str
    public_key: bytes | None

    def __post_init__(self) -> None:
        bounds.check_size("pkh", self.pkh, _ADDRESS_LIMIT)
        bounds.check(
            self.public_key is None or len(self.public_key) == 48, "public_key is not 48 bytes"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvePossessionResponse:
    op: ClassVar[str] = "prove_possession"
    proof: bytes

    def __post_init__(self) -> None:
        bounds.check_size("proof", self.proof, 96)


Request = (
    SignRequest
    | PingRequest
    | VersionRequest
    | StatusRequest
    | HealthRequest
    | InitInfoRequest
    | InitRequest
    | NewRequest
    | UnlockRequest
    | LockRequest
    | DeleteRequest
    | LogsRequest
    | ProvePossessionRequest
    | PasswdRequest
    | SetLevelRequest
    | SetChainRequest
    | RetireRequest
    | ExportMarksRequest
    | ImportMarksRequest
    | ExportKeyRequest
    | ImportKeyRequest
)
Response = (
    Error
    | SignResponse
    | PingResponse
    | VersionResponse
    | StatusResponse
    | HealthResponse
    | InitInfoResponse
    | InitResponse
    | NewResponse
    | UnlockResponse
    | LockResponse
    | DeleteResponse
    | LogsResponse
    | ProvePossessionResponse
    | PasswdResponse
    | SetLevelResponse
    | SetChainResponse
    | RetireResponse
    | ExportMarksResponse
    | ImportMarksResponse
    | ExportKeyResponse
    | ImportKeyResponse
)
