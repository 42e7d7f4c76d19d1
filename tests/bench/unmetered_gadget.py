"""The gadget daemon without health: nothing is counted on the way of a signature.

`python -m tests.bench.unmetered_gadget` runs it; what the daemon does each interval is switched off
by the settings. Never part of the product: the other half of each pair in `health_cost`.
"""

import sys

from broker.latency import LatencyMeter
from gadget.__main__ import main
from gadget.health.log_tally import LogTally
from gadget.health.rolling import RollingCounts

__all__: list[str] = []


def _count_nothing(*_counted: object) -> None:
    """Instead of a meter."""


if __name__ == "__main__":
    for meter, name in ((LatencyMeter, "add"), (RollingCounts, "count"), (LogTally, "take")):
        assert hasattr(meter, name)
        setattr(meter, name, _count_nothing)
    sys.exit(main())
