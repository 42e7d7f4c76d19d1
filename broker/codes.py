"""The error codes of the wire. One stable table; docs/protocol.md explains them to people.

Callers import `ErrorCode` from `broker.messages`. A code once used never gets another meaning.
"""

from enum import IntEnum, unique

__all__ = ["ErrorCode"]


@unique
class ErrorCode(IntEnum):
    """Why a request was not done. Stable: docs/protocol.md lists them for people."""

    BAD_MESSAGE = 1
    UNLOCK_NO_KEYS = 10
    UNLOCK_PASSPHRASE_MISSING = 11
    UNLOCK_THROTTLED = 12
    UNLOCK_BAD_PASSPHRASE = 13
    LOCK_NO_KEYS = 20
    SIGN_FAILED = 30
    KEY_NOT_FOUND = 31
    KEY_LOCKED = 32
    STALE_WATERMARK = 33
    BAD_PAYLOAD = 34
    WATERMARK_UNUSABLE = 35
    WRONG_CHAIN = 36
    LEVEL_JUMP = 37
    KEY_RETIRED = 38
    NEW_KEY_EXISTS = 40
    NEW_REFUSED = 41
    NEW_BAD_PASSPHRASE = 42
    NEW_THROTTLED = 43
    NEW_FAILED = 44
    LOGS_FAILED = 50
    LOGS_TOO_MANY = 51
    INIT_ALREADY = 60
    INIT_PASSPHRASE_MISSING = 61
    INIT_FAILED = 62
    KEYSTORE_UNUSABLE = 70
    SET_LEVEL_FAILED = 80
    CHANGE_REFUSED = 81
    CHANGE_FAILED = 82
    CHANGE_THROTTLED = 83
    CHANGE_BAD_PASSPHRASE = 84
    NOT_EXPORTABLE = 85
    KEY_FILE_REFUSED = 86
    DELETE_NO_KEY = 90
    DELETE_FAILED = 91
    DELETE_THROTTLED = 92
    DELETE_BAD_PASSPHRASE = 93
    WRONG_INTERFACE = 98
    BUSY = 99
    INTERNAL = 100
    UNKNOWN_REQUEST = 1000
    SIGN_ON_MANAGEMENT = 1001
