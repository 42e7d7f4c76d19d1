"""The file of marks: ours and octez-signer's, and nothing that is neither."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.messages import ChainEntry, KeyMarks, MarkEntry
from host.errors import UsageError
from host.mark_file import describe_marks, find_kind, parse_mark_file
from tezos.keys import encode_chain_id

CHAIN = "NetXdQprcVkpaWU"
OTHER = "NetXnHfVqm9iesp"
TZ1 = "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb"
TZ4 = "tz4HVR6aty9KwsQFHh81C1G7gBdhxT8kuytm"
HASH = bytes(range(32))
LAST_ROUND = 2**31 - 1

_NUMBERS = st.integers(0, LAST_ROUND)
_ENTRIES = st.none() | st.builds(
    MarkEntry, level=_NUMBERS, round=_NUMBERS, hash=st.none() | st.binary(min_size=32, max_size=32)
)
_CHAINS = st.lists(
    st.builds(
        ChainEntry,
        chain_id=st.sampled_from((CHAIN, OTHER)),
        last_level=st.none() | _NUMBERS,
        block=_ENTRIES,
        preattestation=_ENTRIES,
        attestation=_ENTRIES,
    ),
    unique_by=lambda chain: chain.chain_id,
).map(tuple)


def parse(content: object, kind: str | None = None) -> dict[str, tuple[ChainEntry, ...]]:
    return parse_mark_file(json.dumps(content).encode(), kind)


@given(_CHAINS, _CHAINS)
def test_what_is_written_is_read_as_it_was(
    first: tuple[ChainEntry, ...], second: tuple[ChainEntry, ...]
) -> None:
    keys = [KeyMarks(id="a", pkh=TZ1, chains=first), KeyMarks(id="b", pkh=TZ4, chains=second)]
    found = parse(describe_marks(keys))
    for key in keys:
        by_chain = {chain.chain_id: chain for chain in found.get(key.pkh, ())}
        assert by_chain == {chain.chain_id: chain for chain in key.chains}


def test_the_form_is_chain_address_kind() -> None:
    chain = ChainEntry(
        chain_id=CHAIN,
        last_level=9,
        block=MarkEntry(level=5, round=1, hash=HASH),
        preattestation=None,
        attestation=MarkEntry(level=6, round=0, hash=None),
    )
    assert describe_marks([KeyMarks(id="a", pkh=TZ1, chains=(chain,))]) == {
        CHAIN: {
            TZ1: {
                "block": {"level": 5, "round": 1, "hash": HASH.hex()},
                "attestation": {"level": 6, "round": 0},
                "last_level": 9,
            }
        }
    }


@pytest.mark.parametrize("kind", ["block", "preattestation", "attestation"])
def test_octez_signers_file_is_read(kind: str) -> None:
    mark = {"level": 5, "round": 1, "hash": HASH.hex(), "signature": "edsig"}
    (chain,) = parse({CHAIN: {TZ1: mark}}, kind)[TZ1]
    assert getattr(chain, kind) == MarkEntry(level=5, round=1, hash=HASH)
    others = {"block", "preattestation", "attestation"} - {kind}
    assert [getattr(chain, other) for other in others] == [None, None]


def test_an_octez_mark_without_a_round_is_all_of_its_level() -> None:
    (chain,) = parse({CHAIN: {TZ1: {"level": 5, "hash": HASH.hex()}}}, "block")[TZ1]
    assert chain.block == MarkEntry(level=5, round=LAST_ROUND, hash=None)


def test_an_octez_file_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="--kind"):
        parse({CHAIN: {TZ1: {"level": 5, "round": 0, "hash": HASH.hex()}}})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("block_high_watermarks", "block"),
        ("preendorsement_high_watermarks", "preattestation"),
        ("preattestation_high_watermarks", "preattestation"),
        ("endorsement_high_watermarks", "attestation"),
        ("attestation_high_watermarks", "attestation"),
        ("marks.json", None),
    ],
)
def test_octez_names_tell_the_kind(name: str, kind: str | None) -> None:
    assert find_kind(name) == kind


def _ours(**entry: object) -> dict[str, Any]:
    return {CHAIN: {TZ1: entry}}


@pytest.mark.parametrize(
    "content",
    [
        [],
        {CHAIN: []},
        {CHAIN: {TZ1: 5}},
        {"NetX": {TZ1: {}}},
        {CHAIN: {"tz1": {}}},
        _ours(bake={"level": 1, "round": 0}),
        _ours(block={"level": 1}, unknown=1),
        _ours(block=5),
        _ours(block={}),
        _ours(block={"level": "5", "round": 0}),
        _ours(block={"level": True, "round": 0}),
        _ours(block={"level": 1.0, "round": 0}),
        _ours(block={"level": -1, "round": 0}),
        _ours(block={"level": 2**31, "round": 0}),
        _ours(block={"level": 1, "round": None}),
        _ours(block={"level": 1, "round": 0, "hash": HASH.hex().upper()}),
        _ours(block={"level": 1, "round": 0, "hash": "00"}),
        _ours(block={"level": 1, "round": 0, "hash": None}),
        _ours(last_level=-1),
        _ours(last_level="1"),
        _ours(block={"level": 1, "round": 0, "signature": "edsig"}),
    ],
)
def test_what_is_not_understood_is_refused(content: object) -> None:
    with pytest.raises(UsageError):
        parse(content)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b'{"NetXdQprcVkpaWU": {}, "NetXdQprcVkpaWU": {}}',
        b'{"NetXdQprcVkpaWU": {"%s": {"last_level": NaN}}}' % TZ1.encode(),
    ],
)
def test_what_is_no_json_or_says_a_thing_twice_is_refused(text: bytes) -> None:
    with pytest.raises(UsageError, match="no file of marks"):
        parse_mark_file(text, None)


def test_a_chain_under_two_names_is_refused() -> None:
    with pytest.raises(UsageError, match="another name"):
        parse({"mainnet": {TZ1: {}}, CHAIN: {TZ1: {}}})


def test_more_chains_than_a_key_has_are_refused() -> None:
    chains: dict[str, object] = {
        encode_chain_id(bytes([number]) * 4): {TZ1: {}} for number in range(17)
    }
    with pytest.raises(UsageError, match="at most 16 chains"):
        parse(chains)
    chains.popitem()
    assert len(parse(chains)[TZ1]) == 16


@given(st.binary(max_size=60))
def test_junk_is_refused_and_nothing_else(junk: bytes) -> None:
    try:
        parse_mark_file(junk, "block")
    except UsageError:
        return
    assert json.loads(junk) == {} or not any(json.loads(junk).values())
