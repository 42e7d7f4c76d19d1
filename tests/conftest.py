"""Which tests run where: tests/kernel and tests/systemd inside the lab's guest only, others outside
it."""

import os

from hypothesis import settings

collect_ignore_glob = [] if os.environ.get("TEZSIGN_IN_LAB") else ["kernel/*", "systemd/*"]

# Wall-clock deadlines of single examples say how busy the machine is, not if the code is right.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")
