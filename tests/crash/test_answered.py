"""What the marks of a workload mean."""

import json

import pytest

from tests.crash.answered import Answered, Presence


def fold(*marks: dict[str, object]) -> Answered:
    answered = Answered()
    for mark in marks:
        answered.take(json.dumps(mark))
    return answered


_INIT: dict[str, object] = {"n": 0, "do": "init", "passphrase": "p"}
_NEW: dict[str, object] = {"n": 1, "do": "new", "key": "k", "type": "tz1", "chain": "Net"}
_MADE: dict[str, object] = {"n": 1, "done": {"address": "tz1k"}}
_START = ({**_INIT}, {"n": 0, "done": {}}, {**_NEW}, {**_MADE})


def sign(number: int, level: int) -> dict[str, object]:
    begin = {"n": number, "do": "sign", "key": "k", "kind": "block", "place": [level, 0]}
    return {**begin, "chain": "Net", "payload": f"{level:04x}"}


def test_a_keystore_counts_when_its_making_was_answered() -> None:
    assert not fold(_INIT).is_made
    assert fold(_INIT).passphrases == {"p"}
    assert fold(*_START).is_made


@pytest.mark.parametrize(
    ("marks", "presence"),
    [
        ((_NEW,), Presence.POSSIBLE),
        ((_NEW, _MADE), Presence.CERTAIN),
        ((_NEW, {"n": 1, "refused": 41}), Presence.GONE),
        ((_NEW, _MADE, {"n": 2, "do": "delete", "key": "k"}), Presence.DOUBTFUL),
        ((_NEW, _MADE, {"n": 2, "do": "delete", "key": "k"}, {"n": 2, "done": {}}), Presence.GONE),
        (
            (_NEW, _MADE, {"n": 2, "do": "delete", "key": "k"}, {"n": 2, "refused": 92}),
            Presence.CERTAIN,
        ),
    ],
)
def test_whether_a_key_must_be_there(
    marks: tuple[dict[str, object], ...], presence: Presence
) -> None:
    assert fold(*marks).keys["k"].presence is presence


def test_a_vote_that_has_begun_is_possible_and_an_answered_one_certain() -> None:
    answered = fold(*_START, sign(2, 10), {"n": 2, "done": {"signature": "aa"}}, sign(3, 11))
    votes = answered.keys["k"].votes["Net", "block"]
    assert (votes.highest, votes.begun) == ((10, 0), (11, 0))
    assert votes.signed == {(10, 0): (b"\x00\x0a", b"\xaa")}


def test_two_answers_for_one_place_are_a_fault_of_the_running_store() -> None:
    other = {**sign(3, 10), "payload": "ffff"}
    with pytest.raises(ValueError, match="two answers"):
        fold(
            *_START,
            sign(2, 10),
            {"n": 2, "done": {"signature": "aa"}},
            other,
            {"n": 3, "done": {"signature": "bb"}},
        )


def test_a_key_is_idle_between_its_operations() -> None:
    assert set(fold(*_START).idle_keys()) == {"k"}
    assert not fold(*_START, sign(2, 10)).idle_keys()
    assert not fold(*_START, {"n": 2, "do": "unlock"}).idle_keys()
    assert set(fold(*_START, {"n": 2, "do": "unlock"}, {"n": 2, "done": {}}).idle_keys()) == {"k"}


def test_a_passphrase_that_is_being_changed_may_be_either() -> None:
    passwd: dict[str, object] = {"n": 2, "do": "passwd", "passphrase": "q"}
    assert fold(*_START, passwd).passphrases == {"p", "q"}
    assert fold(*_START, passwd, {"n": 2, "refused": "no"}).passphrases == {"p"}
    changed = fold(*_START, passwd, {"n": 2, "done": {}})
    assert (changed.passphrases, changed.former_passphrases) == ({"q"}, ["p"])


def test_a_retirement_counts_when_it_was_answered() -> None:
    retire: dict[str, object] = {"n": 2, "do": "retire", "key": "k", "level": 9}
    assert fold(*_START, retire).keys["k"].last_levels == {None, 9}
    assert fold(*_START, retire, {"n": 2, "refused": "no"}).keys["k"].last_levels == {None}
    assert fold(*_START, retire, {"n": 2, "done": {}}).keys["k"].last_levels == {9}


def test_a_key_for_the_first_chain_is_bound_by_its_first_answer() -> None:
    start = (*_START[:2], {**_NEW, "chain": None}, _MADE)
    assert fold(*start).keys["k"].chains == {None}
    assert fold(*start, sign(2, 10)).keys["k"].chains == {None, "Net"}
    answered = fold(*start, sign(2, 10), {"n": 2, "done": {"signature": "aa"}})
    assert answered.keys["k"].chains == {"Net"}


def test_a_mark_that_was_raised_holds_without_a_signature() -> None:
    places: dict[str, object] = {"chain": "Net", "place": [20, 7], "kinds": ["block"]}
    begin: dict[str, object] = {"n": 2, "do": "raise", "key": "k", **places}
    votes = fold(*_START, begin).keys["k"].votes["Net", "block"]
    assert (votes.highest, votes.begun, votes.raise_begun) == ((-1, -1), (20, 7), (20, 7))
    votes = fold(*_START, begin, {"n": 2, "done": {}}).keys["k"].votes["Net", "block"]
    assert votes.highest == (20, 7)
