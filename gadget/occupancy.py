"""How full a queue of the kernel is that has a fixed number of places. Pure.

Told by `gadget.aio` (transfers of an endpoint) and `gadget.keychain.disk` (syncs of marks), for the
health report.
"""

from dataclasses import dataclass

__all__ = ["Occupancy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """`in_flight` now, and `in_flight_peak` since it was made; what has ended and was not taken
    back yet counts.
    """

    in_flight: int
    in_flight_peak: int
    places: int
