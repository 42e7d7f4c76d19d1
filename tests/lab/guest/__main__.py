"""The guest's process 1 after `init`: brings up what the plan asks for and runs the command.

With systemd it hands over to that, and does the rest as one of its services, which is told so by
the word "service". Never ends by itself: the host kills the machine when it has heard how the
command ended.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.lab.guest.command import Command
from tests.lab.guest.data import leave_data, mount_data
from tests.lab.guest.ports import Control
from tests.lab.guest.processes import AllProcesses, Processes, ServiceProcesses
from tests.lab.guest.programs import Programs

FOLDER = Path("/run/tezsign-lab")


def main() -> None:
    """Maps errors to events."""
    plan = json.loads((FOLDER / "plan.json").read_bytes())
    control = Control()
    try:
        os.environ.clear()
        os.environ.update(plan["environment"])
        programs = Programs(FOLDER, Path(plan["out"]) if plan["out"] else None)
        if sys.argv[1:] == ["service"]:
            _run_as_service(plan, programs, control)
        else:
            _run_as_process_1(plan, programs, control)
    except RuntimeError as error:
        control.tell(event="failed", reason=str(error))
    except Exception:  # noqa: BLE001  (the host must hear of whatever happened)
        import traceback  # noqa: PLC0415  (another 50 ms)

        control.tell(event="failed", reason=traceback.format_exc())
    while True:
        signal.pause()


def _run_as_process_1(plan: Mapping[str, Any], programs: Programs, control: Control) -> None:
    mount_data(programs)
    # Imported where they are needed: each costs 50 ms under emulation, and most runs need none.
    if plan["systemd"]:
        from tests.lab.guest.systemd_root import become_systemd  # noqa: PLC0415

        become_systemd(plan, programs)
    if plan["gadget"]:
        from tests.lab.guest.gadget import start_gadget  # noqa: PLC0415

        start_gadget(programs, Path(plan["assets"]))
    ended = _run_command(plan, AllProcesses(), control)
    leave_data(programs)
    control.tell(**ended)  # the host kills the machine now


def _run_as_service(plan: Mapping[str, Any], programs: Programs, control: Control) -> None:
    from tests.lab.guest.units import stop_units, wait_units  # noqa: PLC0415

    wait_units(programs)
    ended = _run_command(plan, ServiceProcesses(), control)
    stop_units(programs)
    leave_data(programs)
    control.tell(**ended)


def _run_command(
    plan: Mapping[str, Any], processes: Processes, control: Control
) -> dict[str, object]:
    """Returns the event that tells how it ended."""
    command = Command(plan["command"], plan["folder"], control, processes)
    command.start()
    control.tell(event="started")
    status = command.run()
    return {"event": "ended", "status": status, "sent": command.sent}


if __name__ == "__main__":
    main()
