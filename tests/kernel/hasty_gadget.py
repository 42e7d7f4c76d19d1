"""The gadget daemon with a cheap key derivation, for tests that are about something else.

`python -m tests.kernel.hasty_gadget` runs it: where the processor is emulated, a real derivation
takes ten seconds. Never part of the product, which refuses a keystore that was made so.
"""

import sys
from typing import Final

from gadget.__main__ import main
from gadget.keychain.envelope import KdfParameters
from gadget.keychain.keyring import Keyring

__all__ = ["HASTY_GADGET"]

HASTY_GADGET: Final = (sys.executable, "-m", "tests.kernel.hasty_gadget")
_CHEAP_KDF: Final = KdfParameters(iterations=1, memory_kib=8, lanes=1)


if __name__ == "__main__":
    defaults = Keyring.__init__.__kwdefaults__
    assert defaults is not None
    defaults["kdf"] = _CHEAP_KDF
    sys.exit(main())
