"""How alike the answers of two versions are, and how likely luck shows a figure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.bootstrap import (
    Blocks,
    block_length,
    drawn_sums,
    student,
    widening,
)
from pipeline.evaluation.chance import chance
from pipeline.evaluation.comparison import OutOfFold, compare
from pipeline.evaluation.likeness import likeness
from pipeline.evaluation.metrics import score_head
from tests.unit.test_comparison import CLASSES, head
from tests.volume import volume

ROWS = 200


def of(chances: np.ndarray, happened: np.ndarray | int = 2) -> OutOfFold:
    """A head of these probabilities, shape (rows, classes)."""
    made = head(range(len(chances)), 0.5)
    columns = {f"p_{name}": chances[:, k] for k, name in enumerate(CLASSES)}
    label = np.broadcast_to(np.asarray(happened, "int8"), len(chances))
    return replace(made, frame=made.frame.assign(**columns, label=label))


def random_chances(seed: int, rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(3), rows)


def test_a_version_is_like_itself() -> None:
    one = of(random_chances(1))
    (found,) = likeness({"d": one}, {"d": one})
    assert (found.head, found.rows) == ("d", ROWS)
    assert found.rank_correlation == pytest.approx(1.0)
    assert found.signal_rate == found.champion_signal_rate
    assert found.calibration_error == found.champion_calibration_error


def test_what_differs_is_told() -> None:
    ours, theirs = random_chances(1), random_chances(2)
    (found,) = likeness({"d": of(ours)}, {"d": of(theirs)})
    expected = pd.Series(ours @ [0, 1, 2]).corr(pd.Series(theirs @ [0, 1, 2]), method="spearman")
    assert found.rank_correlation == pytest.approx(expected)
    assert found.signal_rate == (ours.argmax(axis=1) != 1).mean()
    assert found.champion_signal_rate == (theirs.argmax(axis=1) != 1).mean()
    sure = np.tile([0.0, 0.0, 1.0], (ROWS, 1))
    (calm,) = likeness({"d": of(sure)}, {"d": of(np.tile([0.2, 0.6, 0.2], (ROWS, 1)))})
    assert (calm.signal_rate, calm.champion_signal_rate) == (1.0, 0.0)
    assert calm.calibration_error == 0.0
    assert calm.champion_calibration_error == pytest.approx((0.2 + 0.6 + 0.8) / 3)
    assert calm.rank_correlation == 1.0, "both always say the same"


def test_only_common_rows_of_common_heads_count() -> None:
    ours, theirs = of(random_chances(1)), of(random_chances(2))
    half = replace(theirs, frame=theirs.frame.iloc[: ROWS // 2])
    (found,) = likeness({"d": ours, "e": ours}, {"d": half})
    assert (found.head, found.rows) == ("d", ROWS // 2)
    nothing = replace(theirs, frame=theirs.frame.iloc[:0])
    assert likeness({"d": ours}, {"d": nothing}) == ()
    assert likeness({"d": ours}, {"d": replace(theirs, classes=("a", "b", "c"))}) == ()


def test_p_is_right_as_often_as_it_says() -> None:
    """Of a mean of overlapping labels without skill, 30 and 120 of them independent."""
    for rows, horizon in ((720, 24), (120, 1)):
        length, found = block_length(rows, horizon), []
        widened = widening(rows, horizon, length) * student(rows / horizon)
        blocks = Blocks(np.arange(rows), rows, length, widened, draws=400)
        rng = np.random.default_rng(rows)
        for seed in range(volume(200)):
            steps = rng.standard_normal(rows + horizon)
            values = np.convolve(steps, np.ones(horizon), "valid")[:rows, None]
            found.append(
                chance(drawn_sums(values, blocks, np.random.default_rng(seed))[:, 0], blocks)
            )
        for level in (0.05, 0.0125):
            spread = np.sqrt(level * (1 - level) / len(found))
            assert np.mean(np.array(found) <= level) <= 1.35 * level + 3.1 * spread


def test_p_of_an_improvement_falls_with_it() -> None:
    rng = np.random.default_rng(4)
    label = rng.integers(0, 3, 2000)
    near = 0.6 * np.eye(3)[label] + 0.4 * random_chances(5, 2000)
    good, poor = of(near, label), of(random_chances(6, 2000), label)
    better = compare({"d": good}, {"d": poor}, "1h")
    worse = compare({"d": poor}, {"d": good}, "1h")
    assert better.log_loss_p < 0.001
    assert worse.log_loss_p > 0.999
    assert better.direction_loss_p is not None
    assert worse.direction_loss_p is not None
    assert better.direction_loss_p < 0.001
    assert worse.direction_loss_p > 0.999
    assert better.direction_loss_difference == -(worse.direction_loss_difference or 0.0) < 0


def test_scores_tell_p_beside_the_interval() -> None:
    rng = np.random.default_rng(7)
    label = rng.integers(0, 3, 1500)
    base = {f"base_{name}": np.full(1500, 1 / 3) for name in CLASSES}
    for share, low in ((0.5, True), (0.0, False)):
        chances = share * np.eye(3)[label] + (1 - share) * (random_chances(8, 1500) / 3 + 2 / 9)
        frame = of(chances, label).frame.assign(**base)
        found = score_head(frame, CLASSES, "1h")
        for name in ("brier_skill", "direction_skill"):
            assert (found[f"{name}_p"] < 0.001) is low
            assert (found[f"{name}_low"] > 0) is low
