"""Parsers that are broken on purpose, one for each target: the tests of the test.

Each is a change of the source, in a copy of the project.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.fuzz.campaign import fuzz
from tests.process.run import run_process

__all__ = ["MUTANTS", "Mutant", "is_found"]

_PROJECT: Final = ("tezos", "broker", "registrar", "gadget", "host", "tests")
_RUNS: Final = 200_000
_QUICK_LIMIT_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    target: str
    what: str
    file: str
    old: str
    new: str


MUTANTS: Final = (
    Mutant(
        target="frame",
        what="hangs on a header that is wrong",
        file="broker/frame.py",
        old="self._data.find(_MAGIC, self._start + 1)",
        new="self._data.find(_MAGIC, self._start)",
    ),
    Mutant(
        target="message",
        what="takes for an array what is none",
        file="broker/codec.py",
        old="if type(value) is not list:",
        new="if value is None:",
    ),
    Mutant(
        target="payload",
        what="reads an attestation's DAL content without asking if there is any",
        file="tezos/consensus.py",
        old="if not 1 <= len(data) <= DAL_LIMIT_BYTES:",
        new="if len(data) > DAL_LIMIT_BYTES:",
    ),
    Mutant(
        target="keystore",
        what="lets a wrong size of a public key out as an error of its own",
        file="gadget/keychain/keystore_record.py",
        old="(ValueError, TypeError, KeyError, TezosError)",
        new="(ValueError, TypeError, KeyError)",
    ),
    Mutant(
        target="marks",
        what="takes marks that are not in the one form",
        file="gadget/keychain/mark_record.py",
        old="if encode_marks(marks) != body:",
        new="if False:",
    ),
    Mutant(
        target="throttle",
        what="takes a block that is not in the one form",
        file="gadget/keychain/throttle.py",
        old="return tries if encode_tries(tries) == block else None",
        new="return tries",
    ),
    Mutant(
        target="key_file",
        what="lets a key id that is none out as an error of its own",
        file="gadget/keychain/key_file.py",
        old="except (ValueError, IndexError) as error:",
        new="except (KeyError, IndexError) as error:",
    ),
    Mutant(
        target="witness",
        what="lets out what an entry without a field raises",
        file="host/witness_file.py",
        old="except (ValueError, KeyError,",
        new="except (ValueError,",
    ),
    Mutant(
        target="mark_file",
        what="looks for fields in a number",
        file="host/mark_file.py",
        old="if not isinstance(value, dict):",
        new="if value is None:",
    ),
    Mutant(
        target="http_request",
        what="takes an odd number of digits",
        file="host/signer_api.py",
        old="((?:[0-9a-f]{2})+)",
        new="([0-9a-f]+)",
    ),
    Mutant(
        target="usb_event",
        what="answers with more than was asked for",
        file="registrar/control.py",
        old="reply[: setup.wLength]",
        new="reply[: setup.wLength + 1]",
    ),
    Mutant(
        target="descriptors",
        what="counts characters where the kernel counts bytes",
        file="registrar/descriptors.py",
        old="size = _STRINGS_HEAD.size + len(names)",
        new="size = _STRINGS_HEAD.size + len(names.decode())",
    ),
)


def is_found(mutant: Mutant, *, quick: bool) -> bool:
    """Args: quick: without atheris."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        for package in _PROJECT:
            shutil.copytree(package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
        path = folder / mutant.file
        source = path.read_text()
        assert source.count(mutant.old) == 1, f"{mutant.file}: {mutant.old} stands there once"
        path.write_text(source.replace(mutant.old, mutant.new))
        if not quick:
            return fuzz(mutant.target, _RUNS, folder).finding is not None
        command = (sys.executable, "-m", "tests.fuzz", "quick", mutant.target)
        done = run_process(command, limit_s=_QUICK_LIMIT_S, folder=folder)
        return done.returncode == 1 and "tests.fuzz.quick.Finding" in done.stderr
