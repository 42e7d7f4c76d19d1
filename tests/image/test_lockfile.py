"""The pinned packages: complete, and naming nobody's mirror."""

import re

import pytest

from image.errors import BuildFailed
from image.lock import LOCK_FILE
from image.lockfile import encode_lock, parse_lock
from image.package_names import NAMES, TOOL_ARCHITECTURES


def test_the_lock_is_as_the_program_writes_it() -> None:
    text = LOCK_FILE.read_text()
    assert encode_lock(parse_lock(text)) == text
    assert not re.search(r"://|\.org|\.com", text)


def test_the_lock_has_every_package_that_is_asked_for() -> None:
    packages = parse_lock(LOCK_FILE.read_text())
    for part, names in NAMES.items():
        architectures = TOOL_ARCHITECTURES.values() if part == "tools" else ("arm64",)
        for architecture in architectures:
            found = {
                package.name
                for package in packages
                if package.part == part and package.architecture in (architecture, "all")
            }
            assert found == set(names)
    (kernel,) = (package for package in packages if package.part == "kernel")
    assert kernel.name.startswith("linux-image-")


GOOD = f"root libc6 arm64 2.41-12 5 {'ab' * 32} pool/main/g/glibc/libc6.deb"


@pytest.mark.parametrize(
    "line",
    [
        GOOD.replace("pool/", "../"),
        GOOD.replace("main/", "../"),
        GOOD.replace("abab", "ab"),
        GOOD.replace(" 5 ", " five "),
        GOOD + " more",
    ],
)
def test_a_damaged_line_is_refused(line: str) -> None:
    assert parse_lock(GOOD)
    with pytest.raises(BuildFailed):
        parse_lock(line)
