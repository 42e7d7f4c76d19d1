"""Which tests run where: tests/kernel only inside the lab's guest, everything else outside it."""

import os

collect_ignore_glob = [] if os.environ.get("TEZSIGN_IN_LAB") else ["kernel/*"]
