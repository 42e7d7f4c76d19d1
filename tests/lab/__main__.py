"""python -m tests.lab: see arguments.py."""

import signal
import sys

from tests.lab.arguments import EXIT_LAB_FAILED, parse_arguments
from tests.lab.errors import LabError
from tests.lab.packages import report
from tests.lab.session import run_command

__all__ = ["main"]


def main() -> int:
    """Maps errors to exit statuses."""
    try:
        return run_command(parse_arguments(sys.argv[1:]))
    except LabError as error:
        report(str(error))
        return EXIT_LAB_FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
