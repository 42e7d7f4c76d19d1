"""What the lab is told and what it makes of it: arguments, machine, plan. No guest."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.arguments import Arguments, parse_arguments
from tests.lab.errors import LabError
from tests.lab.machine import Forward, Machine, find_architecture
from tests.lab.plan import create_plan


def test_what_stands_behind_the_two_dashes_is_the_commands() -> None:
    arguments = parse_arguments(["--timeout", "3", "--", "cmd", "--gadget", "--", "x"])
    assert arguments == Arguments(command=("cmd", "--gadget", "--", "x"), timeout_s=3.0)


@pytest.mark.parametrize(
    "words",
    [
        ["cmd"],
        ["--"],
        ["--timeout", "0", "--", "cmd"],
        ["--forward", "80", "--", "cmd"],
        ["--forward", "0:80", "--", "cmd"],
        ["--gad", "--", "cmd"],
        ["--gadget", "--systemd", "--", "cmd"],
    ],
)
def test_wrong_usage_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(words)
    assert ended.value.code == 2
    assert "usage: python -m tests.lab" in capsys.readouterr().err


def test_relative_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = parse_arguments(["--out", "a", "--disk", "b", "--", "cmd"])
    assert (arguments.out, arguments.disk) == (tmp_path / "a", tmp_path / "b")


def test_several_ports_are_forwarded_or_none() -> None:
    words = ["--forward", "8080:80", "--forward", "8081:81", "--", "cmd"]
    assert parse_arguments(words).forwards == FORWARDS
    assert parse_arguments(["--", "cmd"]).forwards == ()


FORWARDS = (Forward(host_port=8080, guest_port=80), Forward(host_port=8081, guest_port=81))
BARE = Machine(
    architecture=find_architecture("Linux", "x86_64"),
    program="qemu",
    is_accelerated=False,
    kernel=Path("/k"),
    initramfs=Path("/i"),
    console=Path("/c"),
)


def test_bare_machine_has_no_network_and_no_disk() -> None:
    words = " ".join(BARE.command())
    assert "-nodefaults" in words
    assert "-netdev" not in words
    assert "-drive" not in words


def test_counted_instructions_are_those_of_one_emulated_processor() -> None:
    words = " ".join(replace(BARE, counts_instructions=True).command())
    assert "-icount shift=0" in words
    assert "-smp 1" in words
    assert "kvm" not in words


def test_a_second_processor_is_a_thread_of_its_own() -> None:
    assert "-accel tcg,thread=single" in " ".join(BARE.command())
    words = " ".join(replace(BARE, processors=2).command())
    assert "-accel tcg,thread=multi" in words
    assert "-smp 2" in words


def test_host_root_is_shared_read_only_and_commas_are_kept() -> None:
    shares = (("root", Path("/"), False), ("out", Path("/a,b"), True))
    root, out = (w for w in replace(BARE, shares=shares).command() if w.startswith("local,"))
    assert "path=/,security_model=none" in root
    assert root.endswith(",readonly=on")
    assert "path=/a,,b," in out
    assert "readonly" not in out


def test_disk_honours_flushes_and_forward_stays_on_loopback() -> None:
    words = replace(BARE, disk=Path("/d"), forwards=FORWARDS).command()
    assert "if=none,id=disk,format=raw,cache=writeback,file=/d" in words
    rules = "hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=tcp:127.0.0.1:8081-:81"
    assert f"user,id=net,{rules}" in words


def test_other_systems_are_refused_with_a_reason() -> None:
    with pytest.raises(LabError, match="on Linux, not on Darwin"):
        find_architecture("Darwin", "arm64")
    with pytest.raises(LabError, match="not on riscv64"):
        find_architecture("Linux", "riscv64")


def test_environment_is_passed_by_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEZSIGN_X", "1")
    monkeypatch.setenv("HYPOTHESIS_X", "2")
    monkeypatch.setenv("SECRET", "3")
    environment = create_plan(Arguments(command=("cmd",))).details["environment"]
    assert isinstance(environment, dict)
    assert (environment["TEZSIGN_X"], environment["HYPOTHESIS_X"]) == ("1", "2")
    assert environment["TEZSIGN_IN_LAB"] == "1"
    assert "SECRET" not in environment


def test_folder_that_the_guest_cannot_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/proc")
    with pytest.raises(LabError, match="/proc can't be seen"):
        create_plan(Arguments(command=("cmd",)))


def test_python_that_the_units_cannot_see_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.base_prefix", "/home/somebody/python")
    create_plan(Arguments(command=("cmd",)))
    with pytest.raises(LabError, match="system's own Python"):
        create_plan(Arguments(command=("cmd",), systemd=True))
