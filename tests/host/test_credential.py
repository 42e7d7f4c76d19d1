"""Where the passphrase of an unattended signer is found."""

from pathlib import Path

import pytest
import trio

from host.credential import CREDENTIAL_NAME, ENV_CREDENTIALS, find_credential
from host.errors import UsageError
from host.settings import ENV_PASSPHRASE


def test_nobody_left_one() -> None:
    assert find_credential(None, {}) is None
    assert find_credential(None, {ENV_CREDENTIALS: "/nowhere"}) is None


def test_file_goes_before_the_credential_and_that_before_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "named"
    named.write_text("from the file\n")
    (tmp_path / CREDENTIAL_NAME).write_text("from systemd")
    monkeypatch.setenv(ENV_PASSPHRASE, "from the variable")
    environment = {ENV_CREDENTIALS: str(tmp_path), ENV_PASSPHRASE: "from the variable"}
    for file, expected in ((str(named), b"from the file"), (None, b"from systemd")):
        found = find_credential(file, environment)
        assert found is not None
        assert trio.run(found.read) == expected
    (tmp_path / CREDENTIAL_NAME).unlink()
    found = find_credential(None, environment)
    assert found is not None
    assert trio.run(found.read) == b"from the variable"
    assert not found.is_open_to_others


def test_file_is_read_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    found = find_credential(str(file), {})
    assert found is not None
    with pytest.raises(UsageError, match="cannot read"):
        trio.run(found.read)
    assert not found.is_open_to_others
    for text in ("one", "two"):
        file.write_text(text)
        assert trio.run(found.read) == text.encode()
    file.write_text("")
    with pytest.raises(UsageError, match="empty"):
        trio.run(found.read)


@pytest.mark.parametrize(("mode", "is_open"), [(0o600, False), (0o640, True), (0o604, True)])
def test_file_that_others_may_read_is_noticed(tmp_path: Path, mode: int, is_open: bool) -> None:
    file = tmp_path / "passphrase"
    file.write_text("x")
    file.chmod(mode)
    found = find_credential(str(file), {})
    assert found is not None
    assert found.is_open_to_others == is_open


def test_standard_input_cannot_be_read_again() -> None:
    with pytest.raises(UsageError, match="give it a file"):
        find_credential("-", {})


def test_no_secret_is_in_its_text(tmp_path: Path) -> None:
    found = find_credential(None, {ENV_PASSPHRASE: "hunter2"})
    assert "hunter2" not in repr(found)
