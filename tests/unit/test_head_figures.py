"""What a retrain tells of its scores."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from pipeline.commands import retrain as command
from pipeline.commands import retrain_story
from pipeline.commands.head_figures import chance, score_lines
from pipeline.evaluation.comparison import OutOfFold
from pipeline.operations.retraining.candidate import Candidate

THREE, TWO = ("sell", "hold", "buy"), ("calm", "high")
FIGURES = {
    "accuracy": 0.5,
    "majority_accuracy": 0.25,
    "balanced_accuracy": 0.5,
    "brier_skill": 0.125,
    "rows": 40.0,
    "effective_rows": 7.5,
}
QUALITY = {"missing": 0, "candles": 9, "first": "2025-12-01T00:00", "last": "2025-12-02T00:00"}


def head(classes: tuple[str, ...], labels: list[int]) -> OutOfFold:
    moving = [0.1 + 0.01 * place for place in range(len(labels))]
    frame = pd.DataFrame({"label": labels, "fold": 0} | {f"p_{name}": moving for name in classes})
    return OutOfFold(frame, classes, {})


def candidate(**heads: OutOfFold) -> Candidate:
    made: Any = Candidate
    return made(
        files={},
        metrics=FIGURES | {"accuracy": 0.9},
        scores={name: FIGURES | {"accuracy": 0.5 + place / 10} for place, name in enumerate(heads)},
        quality=QUALITY,
        out_of_fold=heads,
        timings={},
        candles=Path("clean"),
    )


def test_chance_is_of_the_classes_that_came() -> None:
    assert chance(head(THREE, [0, 1, 2, 2])) == pytest.approx(1 / 3)
    assert chance(head(THREE, [0, 2, 2])) == 0.5
    assert chance(head(TWO, [0, 0])) == 1


def test_one_head_is_told_in_sentences_with_what_never_came() -> None:
    lines = score_lines(candidate(direction=head(THREE, [0, 2, 2])))
    assert lines[0] == (
        "  scored    40 out-of-fold rows, worth 7.5 independent ones (labels overlap)"
    )
    assert "  balanced  0.500, beside 0.500 by chance (hold never came)" in lines
    assert "  accuracy  0.500, beside 0.250 for always naming" in "\n".join(lines)


def test_several_heads_are_told_each_by_itself() -> None:
    text = "\n".join(
        score_lines(candidate(direction=head(THREE, [0, 1, 2]), risk=head(TWO, [0, 1])))
    )
    rows = [
        line.split() for line in text.splitlines() if line.startswith(("  direction", "  risk"))
    ]
    assert rows == [
        ["direction", "40", "7.5", "0.500", "0.250", "0.500", "0.333", "+0.125"],
        ["risk", "40", "7.5", "0.600", "0.250", "0.500", "0.500", "+0.125"],
    ]
    assert "0.900" not in text, "a mean over heads was told"


def outcome(verdict: str, before: str | None) -> Any:
    run = SimpleNamespace(timeframe="1h", feed="simulated", as_of="2025-12-20T00:00Z")
    return SimpleNamespace(
        target=SimpleNamespace(
            slot="demo/SIM-BTC",
            market=None,
            choices=SimpleNamespace(skip={}),
            plan=SimpleNamespace(run=run),
            words="recipe=demo",
            chosen="recipe=demo",
        ),
        candidate=candidate(direction=head(THREE, [0, 1, 2])),
        version="v0002",
        created=True,
        ran=(),
        verdict=SimpleNamespace(outcome=verdict, sentence="", test={}, conditions=()),
        sentence=f"{verdict}: why.",
        against_itself=(),
        anew=False,
        came=False,
        served=SimpleNamespace(pending="", until=""),
        waited="",
        pointer=SimpleNamespace(version=before, mode="trade") if before else None,
        before=before,
        evidence=SimpleNamespace(champion=None, chronological=True, model_dump=lambda **_: {}),
        report=Path("report.html"),
        checks=Path("quality.json"),
    )


def test_a_refused_version_is_told_beside_the_page_that_knows_no_champion() -> None:
    told = retrain_story.story(outcome("refuse", "v0001"))
    assert "demo/SIM-BTC v0002: refused; v0001 stays champion" in told
    assert "It judges the version by itself, not against v0001." in told
    assert told.splitlines()[-2:] == [
        "  vintage registry show demo/SIM-BTC v0002",
        "  vintage predict recipe=demo   # v0001, the champion",
    ]


def test_without_a_champion_nothing_is_to_be_predicted() -> None:
    told = retrain_story.story(outcome("refuse", None))
    assert "refused; there is no champion yet" in told
    assert "vintage predict" not in told
    assert "judges the version by itself" not in told


def test_the_scores_of_each_head_are_facts() -> None:
    facts = command._facts(outcome("observe", "v0001"))
    assert facts["heads"] == {"direction": FIGURES}
