"""The requests and responses that cross the cable, one frozen dataclass each. Pure values.

On the wire a message is a msgpack map with one key, its `op`; `broker.codec` does that. A response
has the `op` of its request, a refusal is `Error`. Which interface takes which: `gadget.policy`.
Passphrases and payloads are left out of `repr`, so that a logged message shows none.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from broker import bounds
from broker.board_messages import PingRequest, PingResponse, VersionRequest, VersionResponse
from broker.codes import ErrorCode
from broker.key_status import KeyOutcome, KeyStatus, MarksStatus, MarkStatus

__all__ = [
    "DeleteRequest",
    "DeleteResponse",
    "Error",
    "ErrorCode",
    "InitInfoRequest",
    "InitInfoResponse",
    "InitRequest",
    "InitResponse",
    "KeyOutcome",
    "KeyStatus",
    "LockRequest",
    "LockResponse",
    "LogsRequest",
    "LogsResponse",
    "MarkStatus",
    "MarksStatus",
    "NewRequest",
    "NewResponse",
    "PingRequest",
    "PingResponse",
    "ProvePossessionRequest",
    "ProvePossessionResponse",
    "Request",
    "Response",
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
_PASSPHRASE_LIMIT: Final = 1024
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
class InitRequest:
    """Creates the keystore. Refused where one exists or its files are damaged."""

    op: ClassVar[str] = "init"
    passphrase: bytes = field(repr=False)
    deterministic: bool

    def __post_init__(self) -> None:
        bounds.check_size("passphrase", self.passphrase, _PASSPHRASE_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class InitResponse:
    op: ClassVar[str] = "init"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """Creates one key. `chain`: a NetX… id, or None for the first chain it is asked to sign on."""

    op: ClassVar[str] = "new"
    passphrase: bytes = field(repr=False)
    id: str
    type: str
    chain_id: str | None

    def __post_init__(self) -> None:
        bounds.check_size("passphrase", self.passphrase, _PASSPHRASE_LIMIT)
        bounds.check_id(self.id)
        bounds.check_size("type", self.type, 16)
        bounds.check_size("chain_id", self.chain_id, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewResponse:
    op: ClassVar[str] = "new"
    key: KeyStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockRequest:
    """Unlocks these keys, or all where `ids` is empty."""

    op: ClassVar[str] = "unlock"
    passphrase: bytes = field(repr=False)
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        bounds.check_size("passphrase", self.passphrase, _PASSPHRASE_LIMIT)
        bounds.check_ids(self.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockResponse:
    op: ClassVar[str] = "unlock"
    outcomes: tuple[KeyOutcome, ...]

    def __post_init__(self) -> None:
        bounds.check_keys(len(self.outcomes))


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRequest:
    """Locks these keys, or all where `ids` is empty."""

    op: ClassVar[str] = "lock"
    ids: tuple[str, ...]

    def __post_init__(self) -> None:
        bounds.check_ids(self.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockResponse:
    op: ClassVar[str] = "lock"
    outcomes: tuple[KeyOutcome, ...]

    def __post_init__(self) -> None:
        bounds.check_keys(len(self.outcomes))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRequest:
    """Deletes one key for good; a tombstone of its marks stays."""

    op: ClassVar[str] = "delete"
    passphrase: bytes = field(repr=False)
    id: str

    def __post_init__(self) -> None:
        bounds.check_size("passphrase", self.passphrase, _PASSPHRASE_LIMIT)
        bounds.check_id(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResponse:
    op: ClassVar[str] = "delete"


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
    | InitInfoRequest
    | InitRequest
    | NewRequest
    | UnlockRequest
    | LockRequest
    | DeleteRequest
    | LogsRequest
    | ProvePossessionRequest
)
Response = (
    Error
    | SignResponse
    | PingResponse
    | VersionResponse
    | StatusResponse
    | InitInfoResponse
    | InitResponse
    | NewResponse
    | UnlockResponse
    | LockResponse
    | DeleteResponse
    | LogsResponse
    | ProvePossessionResponse
)
