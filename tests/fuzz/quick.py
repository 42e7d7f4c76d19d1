"""The quick form, without atheris: the kept inputs, then random changes of them.

Finds what is near to what was found before, on every Python and machine. Called by the tests and,
for mutants, as `python -m tests.fuzz quick TARGET`.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from types import FrameType
from typing import Final

from tests.fuzz.targets import Target, kept_inputs

__all__ = ["Finding", "find"]

# Of processor time: a busy machine makes no finding.
_LIMIT_S: Final = 2.0
_CHANGES_LIMIT: Final = 4
_TELLING: Final = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)


class Finding(AssertionError):
    """An input that something else than a return followed; its cause says what."""


class _Hung(Exception):
    pass


def find(target: Target, name: str, count: int, random: Random) -> None:
    """Args: count: random inputs beside the kept ones. Raises: Finding: the first one."""
    kept = kept_inputs(name)
    with _limited():
        for data in kept:
            _try(target, data)
        for _ in range(count):
            _try(target, _change(random, kept))


def _try(target: Target, data: bytes) -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, _LIMIT_S)
    try:
        target.one_input(data)
    except Exception as error:
        raise Finding(f"{type(error).__name__} at {data!r}") from error
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)


@contextmanager
def _limited() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Hung(f"no end within {_LIMIT_S:g} s")

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGVTALRM, before)


def _change(random: Random, kept: list[bytes]) -> bytes:
    data = bytearray(random.choice(kept))
    for _ in range(random.randint(1, _CHANGES_LIMIT)):
        start = random.randint(0, len(data))
        end = min(len(data), start + random.choice((0, 1, 1, 2, 4, 32)))
        match random.randrange(5):
            case 0 if start < len(data):
                data[start] ^= 1 << random.randrange(8)
            case 1:
                data[start:end] = random.choice(_TELLING).to_bytes() * (end - start)
            case 2:
                data[start:end] = random.randbytes(random.choice((1, 2, 4)))
            case 3:
                del data[start : random.choice((end, len(data)))]
            case _:
                other = random.choice(kept)
                data[start:end] = other[random.randint(0, len(other)) :]
    return bytes(data)
