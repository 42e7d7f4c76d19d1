"""Entry of `tezsign-gadget`: settings, logging, one run, exit status."""

import logging
import os
import sys

import trio

from gadget.daemon import run_daemon
from gadget.errors import GadgetError
from gadget.hardening import harden_process
from gadget.health.kit import begin_health
from gadget.logs import start_log_book
from gadget.settings import settings_from

__all__ = ["main"]

logger = logging.getLogger(__name__)


def main() -> int:
    """Returns 0 after SIGTERM or SIGINT, 1 where the daemon could not start or had to give up."""
    log_book = start_log_book()
    harden_process()
    settings = settings_from(os.environ)
    kit = begin_health(settings, log_book)
    try:
        trio.run(run_daemon, settings, log_book, kit)
    except (OSError, GadgetError) as error:
        kit.crashes.note_exception(error)
        kit.crashes.end()
        logger.error("gadget ends", extra={"reason": str(error)})  # noqa: TRY400 - no trace
        return 1
    except BaseException as error:
        kit.crashes.note_exception(error)
        kit.crashes.end()
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
