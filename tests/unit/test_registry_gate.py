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
from registry.budget import Asked
from registry.conditions import NEVER, GateConfig
from registry.draws import Kind
from registry.errors import RegistryError
from registry.evidence import ChampionEvidence, Evidence, keep_evidence, kept_evidence
from registry.gate import Standing, Verdict, judge
from registry.lineage import Chain
from registry.slots import Slot
from registry.versions import Registry

CONFIG = GateConfig()
GOOD: dict[str, Any] = {
    "finite": True,
    "effective_rows": 80.0,
    "brier_skill": 0.031,
    "brier_skill_low": 0.004,
    "brier_skill_p": 0.001,
    "direction_skill": 0.01,
    "direction_skill_low": 0.002,
    "direction_skill_p": 0.002,
    "balanced_accuracy": 0.41,
    "classes": 3,
}
NO_SKILL: dict[str, Any] = {"brier_skill_p": 0.0042}
FEW_ROWS: dict[str, Any] = {"effective_rows": 29.9}
KINDS: tuple[Kind, ...] = ("first", "refresh", "change")
NO_HEAD: dict[str, Any] = dict.fromkeys(
    ("direction_skill", "direction_skill_low", "direction_skill_p")
)
ALIKE = {
    "head": "direction", "rows": 60, "rank_correlation": 0.9, "signal_rate": 0.2,
    "champion_signal_rate": 0.18, "calibration_error": 0.05, "champion_calibration_error": 0.06,
}  # fmt: skip
EARNED: dict[str, Any] = {
    "comparable": True, "days": 60, "differing_days": 40, "daily_difference": 0.001,
    "daily_difference_p": 0.001,
}  # fmt: skip
COMPARED: dict[str, Any] = {"comparable": True, "common_rows": 50, "likeness": [ALIKE]}
SAME = {**COMPARED, "log_loss_difference": 0.01, "low": 0.0, "high": 0.02}
WORSE = {**COMPARED, "log_loss_difference": 0.03, "low": 0.0201, "high": 0.0399}
OPEN = {**COMPARED, "log_loss_difference": 0.0, "low": -0.0201, "high": 0.0201}
BETTER = {
    **COMPARED, "log_loss_difference": -0.05, "low": -0.08, "high": -0.02, "log_loss_p": 0.001,
    "direction_loss_difference": -0.01, "direction_loss_p": 0.003, "money": EARNED,
}  # fmt: skip
FEW_COMMON = {**WORSE, "common_rows": 49}
APART = {"comparable": False, "why_not": "Other labels."}
CERTIFIED: dict[str, Any] = {
    "head": "direction", "rows": 40, "rank_correlation": 0.8, "signal_rate": 0.2,
    "fold_signal_rate": 0.22,
    "unlabelled_rows": 24,
    "unlabelled_rank_correlation": 0.8,
}  # fmt: skip


def evidence(
    champion: dict[str, Any] | None = None, mode: str = "trade", **changes: Any
) -> Evidence:
    told = {"version": "v0006", "mode": mode, **champion} if champion is not None else None
    return Evidence.model_validate({**GOOD, "champion": told, **changes})


def stand(kind: Kind = "change", **told: Any) -> Standing:
    """Where a candidate stands: `offer` changes the whole portion, `chain` what was lost before."""
    differs = "train.seed was 7 and is 8" if kind == "change" else ""
    asked = Asked("v0007", kind, "2026-01-01T00:00+00:00", "v0006", differs)
    found = Standing.alone(CONFIG).offer.model_copy(update=told.get("offer", {}))
    return Standing(asked, found, told.get("chain"))


def check_words(verdict: Verdict) -> None:
    word = {"promote": "Promote: ", "observe": "Observe, ", "refuse": "Refuse: "}[verdict.outcome]
    assert verdict.sentence.startswith(word)
    assert verdict.sentence.endswith(".")
    assert ".." not in verdict.sentence
    assert "\n" not in verdict.sentence
    assert "NaN" not in verdict.model_dump_json()


@pytest.mark.parametrize(
    ("candidate", "champion", "outcome", "drawn"),
    [
        ({}, None, "promote", True),
        (NO_SKILL, None, "observe", True),
        ({"brier_skill_p": None}, None, "observe", True),
        (FEW_ROWS, None, "observe", False),
        (NO_HEAD, None, "observe", False),
        ({"direction_skill_p": 0.0042}, None, "observe", True),
        ({"direction_skill_p": math.nan}, None, "refuse", False),
        ({"finite": False}, None, "refuse", False),
        ({"chronological": False}, None, "observe", False),
        ({"brier_skill_low": math.nan}, None, "refuse", False),
        ({"effective_rows": math.inf}, None, "refuse", False),
        ({"balanced_accuracy": math.nan}, None, "refuse", False),
        ({}, {**APART, "is_newer": True}, "refuse", False),
        ({"chronological": False}, SAME, "observe", False),
        ({}, OPEN, "observe", True),
        ({}, {**OPEN, "low": 0.02}, "observe", True),
        (NO_SKILL, OPEN, "observe", True),
        ({}, SAME, "promote", True),
        ({}, WORSE, "refuse", True),
        ({}, APART, "promote", True),
        (NO_SKILL, SAME, "observe", True),
        (NO_SKILL, APART, "observe", True),
        (FEW_ROWS, FEW_COMMON, "observe", False),
        (NO_SKILL, WORSE, "refuse", True),
    ],
)
def test_what_leaves_observation_is_tested(
    candidate: dict[str, Any], champion: dict[str, Any] | None, outcome: str, drawn: bool
) -> None:
    told = evidence(champion, "observe", **candidate)
    for kind in KINDS:
        verdict = judge(told, CONFIG, stand(kind))
        assert (verdict.outcome, verdict.drawn) == (outcome, drawn)
        assert (verdict.kind, verdict.portions_left) == (kind, 12 - drawn)
        check_words(verdict)


@pytest.mark.parametrize(
    ("candidate", "champion", "outcome", "drawn"),
    [
        ({}, BETTER, "promote", True),
        ({}, SAME, "refuse", True),
        ({}, {**BETTER, "direction_loss_p": 0.0042}, "refuse", True),
        ({}, {**BETTER, "direction_loss_p": None}, "refuse", True),
        ({}, {**BETTER, "money": None}, "refuse", True),
        ({}, {**BETTER, "money": {**EARNED, "daily_difference_p": 0.0042}}, "refuse", True),
        ({}, {**BETTER, "money": {**EARNED, "differing_days": 19}}, "refuse", True),
        ({}, {**BETTER, "money": {"comparable": False, "why_not": "x"}}, "refuse", True),
        ({}, {**BETTER, "high": 0.0201}, "refuse", True),
        ({}, {**BETTER, "is_newer": True}, "refuse", False),
        (NO_SKILL, BETTER, "refuse", True),
        (FEW_ROWS, BETTER, "refuse", False),
        ({"chronological": False}, BETTER, "refuse", False),
        ({}, OPEN, "refuse", True),
        ({}, WORSE, "refuse", True),
        ({}, APART, "refuse", False),
        ({}, FEW_COMMON, "refuse", False),
        (NO_HEAD, BETTER, "promote", True),
        (NO_HEAD, {**BETTER, "money": None}, "promote", True),
        (NO_HEAD, {**BETTER, "log_loss_p": 0.0042}, "refuse", True),
        (NO_HEAD, {**BETTER, "money": {**EARNED, "daily_difference_p": 0.5}}, "refuse", True),
    ],
)
def test_a_change_takes_a_trading_champions_place_when_it_is_better(
    candidate: dict[str, Any], champion: dict[str, Any], outcome: str, drawn: bool
) -> None:
    verdict = judge(evidence(champion, "trade", **candidate), CONFIG, stand("change"))
    assert (verdict.outcome, verdict.drawn) == (outcome, drawn)
    check_words(verdict)
    late = {"due": "2026-02-01", "portions_left": 0}
    waits = judge(evidence(champion, "trade", **candidate), CONFIG, stand("change", offer=late))
    assert (waits.outcome, waits.drawn, waits.due) == ("refuse", False, "2026-02-01")
    portion = next(each for each in waits.conditions if each.name == "portion")
    assert portion.reason.endswith("falls due on 2026-02-01")
    assert not portion.passed


REFRESHED = {**SAME, "log_loss_difference": 0.001}
LOW_SKILL: dict[str, Any] = {"direction_skill": 0.0}


@pytest.mark.parametrize(
    ("candidate", "champion", "outcome"),
    [
        ({}, REFRESHED, "promote"),
        (NO_SKILL, REFRESHED, "promote"),
        ({"brier_skill_p": 0.9, "direction_skill_p": 0.9}, REFRESHED, "promote"),
        (NO_HEAD, REFRESHED, "promote"),
        (FEW_ROWS, REFRESHED, "refuse"),
        ({"chronological": False}, REFRESHED, "refuse"),
        ({"finite": False}, REFRESHED, "refuse"),
        ({}, {**REFRESHED, "is_newer": True}, "refuse"),
        ({}, OPEN, "refuse"),
        ({}, WORSE, "refuse"),
        ({}, APART, "refuse"),
        ({}, {**REFRESHED, "likeness": []}, "refuse"),
        ({}, {**REFRESHED, "likeness": [ALIKE, {**ALIKE, "rank_correlation": 0.2}]}, "refuse"),
        ({}, {**REFRESHED, "likeness": [{**ALIKE, "signal_rate": 0.55}]}, "refuse"),
        ({}, {**REFRESHED, "likeness": [{**ALIKE, "signal_rate": 0.05}]}, "refuse"),
        ({}, {**REFRESHED, "likeness": [{**ALIKE, "signal_rate": 0.53}]}, "promote"),
        ({}, {**REFRESHED, "likeness": [{**ALIKE, "calibration_error": 0.1001}]}, "refuse"),
        ({"certified": [{**CERTIFIED, "unlabelled_rank_correlation": 0.2}]}, REFRESHED, "refuse"),
        ({"certified": [{**CERTIFIED, "unlabelled_rank_correlation": None}]}, REFRESHED, "refuse"),
        ({"certified": [{**CERTIFIED, "signal_rate": 0.7}]}, REFRESHED, "refuse"),
        ({"certified": [CERTIFIED]}, REFRESHED, "promote"),
        (LOW_SKILL, REFRESHED, "observe"),
        ({"brier_skill": -0.01}, REFRESHED, "observe"),
        (LOW_SKILL, {**REFRESHED, "likeness": []}, "observe"),
        (LOW_SKILL, WORSE, "refuse"),
        ({**LOW_SKILL, **FEW_ROWS}, REFRESHED, "refuse"),
    ],
)
def test_a_refresh_of_a_trading_champion_is_not_tested_again(
    candidate: dict[str, Any], champion: dict[str, Any], outcome: str
) -> None:
    verdict = judge(evidence(champion, "trade", **candidate), CONFIG, stand("refresh"))
    assert (verdict.outcome, verdict.drawn, verdict.level) == (outcome, False, None)
    assert verdict.demotes is (outcome == "observe")
    check_words(verdict)
    observed = judge(evidence(champion, "observe", **candidate), CONFIG, stand("refresh"))
    assert not observed.demotes


def test_a_refresh_may_be_worse_calibrated_where_the_champion_is_bad_at_it() -> None:
    for error, outcome in ((0.1399, "promote"), (0.1401, "refuse")):
        told = {**ALIKE, "calibration_error": error, "champion_calibration_error": 0.12}
        found = judge(evidence({**REFRESHED, "likeness": [told]}), CONFIG, stand("refresh"))
        assert found.outcome == outcome


def test_small_losses_add_up_to_a_limit() -> None:
    lost = Chain(best="v0002", loss=0.045)
    asked: list[tuple[str, Kind]] = [("observe", "change"), ("observe", "refresh")]
    for mode, kind in [*asked, ("trade", KINDS[1])]:
        for difference, passes in ((0.005, True), (0.0051, False), (-0.1, True)):
            told = evidence({**SAME, "log_loss_difference": difference}, mode)
            verdict = judge(told, CONFIG, stand(kind, chain=lost))
            assert (verdict.outcome == "promote") is passes
    assert verdict.outcome == "promote"
    worse = judge(
        evidence({**SAME, "log_loss_difference": 0.01}), CONFIG, stand("refresh", chain=lost)
    )
    assert worse.sentence == (
        "Refuse: its log loss is +0.0550 a row above that of v0002, the best champion ever, step "
        "by step; up to +0.0500 is allowed."
    )


def test_without_a_portion_nothing_leaves_observation() -> None:
    late = {"due": "2026-02-01", "portions_left": 3}
    for champion in (None, SAME):
        verdict = judge(evidence(champion, "observe"), CONFIG, stand("refresh", offer=late))
        assert (verdict.outcome, verdict.drawn, verdict.portions_left) == ("observe", False, 3)
        told = "the next portion of the slot's yearly error falls due on 2026-02-01"
        assert told in verdict.sentence
        assert "luck" not in verdict.sentence, "what was not tested is not told"
    damaged = judge(evidence(), CONFIG, stand("change", offer={"due": NEVER, "portions_left": 0}))
    assert "while lines of its budget are damaged" in damaged.sentence


def test_a_level_shared_with_others_is_asked_of_both_skills() -> None:
    strict = stand("first", offer={"level": 0.0015})
    assert judge(evidence(), CONFIG, strict).outcome == "observe"
    assert judge(evidence(direction_skill_p=0.0015), CONFIG, strict).outcome == "promote"
    assert judge(evidence(direction_skill_p=0.0015), CONFIG, strict).p == 0.0015


def test_a_version_that_was_tested_costs_nothing_again() -> None:
    again = judge(evidence(), CONFIG, stand("first", offer={"repeated": True, "portions_left": 11}))
    assert (again.outcome, again.drawn, again.portions_left) == ("promote", False, 11)


def test_sentences_a_trader_understands() -> None:
    assert judge(evidence(), CONFIG).sentence == (
        "Promote: over 80 independent rows it predicts better than the usual frequencies of its "
        "classes (Brier skill +3.1%, balanced accuracy 41.0% where guessing gives 33.3%; luck "
        "shows as much with p 0.002), and there is no champion yet."
    )
    assert judge(evidence(**FEW_ROWS), CONFIG).sentence == (
        "Observe, signals but no decisions: undecidable: only 29.9 independent rows, 30 are needed "
        "to tell skill from luck."
    )
    assert judge(evidence(**NO_SKILL), CONFIG).sentence == (
        "Observe, signals but no decisions: it is not shown to predict better than the usual "
        "frequencies of its classes (Brier skill +3.1%, which luck shows with p 0.0042; at most "
        "0.0042 is allowed)."
    )
    assert judge(evidence(WORSE), CONFIG, stand("refresh")).sentence == (
        "Refuse: it is clearly worse than v0006 (log loss +0.0300 a row on 50 common rows, with "
        "90 % confidence +0.0201 to +0.0399; up to +0.0200 is allowed)."
    )
    assert judge(evidence(OPEN), CONFIG, stand("refresh")).sentence == (
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
    assert judge(evidence(BETTER, direction_skill_p=0.2), CONFIG, stand("change")).sentence == (
        "Refuse: v0006 trades and stays; a change (train.seed was 7 and is 8) has to be better, "
        "and it is not shown to tell up from down among the moves (Brier skill +1.0%, which luck "
        "shows with p 0.2; at most 0.0042 is allowed)."
    )
    assert judge(evidence(chronological=False), CONFIG).sentence == (
        "Observe, signals but no decisions: its models were trained on candles later than their "
        "tests too, so its scores are no record of what it would have said at the time."
    )
    assert judge(evidence(finite=False), CONFIG).sentence == "Refuse: a figure is not a number."
    assert judge(
        evidence({**SAME, "is_newer": True}, **LOW_SKILL), CONFIG, stand("refresh")
    ).sentence == ("Refuse: v0006 knows later candles than the candidate.")
    assert judge(evidence(REFRESHED, **LOW_SKILL), CONFIG, stand("refresh")).sentence == (
        "Observe, signals but no decisions: v0006 trades no longer, for its newest out-of-fold "
        "rows show no skill to tell up from down (Brier skill +0.0% among the moves); to trade "
        "again costs a portion of the slot's yearly error."
    )


def test_every_condition_is_told_with_its_value_and_limit() -> None:
    level = CONFIG.yearly_error / CONFIG.portions
    verdict = judge(evidence(BETTER), CONFIG, stand("change"))
    assert {c.name: (c.passed, c.value, c.limit) for c in verdict.conditions} == {
        "finite": (True, True, True),
        "chronological": (True, True, True),
        "effective_rows": (True, 80.0, 30.0),
        "compared_with_champion": (True, True, True),
        "portion": (True, 12, 12),
        "brier_skill": (True, 0.001, level),
        "direction_skill": (True, 0.002, level),
        "decided_against_champion": (True, -0.02, 0.02),
        "direction_improvement": (True, 0.003, level),
        "money_improvement": (True, 0.001, level),
        "not_older_than_champion": (True, True, True),
        "not_worse_than_champion": (True, -0.08, 0.02),
    }
    chain = Chain(best="v0006")
    told = evidence(REFRESHED, certified=[CERTIFIED])
    verdict = judge(told, CONFIG, stand("refresh", chain=chain))
    assert {c.name: (c.passed, c.value, c.limit) for c in verdict.conditions} == {
        "finite": (True, True, True),
        "chronological": (True, True, True),
        "effective_rows": (True, 80.0, 30.0),
        "still_skilled": (True, 0.01, 0.0),
        "compared_with_champion": (True, True, True),
        "decided_against_champion": (True, 0.02, 0.02),
        "calibration": (True, 0.05, 0.1),
        "signal_rate": (True, 0.2, 0.18),
        "agreement": (True, 0.9, 0.3),
        "certification_direction": (True, 0.8, 0.3),
        "not_older_than_champion": (True, True, True),
        "not_worse_than_champion": (True, 0.0, 0.02),
        "cumulative_loss": (True, 0.001, 0.05),
    }


def test_limits_come_from_the_configuration() -> None:
    strict = GateConfig(min_effective_rows=81, max_log_loss_increase=0, min_common_rows=51)
    many = {**SAME, "common_rows": 51, "low": 0.001}
    assert judge(evidence(), strict).outcome == "observe"
    assert judge(evidence(many, "observe"), strict).outcome == "refuse"
    assert judge(evidence({**many, "low": 0.0}, "observe"), strict).outcome == "observe"
    assert judge(evidence(SAME, "observe"), strict).outcome == "observe"
    lenient = GateConfig(max_log_loss_increase=0.0399)
    assert judge(evidence(WORSE), lenient, stand("refresh")).outcome == "promote"
    assert judge(evidence(OPEN), lenient, stand("refresh")).outcome == "promote"
    assert judge(evidence(), GateConfig(portions=365)).outcome == "observe"
    assert judge(evidence(), GateConfig(yearly_error=0.02)).outcome == "observe"


def test_the_default_gate_is_the_committed_one() -> None:
    path = Path(__file__).parents[2] / "conf/gate/default.yaml"
    assert GateConfig.model_validate(yaml.safe_load(path.read_text())) == GateConfig()


@pytest.mark.parametrize(
    "wrong",
    [{"min_effective_rows": 0}, {"max_log_loss_increase": -0.01}, {"min_common_rows": 0},
     {"max_log_loss_increase": math.nan}, {"min_rows": 3}, {"yearly_error": 0}, {"portions": 0},
     {"yearly_error": 1}, {"max_cumulative_loss": -0.01}, {"min_rank_correlation": 1.1},
     {"max_signal_rate_ratio": 1}, {"max_calibration_error": 0}],
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
    assert kept_evidence(tmp_path, slot, "v0001") == evidence({**BETTER, "money": None})


def test_money_is_kept_and_a_refresh_is_not_judged_by_it(tmp_path: Path) -> None:
    slot = Slot.parse("demo/SIM-BTC")
    Registry(tmp_path).add(slot, {"model": b"x"}, "2025-12-20T00:00Z")
    lost = {"comparable": True, "days": 60, "differing_days": 60, "low": -0.02, "high": -0.01}
    one = evidence({**SAME, "money": lost})
    keep_evidence(tmp_path, slot, "v0001", one)
    assert kept_evidence(tmp_path, slot, "v0001") == one
    assert one.champion is not None
    assert one.champion.money is not None
    assert one.champion.money.word == "worse"
    again = stand("refresh")
    assert judge(one, CONFIG, again) == judge(evidence(SAME), CONFIG, again)


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
