"""Each command with a fake board: what it asks for, what it prints, how it ends."""

import json
from functools import partial
from typing import Any, cast

import pytest
import trio

from broker.messages import ErrorCode
from host import cli
from host.commands import keys, options
from host.commands.board import ask
from host.errors import DeviceGone, HostError, NoPermission, Refused
from host.session import PersistentSession
from host.session_board import SessionBoard
from host.settings import ENV_DEBUG, ENV_PASSPHRASE
from tests.host.fake_cable import FakeCable, FakeSession

MAINNET = "NetXdQprcVkpaWU"


class Shell:
    """Runs commands against a cable; `output` and `errors` are of the last one."""

    def __init__(
        self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], cable: FakeCable
    ) -> None:
        self._patch = patch
        self._capture = capture
        self.use(cable)

    def use(self, cable: FakeCable) -> None:
        self.cable = cable
        self.board = cable.board
        cable.install(self._patch.setattr)

    def show_tables(self) -> None:
        self._patch.setattr(options, "is_terminal", lambda: True)

    def run(self, *arguments: str) -> int:
        status = cli.main(arguments)
        self.output, self.errors = self._capture.readouterr()
        return status

    def json(self, *arguments: str) -> Any:
        assert self.run(*arguments) == 0, self.errors
        return json.loads(self.output)

    def error_line(self) -> str:
        assert self.errors.startswith("tezsign: ")
        assert self.errors.count("\n") == 1, self.errors
        assert "Traceback" not in self.errors
        return self.errors


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv(ENV_PASSPHRASE, "correct horse")
    monkeypatch.delenv(ENV_DEBUG, raising=False)
    return Shell(monkeypatch, capsys, FakeCable("a1"))


def test_status_as_json_has_the_promised_fields(shell: Shell) -> None:
    tz4, tz1 = shell.json("status")
    mark = {"level": 12_000_000, "round": 1}
    assert tz4 == {
        "id": "key0",
        "type": "tz4",
        "pkh": shell.board.keys[0].address,
        "public_key": shell.board.keys[0].base58,
        "proof_of_possession": tz4["proof_of_possession"],
        "lock_state": "unlocked",
        "chain_id": MAINNET,
        "marks": {"block": None, "preattestation": mark, "attestation": mark},
    }
    assert tz4["proof_of_possession"].startswith("BLsig")
    assert "proof_of_possession" not in tz1


@pytest.mark.parametrize("arguments", [("--json", "list"), ("list", "--json")])
def test_json_may_be_asked_for_before_and_after_the_command(
    shell: Shell, arguments: tuple[str, ...]
) -> None:
    shell.show_tables()
    assert [set(key) for key in shell.json(*arguments)] == [{"id", "type", "pkh"}] * 2


def test_a_terminal_gets_tables(shell: Shell) -> None:
    shell.show_tables()
    assert shell.run("status") == 0
    for text in ("key0", "unlocked", "mainnet", "12000000/1", "-"):
        assert text in shell.output
    assert "octez-client" not in shell.output
    assert shell.run("list") == 0
    assert "tz1" in shell.output
    assert shell.run("list-devices") == 0
    assert "a1" in shell.output


def test_full_status_has_the_lines_that_register_the_keys(shell: Shell) -> None:
    shell.show_tables()
    assert shell.run("status", "--full") == 0
    assert f"octez-client import secret key key0 http://127.0.0.1:20090/{_address(shell)}" in (
        shell.output
    )
    assert "--consensus-key-pop BLsig" in shell.output


def test_an_empty_board_is_explained(shell: Shell) -> None:
    shell.show_tables()
    shell.board.signers.clear()
    assert shell.run("list") == 0
    assert "tezsign new" in shell.output
    shell.board.initialised = False
    assert shell.run("status") == 0
    assert "tezsign init" in shell.output
    assert shell.json("list", "--json") == []


def test_commands_use_the_management_interface_of_the_named_board(shell: Shell) -> None:
    shell.use(FakeCable("a1", "b2"))
    for arguments in (("--device", "b2", "list"), ("list", "--device", "b2")):
        assert shell.run(*arguments) == 0
    assert shell.cable.opened == [("b2", 1)] * 2


def test_init_creates_the_keystore(shell: Shell) -> None:
    assert shell.json("init") == {"initialised": True, "deterministic": False}
    assert shell.json("init", "--deterministic")["deterministic"] is True
    assert shell.board.asked == ["init deterministic=False", "init deterministic=True"]
    assert shell.board.passphrases == [b"correct horse"] * 2


def test_new_creates_each_named_key(shell: Shell) -> None:
    created = shell.json("new", "baker", "companion")
    assert [key["id"] for key in created] == ["baker", "companion"]
    assert shell.board.asked == [f"new baker tz4 {MAINNET}", f"new companion tz4 {MAINNET}"]


@pytest.mark.parametrize(
    ("chain", "sent"),
    [("mainnet", MAINNET), ("first", None), ("NetXnHfVqm9iesp", "NetXnHfVqm9iesp")],
)
def test_new_takes_a_type_and_a_chain(shell: Shell, chain: str, sent: str | None) -> None:
    shell.json("new", "k", "--type", "tz2", "--chain", chain)
    assert shell.board.asked == [f"new k tz2 {sent}"]


def test_new_shows_what_was_made_before_it_failed(shell: Shell) -> None:
    shell.board.refuse_ids = frozenset({"second"})
    assert shell.run("new", "one", "second", "third") == 4
    assert [key["id"] for key in json.loads(shell.output)] == ["one"]
    assert "second" in shell.error_line()


def test_new_prints_the_lines_that_register_the_key(shell: Shell) -> None:
    shell.show_tables()
    assert shell.run("new", "baker") == 0
    assert "octez-client set companion key for BAKER to baker --companion-key-pop" in shell.output


@pytest.mark.parametrize("command", ["unlock", "lock"])
def test_unlock_and_lock_take_names_or_all(shell: Shell, command: str) -> None:
    assert [key["id"] for key in shell.json(command)] == ["key0", "key1"]
    assert shell.json(command, "key1") == [{"id": "key1", "code": 0, "message": ""}]


@pytest.mark.parametrize("command", ["unlock", "lock"])
def test_one_refused_key_is_enough_for_status_4(shell: Shell, command: str) -> None:
    shell.board.refuse_ids = frozenset({"key1"})
    assert shell.run(command) == 4
    assert json.loads(shell.output)[1]["code"] == ErrorCode.KEY_NOT_FOUND
    assert "key1" in shell.error_line()


def test_delete_needs_a_yes(shell: Shell) -> None:
    assert shell.run("delete", "key0") == 2
    assert "--yes" in shell.error_line()
    assert shell.board.asked == []
    assert shell.json("delete", "key0", "--yes") == {"id": "key0", "deleted": True}
    assert shell.board.asked == ["delete key0"]


def test_logs_and_ping_and_version(shell: Shell) -> None:
    assert shell.json("logs", "--lines", "1") == ["second \x1b[2Jline"]
    assert len(shell.json("ping", "--count", "3")) == 3
    assert shell.board.asked.count("ping") == 3
    assert shell.json("version")["board"]["version"] == "9.9"


def test_what_the_board_says_can_not_control_the_terminal(shell: Shell) -> None:
    shell.show_tables()
    assert shell.run("logs") == 0
    assert "\x1b" not in shell.output
    assert "second" in shell.output


def test_list_devices_finds_none_or_several(shell: Shell) -> None:
    shell.use(FakeCable())
    assert shell.run("list-devices") == 0
    assert json.loads(shell.output) == []
    assert "plug" in shell.errors
    shell.use(FakeCable("a1", "b2"))
    assert [board["serial"] for board in shell.json("list-devices")] == ["a1", "b2"]
    assert [board["serial"] for board in shell.json("list-devices", "--device", "b2")] == ["b2"]


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Refused(ErrorCode.BUSY, "busy"), 4),
        (DeviceGone("the board left"), 3),
        (NoPermission("not allowed: install the udev rule"), 3),
        (HostError("broken"), 1),
        (ZeroDivisionError("a bug"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_failure_has_its_exit_status(
    shell: Shell, failure: BaseException, status: int
) -> None:
    shell.board.failure = failure
    assert shell.run("list") == status
    assert shell.output == ""
    if status == 130:
        assert shell.errors.strip() == ""  # the end of the terminal's ^C line
    else:
        assert str(failure) in shell.error_line()


def test_an_error_is_one_printable_line_whatever_the_board_says(shell: Shell) -> None:
    shell.board.failure = Refused(ErrorCode.BUSY, "two\nlines \x1b[2J")
    assert shell.run("list") == 4
    assert "two lines \N{REPLACEMENT CHARACTER}[2J" in shell.error_line()


def test_a_failure_in_a_group_of_one_is_reported_as_itself(shell: Shell) -> None:
    inner = ExceptionGroup("inner", [DeviceGone("the board left"), ValueError("noise")])
    shell.board.failure = ExceptionGroup("outer", [inner])
    assert shell.run("list") == 3
    shell.board.failure = BaseExceptionGroup("outer", [KeyboardInterrupt(), inner])
    assert shell.run("list") == 130


def test_a_bug_shows_where_only_when_asked(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.board.failure = ZeroDivisionError("a bug")
    monkeypatch.setenv(ENV_DEBUG, "1")
    assert shell.run("list") == 1
    assert "Traceback" in shell.errors


def test_a_board_that_does_not_answer_is_status_3(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.board.before = trio.sleep_forever
    monkeypatch.setattr(keys, "ask", partial(ask, deadline_s=0.05))
    assert shell.run("list") == 3
    assert "did not answer" in shell.error_line()


def test_no_board_and_several_boards(shell: Shell) -> None:
    shell.use(FakeCable())
    assert shell.run("status") == 3
    assert "plug it in" in shell.error_line()
    shell.use(FakeCable("a1", "b2"))
    assert shell.run("status") == 2
    assert "--device" in shell.error_line()


@pytest.mark.parametrize(
    "arguments",
    [
        ("bogus",),
        ("new",),
        ("new", "Upper"),
        ("new", "a" * 65),
        ("new", "same", "same"),
        ("new", "k", "--type", "tz5"),
        ("new", "k", "--chain", "NetXwrong"),
        ("new", "k", "--passphrase", "secret"),
        ("logs", "--lines", "0"),
        ("ping", "--count", "x"),
        ("delete",),
        ("delete", "a b", "--yes"),
        ("--device",),
        ("run", "--listen", "nowhere"),
        ("run", "--listen", "example.org:20090"),
        ("run", "--listen", "0.0.0.0:20090"),
        ("run", "--listen", "127.0.0.1:99999"),
        ("run", "--authorized-key", "tz1hZvgjekGo7DmQjWh7XnY5eLQD8wNYPczE"),
    ],
)
def test_wrong_usage_is_status_2_and_one_line(shell: Shell, arguments: tuple[str, ...]) -> None:
    assert shell.run(*arguments) == 2
    assert shell.error_line()
    assert shell.board.asked == []


def test_without_a_command_the_help_is_shown(shell: Shell) -> None:
    assert shell.run() == 2
    assert "list-devices" in shell.errors


def test_every_command_has_the_help_that_the_overview_promises(shell: Shell) -> None:
    for name, entry in cli.COMMANDS.items():
        assert shell.run(name, "--help") == 0
        assert shell.output.startswith(f"Usage: tezsign {name} ")
        assert entry.help in shell.output
        for option in ("--device SERIAL", "--json"):
            assert option in shell.output


def test_a_proof_is_fetched_over_the_management_interface(shell: Shell) -> None:
    (tz4, _) = shell.board.keys
    session = cast("PersistentSession", FakeSession(shell.cable, "a1"))
    board = SessionBoard(session)
    assert len(trio.run(board.prove_possession, tz4.address, tz4.data)) == 96
    assert shell.cable.opened == [("a1", 1)]


def _address(shell: Shell) -> str:
    return shell.board.keys[0].address
