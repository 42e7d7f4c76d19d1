"""A development image lets its developer in, beside a signer that works, and nobody can take it for
an image of a baker."""

import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from image import development
from image.build import build_image
from image.card import open_card
from image.materials import gather_materials
from image.record import Record
from image.verify import verify_image
from tests.image.virtual_board import boot, make_kit

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

# What verify says of a development image that claims to be none.
FAULTS = (
    "/usr/sbin/dropbear is a program too much",
    "usr/bin/busybox: a shell",
    "usr/bin/sh: a shell",
    "account dev",
    "dev has the shell",
    "attach-gadget-dev.service is enabled",
    "dev-ssh.service is enabled",
    "attach-gadget.service is not enabled",
    "/app/bin has",
    "the driver usb_f_ecm",
    "the marks of a development image",
    "/root has",
    "libgnutls.so.30 holds a private key",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """The image. Args: key: the developer's, as the ssh client of the board's own kind reads it."""

    place: Path
    record: Record
    key: bytes


@pytest.fixture(scope="module")
def built(mirror: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    place = tmp_path_factory.mktemp("development") / "image.img"
    key = Ed25519PrivateKey.generate()
    public = key.public_key()
    line = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    record = build_image("qemu-virt", place, developer_key=line.decode())
    secret = key.private_bytes_raw() + public.public_bytes_raw()
    yield Built(
        place=place, record=record, key=encode_string(b"ssh-ed25519") + encode_string(secret)
    )
    place.unlink()


def encode_string(data: bytes) -> bytes:
    """RFC 4251, section 5."""
    return struct.pack(">I", len(data)) + data


def test_it_is_good_and_says_what_it_is(built: Built) -> None:
    report = verify_image(built.place)
    assert report.faults == ()
    assert report.record.is_development
    assert report.record.version.endswith("-development")


def test_nothing_of_it_passes_as_production(built: Built, tmp_path: Path) -> None:
    place = tmp_path / "image.img"
    shutil.copyfile(built.place, place)
    with open_card(place, writable=True) as card:
        card.write_record(replace(card.read_record(), is_development=False))
    faults = "\n".join(verify_image(place).faults)
    for words in FAULTS:
        assert words in faults
    place.unlink()


@pytest.mark.skipif("TEZSIGN_IMAGE_CUTS" not in os.environ, reason="a boot of the full test")
def test_its_developer_gets_in_beside_a_signer_that_works(built: Built, tmp_path: Path) -> None:
    (tmp_path / "kit").mkdir()
    kit = make_kit(
        gather_materials(), tmp_path / "kit", modules=development.MODULES, ssh_key=built.key
    )
    with boot(built.place, kit, tmp_path / "boot") as board:
        assert board.ask("wait_ready", limit_s=150)
        assert board.ask("version")["version"] == built.record.version
        assert board.ask("read", path="/sys/bus/usb/devices/1-1/bNumInterfaces").strip() == "4"
        words = ["/run/test/dbclient", "-y", "-y", "-T", "-i", "/run/test/ssh-key"]
        told = board.ask(
            "run_until_good", command=[*words, "dev@10.55.74.1", "id", "-u"], limit_s=60
        )
        assert "NOT FOR PRODUCTION" in told
        assert told.startswith("0\n")  # what it writes to stderr comes behind
        others = board.ask("run", command=[*words, "root@10.55.74.1", "id", "-u"])
        assert others["status"] != 0
