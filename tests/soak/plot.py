"""A soak as one picture: memory of each process, counts, and signatures over time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.soak.series import KERNEL, LOAD, Metric, Run

__all__ = ["draw"]

_COUNTS: Final = (Metric.DESCRIPTORS, Metric.THREADS, Metric.TASKS)
_MIB: Final = 1024.0
_INCHES: Final = (11, 13)


def draw(run: Run, warm_up_s: float, title: str, file: Path) -> None:
    """Writes a PNG."""
    figure = Figure(figsize=_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    memory, counts, kernel, work = figure.subplots(4, 1, sharex=True)
    processes = [name for name in run.samples[0].values if name not in (KERNEL, LOAD)]
    for process in processes:
        _draw(memory, run.series(process, Metric.RESIDENT_KIB), process, scale=_MIB)
        for metric in _COUNTS:
            if (process, metric) in set(run.names()):
                _draw(counts, run.series(process, metric), f"{process}: {metric}")
    _draw(kernel, run.series(KERNEL, Metric.KERNEL_MEMORY_KIB), "slab memory", scale=_MIB)
    _draw(kernel, run.series(KERNEL, Metric.KERNEL_CACHES_KIB), "slab caches", scale=_MIB)
    _draw(work, run.series(LOAD, Metric.SIGNED), "signatures")
    for axes, label in ((memory, "resident, MiB"), (counts, "count"), (kernel, "kernel, MiB")):
        axes.set_ylabel(label)
    work.set_xlabel("seconds; warm-up is grey")
    for axes in (memory, counts, kernel, work):
        axes.axvspan(0, warm_up_s, color="0.9")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
        axes.set_ylim(bottom=0)
    figure.savefig(file)


def _draw(
    axes: Axes, points: Sequence[tuple[float, float]], label: str, *, scale: float = 1.0
) -> None:
    axes.plot([at_s for at_s, _ in points], [value / scale for _, value in points], label=label)
