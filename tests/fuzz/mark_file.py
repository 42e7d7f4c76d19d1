"""A file of marks to import: UsageError, or marks that a request may carry and a file shows again.

The first byte says of what octez-signer's marks are.
"""

import json
from collections.abc import Iterator
from typing import Final

from broker.messages import ChainEntry, ImportMarksRequest, KeyMarks, MarkEntry
from host.errors import UsageError
from host.mark_file import KINDS, describe_marks, parse_mark_file
from tezos.keys import encode_chain_id

__all__ = ["one_input", "seeds"]

_OCTEZ_KINDS: Final = (None, *KINDS)
_MAINNET: Final = "NetXdQprcVkpaWU"
_OTHER: Final = "NetXnHfVqm9iesp"
_TZ1: Final = "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb"
_TZ4: Final = "tz4HVR6aty9KwsQFHh81C1G7gBdhxT8kuytm"


def one_input(data: bytes) -> None:
    if not data:
        return
    try:
        found = parse_mark_file(data[1:], _OCTEZ_KINDS[data[0] & 3])
    except UsageError:
        return
    keys = [KeyMarks(id="k", pkh=pkh, chains=chains) for pkh, chains in found.items()]
    for key in keys:
        ImportMarksRequest(passphrase=b"", keys=(key,))
    again = parse_mark_file(json.dumps(describe_marks(keys)).encode(), None)
    assert {pkh: set(chains) for pkh, chains in again.items()} == {
        pkh: set(chains) for pkh, chains in found.items()
    }


def seeds() -> Iterator[bytes]:
    mark = MarkEntry(level=2**31 - 1, round=0, hash=bytes(range(32)))
    full = ChainEntry(
        chain_id=_MAINNET, last_level=7, block=mark, preattestation=None, attestation=mark
    )
    empty = ChainEntry(
        chain_id=_OTHER, last_level=None, block=None, preattestation=None, attestation=None
    )
    keys = [KeyMarks(id="a", pkh=_TZ1, chains=(full, empty)),
            KeyMarks(id="b", pkh=_TZ4, chains=(empty,))]  # fmt: skip
    yield b"\0" + json.dumps(describe_marks(keys)).encode()
    octez = {"level": 5, "round": 1, "hash": "ab" * 32, "signature": "BLsig"}
    yield b"\3" + json.dumps({_MAINNET: {_TZ4: octez}}).encode()
    yield b"\1" + json.dumps({_MAINNET: {_TZ4: {"level": 5}}}).encode()
    yield b"\0" + json.dumps({"mainnet": {_TZ1: {}}, _MAINNET: {_TZ1: {}}}).encode()
    many = {encode_chain_id(bytes([n]) * 4): {_TZ1: dict[str, str]()} for n in range(17)}
    yield b"\0" + json.dumps(many).encode()
    yield b'\0{"%b": {"%b": {"block": {"level": 5, "level": 4}}}}' % (
        _MAINNET.encode(), _TZ1.encode()
    )  # fmt: skip
    yield b'\0{"%b": 5}' % _MAINNET.encode()
    yield b"\0" + b'{"a":' * 400
    yield b"\0" + b"[" * 2000
    yield b'\0{"\\ud800": NaN}'
