"""The outcomes as the table of docs/reliability.md. Pure."""

from collections.abc import Iterator, Mapping

from tests.faults.findings import Measure, Outcome

__all__ = ["format_table"]


def format_table(outcomes: Mapping[str, Outcome]) -> str:
    """One row for each scenario, then what went wrong."""
    rows = [
        "| | scenario | counted | worst | outcome |",
        "|---|---|---|---|---|",
        *(_row(number, outcome) for number, outcome in sorted(outcomes.items())),
    ]
    return "\n".join([*rows, *_problems(outcomes)])


def _row(number: str, outcome: Outcome) -> str:
    counted = "; ".join(f"{what} {count:,}" for what, count in outcome.counts.items())
    worst = "; ".join(_figure(what, measure) for what, measure in outcome.measures.items())
    told = "kept" if outcome.passed else "BROKEN"
    return (
        f"| {number} | {outcome.name} | {counted} | {worst} | {told}, {outcome.elapsed_s:.0f} s |"
    )


def _figure(what: str, measure: Measure) -> str:
    limit = "" if measure.limit is None else f" (at most {measure.limit:g})"
    return f"{what} {measure.value:.3g}{limit}"


def _problems(outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    for number, outcome in sorted(outcomes.items()):
        for problem in outcome.problems:
            yield f"\n{number}: {problem}"
