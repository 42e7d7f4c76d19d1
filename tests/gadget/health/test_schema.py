"""docs/health.md lists every field, every rule and every setting, and nothing else."""

import json
import re
from pathlib import Path

from gadget.health.judge import Judge
from gadget.health.report import SCHEMA, encode_report
from gadget.health.rules import RULES
from gadget.health.settings import HealthSettings
from tests.gadget.health.samples import GOOD
from tests.gadget.health.schema import FIELDS

TEXT = (Path(__file__).parents[3] / "docs/health.md").read_text()


def table(heading: str) -> list[list[str]]:
    section = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_every_field_is_documented_with_its_type() -> None:
    documented = [(path, kind) for path, kind, _ in table("Fields")]
    shortened = [
        (re.sub(r"^(signing\.latency)\.\w+\.", r"\1.*.", path), kind) for path, kind in FIELDS
    ]
    assert documented == list(dict.fromkeys(shortened))
    assert f"`schema` is {SCHEMA};" in TEXT


def test_every_step_of_the_latency_is_documented() -> None:
    steps = {path.split(".")[2] for path, _ in FIELDS if path.startswith("signing.latency.")}
    assert {step for step, _ in table("Where the time of a signature goes")} == steps


def test_every_rule_is_documented() -> None:
    in_code = [[rule.code, rule.level, rule.check or ""] for rule in RULES]
    assert sorted(row[:3] for row in table("Alerts")) == sorted(in_code)


def test_every_setting_is_documented_with_its_default() -> None:
    defaults = HealthSettings()
    for name, default, _ in table("Settings"):
        assert str(getattr(defaults, name)).lower() == default.lower()
    assert {name for name, *_ in table("Settings")} == set(HealthSettings.__slots__) - {"problems"}


def test_the_json_has_the_fields_of_the_schema() -> None:
    report = json.loads(encode_report(Judge(lambda _boottime_s: None).judge(GOOD)))
    top = list(dict.fromkeys(re.split(r"[.\[]", path)[0] for path, _ in FIELDS))
    assert list(report) == top
    software = {re.split(r"[.\[]", path)[1] for path, _ in FIELDS if path.startswith("software_")}
    assert set(report["software_health"]) == software
