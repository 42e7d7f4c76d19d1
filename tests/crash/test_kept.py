"""What a long run has found is found again by the same code, and by no other."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.crash_images import Damage
from tests.crash.kept import Kept
from tests.crash.plan import FULL
from tests.crash.replay import Share, Tally

SETUP = FULL.setups[0]
SHARE = Share(samples=2, destruction=0.1)
TALLY = Tally(
    images=Counter({Damage.NONE: 3, Damage.TORN: 1}),
    digests={b"\x01" * 32, b"\x02" * 32},
    opened=2,
    destroyed=1,
    unrepaired=Counter({Damage.TORN: 1}),
)


def test_what_was_kept_is_there_again(tmp_path: Path) -> None:
    Kept(tmp_path / "new").keep(SETUP, SHARE, TALLY)
    assert Kept(tmp_path / "new").load(SETUP, SHARE) == TALLY


def test_every_setup_has_a_file_of_its_own(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    for setup in FULL.setups:
        kept.keep(setup, SHARE, TALLY)
    assert len(list(tmp_path.iterdir())) == len(FULL.setups)


def test_other_code_setups_and_shares_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Kept(tmp_path).keep(SETUP, SHARE, TALLY)
    assert Kept(tmp_path).load(replace(SETUP, steps=1), SHARE) is None
    assert Kept(tmp_path).load(SETUP, replace(SHARE, samples=1)) is None
    monkeypatch.setattr("tests.crash.kept.fingerprint", lambda _folders: "other")
    assert Kept(tmp_path).load(SETUP, SHARE) is None


def test_a_violation_is_tried_again(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.keep(SETUP, SHARE, replace(TALLY, violations=["a mark is lost"]))
    assert kept.load(SETUP, SHARE) is None
