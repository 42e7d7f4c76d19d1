"""Boots the lab for each group of tests/kernel: what only a real kernel can show."""

import pytest

from tests.kernel_run import run_kernel_tests

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    "files",
    [
        ["test_registrar.py", "test_ep0.py"],
        ["test_endpoints.py"],
        ["test_host_stream.py", "test_host_usb.py"],
    ],
    ids=["registrar", "endpoints", "host"],
)
def test_in_the_lab(files: list[str]) -> None:
    run_kernel_tests(*files)
