"""Rules of `tezos.keys`. Keys against vectors: test_signers.py and test_bls.py."""

import subprocess
import sys

import pytest

from tezos import base58, keys
from tezos.base58 import Prefix
from tezos.errors import BadEncoding, BadKey
from tezos.keys import KeyType, PublicKey

_SIZES = {KeyType.TZ1: 32, KeyType.TZ2: 33, KeyType.TZ3: 33, KeyType.TZ4: 48}
_LIGHT = ("base58", "consensus", "derivation", "errors", "keys", "scalars")


@pytest.mark.parametrize("module", _LIGHT)
def test_light_module_loads_no_curve_library(module: str) -> None:
    code = f"import sys, tezos.{module}; print({{'cryptography', 'pyblst'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout == "set()\n"


@pytest.mark.parametrize("key_type", KeyType)
def test_public_key_of_a_wrong_size_cannot_be_made(key_type: KeyType) -> None:
    for size in (0, _SIZES[key_type] - 1, _SIZES[key_type] + 1):
        with pytest.raises(BadKey):
            PublicKey(type=key_type, data=bytes(size))


@pytest.mark.parametrize(
    ("prefix", "data"),
    [
        (Prefix.SPPK, b"\x04" + b"\x01" * 32),
        (Prefix.SPPK, b"\x02" + b"\xff" * 32),
        (Prefix.P2PK, b"\x02" + b"\xff" * 32),
        (Prefix.P2PK, b"\x02" + b"\0" * 31 + b"\x02"),
        (Prefix.BLPK, bytes(48)),
        (Prefix.BLPK, b"\xc0" + bytes(47)),
        (Prefix.BLPK, b"\xff" * 48),
    ],
)
def test_public_key_that_is_no_point_is_refused(prefix: Prefix, data: bytes) -> None:
    with pytest.raises(BadKey):
        PublicKey.from_base58(base58.encode(prefix, data))


@pytest.mark.parametrize(
    "text", ["", "edp", "BLsk", "tz1hZvgjekGo7DmQjWh7XnY5eLQD8wNYPczE", "BLpk1"]
)
def test_text_that_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(BadEncoding):
        PublicKey.from_base58(text)


@pytest.mark.parametrize("key_type", KeyType)
def test_address_gives_its_type(key_type: KeyType) -> None:
    address = PublicKey(type=key_type, data=bytes(_SIZES[key_type])).address
    assert keys.address_type(address) is key_type


@pytest.mark.parametrize(
    "address",
    ["", "tz", "tz4", "tz5", "KT1", "TZ1", "tz1hZvgjekGo7DmQjWh7XnY5eLQD8wNYPczF", "tz4\0"],
)
def test_bad_address_is_refused(address: str) -> None:
    with pytest.raises(BadEncoding):
        keys.address_type(address)


def test_chain_id_is_mainnet_or_its_text() -> None:
    assert keys.parse_chain_id("mainnet") == keys.MAINNET == bytes.fromhex("7a06a770")
    assert keys.parse_chain_id("NetXdQprcVkpaWU") == keys.MAINNET
    assert keys.encode_chain_id(keys.MAINNET) == "NetXdQprcVkpaWU"


@pytest.mark.parametrize("text", ["", "Mainnet", "ghostnet", "NetXdQprcVkpaWV", "NetXdQprcVkpaW"])
def test_bad_chain_id_is_refused(text: str) -> None:
    with pytest.raises(BadEncoding):
        keys.parse_chain_id(text)


def test_chain_id_of_a_wrong_size_is_refused() -> None:
    with pytest.raises(BadEncoding):
        keys.encode_chain_id(b"12345")
