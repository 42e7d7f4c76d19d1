import os
import pwd
from pathlib import Path

import pytest

from broker.contract import ENABLED_SOCKET, READY_SOCKET
from registrar.errors import BadSetting
from registrar.settings import settings_from


def test_defaults_are_the_places_of_the_contract() -> None:
    settings = settings_from({})
    assert settings.functionfs == Path("/dev/ffs/tezsign")
    assert settings.enabled_socket == Path(ENABLED_SOCKET)
    assert settings.ready_socket == Path(READY_SOCKET)


def test_each_place_can_be_set() -> None:
    settings = settings_from({"TEZSIGN_FFS": "/ffs", "TEZSIGN_RUN": "/r"})
    assert settings.functionfs == Path("/ffs")
    assert settings.enabled_socket == Path("/r/enabled.sock")
    assert settings.ready_socket == Path("/r/ready.sock")


def test_root_and_we_are_trusted() -> None:
    assert settings_from({}).allowed_uids == {0, os.getuid()}


def test_gadget_account_is_trusted_too() -> None:
    account = pwd.getpwall()[-1]
    allowed = settings_from({"TEZSIGN_GADGET_USER": account.pw_name}).allowed_uids
    assert allowed == {0, os.getuid(), account.pw_uid}


def test_unknown_account_is_refused() -> None:
    with pytest.raises(BadSetting, match="TEZSIGN_GADGET_USER"):
        settings_from({"TEZSIGN_GADGET_USER": "no such user"})
