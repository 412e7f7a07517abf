"""Two versions on the rows that both spoke of, beside the class shares."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.comparison import OutOfFold, compare
from pipeline.evaluation.paired_scores import FEWEST_MOMENTS, paired_scores

CLASSES = ("sell", "hold", "buy")


def head(rows: int, knows: float, seed: int = 1, start: int = 0) -> OutOfFold:
    """Hourly rows whose class a forecast knows with a weight."""
    chance = np.random.default_rng(3).integers(0, 3, 1000)[start : start + rows]
    noise = np.random.default_rng(seed).dirichlet(np.ones(3), 1000)[start : start + rows]
    said = knows * np.eye(3)[chance] + (1 - knows) * noise
    time = pd.date_range("2025-12-01", periods=1000, freq="h", tz="UTC", unit="ms")
    time = time[start : start + rows]
    index = pd.MultiIndex.from_product([["A-B"], time], names=["market", "time"])
    frame = pd.DataFrame(said, index, [f"p_{name}" for name in CLASSES])
    frame = frame.assign(label=chance, ends_at=time + pd.Timedelta("2h"), fold=0)
    base = {f"base_{name}": 1 / 3 for name in CLASSES}
    return OutOfFold(frame.assign(**base), CLASSES, "label")


def test_the_log_loss_is_that_of_the_gate() -> None:
    ours, theirs = head(300, 0.2), head(300, 0.1, seed=2)
    found = paired_scores(ours, theirs, "1h")["log_loss"]
    judged = compare({"d": ours}, {"d": theirs}, "1h")
    gap = found.difference
    assert (gap.value, gap.low, gap.high) == pytest.approx(
        (judged.log_loss_difference, judged.low, judged.high)
    )
    assert found.ours - found.theirs == pytest.approx(gap.value)
    assert found.usual == pytest.approx(np.log(3))


def test_words_follow_who_knows_more() -> None:
    good, poor = head(400, 0.6), head(400, 0.0, seed=2)
    found = paired_scores(good, poor, "1h")
    assert [*found] == ["log_loss", "brier", "direction"]
    for one in found.values():
        assert (one.difference.word, one.ours_to_usual.word) == ("better", "better")
        assert one.theirs_to_usual.word == "worse", "noise is worse than the class shares"
    turned = paired_scores(poor, good, "1h")
    assert {one.difference.word for one in turned.values()} == {"worse"}
    moved = int(good.frame["label"].isin([0, 2]).sum())
    assert found["direction"].rows == moved < found["brier"].rows == 400


def test_few_candles_decide_nothing() -> None:
    rows = FEWEST_MOMENTS - 1
    found = paired_scores(head(rows, 0.9), head(rows, 0.0, seed=2), "1h")
    assert {one.difference.word for one in found.values()} == {"undecidable"}
    assert found["log_loss"].difference.value < 0


def test_only_rows_of_both_that_tell_the_outcome_alike_count() -> None:
    ours, theirs = head(300, 0.2), head(300, 0.1, seed=2, start=200)
    assert paired_scores(ours, theirs, "1h")["brier"].rows == 100
    revised = theirs.frame.assign(label=(theirs.frame["label"] + 1) % 3)
    assert paired_scores(ours, OutOfFold(revised, CLASSES, "label"), "1h") == {}
    assert paired_scores(ours, head(10, 0.1, start=500), "1h") == {}
