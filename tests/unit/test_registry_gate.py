"""The gate's verdicts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from pipeline.evaluation.evidence import judge_alone
from registry.conditions import GateConfig
from registry.errors import RegistryError
from registry.evidence import ChampionEvidence, Evidence, keep_evidence, kept_evidence
from registry.gate import judge
from registry.slots import Slot
from registry.versions import Registry

CONFIG = GateConfig()
GOOD: dict[str, Any] = {
    "finite": True,
    "effective_rows": 80.0,
    "brier_skill": 0.031,
    "brier_skill_low": 0.004,
    "direction_skill": 0.01,
    "direction_skill_low": 0.002,
    "balanced_accuracy": 0.41,
    "classes": 3,
}
NO_SKILL, FEW_ROWS = {"brier_skill": 0.031, "brier_skill_low": 0.0}, {"effective_rows": 29.9}
COMPARED = {"comparable": True, "common_rows": 50}
SAME = {**COMPARED, "log_loss_difference": 0.01, "low": 0.0, "high": 0.02}
WORSE = {**COMPARED, "log_loss_difference": 0.03, "low": 0.0201, "high": 0.0399}
OPEN = {**COMPARED, "log_loss_difference": 0.0, "low": -0.0201, "high": 0.0201}
BETTER = {**COMPARED, "log_loss_difference": -0.05, "low": -0.08, "high": -0.02}
FEW_COMMON = {**WORSE, "common_rows": 49}
APART = {"comparable": False, "why_not": "Other labels."}


def evidence(
    champion: dict[str, Any] | None = None, mode: str = "trade", **changes: Any
) -> Evidence:
    told = {"version": "v0006", "mode": mode, **champion} if champion is not None else None
    return Evidence.model_validate({**GOOD, "champion": told, **changes})


@pytest.mark.parametrize(
    ("candidate", "champion", "mode", "outcome"),
    [
        ({}, None, "", "promote"),
        (NO_SKILL, None, "", "observe"),
        (FEW_ROWS, None, "", "observe"),
        ({"direction_skill": None, "direction_skill_low": None}, None, "", "observe"),
        ({"direction_skill": 0.01, "direction_skill_low": 0.0}, None, "", "observe"),
        ({"direction_skill": 0.01, "direction_skill_low": 0.0}, SAME, "trade", "refuse"),
        ({"direction_skill": 0.01, "direction_skill_low": math.nan}, None, "", "refuse"),
        ({}, {**SAME, "is_newer": True}, "trade", "refuse"),
        ({}, {**APART, "is_newer": True}, "observe", "refuse"),
        ({"finite": False}, None, "", "refuse"),
        ({"chronological": False}, None, "", "observe"),
        ({"chronological": False}, SAME, "observe", "observe"),
        ({"chronological": False}, BETTER, "trade", "refuse"),
        ({"brier_skill_low": math.nan}, None, "", "refuse"),
        ({"effective_rows": math.inf}, None, "", "refuse"),
        ({"balanced_accuracy": math.nan}, None, "", "refuse"),
        ({}, SAME, "trade", "promote"),
        ({}, BETTER, "trade", "promote"),
        ({}, OPEN, "trade", "refuse"),
        ({}, OPEN, "observe", "observe"),
        ({}, {**OPEN, "low": 0.02}, "observe", "observe"),
        (NO_SKILL, OPEN, "observe", "observe"),
        ({}, {**SAME, "low": math.nan, "high": math.nan}, "trade", "refuse"),
        ({}, WORSE, "trade", "refuse"),
        ({}, APART, "trade", "refuse"),
        ({}, FEW_COMMON, "trade", "refuse"),
        (NO_SKILL, SAME, "trade", "refuse"),
        (FEW_ROWS, SAME, "trade", "refuse"),
        (FEW_ROWS, APART, "trade", "refuse"),
        ({}, {**SAME, "log_loss_difference": math.nan}, "trade", "refuse"),
        ({}, SAME, "observe", "promote"),
        ({}, WORSE, "observe", "refuse"),
        ({}, APART, "observe", "promote"),
        (NO_SKILL, SAME, "observe", "observe"),
        (NO_SKILL, APART, "observe", "observe"),
        (FEW_ROWS, FEW_COMMON, "observe", "observe"),
        (NO_SKILL, WORSE, "observe", "refuse"),
    ],
)
def test_verdicts(
    candidate: dict[str, Any], champion: dict[str, Any] | None, mode: str, outcome: str
) -> None:
    verdict = judge(evidence(champion, mode, **candidate), CONFIG)
    assert verdict.outcome == outcome
    word = {"promote": "Promote: ", "observe": "Observe, ", "refuse": "Refuse: "}[outcome]
    assert verdict.sentence.startswith(word)
    assert verdict.sentence.endswith(".")
    assert ".." not in verdict.sentence
    assert "\n" not in verdict.sentence
    assert "NaN" not in verdict.model_dump_json()


def test_sentences_a_trader_understands() -> None:
    assert judge(evidence(), CONFIG).sentence == (
        "Promote: over 80 independent rows it predicts better than the usual frequencies of its "
        "classes (Brier skill +3.1%, balanced accuracy 41.0% where guessing gives 33.3%), and "
        "there is no champion yet."
    )
    assert judge(evidence(**FEW_ROWS), CONFIG).sentence == (
        "Observe, signals but no decisions: undecidable: only 29.9 independent rows, 30 are needed "
        "to tell skill from luck."
    )
    assert judge(evidence(WORSE), CONFIG).sentence == (
        "Refuse: it is clearly worse than v0006 (log loss +0.0300 a row on 50 common rows, with "
        "90 % confidence +0.0201 to +0.0399; up to +0.0200 is allowed)."
    )
    assert judge(evidence(OPEN), CONFIG).sentence == (
        "Refuse: v0006 trades and stays: undecidable: it may be worse than v0006 (log loss up to "
        "+0.0201 a row on 50 common rows, +0.0200 is allowed)."
    )
    assert judge(evidence(OPEN, "observe"), CONFIG).sentence == (
        "Observe, signals but no decisions: undecidable: it may be worse than v0006 (log loss up "
        "to +0.0201 a row on 50 common rows, +0.0200 is allowed)."
    )
    assert judge(evidence(SAME, "observe", **NO_SKILL), CONFIG).sentence.endswith(
        "; it is not clearly worse than v0006 (log loss +0.0100 a row on 50 common rows, with 90 % "
        "confidence +0.0000 to +0.0200; up to +0.0200 is allowed)."
    )
    assert judge(evidence(APART), CONFIG).sentence == (
        "Refuse: v0006 trades and stays: the two cannot be compared (Other labels)."
    )
    assert judge(evidence(chronological=False), CONFIG).sentence == (
        "Observe, signals but no decisions: its models were trained on candles later than their "
        "tests too, so its scores are no record of what it would have said at the time."
    )
    assert judge(evidence(finite=False), CONFIG).sentence == "Refuse: a figure is not a number."
    assert judge(evidence({**SAME, "is_newer": True}), CONFIG).sentence == (
        "Refuse: v0006 knows later candles than the candidate."
    )


def test_every_condition_is_told_with_its_value_and_limit() -> None:
    verdict = judge(evidence(SAME), CONFIG)
    told = {c.name: (c.passed, c.value, c.limit) for c in verdict.conditions}
    assert told == {
        "finite": (True, True, True),
        "chronological": (True, True, True),
        "effective_rows": (True, 80.0, 30.0),
        "brier_skill": (True, 0.004, 0.0),
        "direction_skill": (True, 0.002, 0.0),
        "not_older_than_champion": (True, True, True),
        "decided_against_champion": (True, 0.02, 0.02),
        "not_worse_than_champion": (True, 0.0, 0.02),
        "may_replace_a_trading_champion": (True, True, True),
    }


def test_limits_come_from_the_configuration() -> None:
    strict = GateConfig(min_effective_rows=81, max_log_loss_increase=0, min_common_rows=51)
    many = {**SAME, "common_rows": 51, "low": 0.001}
    assert judge(evidence(), strict).outcome == "observe"
    assert judge(evidence(many, "observe"), strict).outcome == "refuse"
    assert judge(evidence({**many, "low": 0.0}, "observe"), strict).outcome == "observe"
    assert judge(evidence(SAME, "observe"), strict).outcome == "observe"
    lenient = GateConfig(max_log_loss_increase=0.0399)
    assert judge(evidence(WORSE), lenient).outcome == "promote"
    assert judge(evidence(OPEN), lenient).outcome == "promote"


def test_the_default_gate_is_the_committed_one() -> None:
    path = Path(__file__).parents[2] / "conf/gate/default.yaml"
    assert GateConfig.model_validate(yaml.safe_load(path.read_text())) == GateConfig()


@pytest.mark.parametrize(
    "wrong",
    [{"min_effective_rows": 0}, {"max_log_loss_increase": -0.01}, {"min_common_rows": 0},
     {"max_log_loss_increase": math.nan}, {"min_rows": 3}],
)  # fmt: skip
def test_a_gate_without_meaning_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GateConfig.model_validate(wrong)


@pytest.mark.parametrize("missing", ["log_loss_difference", "low", "high"])
def test_a_comparison_needs_its_figures(missing: str) -> None:
    told = {name: value for name, value in SAME.items() if name != missing}
    with pytest.raises(ValidationError, match="needs a log_loss_difference, low and high"):
        ChampionEvidence.model_validate({"version": "v0001", "mode": "trade", **told})


def test_the_tests_beside_the_interval_decide_nothing() -> None:
    told = {**SAME, "diebold_mariano_p": 0.0001, "mcnemar_p": 0.0001}
    assert judge(evidence(told), CONFIG) == judge(evidence(SAME), CONFIG)


def test_evidence_of_before_money_and_order_were_told_is_read(tmp_path: Path) -> None:
    slot = Slot.parse("demo/SIM-BTC")
    Registry(tmp_path).add(slot, {"model": b"x"}, "2025-12-20T00:00Z")
    told = evidence(BETTER).model_dump(mode="json")
    del told["chronological"], told["champion"]["money"]
    (slot.folder(tmp_path) / "v0001.evidence.json").write_text(json.dumps(told))
    assert kept_evidence(tmp_path, slot, "v0001") == evidence(BETTER)


def test_money_is_kept_and_not_judged_by(tmp_path: Path) -> None:
    slot = Slot.parse("demo/SIM-BTC")
    Registry(tmp_path).add(slot, {"model": b"x"}, "2025-12-20T00:00Z")
    lost = {"comparable": True, "days": 60, "differing_days": 60, "low": -0.02, "high": -0.01}
    one = evidence({**SAME, "money": lost})
    keep_evidence(tmp_path, slot, "v0001", one)
    assert kept_evidence(tmp_path, slot, "v0001") == one
    assert one.champion is not None
    assert one.champion.money is not None
    assert one.champion.money.word == "worse"
    assert judge(one, CONFIG) == judge(evidence(SAME), CONFIG)


def test_evidence_is_kept_beside_the_events(tmp_path: Path) -> None:
    slot, registry = Slot.parse("demo/SIM-BTC"), Registry(tmp_path)
    registry.add(slot, {"model": b"x"}, "2025-12-20T00:00Z")
    assert kept_evidence(tmp_path, slot, "v0001") is None
    for told in (evidence(), evidence(SAME), evidence({**SAME, "low": -math.inf})):
        keep_evidence(tmp_path, slot, "v0001", told)
        assert kept_evidence(tmp_path, slot, "v0001") == told
    keep_evidence(tmp_path, slot, "v0001", evidence(brier_skill=math.nan))
    broken = kept_evidence(tmp_path, slot, "v0001")
    assert broken is not None
    assert judge(broken, CONFIG).outcome == "refuse"
    assert registry.verify() == []
    assert registry.add(slot, {"model": b"y"}, "2025-12-20T00:00Z").version == "v0002"
    (slot.folder(tmp_path) / "v0001.evidence.json").write_bytes(b'{"finite": true}')
    assert kept_evidence(tmp_path, slot, "v0001") is None, "of an older gate"
    with pytest.raises(RegistryError, match="no such version"):
        keep_evidence(tmp_path, slot, "v0009", evidence())


def test_too_few_rows_that_moved_decide_nothing() -> None:
    few = evidence(direction_effective_rows=4.1)
    verdict = judge(few, CONFIG)
    assert verdict.outcome == "observe"
    assert "undecidable: only 4.1 independent rows moved, 30 are needed" in verdict.sentence
    assert judge_alone(few, CONFIG)["verdict"] == "undecidable"
    assert judge(evidence(direction_effective_rows=30.0), CONFIG).outcome == "promote"
    assert judge(evidence(direction_effective_rows=math.inf), CONFIG).outcome == "refuse"
    assert judge(evidence(SAME, direction_effective_rows=4.1), CONFIG).outcome == "refuse"


def test_rows_of_several_markets_at_one_candle_are_common_once() -> None:
    pooled = {**WORSE, "common_rows": 196, "common_moments": 49}
    verdict = judge(evidence(pooled, "observe"), CONFIG)
    assert verdict.outcome == "promote", "what cannot be compared is not shown to be worse"
    assert "common rows of 49 candles, 50 are needed" in verdict.sentence
    assert judge(evidence({**pooled, "common_moments": 50}), CONFIG).outcome == "refuse"
