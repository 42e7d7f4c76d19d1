"""The quick form of the fuzzing: docs/fuzzing.md."""

from random import Random

import pytest

from tests.fuzz.mutants import MUTANTS, Mutant, is_found
from tests.fuzz.quick import find
from tests.fuzz.targets import CORPUS, TARGETS, load_target

_INPUTS = 2000
_CORPUS_LIMIT_BYTES = 1024 * 1024


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_it(name: str) -> None:
    find(load_target(name), name, _INPUTS, Random())  # noqa: S311 - other inputs each time


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_break_nothing(name: str) -> None:
    target = load_target(name)
    for data in target.seeds():
        target.one_input(data)
        assert len(data) <= TARGETS[name], "the engine would cut it"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.target)
def test_a_broken_parser_is_found(mutant: Mutant) -> None:
    assert is_found(mutant, quick=True)


def test_each_target_has_a_mutant_and_the_corpus_stays_small() -> None:
    assert {mutant.target for mutant in MUTANTS} == set(TARGETS)
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)
    sizes = [path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()]
    assert sum(sizes) < _CORPUS_LIMIT_BYTES
