"""What the report page says of scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pipeline.evaluation.baselines import MAJORITY
from pipeline.evaluation.metrics import average_precision, brier, log_loss, score_head
from pipeline.evaluation.report.beside import Comparison, comparisons
from pipeline.evaluation.report.calibration import fold_scores, reliability
from pipeline.evaluation.report.every_figure import NAMES, OF_CLASS
from tests.report_facts import CLASSES, Told, facts_of, lede_of, page_of, predictions, section_of

MANY = 8  # scores of a head that tells the direction


def compared(
    skill: float, verdict: str = "observe", metrics: dict[str, Any] | None = None, **scores: float
) -> dict[str, Comparison]:
    facts = facts_of({"direction": Told(predictions(skill))}, verdict=verdict)
    facts.heads["direction"]["scores"].update(scores)
    facts.heads["direction"]["metrics"].update(metrics or {})
    return {each.name: each for each in comparisons(facts.head("direction"))}


@pytest.mark.parametrize(("skill", "word"), [(0.4, "better"), (-0.4, "worse")])
def test_a_planted_skill_is_seen_in_every_score(skill: float, word: str) -> None:
    found = compared(skill)
    assert {each.word for each in found.values()} == {word}
    page = page_of(facts_of({"direction": Told(predictions(skill))}))
    words = [each.text for each in section_of(page, "scores").all("span", "word")]
    assert len(words) == MANY
    assert all(text.endswith(word) for text in words)
    assert all(f"looks {word}" in text for text in words), "a hint, and no proof"
    said = lede_of(page, "scores")
    assert said.startswith(
        f"All {MANY} scores look {word} than their baselines. Among many figures"
    )
    assert "verdict at the top" in said
    assert "Verdict" not in section_of(page, "scores").all("thead")[0].text


def test_a_word_is_said_only_when_the_interval_leaves_the_baseline_out() -> None:
    for value, low, high, word in [
        (0.1, -0.05, 0.2, "cannot tell"),
        (-0.1, -0.25, 0.01, "cannot tell"),
        (-0.1, -0.15, -0.01, "worse"),
        (0.1, 0.01, 0.2, "better"),
        (0.1, None, None, "cannot tell"),
    ]:
        told: dict[str, Any] = {
            "brier_skill": {"value": value, "low": low, "high": high, "baselines": {}}
        }
        found = compared(0.0, metrics=told)["brier_skill"]
        assert found.word == word
        assert (found.value, found.baseline) == (value, 0.0)
    loss = {"value": 1.0, "low": 0.9, "high": 1.05, "baselines": {"majority": 1.1}}
    found = compared(0.0, metrics={"log_loss": loss})["log_loss"]
    assert found.word == "better"
    assert [found.gain, found.low, found.high] == pytest.approx([0.1, 0.05, 0.2])


def test_nothing_is_told_from_few_rows() -> None:
    assert {each.word for each in compared(0.4, "undecidable").values()} == {"cannot tell"}
    assert {each.word for each in compared(0.4, effective_rows=1.5).values()} == {"cannot tell"}
    page = page_of(facts_of({"direction": Told(predictions(0.4))}, verdict="undecidable"))
    assert lede_of(page, "scores").startswith(f"None of the {MANY} scores")


def test_baselines_are_those_of_the_training_shares() -> None:
    joined = predictions(0.1)
    happened = joined["label"].to_numpy()
    base, said = (
        joined[[f"{kind}_{name}" for name in CLASSES]].to_numpy() for kind in ("base", "p")
    )
    found = compared(0.1)
    losses = log_loss(base, happened), log_loss(said, happened)
    assert found["log_loss"].baseline == pytest.approx(losses[0].mean(), rel=1e-5)
    assert found["log_loss"].gain == pytest.approx((losses[0] - losses[1]).mean(), abs=1e-5)
    usual = (base.argmax(axis=1) == happened).mean()
    assert found["accuracy"].baseline == pytest.approx(usual, rel=1e-5)
    assert found["balanced_accuracy"].baseline == pytest.approx(1 / 3)
    assert found["average_precision"].baseline == pytest.approx(1 / 3)
    constant = average_precision(np.full((600, 3), 1 / 3), happened)
    assert constant == pytest.approx(1 / 3), "what naming no order gives"
    skill = found["brier_skill"]
    assert skill.value == pytest.approx(
        1 - brier(said, happened).mean() / brier(base, happened).mean(), rel=1e-5
    )
    scores = score_head(joined, CLASSES, "1h")
    assert skill.low == pytest.approx(scores["brier_skill_low"], rel=1e-5), "the gate's own end"
    assert found["skill_over_climatology"].baseline == 0.0
    assert found["direction_auc"].baseline == 0.5


def test_what_so_few_rows_could_have_shown_is_said_where_nothing_was() -> None:
    facts = facts_of({"direction": Told(predictions(0.0))}, verdict="undecidable")
    facts.heads["direction"]["scores"]["detectable_skill"] = 0.125
    said = section_of(page_of(facts), "scores").all("p")[1].text
    assert "only where the Brier skill is 12.5 % or more" in said.replace("\xa0", " ")
    known = facts_of({"direction": Told(predictions(0.4))})
    assert "only where the Brier skill" not in section_of(page_of(known), "scores").text


@pytest.mark.parametrize(
    ("skill", "verdict", "word"),
    [
        (0.4, "promote", "better"),
        (-0.4, "observe", "worse"),
        (-0.4, "refuse", "worse"),
        (0.4, "undecidable", "undecidable"),
    ],
)
def test_the_verdict_against_the_baselines_is_one_sentence(
    skill: float, verdict: str, word: str
) -> None:
    page = page_of(facts_of({"direction": Told(predictions(skill))}, verdict=verdict))
    (said,) = page.all("p", "against")
    assert [each.text for each in said.all("strong")] == [word]
    assert said.text.startswith("Against its baselines: ")
    assert said.text.endswith(".")
    assert ("Do not use it." in said.text) == (word == "worse")
    (plain,) = page.all("p", "plain")
    worse = "It is worse than knowing only how often each class comes. Do not use it."
    assert plain.text.startswith(worse) == (word == "worse")


def stood(value: float, low: float, high: float, verdict: str = "observe") -> tuple[str, str]:
    """The headline and the line beside the baselines, of a Brier skill with its interval."""
    facts = facts_of(verdict=verdict)
    told = {"value": value, "low": low, "high": high, "baselines": {}}
    facts.heads["direction"]["metrics"]["brier_skill"] = told
    header = page_of(facts).all("header")[0]
    (plain,), (against,) = header.all("p", "plain"), header.all("p", "against")
    return plain.text, against.text.replace("\N{NO-BREAK SPACE}", " ")


def test_no_proof_and_clearly_harmful_are_told_apart() -> None:
    plain, against = stood(-0.046, -0.077, -0.017)
    assert plain == "It is worse than knowing only how often each class comes. Do not use it."
    assert against == (
        "Against its baselines: worse than knowing only how often each class comes (Brier skill "
        "\u22124.6 %, with 90 % confidence \u22127.7 to \u22121.7 %). Do not use it."
    )
    plain, against = stood(-0.01, -0.05, 0.03)
    assert plain.startswith("It cannot be told apart from knowing only how often")
    assert plain.endswith("It may be watched; it must not decide.")
    assert against.startswith("Against its baselines: undecidable: it may be better or worse than")
    plain, against = stood(0.05, 0.01, 0.09)
    assert plain.startswith("It is better than knowing only how often each class comes, but it is")
    assert "which way the price goes" in plain
    assert against.startswith("Against its baselines: better than knowing")
    assert stood(-0.3, -0.4, -0.2, "refuse")[0].endswith("It must not be put into service.")


def test_parts_have_their_own_rows() -> None:
    page = page_of(facts_of({"direction": Told(predictions(0.4))}))
    part = section_of(page, "when")
    rows = [each.text for each in part.all("tbody")[0].all("span", "score")]
    assert rows == ["calm", "normal", "2025-10"], "a part without rows is left out"
    assert "above 0 in 3 of 3 parts; by more than luck in a market that is calm." in part.text
    facts = facts_of({"direction": Told(predictions(0.0))})
    facts.heads["direction"] |= {"by_regime": {}, "by_month": {}}
    assert not [
        each for each in page_of(facts).all("section") if "when" in each.attributes.values()
    ]


def test_figures_that_are_no_numbers_are_said_to_be_none() -> None:
    facts = facts_of(verdict="refuse")
    nothing = dict.fromkeys(("value", "low", "high")) | {"baselines": {}}
    metrics = facts.heads["direction"]["metrics"]
    metrics |= dict.fromkeys(["brier_skill", "log_loss"], nothing)
    section = section_of(page_of(facts), "scores")
    assert section.text.count("not a number") == 3, "the log loss has no baseline either"
    assert len(section.all("svg")) == MANY - 2


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


def test_every_figure_stands_beside_every_baseline() -> None:
    told = Told(predictions(0.1))
    section = section_of(page_of(facts_of({"direction": told})), "every")
    whole, classes = section.all("table")
    assert [cell.text for cell in whole.all("th")[:7]] == [
        "Figure", "Model", "90 %", "Class shares", "Last outcome", "Volatility", "HAR"
    ]  # fmt: skip
    rows = {row.all("th")[0].text: [cell.text for cell in row.all("td")] for row in
            [*whole.all("tr")[1:], *classes.all("tr")[1:]]}  # fmt: skip
    metrics = facts_of({"direction": told}).head("direction").metrics
    shown = {f"{title} of {name}" for title in OF_CLASS.values() for name in CLASSES}
    assert {*rows} == {*NAMES.values(), *shown}
    assert len(rows) == len(metrics), "no figure is left out"
    loss = metrics["log_loss"]
    assert rows["Log loss"][0] == f"{loss['value']:.3f}"
    assert rows["Log loss"][1] == f"{loss['low']:.3f} to {loss['high']:.3f}"
    assert rows["Log loss"][2] == f"{loss['baselines'][MAJORITY]:.3f}"
    assert rows["Log loss"][3] == "\u2013", "who is certain has no log loss"
    assert "enough to show a Brier skill of" in lede_of(page_of(facts_of()), "every")


def test_every_part_of_time_tells_its_figures_with_their_intervals() -> None:
    when = section_of(page_of(facts_of()), "when")
    (figures,) = when.all("table", "numbers")
    header = [cell.text for cell in figures.all("tr")[0].all("th")]
    assert header == ["Figure", "calm", "normal", "2025-10"]
    names = [row.all("th")[0].text for row in figures.all("tr")[1:]]
    assert "Balanced accuracy" in names
    assert "Calibration error (ECE)" in names
    for row in figures.all("tr")[1:]:
        reaches = row.all("th")[0].text != "Calibration error (ECE)"
        assert all((" to " in cell.text) == reaches for cell in row.all("td"))


def test_each_head_has_its_verdict_against_the_baselines() -> None:
    facts = facts_of({"good": Told(predictions(0.4)), "bad": Told(predictions(-0.4))})
    page = page_of(facts)
    (together,) = page.all("div", "against")
    both = [each.text for each in together.all("li")]
    assert both[0].startswith("good: better than knowing only how often each class comes")
    assert both[0].endswith("; it beats each of its other baselines too.")
    assert both[1].startswith("bad: worse than knowing")
    assert both[1].endswith("Do not use it.")
    alone = [each.text for each in page.all("p", "against")]
    assert [each.split(": ", 1)[1] for each in alone] == [each.split(": ", 1)[1] for each in both]
    (plain,) = page.all("p", "plain")
    assert plain.text == (
        "Beside knowing only how often each class comes, bad is worse; good is better. Do not use "
        "what is worse. They must not decide."
    )
    assert len(page_of(facts_of()).all("p", "against")) == 1


def test_class_shares_rank_no_row_above_another() -> None:
    page = page_of(facts_of({"direction": Told(predictions(0.1))}))
    tables = section_of(page, "every").all("table")
    rows = {
        row.all("th")[0].text: [cell.text.replace("\xa0", " ") for cell in row.all("td")]
        for table in tables
        for row in table.all("tr")[1:]
    }
    happened = predictions(0.1)["label"].value_counts(normalize=True)
    assert rows["AUC, mean of the classes"][2] == rows["AUC of hold"][2] == "50.0 %"
    assert rows["Direction AUC, among rows that moved"][2] == "50.0 %"
    assert rows["Average precision of hold"][2] == f"{100 * happened[1]:.1f} %"
    assert rows["Precision@K of hold"][2] == rows["Average precision of hold"][2]
    mean = rows["Average precision, mean of the classes"][2]
    beside = {row.all("span", "score")[0].text: row.all("span", "figure")[1].text
              for row in section_of(page, "scores").all("tbody")[0].all("tr")}  # fmt: skip
    assert mean == beside["Average precision"].replace("\xa0", " ") == "33.3 %"
