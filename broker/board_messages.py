"""The messages that say which board answers: ping and version. Pure values.

Callers import these from `broker.messages`.
"""

from dataclasses import dataclass
from typing import ClassVar, Final

from broker import bounds

__all__ = ["START_ID_BYTES", "PingRequest", "PingResponse", "VersionRequest", "VersionResponse"]

START_ID_BYTES: Final = 16
_TOKEN_LIMIT: Final = 64
_VERSION_LIMIT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PingRequest:
    """Echo; the token (at most 64 bytes) shows that the answer belongs to this session."""

    op: ClassVar[str] = "ping"
    token: bytes

    def __post_init__(self) -> None:
        bounds.check_size("token", self.token, _TOKEN_LIMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class PingResponse:
    """`start_id`: 16 random bytes, new at each start of the board's signer. After a start every key
    is locked; a person who locks them does not change it.
    """

    op: ClassVar[str] = "ping"
    token: bytes
    start_id: bytes

    def __post_init__(self) -> None:
        bounds.check_size("token", self.token, _TOKEN_LIMIT)
        bounds.check(len(self.start_id) == START_ID_BYTES, "start_id is not 16 bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRequest:
    op: ClassVar[str] = "version"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionResponse:
    """`image_version` and `image_date` are empty where the board runs from no image."""

    op: ClassVar[str] = "version"
    version: str
    protocol: int
    image_version: str
    image_date: str

    def __post_init__(self) -> None:
        bounds.check_size("version", self.version, _VERSION_LIMIT)
        bounds.check_number("protocol", self.protocol)
        bounds.check_size("image_version", self.image_version, _VERSION_LIMIT)
        bounds.check_size("image_date", self.image_date, _VERSION_LIMIT)
