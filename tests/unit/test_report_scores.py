"""What the report page says of scores."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.metrics import average_precision, brier, log_loss, score_head
from pipeline.evaluation.report.beside import Comparison, comparisons
from pipeline.evaluation.report.calibration import fold_scores, reliability
from tests.report_facts import CLASSES, Told, facts_of, lede_of, page_of, predictions, section_of


def compared(skill: float, verdict: str = "observe", **scores: float) -> dict[str, Comparison]:
    facts = facts_of({"direction": Told(predictions(skill))}, verdict=verdict)
    facts.heads["direction"]["scores"].update(scores)
    return {each.name: each for each in comparisons(facts.head("direction"))}


@pytest.mark.parametrize(("skill", "word"), [(0.4, "better"), (-0.4, "worse")])
def test_a_planted_skill_is_seen_in_every_score(skill: float, word: str) -> None:
    found = compared(skill)
    assert {each.word for each in found.values()} == {word}
    page = page_of(facts_of({"direction": Told(predictions(skill))}))
    words = [each.text for each in section_of(page, "scores").all("span", "word")]
    assert len(words) == 5
    assert all(text.endswith(word) for text in words)
    assert all(f"looks {word}" in text for text in words), "a hint, and no proof"
    said = lede_of(page, "scores")
    assert said.startswith(f"All 5 scores look {word} than their baselines. Among many figures")
    assert "verdict at the top" in said
    assert "Verdict" not in section_of(page, "scores").all("thead")[0].text


def test_a_word_is_said_only_when_the_interval_leaves_the_baseline_out() -> None:
    skill = {"brier_skill": 0.1, "brier_skill_low": -0.05}
    assert compared(0.0, **skill)["brier_skill"].word == "cannot tell"
    skill = {"brier_skill": -0.1, "brier_skill_low": -0.25}
    assert compared(0.0, **skill)["brier_skill"].word == "cannot tell"
    skill = {"brier_skill": -0.1, "brier_skill_low": -0.15}
    assert compared(0.0, **skill)["brier_skill"].word == "worse"
    for each in compared(0.02, effective_rows=10.0).values():
        if each.low < 0 < each.high:
            assert each.word == "cannot tell"


def test_nothing_is_told_from_few_rows() -> None:
    assert {each.word for each in compared(0.4, "undecidable").values()} == {"cannot tell"}
    assert {each.word for each in compared(0.4, effective_rows=1.5).values()} == {"cannot tell"}
    page = page_of(facts_of({"direction": Told(predictions(0.4))}, verdict="undecidable"))
    assert lede_of(page, "scores").startswith("None of the 5 scores")


def test_baselines_are_those_of_the_training_shares() -> None:
    joined = predictions(0.1)
    happened = joined["label"].to_numpy()
    base, said = (
        joined[[f"{kind}_{name}" for name in CLASSES]].to_numpy() for kind in ("base", "p")
    )
    found = compared(0.1)
    losses = log_loss(base, happened), log_loss(said, happened)
    assert found["log_loss"].baseline == pytest.approx(losses[0].mean())
    assert found["log_loss"].gain == pytest.approx((losses[0] - losses[1]).mean())
    assert found["accuracy"].baseline == (base.argmax(axis=1) == happened).mean()
    assert found["balanced_accuracy"].baseline == pytest.approx(1 / 3)
    assert found["average_precision"].baseline == pytest.approx(1 / 3)
    constant = average_precision(np.full((600, 3), 1 / 3), happened)
    assert constant == pytest.approx(1 / 3), "what naming no order gives"
    skill = found["brier_skill"]
    assert skill.value == pytest.approx(
        1 - brier(said, happened).mean() / brier(base, happened).mean()
    )
    scores = score_head(joined, CLASSES, "1h")
    assert skill.low == scores["brier_skill_low"]
    assert skill.high - skill.value == pytest.approx(skill.value - skill.low)


def test_an_interval_rests_on_whole_blocks_of_time() -> None:
    joined = predictions(0.1)
    head = facts_of({"direction": Told(joined)}).head("direction")
    head.scores["effective_rows"] = 20.0
    happened = joined["label"].to_numpy()
    right = (head.probability.argmax(axis=1) == happened) * 1.0
    usual = head.base.argmax(axis=1) == happened
    blocks = (right - usual).reshape(20, 30).mean(axis=1)
    found = {each.name: each for each in comparisons(head)}
    accuracy = found["accuracy"]
    assert accuracy.gain == pytest.approx(blocks.mean())
    reach = 1.645 * blocks.std(ddof=1) / np.sqrt(20)
    assert accuracy.high - accuracy.gain == pytest.approx(reach)
    assert accuracy.gain - accuracy.low == pytest.approx(reach)


def test_figures_that_are_no_numbers_are_said_to_be_none() -> None:
    facts = facts_of(verdict="refuse")
    scores = facts.heads["direction"]["scores"]
    scores |= dict.fromkeys(["brier_skill", "brier_skill_low", "log_loss"], float("nan"))
    section = section_of(page_of(facts), "scores")
    assert section.text.count("not a number") == 2
    assert len(section.all("svg")) == 3


def test_folds_and_bins_hold_every_row_once() -> None:
    head = facts_of({"direction": Told(predictions(0.2))}).head("direction")
    folds = fold_scores(head)
    assert [fold.name for fold in folds] == ["fold 0", "fold 1", "fold 2"]
    accuracy = sum(fold.accuracy * fold.rows for fold in folds) / 600
    assert accuracy == pytest.approx(head.scores["accuracy"])
    gain = sum(fold.accuracy_gain.mean * fold.rows for fold in folds) / 600
    assert gain == pytest.approx(head.scores["accuracy"] - head.scores["majority_accuracy"])
    bins = reliability(head.probability[:, 1], head.happened == 1, 0.5)
    assert sum(each.rows for each in bins) == 600
    share = sum(each.happened * each.rows for each in bins) / 600
    assert share == pytest.approx((head.happened == 1).mean())
    wider = reliability(head.probability[:, 1], head.happened == 1, 0.05)
    certain = reliability(np.array([0.95, 1.0]), np.array([True, False]), 1.0)
    assert [(each.rows, each.happened) for each in certain] == [(2, 0.5)]
    full = [pair for pair in zip(wider, bins, strict=True) if pair[1].rows > 100]
    assert len(full) > 2
    assert all(wide.reach > 2 * each.reach > 0 for wide, each in full)
