"""One finding of `tezsign doctor`. Values only."""

from dataclasses import dataclass
from enum import Enum
from typing import Self

__all__ = ["Finding", "Severity"]


class Severity(Enum):
    """What a finding means. Its value is what is shown."""

    GOOD = "ok"
    DOUBTFUL = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`fix` is empty where nothing is to be done."""

    check: str
    severity: Severity
    found: str
    fix: str = ""

    @classmethod
    def good(cls, check: str, found: str) -> Self:
        return cls(check=check, severity=Severity.GOOD, found=found)

    @classmethod
    def doubtful(cls, check: str, found: str, fix: str) -> Self:
        return cls(check=check, severity=Severity.DOUBTFUL, found=found, fix=fix)

    @classmethod
    def broken(cls, check: str, found: str, fix: str) -> Self:
        return cls(check=check, severity=Severity.BROKEN, found=found, fix=fix)
