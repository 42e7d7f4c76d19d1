"""The list of targets, and how one is loaded. Each is a module of this package."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

__all__ = ["CORPUS", "TARGETS", "Target", "kept_inputs", "load_target"]

# The longest input of each, in bytes: enough for every limit and every depth that it has.
TARGETS: Final = {
    "frame": 256,
    "message": 4200,
    "payload": 768,
    "keystore": 2048,
    "marks": 4096,
    "throttle": 256,
    "key_file": 6144,
    "witness": 2048,
    "mark_file": 2048,
    "http_request": 1024,
    "usb_event": 64,
    "descriptors": 256,
}
CORPUS: Final = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`one_input` raises nothing, whatever it is given: anything that leaves it is a finding."""

    one_input: Callable[[bytes], None]
    seeds: Callable[[], Iterator[bytes]]


def load_target(name: str) -> Target:
    module = import_module(f"tests.fuzz.{name}")
    return Target(one_input=module.one_input, seeds=module.seeds)


def kept_inputs(name: str) -> list[bytes]:
    """The seeds, and what fuzzing has found beyond them."""
    found = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    return [*load_target(name).seeds(), *found]
