"""A person's terminal with virtual boards on the cable, for the tests of commands."""

import io
import json
import sys
from typing import Any

import pytest

from host import cli
from host.commands import options
from host.errors import ExitStatus
from host.settings import ENV_PASSPHRASE
from tests.gadget.keychain.board import PASSPHRASE, attest
from tests.host.virtual_board import VirtualBoard, VirtualCable

__all__ = ["Desk", "open_desk"]


class Desk:
    """A person's terminal, with boards on the cable."""

    def __init__(
        self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], *serials: str
    ) -> None:
        self._patch = patch
        self._capture = capture
        self.boards = tuple(VirtualBoard(serial, seed=n) for n, serial in enumerate(serials))
        VirtualCable(*self.boards).install(patch.setattr)

    @property
    def board(self) -> VirtualBoard:
        return self.boards[0]

    def run(self, *arguments: str) -> int:
        status = cli.main(arguments)
        self.output, self.errors = self._capture.readouterr()
        return status

    def json(self, *arguments: str) -> Any:
        assert self.run(*arguments) == ExitStatus.DONE, self.errors
        return json.loads(self.output)

    def refuse(self, status: ExitStatus, *arguments: str) -> str:
        """Returns the line that the command ends with."""
        assert self.run(*arguments) == status, (self.output, self.errors)
        assert self.errors.startswith("tezsign: ")
        assert self.errors.count("\n") == 1, self.errors
        return self.errors

    def type_in(self, text: str) -> None:
        """Sits at the terminal and types."""
        self._patch.setattr(options, "is_terminal", lambda: True)
        self._patch.setattr(sys, "stdin", _Terminal(text))

    def sign(self, level: int, variant: int = 0) -> bytes:
        address = self.json("list", "--json")[0]["pkh"]
        return self.board.ask_signature(str(address), attest(level, variant=variant))


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def open_desk(
    patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], *serials: str
) -> Desk:
    """Each board has an unlocked tz1 key "baker" of its own."""
    patch.setenv(ENV_PASSPHRASE, PASSPHRASE.decode())
    desk = Desk(patch, capture, *serials)
    for serial in serials:
        for arguments in (("init",), ("new", "baker", "--type", "tz1"), ("unlock",)):
            assert desk.run("--device", serial, *arguments) == ExitStatus.DONE, desk.errors
    return desk
