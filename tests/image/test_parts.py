"""Accounts, libraries, modules, requirements: the small decisions of a build."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from image import root_files
from image.__main__ import main
from image.accounts import encode_accounts
from image.app import PROGRAMS
from image.boards import BOARDS, find_board
from image.development import check_key
from image.elf import find_needed
from image.errors import BuildFailed
from image.kernel_modules import order_modules
from image.wheels import select_requirements

ROOT = Path(__file__).resolve().parents[2]


def test_accounts_are_those_of_the_units_and_locked() -> None:
    texts = encode_accounts((ROOT / "builder/assets/sysusers.conf").read_text())
    users = {line.split(":")[0]: line.split(":") for line in texts["passwd"].splitlines()}
    assert set(users) == {"root", "tezsign", "registrar", "nobody"}
    assert users["tezsign"][2:4] == ["990", "990"]
    assert users["registrar"][2:4] == ["991", "990"]
    assert all(user[6] == "/nonexistent" for user in users.values())
    shadow = [line.split(":") for line in texts["shadow"].splitlines()]
    assert {line[0] for line in shadow} == set(users)
    assert all(line[1].startswith("!") for line in shadow)


def test_an_account_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BuildFailed):
        encode_accounts('u! tezsign - "?" /\n')


def test_libraries_of_a_program_are_found() -> None:
    assert "libc.so.6" in find_needed(Path("/bin/ls").resolve().read_bytes())
    assert find_needed(b"#!/bin/sh\n") == ()


def test_python_has_what_our_programs_import() -> None:
    """Only the standard library's modules that we name are looked for; a boot shows the others."""
    left_out = {name.split(".")[0] for name in root_files.PYTHON_LEFT_OUT}
    places = [ROOT / name for name in ("broker", "gadget", "registrar", "tezos")]
    files = [path for place in places for path in place.rglob("*.py")]
    files += [ROOT / "builder/assets" / name for name in PROGRAMS]
    imported = {
        module.split(".")[0] for path in files if path.is_file() for module in find_imports(path)
    }
    assert "trio" in imported
    assert not imported & left_out


def find_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def make_module(*depends: str) -> bytes:
    return b"\0license=GPL\0depends=" + ",".join(depends).encode() + b"\0name=x\0"


def test_a_module_comes_after_what_it_needs() -> None:
    modules = {
        "ext4": make_module("jbd2", "mbcache"),
        "jbd2": make_module("crc"),
        "mbcache": make_module(),
        "crc": make_module(),
        "builtin": b"",
        "erofs": make_module("builtin", "crc"),
    }
    order = list(order_modules(("erofs", "ext4"), modules.__getitem__))
    assert order == ["crc", "erofs", "jbd2", "mbcache", "ext4"]


def test_requirements_without_a_wheel_are_left_out_whole() -> None:
    text = "a==1 \\\n    --hash=sha256:00\nsystemd-python==235 ; x \\\n    --hash=sha256:11\nb==2\n"
    assert select_requirements(text) == "a==1 \\\n    --hash=sha256:00\nb==2\n"


def test_boards_are_found_by_the_name_that_a_person_types() -> None:
    assert find_board("rpi4") is find_board("rpi-zero2w")
    assert len({name for board in BOARDS for name in board.serves}) == 4
    with pytest.raises(BuildFailed, match="rpi-zero2w"):
        find_board("rpi5")


@pytest.mark.parametrize("text", ["ssh-ed25519 AAAAC3Nz dev@here\n", "ssh-rsa AAAAB3NzaC1yc2E=="])
def test_a_developer_has_a_public_key(text: str) -> None:
    assert check_key(text) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXkt\n",
        "ssh-ed25519 AAAA x\nssh-ed25519 AAAA y\n",
        'command="x" ssh-ed25519 AAAA',
        "password",
    ],
)
def test_anything_else_is_no_key_of_a_developer(text: str) -> None:
    with pytest.raises(BuildFailed, match="public key"):
        check_key(text)


@pytest.mark.parametrize("words", [["--dev"], ["--dev-key", __file__]])
def test_a_development_image_has_somebody_to_let_in(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["image", "build", "--board", "qemu-virt", "--out", "/nowhere/x", *words]
    monkeypatch.setattr("sys.argv", command)
    assert main() == 1
    assert "go together" in capsys.readouterr().err


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_no_board_has_a_network_or_a_radio(board: object) -> None:
    text = repr(board)
    for word in ("brcmfmac", "cfg80211", "bluetooth", "genet", "stmmac", "usb_f_ecm", "virtio_net"):
        assert word not in text
