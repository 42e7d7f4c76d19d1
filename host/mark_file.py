"""The file that carries marks from one signer to another: JSON, ours or octez-signer's. Pure.

Ours: chain → address → kind → level, round, hash; beside the kinds `last_level`, of a retired key.
octez-signer's, one file for each kind: chain → address → level, round, hash, signature. Read
strictly: what is not understood is refused, since a mark that is passed over may be signed twice.

Source: octez, src/bin_signer/handler.ml (High_watermark.encoding); its files are
`block_high_watermarks` and so on, with endorsement for attestation in older versions.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from broker.key_marks import CHAINS_LIMIT
from broker.messages import ChainEntry, KeyMarks, MarkEntry
from host.errors import UsageError
from tezos.errors import BadEncoding, TezosError
from tezos.keys import address_type, encode_chain_id, parse_chain_id

__all__ = ["KINDS", "MARK_FILE_LIMIT_BYTES", "describe_marks", "find_kind", "parse_mark_file"]

KINDS: Final = ("block", "preattestation", "attestation")
MARK_FILE_LIMIT_BYTES: Final = 4 * 1024 * 1024
_LAST_ROUND: Final = 2**31 - 1
_HASH: Final = re.compile(r"[0-9a-f]{64}\Z")
_MARK_FIELDS: Final = frozenset({"level", "round", "hash"})
_OCTEZ_FIELDS: Final = _MARK_FIELDS | {"signature"}
# The longer name first: the one is part of the other.
_KIND_IN_NAME: Final = (
    (re.compile(r"pre(attestation|endorsement)"), "preattestation"),
    (re.compile(r"attestation|endorsement"), "attestation"),
    (re.compile(r"block"), "block"),
)

Json = Mapping[str, Any]  # as the JSON library gives it; every value is looked at


def describe_marks(keys: Iterable[KeyMarks]) -> dict[str, Any]:
    """Returns the file's content."""
    described: dict[str, dict[str, Any]] = {}
    for key in keys:
        for chain in key.chains:
            marks = {kind: _describe_mark(getattr(chain, kind)) for kind in KINDS}
            entry: dict[str, Any] = {kind: mark for kind, mark in marks.items() if mark is not None}
            if chain.last_level is not None:
                entry["last_level"] = chain.last_level
            described.setdefault(chain.chain_id, {})[key.pkh] = entry
    return described


def _describe_mark(mark: MarkEntry | None) -> dict[str, Any] | None:
    if mark is None:
        return None
    described: dict[str, Any] = {"level": mark.level, "round": mark.round}
    if mark.hash is not None:
        described["hash"] = mark.hash.hex()
    return described


def find_kind(file_name: str) -> str | None:
    """Returns the kind that octez-signer's name for a file stands for."""
    return next((kind for part, kind in _KIND_IN_NAME if part.search(file_name)), None)


def parse_mark_file(text: bytes, octez_kind: str | None) -> dict[str, tuple[ChainEntry, ...]]:
    """Returns the chains of each address.

    Args:
        octez_kind: of what the marks are if the file is octez-signer's; None: not known.

    Raises:
        UsageError: it is neither of the two, or says anything twice.
    """
    try:
        content = json.loads(text, object_pairs_hook=_take_once, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"this is no file of marks: {error}") from error
    found: dict[str, dict[str, ChainEntry]] = {}
    for name, addresses in _take_map(content, "the file").items():
        chain_id = _check_chain(name)
        for address, entry in _take_map(addresses, name).items():
            where = f"{name}, {_check_address(address)}"
            chains = found.setdefault(address, {})
            if chain_id in chains:
                raise UsageError(f"{where}: this chain is there already, under another name")
            if len(chains) == CHAINS_LIMIT:
                raise UsageError(f"{where}: a key has marks on at most {CHAINS_LIMIT} chains")
            chains[chain_id] = _parse_entry(_take_map(entry, where), chain_id, octez_kind, where)
    return {address: tuple(chains.values()) for address, chains in found.items()}


def _parse_entry(entry: Json, chain_id: str, octez_kind: str | None, where: str) -> ChainEntry:
    if "level" not in entry:
        return _parse_ours(entry, chain_id, where)
    if octez_kind is None:
        raise UsageError(f"{where}: this is octez-signer's: say of what with --kind")
    _check_fields(entry, _OCTEZ_FIELDS, where)
    mark = _parse_mark({name: entry[name] for name in _MARK_FIELDS & entry.keys()}, where)
    marks = {kind: mark if kind == octez_kind else None for kind in KINDS}
    return ChainEntry(chain_id=chain_id, last_level=None, **marks)


def _parse_ours(entry: Json, chain_id: str, where: str) -> ChainEntry:
    _check_fields(entry, frozenset(KINDS) | {"last_level"}, where)
    marks = {
        kind: _parse_mark(_take_map(entry[kind], f"{where}, {kind}"), f"{where}, {kind}")
        if kind in entry
        else None
        for kind in KINDS
    }
    last_level = _take_number(entry, "last_level", where) if "last_level" in entry else None
    return ChainEntry(chain_id=chain_id, last_level=last_level, **marks)


def _parse_mark(mark: Json, where: str) -> MarkEntry:
    _check_fields(mark, _MARK_FIELDS, where)
    level = _take_number(mark, "level", where)
    if "round" not in mark:  # of a protocol without rounds: all of the level
        return MarkEntry(level=level, round=_LAST_ROUND, hash=None)
    payload_hash = None
    if "hash" in mark:
        text = mark["hash"]
        if not isinstance(text, str) or not _HASH.match(text):
            raise UsageError(f"{where}: a hash is 64 hexadecimal digits")
        payload_hash = bytes.fromhex(text)
    return MarkEntry(level=level, round=_take_number(mark, "round", where), hash=payload_hash)


def _take_once(pairs: list[tuple[str, Any]]) -> Json:
    taken = dict(pairs)
    if len(taken) != len(pairs):
        raise ValueError("a name occurs twice in one place")
    return taken


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("a number is none")


def _take_map(value: object, where: str) -> Json:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: expected a JSON object")
    return value


def _take_number(entry: Json, name: str, where: str) -> int:
    number = entry.get(name)
    if type(number) is not int or not 0 <= number <= _LAST_ROUND:
        raise UsageError(f"{where}: {name} is a number from 0 to {_LAST_ROUND}")
    return number


def _check_fields(entry: Json, known: frozenset[str], where: str) -> None:
    unknown = sorted(entry.keys() - known)
    if unknown:
        raise UsageError(f"{where}: {unknown[0]!r} is not understood")


def _check_chain(name: str) -> str:
    try:
        return encode_chain_id(parse_chain_id(name))
    except BadEncoding as error:
        raise UsageError(f"{name!r} is no chain id") from error


def _check_address(address: str) -> str:
    try:
        address_type(address)
    except TezosError as error:
        raise UsageError(f"{address!r} is no address") from error
    return address
