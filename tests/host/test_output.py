"""The JSON form of a key, tables, and the lines for octez-client."""

import pytest

from broker.messages import MarksStatus, MarkStatus
from host.output import describe_key, printable, show_json, show_table
from host.registration import registration_lines
from tests.host.fake_board import describe, make_signer
from tezos.keys import KeyType

TZ4 = describe("baker", make_signer(KeyType.TZ4), last_level=7)
TZ3 = describe("old", make_signer(KeyType.TZ3), lock_state="locked", chain_id=None)
NO_MARKS = MarksStatus(block=None, preattestation=None, attestation=None)


def test_a_tz4_key_shows_its_proof_and_a_retired_one_its_last_level() -> None:
    shown = describe_key(TZ4)
    assert list(shown) == [
        "id",
        "type",
        "pkh",
        "public_key",
        "proof_of_possession",
        "lock_state",
        "chain_id",
        "marks",
        "last_level",
    ]
    assert shown["last_level"] == 7


def test_other_keys_show_neither() -> None:
    shown = describe_key(TZ3)
    assert "proof_of_possession" not in shown
    assert "last_level" not in shown
    assert shown["chain_id"] is None


def test_sealed_marks_are_not_the_same_as_no_marks() -> None:
    assert describe_key(TZ3)["marks"] is None
    key = describe("new", make_signer(KeyType.TZ4), marks=NO_MARKS)
    assert describe_key(key)["marks"] == {
        "block": None,
        "preattestation": None,
        "attestation": None,
    }


def test_a_mark_is_a_level_and_a_round() -> None:
    marks = MarksStatus(block=MarkStatus(level=5, round=0), preattestation=None, attestation=None)
    shown = describe_key(describe("k", make_signer(KeyType.TZ4), marks=marks))["marks"]
    assert shown == {
        "block": {"level": 5, "round": 0},
        "preattestation": None,
        "attestation": None,
    }


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    show_json(["é\x1b"])
    assert capsys.readouterr().out == '[\n  "\\u00e9\\u001b"\n]\n'


def test_a_table_takes_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("a", "b"), [("[red]x[/red]", "\x1b[2J:smile:")])
    shown = capsys.readouterr().out
    assert "[red]x[/red]" in shown
    assert ":smile:" in shown
    assert "\x1b" not in shown


def test_nothing_unprintable_is_printed() -> None:
    assert printable("a\x1b\n\x00é\u202e") == "a\ufffd\ufffd\ufffdé\ufffd"


def test_a_tz4_key_is_registered_with_its_proof() -> None:
    imported, consensus, companion = registration_lines(TZ4)
    proof = TZ4.proof_of_possession
    assert imported == (f"octez-client import secret key baker http://127.0.0.1:20090/{TZ4.pkh}")
    assert consensus == (
        f"octez-client set consensus key for BAKER to baker --consensus-key-pop {proof}"
    )
    assert companion == (
        f"octez-client set companion key for BAKER to baker --companion-key-pop {proof}"
    )


def test_another_key_has_no_proof_and_is_no_companion() -> None:
    assert registration_lines(TZ3)[1:] == ("octez-client set consensus key for BAKER to old",)
