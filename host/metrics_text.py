"""Prometheus's text format. Pure.

Source: prometheus.io, "Exposition formats", version 0.0.4. Names and labels are our own, values of
labels may be a board's and are escaped. Checked with promtool in tests/host/test_prometheus.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, isinf
from typing import Final

__all__ = ["CONTENT_TYPE", "Histogram", "Metric", "Point", "encode_metrics"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_LABEL_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """`suffix`: of the name, for what a histogram consists of."""

    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """`kind`: counter, gauge or histogram. The name of a counter ends with _total."""

    name: str
    kind: str
    help: str
    points: tuple[Point, ...] = field(default=())


class Histogram:
    """Counts by upper bound, since the start of the process."""

    def __init__(self, bounds_s: Iterable[float]) -> None:
        self._bounds_s = (*bounds_s, inf)
        self._counts = [0] * len(self._bounds_s)
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        self._sum_s += seconds
        for number, bound_s in enumerate(self._bounds_s):
            if seconds <= bound_s:
                self._counts[number] += 1
                return

    def points(self) -> Iterator[Point]:
        seen = 0
        for bound_s, count in zip(self._bounds_s, self._counts, strict=True):
            seen += count
            bound = "+Inf" if isinf(bound_s) else f"{bound_s:g}"
            yield Point(value=seen, labels={"le": bound}, suffix="_bucket")
        yield Point(value=self._sum_s, suffix="_sum")
        yield Point(value=seen, suffix="_count")


def encode_metrics(metrics: Iterable[Metric]) -> bytes:
    """Leaves out a metric that has no points."""
    lines: list[str] = []
    for metric in metrics:
        if metric.points:
            lines += [
                f"# HELP {metric.name} {metric.help}",
                f"# TYPE {metric.name} {metric.kind}",
                *(_encode_point(metric.name, point) for point in metric.points),
            ]
    return "".join(f"{line}\n" for line in lines).encode()


def _encode_point(name: str, point: Point) -> str:
    labels = ",".join(f'{label}="{_escape(value)}"' for label, value in point.labels.items())
    value = f"{point.value:.17g}"
    return (
        f"{name}{point.suffix}{{{labels}}} {value}" if labels else f"{name}{point.suffix} {value}"
    )


def _escape(text: str) -> str:
    short = text[:_LABEL_CHARACTERS]
    return short.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
