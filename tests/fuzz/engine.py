"""python -m tests.fuzz.engine TARGET [FLAG…] [FOLDER…]: atheris, in a process of its own.

libFuzzer ends the process it runs in, whatever it finds; `tests.fuzz.campaign` starts this one.
"""

import sys
from typing import Final

import atheris

from tests.fuzz.targets import load_target

_INSTRUMENTED: Final = ("tezos", "broker", "registrar", "gadget", "host")


def main() -> None:
    name, *flags = sys.argv[1:]
    with atheris.instrument_imports(include=_INSTRUMENTED):
        target = load_target(name)
    # A merge starts itself again, through a shell, by what it takes for its own name.
    command = f"{sys.executable} -m tests.fuzz.engine {name}"
    atheris.Setup([command, *flags], target.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
