"""Imports go one way, files stay small, and nothing of this machine or of a registry is named."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("tezos", "broker", "registrar", "gadget", "host", "image", "tests")

# Who may import whom, beside itself and outside packages. tests may import everything.
ALLOWED = {
    "tezos": set[str](),
    "broker": set[str](),
    "registrar": {"broker"},
    "gadget": {"tezos", "broker", "registrar"},
    "host": {"tezos", "broker"},
    "image": {"broker"},
}
# Where only one module of a package may be used.
ONLY = {
    ("registrar", "broker"): {"broker.contract"},
    ("image", "broker"): {"broker.version"},
    ("gadget", "registrar"): {"registrar.sockets", "registrar.logs", "registrar.notify"},
}
PURE = (
    "tezos",
    "broker/backoff.py",
    "broker/board_messages.py",
    "broker/bounds.py",
    "broker/calls.py",
    "broker/change_messages.py",
    "broker/codes.py",
    "broker/contract.py",
    "broker/counters.py",
    "broker/intake.py",
    "broker/health_messages.py",
    "broker/key_marks.py",
    "broker/key_messages.py",
    "broker/key_status.py",
    "broker/latency.py",
    "broker/frame.py",
    "broker/messages.py",
    "broker/transfer_messages.py",
    "broker/codec.py",
    "broker/exchange.py",
    "registrar/descriptors.py",
    "registrar/events.py",
    "registrar/control.py",
    "registrar/state.py",
    "gadget/health/crash_record.py",
    "gadget/health/figures.py",
    "gadget/health/growth.py",
    "gadget/health/judge.py",
    "gadget/health/key_rules.py",
    "gadget/health/report.py",
    "gadget/health/rolling.py",
    "gadget/health/rule.py",
    "gadget/health/rules.py",
    "gadget/health/storage_rules.py",
    "gadget/mark_entries.py",
    "gadget/policy.py",
    "gadget/restart_delay.py",
    "gadget/wedge.py",
    "gadget/keychain/envelope.py",
    "gadget/keychain/key_file.py",
    "gadget/keychain/key_material.py",
    "gadget/keychain/keystore_record.py",
    "gadget/keychain/mark_changes.py",
    "gadget/keychain/marks.py",
    "gadget/keychain/mark_record.py",
    "gadget/keychain/throttle.py",
    "host/device_metrics.py",
    "host/finding.py",
    "host/health_report.py",
    "host/health_screen.py",
    "host/key_directory.py",
    "host/key_file.py",
    "host/mark_file.py",
    "host/metrics_text.py",
    "host/outage.py",
    "host/registration.py",
    "host/settings.py",
    "host/signer_api.py",
    "host/witness.py",
    "image/accounts.py",
    "image/boards.py",
    "image/cpio.py",
    "image/cpio_reader.py",
    "image/elf.py",
    "image/erofs_reader.py",
    "image/fat.py",
    "image/fat_reader.py",
    "image/lockfile.py",
    "image/manifest.py",
    "image/package_names.py",
    "image/partitions.py",
    "image/record.py",
    "image/rockchip.py",
    "image/root_files.py",
)
IMPURE_MODULES = {"os", "socket", "subprocess", "time", "trio", "usb", "logging", "selectors"}
LINES_LIMIT = 350


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        start = ROOT / folder
        yield from [start] if start.is_file() else sorted(start.rglob("*.py"))


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_go_one_way(package: str) -> None:
    wrong = []
    for path in python_files(package):
        for module in imported_modules(path):
            other = module.split(".")[0]
            if other == package or other not in PACKAGES:
                continue
            only = ONLY.get((package, other))
            if other not in ALLOWED[package] or (only is not None and module not in only):
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


@pytest.mark.parametrize("place", PURE)
def test_pure_code_imports_no_io(place: str) -> None:
    files = list(python_files(place))
    assert files
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files
        for module in imported_modules(path)
        if module.split(".")[0] in IMPURE_MODULES
    ]
    assert not wrong


def test_registrar_needs_the_standard_library_only() -> None:
    foreign = {"trio", "msgpack", "cryptography", "pyblst", "base58", "attr", "outcome"}
    imported = {m.split(".")[0] for p in python_files("registrar") for m in imported_modules(p)}
    assert not imported & foreign


def test_files_stay_under_the_limit() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in python_files(*PACKAGES)
        if (count := len(path.read_text().splitlines())) > LINES_LIMIT
    }
    assert not long


def test_each_module_lists_its_public_names() -> None:
    missing = [
        str(path.relative_to(ROOT))
        for path in python_files(*ALLOWED)
        if path.name != "__init__.py" and "\n__all__ = [" not in path.read_text()
    ]
    assert not missing


def test_locks_name_no_index() -> None:
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text()
        assert not re.search(r"https?://|--index|--find-links", text), path.name
        assert "--hash=sha256:" in text


def test_shell_scripts_are_executable() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for line in listed.splitlines():
        mode, path = line.split()[0], line.split("\t")[1]
        file = ROOT / path
        if file.is_file() and file.read_bytes()[:2] == b"#!":
            assert mode == "100755", path
