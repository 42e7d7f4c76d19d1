"""Where a passphrase comes from, and what is none."""

import getpass
import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from host.errors import UsageError
from host.passphrase import PASSPHRASE_LIMIT_BYTES, read_passphrase
from host.settings import ENV_PASSPHRASE

NOTHING: dict[str, str] = {}


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sits at the terminal and types these lines; an exception in place of one is raised."""

    def install(*lines: str | BaseException) -> None:
        waiting = list(lines)

        def answer(_prompt: str) -> str:
            line = waiting.pop(0)
            if isinstance(line, BaseException):
                raise line
            return line

        monkeypatch.setattr(sys, "stdin", _Terminal())
        monkeypatch.setattr(getpass, "getpass", answer)

    return install


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\r\nsecond line\n", b"secret"),
        (b" with blanks \n", b" with blanks "),
        ("pässwörd\n".encode(), "pässwörd".encode()),
        (b"\xff\xfe\n", b"\xff\xfe"),
        (b"x" * PASSPHRASE_LIMIT_BYTES + b"\r\n", b"x" * PASSPHRASE_LIMIT_BYTES),
    ],
)
def test_the_first_line_of_a_file_is_taken(tmp_path: Path, content: bytes, expected: bytes) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    assert read_passphrase(str(file), environment={ENV_PASSPHRASE: "other"}) == expected


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b"\nsecret", b"x" * 1025 + b"\n"])
def test_an_empty_or_endless_passphrase_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    with pytest.raises(UsageError):
        read_passphrase(str(file), environment=NOTHING)


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        read_passphrase(str(tmp_path / "nowhere"), environment=NOTHING)
    with pytest.raises(UsageError, match="directory"):
        read_passphrase(str(tmp_path), environment=NOTHING)


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped\nrest")))
    assert read_passphrase("-", environment=NOTHING) == b"piped"


def test_the_environment_comes_before_a_prompt(type_in: Callable[..., None]) -> None:
    type_in()
    assert read_passphrase(None, environment={ENV_PASSPHRASE: "fröm env"}) == "fröm env".encode()
    with pytest.raises(UsageError, match="empty"):
        read_passphrase(None, environment={ENV_PASSPHRASE: ""})


def test_without_a_terminal_there_is_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("secret\n"))
    with pytest.raises(UsageError, match="--passphrase-file") as caught:
        read_passphrase(None, environment=NOTHING)
    assert ENV_PASSPHRASE in str(caught.value)


def test_a_terminal_is_asked_once_and_twice_for_a_new_one(type_in: Callable[..., None]) -> None:
    type_in("secret")
    assert read_passphrase(None, environment=NOTHING) == b"secret"
    type_in("new", "new")
    assert read_passphrase(None, is_new=True, environment=NOTHING) == b"new"
    type_in("new", "knew")
    with pytest.raises(UsageError, match="differ") as caught:
        read_passphrase(None, is_new=True, environment=NOTHING)
    assert "knew" not in str(caught.value)


@pytest.mark.parametrize("given_up", [KeyboardInterrupt(), EOFError()])
def test_who_gives_up_at_the_prompt_is_let_go(
    type_in: Callable[..., None], given_up: BaseException
) -> None:
    type_in(given_up)
    with pytest.raises(KeyboardInterrupt):
        read_passphrase(None, environment=NOTHING)
