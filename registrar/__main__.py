"""Entry of `ffs-registrar`: settings, logging, one run, exit status."""

import logging
import os
import sys

from registrar.daemon import run
from registrar.errors import BadSetting, RegistrarError
from registrar.logs import start_logging
from registrar.settings import settings_from

__all__ = ["main"]

logger = logging.getLogger(__name__)


def main() -> int:
    """Returns 0 after SIGTERM or SIGINT, 1 where ep0 or a socket failed, 2 for a bad setting."""
    start_logging("ffs-registrar")
    try:
        run(settings_from(os.environ))
    except BadSetting as error:
        logger.error("registrar cannot start", extra={"reason": str(error)})  # noqa: TRY400  (no trace)
        return 2
    except (RegistrarError, OSError) as error:
        logger.error("registrar gave up", extra={"reason": str(error)})  # noqa: TRY400  (no trace)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
