"""Which keys are served, and how often the board is asked for them."""

from dataclasses import replace

from host.key_directory import REFRESH_S, KeyDirectory
from tests.host.fake_board import describe, make_signer
from tezos.keys import KeyType

FIRST = describe("first", make_signer(KeyType.TZ4, 1))
SECOND = describe("second", make_signer(KeyType.TZ1, 2))
OTHER_FIRST = describe("first", make_signer(KeyType.TZ4, 3))


def test_without_names_all_keys_are_served() -> None:
    directory = KeyDirectory()
    assert directory.load((FIRST, SECOND)) == ()
    assert [key.alias for key in directory.keys] == ["first", "second"]


def test_with_names_only_those_are_served() -> None:
    directory = KeyDirectory(("second",))
    assert directory.load((FIRST, SECOND)) == ()
    assert directory.find(FIRST.pkh) is None
    found = directory.find(SECOND.pkh)
    assert found is not None
    assert (found.alias, found.type, found.proof) == ("second", KeyType.TZ1, None)


def test_names_that_the_board_lacks_are_returned() -> None:
    assert KeyDirectory(("x", "first", "a")).load((FIRST, SECOND)) == ("a", "x")


def test_a_new_list_takes_the_place_of_the_old_one() -> None:
    directory = KeyDirectory(("first",))
    directory.load((FIRST,))
    directory.load((OTHER_FIRST,))
    assert directory.find(FIRST.pkh) is None
    assert directory.find(OTHER_FIRST.pkh) is not None


def test_a_type_that_only_a_newer_board_knows_is_left_out() -> None:
    directory = KeyDirectory()
    directory.load((replace(FIRST, type="tz9"), SECOND))
    assert [key.alias for key in directory.keys] == ["second"]


def test_it_is_not_loaded_before_the_first_list_and_an_empty_one_counts() -> None:
    directory = KeyDirectory()
    assert not directory.is_loaded
    directory.load(())
    assert directory.is_loaded


def test_the_board_is_asked_at_most_once_in_a_while() -> None:
    directory = KeyDirectory()
    assert directory.take_turn(100.0)
    assert not directory.take_turn(100.0 + REFRESH_S - 0.1)
    assert directory.take_turn(100.0 + REFRESH_S)
