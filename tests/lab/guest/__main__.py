"""The guest's process 1 after `init`: brings up what the plan asks for and runs the command.

Never ends by itself: the host kills the machine when it has heard how the command ended.
"""

import json
import os
import signal
from pathlib import Path

from tests.lab.guest.command import Command
from tests.lab.guest.data import leave_data, mount_data
from tests.lab.guest.ports import Control
from tests.lab.guest.programs import Programs

FOLDER = Path("/run/tezsign-lab")


def main() -> None:
    """The flow of a guest's life."""
    plan = json.loads((FOLDER / "plan.json").read_bytes())
    control = Control()
    try:
        os.environ.clear()
        os.environ.update(plan["environment"])
        programs = Programs(FOLDER, Path(plan["out"]) if plan["out"] else None)
        mount_data(programs)
        if plan["gadget_assets"]:
            # Imported here: the module costs 50 ms under emulation, and most runs need no gadget.
            from tests.lab.guest.gadget import start_gadget  # noqa: PLC0415

            start_gadget(programs, Path(plan["gadget_assets"]))
        command = Command(plan["command"], plan["folder"], control)
        command.start()
        control.tell(event="started")
        status = command.run()
        leave_data(programs)
        control.tell(event="ended", status=status, sent=command.sent)
    except RuntimeError as error:
        control.tell(event="failed", reason=str(error))
    except Exception:  # noqa: BLE001  (the host must hear of whatever happened)
        import traceback  # noqa: PLC0415  (another 50 ms)

        control.tell(event="failed", reason=traceback.format_exc())
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
