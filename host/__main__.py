"""Entry of the `tezsign` command; also `python -m host`."""

import sys

from host.cli import main as run_command

__all__ = ["main"]


def main() -> None:
    sys.exit(run_command())


if __name__ == "__main__":
    main()
