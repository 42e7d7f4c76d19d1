"""Everything the keychain refuses or can't do, and the code that says so on the wire.

Four families, never mixed: `Refused` is a normal answer of the policy, `Locked` asks for a
passphrase, `Broken` means disk or cryptography failed and nothing was signed; what is none of
these is a bug and stays what it is. Some refusals have a code of their own for each operation;
the table below holds those. Caught by `gadget.rpc`. Source: docs/protocol.md.
"""

from enum import Enum, auto
from types import TracebackType
from typing import ClassVar, Final, final

from broker.messages import ErrorCode

__all__ = [
    "AlreadyInitialised",
    "BadPassphrase",
    "Broken",
    "DeleteRefused",
    "KeyExists",
    "KeyFileRefused",
    "KeyLocked",
    "KeyNotFound",
    "KeyRetired",
    "KeychainError",
    "KeystoreUnusable",
    "LevelJump",
    "Locked",
    "NewRefused",
    "NoKeys",
    "NotAuthentic",
    "NotExportable",
    "NotInitialised",
    "NotRecorded",
    "NotStored",
    "Operation",
    "PassphraseMissing",
    "PayloadRefused",
    "Refused",
    "SignFailed",
    "StaleWatermark",
    "Throttled",
    "WatermarkUnusable",
    "WrongChain",
    "during",
]


class Operation(Enum):
    """What was asked for when an error came up."""

    SIGN = auto()
    INIT = auto()
    NEW = auto()
    UNLOCK = auto()
    LOCK = auto()
    DELETE = auto()
    PASSWD = auto()
    SET_LEVEL = auto()
    SET_CHAIN = auto()
    RETIRE = auto()
    IMPORT_MARKS = auto()
    EXPORT_KEY = auto()
    IMPORT_KEY = auto()


class KeychainError(Exception):
    """Root of the package's errors. Its text is one line for people and holds no secret."""

    default_code: ClassVar[ErrorCode]
    operation: Operation = Operation.SIGN

    @property
    def code(self) -> ErrorCode:
        return _CODES.get((self.operation, type(self)), self.default_code)


class Refused(KeychainError):
    """The policy says no; nothing is wrong with the board."""


class Locked(KeychainError):
    """A passphrase is needed first."""


class Broken(KeychainError):
    """Disk or cryptography failed. Never reported as a refusal, never followed by a signature."""


class PayloadRefused(Refused):
    default_code = ErrorCode.BAD_PAYLOAD


class StaleWatermark(Refused):
    default_code = ErrorCode.STALE_WATERMARK


class WrongChain(Refused):
    default_code = ErrorCode.WRONG_CHAIN


class LevelJump(Refused):
    default_code = ErrorCode.LEVEL_JUMP


class KeyRetired(Refused):
    default_code = ErrorCode.KEY_RETIRED


class KeyNotFound(Refused):
    default_code = ErrorCode.KEY_NOT_FOUND


class NoKeys(Refused):
    default_code = ErrorCode.UNLOCK_NO_KEYS


class PassphraseMissing(Refused):
    default_code = ErrorCode.UNLOCK_PASSPHRASE_MISSING


class BadPassphrase(Refused):
    default_code = ErrorCode.UNLOCK_BAD_PASSPHRASE


class Throttled(Refused):
    default_code = ErrorCode.UNLOCK_THROTTLED


class KeyExists(Refused):
    default_code = ErrorCode.NEW_KEY_EXISTS


class NewRefused(Refused):
    default_code = ErrorCode.NEW_REFUSED


class DeleteRefused(Refused):
    default_code = ErrorCode.DELETE_FAILED


class ChangeRefused(Refused):
    """It would lower a mark, take back a retirement, or it makes no sense for this key."""

    default_code = ErrorCode.CHANGE_REFUSED


class NotExportable(Refused):
    """The key was made to stay on its board."""

    default_code = ErrorCode.NOT_EXPORTABLE


class KeyFileRefused(Refused):
    """A file with a key that does not open, or is none."""

    default_code = ErrorCode.KEY_FILE_REFUSED


class AlreadyInitialised(Refused):
    default_code = ErrorCode.INIT_ALREADY


class NotInitialised(Refused):
    default_code = ErrorCode.UNLOCK_NO_KEYS


class KeyLocked(Locked):
    default_code = ErrorCode.KEY_LOCKED


class WatermarkUnusable(Broken):
    """The marks can't be read: the key signs nothing until they are set by a person."""

    default_code = ErrorCode.WATERMARK_UNUSABLE


class NotRecorded(Broken):
    """The mark may or may not be on disk; the signature was thrown away."""

    default_code = ErrorCode.SIGN_FAILED


class SignFailed(Broken):
    default_code = ErrorCode.SIGN_FAILED


class KeystoreUnusable(Broken):
    """The record of the keys is damaged. Never the same as "not initialised"."""

    default_code = ErrorCode.KEYSTORE_UNUSABLE


class NotAuthentic(Broken):
    """Sealed bytes that were not sealed with this key for this purpose."""

    default_code = ErrorCode.KEYSTORE_UNUSABLE


class NotStored(Broken):
    """A file could not be written.

    Args:
        unsettled: whether the new content may be found after a restart all the same.
    """

    default_code = ErrorCode.KEYSTORE_UNUSABLE

    def __init__(self, message: str, *, unsettled: bool = False) -> None:
        super().__init__(message)
        self.unsettled = unsettled


# The same for every operation that changes what keys may do.
_CHANGES: Final = (
    Operation.PASSWD,
    Operation.SET_LEVEL,
    Operation.SET_CHAIN,
    Operation.RETIRE,
    Operation.IMPORT_MARKS,
    Operation.EXPORT_KEY,
    Operation.IMPORT_KEY,
)
_CHANGE_CODES: Final[dict[type[KeychainError], ErrorCode]] = {
    PassphraseMissing: ErrorCode.CHANGE_BAD_PASSPHRASE,
    BadPassphrase: ErrorCode.CHANGE_BAD_PASSPHRASE,
    Throttled: ErrorCode.CHANGE_THROTTLED,
    NotInitialised: ErrorCode.KEY_NOT_FOUND,
    NotStored: ErrorCode.CHANGE_FAILED,
    NotRecorded: ErrorCode.CHANGE_FAILED,
}
# Where an operation has its own code for a class; everything else: the class's default.
_CODES: Final[dict[tuple[Operation, type[KeychainError]], ErrorCode]] = {
    **{(op, kind): code for op in _CHANGES for kind, code in _CHANGE_CODES.items()},
    (Operation.SET_LEVEL, NotStored): ErrorCode.SET_LEVEL_FAILED,
    (Operation.SET_LEVEL, NotRecorded): ErrorCode.SET_LEVEL_FAILED,
    (Operation.INIT, PassphraseMissing): ErrorCode.INIT_PASSPHRASE_MISSING,
    (Operation.INIT, NotStored): ErrorCode.INIT_FAILED,
    (Operation.NEW, PassphraseMissing): ErrorCode.NEW_BAD_PASSPHRASE,
    (Operation.NEW, BadPassphrase): ErrorCode.NEW_BAD_PASSPHRASE,
    (Operation.NEW, Throttled): ErrorCode.NEW_THROTTLED,
    (Operation.NEW, NotInitialised): ErrorCode.NEW_REFUSED,
    (Operation.NEW, NotStored): ErrorCode.NEW_FAILED,
    (Operation.NEW, SignFailed): ErrorCode.NEW_FAILED,
    (Operation.LOCK, NoKeys): ErrorCode.LOCK_NO_KEYS,
    (Operation.DELETE, PassphraseMissing): ErrorCode.DELETE_BAD_PASSPHRASE,
    (Operation.DELETE, BadPassphrase): ErrorCode.DELETE_BAD_PASSPHRASE,
    (Operation.DELETE, Throttled): ErrorCode.DELETE_THROTTLED,
    (Operation.DELETE, NotInitialised): ErrorCode.DELETE_NO_KEY,
    (Operation.DELETE, KeyNotFound): ErrorCode.DELETE_NO_KEY,
    (Operation.DELETE, NotStored): ErrorCode.DELETE_FAILED,
    (Operation.DELETE, NotAuthentic): ErrorCode.DELETE_FAILED,
}


@final
class during:  # noqa: N801 - reads as a statement: `with during(Operation.NEW):`
    """Marks errors that pass through with the operation, which decides their code."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        _error_type: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, KeychainError):
            error.operation = self._operation
