"""What grows fails or is warned of, what stands still passes, and the load must have happened."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.soak.rules import RULES
from tests.soak.series import HOST, Metric, Run, decode_run, encode_sample
from tests.soak.synthetic import COUNTS, make_run, make_series
from tests.soak.verdict import Finding, Verdict, judge, overall, warm_up_of

MIB: Final = 1024.0
QUICK_S: Final = 15.0
QUICK_PERIOD_S: Final = 0.15
HOUR_S: Final = 3600.0
PROCESSES: Final = ("gadget", HOST)


def judge_run(run: Run, duration_s: float) -> tuple[Verdict, dict[str, Finding]]:
    findings = judge(run, warm_up_of(duration_s))
    return overall(findings), {f"{each.process} {each.metric}": each for each in findings}


def memory_verdict(duration_s: float, **how: float) -> Verdict:
    period_s = min(1.0, duration_s / 100)
    run = make_run(make_series(duration_s, period_s=period_s, **how))  # type: ignore[arg-type]
    return judge_run(run, duration_s)[1][f"gadget {Metric.RESIDENT_KIB}"].verdict


def test_an_hour_without_growth_passes_with_noise_spikes_and_dependence() -> None:
    assert memory_verdict(HOUR_S, noise=8.0, persistence=0.9, spike_every_s=12.0) is Verdict.PASSED


def test_an_hour_that_grows_by_less_than_the_limit_passes() -> None:
    assert memory_verdict(HOUR_S, noise=8.0, leak_per_hour=0.7 * MIB) is Verdict.PASSED


def test_an_hour_that_may_grow_by_more_than_the_limit_does_not_pass() -> None:
    assert memory_verdict(HOUR_S, noise=8.0, leak_per_hour=1.1 * MIB) is not Verdict.PASSED
    assert memory_verdict(HOUR_S, noise=8.0, leak_per_hour=2 * MIB) is Verdict.FAILED


def test_an_hour_too_noisy_to_show_the_bound_is_a_warning() -> None:
    assert memory_verdict(HOUR_S, noise=200.0, persistence=0.99, seed=1) is Verdict.WARNING


def test_a_quick_run_that_stands_still_passes() -> None:
    assert memory_verdict(QUICK_S) is Verdict.PASSED
    assert memory_verdict(QUICK_S, noise=6.0) is Verdict.PASSED


@pytest.mark.parametrize("requests_per_s", [30, 50, 200])
def test_a_quick_run_that_keeps_a_kib_of_each_request_fails(requests_per_s: int) -> None:
    leak = requests_per_s * HOUR_S
    assert memory_verdict(QUICK_S, noise=6.0, leak_per_hour=leak) is Verdict.FAILED


def test_a_little_late_warm_up_in_a_quick_run_passes() -> None:
    assert memory_verdict(QUICK_S, leak_per_hour=12 * HOUR_S) is Verdict.PASSED


def test_garbage_that_waits_for_the_collector_is_the_hosts_alone() -> None:
    memory = make_series(QUICK_S, period_s=QUICK_PERIOD_S, leak_per_hour=100 * HOUR_S)
    by_process = {name: judge_run(make_run(memory, process=name), QUICK_S) for name in PROCESSES}
    verdicts = [
        findings[f"{name} {Metric.RESIDENT_KIB}"].verdict
        for name, (_, findings) in by_process.items()
    ]
    assert verdicts == [Verdict.FAILED, Verdict.PASSED]


def test_growth_that_noise_leaves_in_doubt_is_a_warning() -> None:
    assert memory_verdict(300, noise=80.0, leak_per_hour=1.4 * HOUR_S) is Verdict.WARNING


def test_noise_in_which_much_could_hide_is_a_warning() -> None:
    assert memory_verdict(QUICK_S, noise=3000.0, persistence=0.5) is Verdict.WARNING


def test_what_warms_up_is_not_judged() -> None:
    duration_s = 300.0
    memory = [(at_s, value + 100 * min(at_s, 100.0)) for at_s, value in make_series(duration_s)]
    finding = judge_run(make_run(memory), duration_s)[1][f"gadget {Metric.RESIDENT_KIB}"]
    assert finding.verdict is Verdict.PASSED
    longer = [(at_s, value + 100 * min(at_s, 200.0)) for at_s, value in make_series(duration_s)]
    finding = judge_run(make_run(longer), duration_s)[1][f"gadget {Metric.RESIDENT_KIB}"]
    assert finding.verdict is not Verdict.PASSED


def test_what_may_be_the_loads_own_is_a_warning_at_most() -> None:
    run = make_run(make_series(300), slab=lambda at_s: 9000 + 10 * at_s)
    verdict, findings = judge_run(run, 300)
    assert findings[f"kernel {Metric.KERNEL_MEMORY_KIB}"].verdict is Verdict.WARNING
    assert verdict is Verdict.WARNING


def floor_verdict(descriptors: Callable[[float], float]) -> Verdict:
    run = make_run(make_series(QUICK_S, period_s=QUICK_PERIOD_S), descriptors=descriptors)
    return judge_run(run, QUICK_S)[1][f"gadget {Metric.DESCRIPTORS}"].verdict


def test_a_descriptor_for_each_session_fails() -> None:
    assert floor_verdict(lambda at_s: 20 + at_s // 1) is Verdict.FAILED
    assert floor_verdict(lambda at_s: 20 + at_s // 3) is Verdict.FAILED


def test_descriptors_that_come_and_go_pass() -> None:
    assert floor_verdict(lambda at_s: 20 + round(at_s * 7) % 5) is Verdict.PASSED


def test_a_count_that_rose_once_is_a_warning() -> None:
    assert floor_verdict(lambda at_s: 20 + 2 * (at_s > 11)) is Verdict.WARNING


def test_a_signer_that_stalls_fails() -> None:
    memory = make_series(120)
    alive, stalled = (
        make_run(memory, signed=lambda at_s, end_s=end_s: min(at_s, end_s))  # type: ignore[misc]
        for end_s in (120, 80)
    )
    assert judge_run(alive, 120)[0] is Verdict.PASSED
    assert judge_run(stalled, 120)[0] is Verdict.FAILED


@pytest.mark.parametrize("missing", sorted(COUNTS))
def test_a_load_that_did_not_happen_proves_nothing(missing: str) -> None:
    counts = {name: number for name, number in COUNTS.items() if name != missing}
    run = make_run(make_series(QUICK_S, period_s=QUICK_PERIOD_S), counts=counts)
    assert judge_run(run, QUICK_S)[0] is Verdict.FAILED


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("sign failed: 503", Verdict.PASSED),
        ("sign failed: 409", Verdict.FAILED),
        ("sign failed: no answer", Verdict.FAILED),
        ("session failed: NotReady", Verdict.PASSED),
        ("session failed: BadAnswer", Verdict.FAILED),
    ],
)
def test_failures_are_expected_only_while_the_board_is_away(name: str, verdict: Verdict) -> None:
    counts = COUNTS | {name: 1}
    run = make_run(make_series(QUICK_S, period_s=QUICK_PERIOD_S), counts=counts)
    assert judge_run(run, QUICK_S)[0] is verdict


def test_every_metric_has_a_rule_that_says_what_is_expected() -> None:
    assert set(RULES) == set(Metric)
    assert all(rule.expected for rule in RULES.values())


def test_a_record_comes_back_as_it_was() -> None:
    run = make_run(make_series(QUICK_S, period_s=QUICK_PERIOD_S))
    lines = "\n".join(encode_sample(sample) for sample in run.samples)
    again = decode_run(lines, '{"signed": 900}')
    for (at_s, value), (again_s, again_value) in zip(
        run.series("gadget", Metric.RESIDENT_KIB),
        again.series("gadget", Metric.RESIDENT_KIB),
        strict=True,
    ):
        assert again_s == pytest.approx(at_s, abs=0.001)
        assert again_value == value
    assert again.counts == {"signed": 900}
