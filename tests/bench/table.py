"""Five rounds of measurements as the table of docs/benchmarks.md. Pure."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

__all__ = ["Round", "print_table"]

# What issue "end to end" asks for; a later step wants a ratio of 1.2.
_LIMITS: Final = {
    "ratio p50": 2.0,
    "ratio p95": 2.5,
    "resident gadget, MB": 45.0,
    "resident registrar, MB": 25.0,
    "ENABLE to ready, ms": 1000.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What it takes to make the marks durable, each alone on an idle board, in milliseconds.

    Args:
        bare_ms: one block through one O_DSYNC file.
        write_ms: both slots, as the board does it.
        aio_ms: the same with the sync by Linux AIO, where the kernel has no io_uring.
        with_bls_ms: as write_ms, while a BLS signature is made.
    """

    bare_ms: float
    write_ms: float
    aio_ms: float
    with_bls_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round measured: milliseconds, signatures a second, kilobytes.

    Args:
        sign_ms: each of the signatures in turn.
    """

    echo_ms: float
    bls_ms: float
    store: Store
    sign_ms: tuple[float, ...]
    per_second: float
    start_ms: float
    enable_ms: float
    resident_kb: dict[str, int]

    def percentile(self, percent: int) -> float:
        ordered = sorted(self.sign_ms)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]

    @property
    def base_ms(self) -> float:
        """What no signer could do without: the wire, and the slower of signature and disk."""
        return self.echo_ms + max(self.bls_ms, self.store.write_ms)

    @property
    def store_share_percent(self) -> float:
        """What p50 would be shorter by if marks were not kept."""
        return (self.store.with_bls_ms - self.bls_ms) / self.percentile(50) * 100


def _figures(first: Round) -> dict[str, Callable[[Round], float]]:
    figures: dict[str, Callable[[Round], float]] = {
        "raw USB echo, ms": lambda r: r.echo_ms,
        "BLS signature, ms": lambda r: r.bls_ms,
        "bare O_DSYNC write of a block, ms": lambda r: r.store.bare_ms,
        "durable write of marks, ms": lambda r: r.store.write_ms,
        "the same by Linux AIO, ms": lambda r: r.store.aio_ms,
        "BLS and durable write together, ms": lambda r: r.store.with_bls_ms,
        "echo + max(BLS, write), ms": lambda r: r.base_ms,
        "sign p50, ms": lambda r: r.percentile(50),
        "sign p95, ms": lambda r: r.percentile(95),
        "sign p99, ms": lambda r: r.percentile(99),
        "store's share of p50, %": lambda r: r.store_share_percent,
        "ratio p50": lambda r: r.percentile(50) / r.base_ms,
        "ratio p95": lambda r: r.percentile(95) / r.base_ms,
        "ratio p99": lambda r: r.percentile(99) / r.base_ms,
        "2 keys, 8 in flight, signatures/s": lambda r: r.per_second,
        "gadget start to ready, ms": lambda r: r.start_ms,
        "ENABLE to ready, ms": lambda r: r.enable_ms,
    }
    for process in first.resident_kb:
        figures[f"resident {process}, MB"] = partial(_resident_mb, process)
    return figures


def _resident_mb(process: str, measured: Round) -> float:
    return measured.resident_kb[process] / 1024


def print_table(title: str, rounds: Sequence[Round]) -> None:
    """Prints median, lowest and highest of the rounds, and the limit where there is one."""
    print(f"\n{title}\n\n| figure ({len(rounds)} rounds) | median | lowest | highest | at most |")
    print("|---|---|---|---|---|")
    for name, figure in _figures(rounds[0]).items():
        values = [figure(each) for each in rounds]
        median = statistics.median(values)
        limit = _LIMITS.get(name)
        told = "" if limit is None else f"{limit:g}" + ("" if median <= limit else " (missed)")
        print(f"| {name} | {median:.2f} | {min(values):.2f} | {max(values):.2f} | {told} |")
