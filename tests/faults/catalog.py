"""The scenarios: number, what is done, how often in full and how often in the quick form."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tests.faults import churn, mortal_gadget
from tests.faults.bad_hosts import flood, open_and_close, send_junk, stop_reading
from tests.faults.bad_line import ask_over_a_bad_line
from tests.faults.bus_events import reset_port, select_configuration, suspend_and_resume
from tests.faults.cancels import cancel_receives
from tests.faults.churn import churn_sessions, churn_sockets
from tests.faults.findings import Findings
from tests.faults.kills import kill_gadget
from tests.faults.orphans import kill_hosts
from tests.faults.registrar_kills import kill_registrar
from tests.faults.replug import replug_under_load
from tests.faults.stack import Stack

__all__ = ["SCENARIOS", "Scenario", "find_scenario"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One row of the table.

    Args:
        number: of the list in docs/reliability.md; a letter where a point of it has several parts.
        run: what is done; its last argument is how often (or for how many seconds).
        limit_s: the lab's time limit for the full form.
        gadget: the command that runs the gadget.
    """

    number: str
    name: str
    run: Callable[[Stack, Findings, int], Awaitable[None]]
    full: int
    quick: int
    limit_s: float
    gadget: tuple[str, ...] = ("tezsign-gadget",)


SCENARIOS: Final = (
    Scenario(
        number="1",
        name="unbind and bind of the controller under load",
        run=replug_under_load,
        full=200,
        quick=5,
        limit_s=1200,
    ),
    Scenario(
        number="2a",
        name="suspend and resume under load",
        run=suspend_and_resume,
        full=50,
        quick=3,
        limit_s=400,
    ),
    Scenario(
        number="2b",
        name="SET_CONFIGURATION again under load",
        run=select_configuration,
        full=50,
        quick=4,
        limit_s=400,
    ),
    Scenario(
        number="2c",
        name="port reset under load",
        run=reset_port,
        full=50,
        quick=3,
        limit_s=400,
    ),
    Scenario(
        number="2d",
        name="host process killed in mid-transfer",
        run=kill_hosts,
        full=100,
        quick=5,
        limit_s=600,
    ),
    Scenario(
        number="3a",
        name="kill -9 of the gadget",
        run=kill_gadget,
        full=100,
        quick=4,
        limit_s=1800,
        gadget=mortal_gadget.COMMAND,
    ),
    Scenario(
        number="3b",
        name="kill -9 of the registrar",
        run=kill_registrar,
        full=50,
        quick=4,
        limit_s=900,
        gadget=mortal_gadget.COMMAND,
    ),
    Scenario(
        number="4a",
        name="host that stops reading (seconds)",
        run=stop_reading,
        full=60,
        quick=6,
        limit_s=300,
    ),
    Scenario(
        number="4b",
        name="host that floods (requests)",
        run=flood,
        full=10_000,
        quick=800,
        limit_s=600,
    ),
    Scenario(
        number="4c",
        name="host that sends junk (seconds)",
        run=send_junk,
        full=60,
        quick=6,
        limit_s=300,
    ),
    Scenario(
        number="4d",
        name="host that opens and closes interfaces (times)",
        run=open_and_close,
        full=1000,
        quick=40,
        limit_s=600,
    ),
    Scenario(
        number="5",
        name="lost and doubled frames, full queue",
        run=ask_over_a_bad_line,
        full=2400,
        quick=96,
        limit_s=900,
    ),
    Scenario(
        number="6a",
        name="connects and disconnects on both sockets",
        run=churn_sockets,
        full=10_000,
        quick=100,
        limit_s=600,
        gadget=churn.COMMAND,
    ),
    Scenario(
        number="6b",
        name="sessions opened and ended",
        run=churn_sessions,
        full=1000,
        quick=30,
        limit_s=600,
        gadget=churn.COMMAND,
    ),
    Scenario(
        number="6c",
        name="cancelled receives",
        run=cancel_receives,
        full=100_000,
        quick=2000,
        limit_s=900,
    ),
)


def find_scenario(number: str) -> Scenario:
    """Raises: KeyError."""
    return {scenario.number: scenario for scenario in SCENARIOS}[number]
