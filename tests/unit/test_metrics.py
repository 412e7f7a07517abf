from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.effective import effective_rows
from pipeline.evaluation.metrics import (
    FLAT,
    average_precision,
    balanced_accuracy,
    brier,
    confusion,
    log_loss,
    mean_over_heads,
    score_head,
)

CLASSES = ("sell", "hold", "buy")
START, HOUR = pd.Timestamp("2025-01-01T00:00Z"), pd.Timedelta(hours=1)


def outcomes(
    probability: np.ndarray, happened: np.ndarray, base: np.ndarray, horizon: int = 24
) -> pd.DataFrame:
    """A joined frame of one market, one row an hour."""
    time = START + np.arange(len(happened)) * HOUR
    index = pd.MultiIndex.from_arrays([["KRW-SOL"] * len(time), time], names=["market", "time"])
    columns = {f"p_{name}": probability[:, k] for k, name in enumerate(CLASSES)}
    columns |= {f"base_{name}": base[:, k] for k, name in enumerate(CLASSES)}
    ends_at = time + (horizon + 1) * HOUR
    return pd.DataFrame({**columns, "label": happened, "ends_at": ends_at}, index=index)


def drawn(rows: int = 300, seed: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probability = generator.dirichlet([1, 2, 1], rows)
    happened = np.array([generator.choice(3, p=row) for row in probability])
    return probability, happened, np.tile([0.25, 0.5, 0.25], (rows, 1))


def score(probability: np.ndarray, happened: np.ndarray, base: np.ndarray) -> dict[str, float]:
    return score_head(outcomes(probability, happened, base), CLASSES, "1h")


def test_figures_agree_with_scikit_learn() -> None:
    probability, happened, base = drawn()
    found = score(probability, happened, base)
    predicted = probability.argmax(axis=1)
    truth = np.eye(3)[happened]
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(happened, predicted),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(happened, predicted),
        "majority_accuracy": sklearn.metrics.accuracy_score(happened, np.ones(300)),
        "log_loss": sklearn.metrics.log_loss(happened, probability),
        "brier_skill": 1
        - sklearn.metrics.mean_squared_error(truth, probability)
        / sklearn.metrics.mean_squared_error(truth, base),
        "average_precision": sklearn.metrics.average_precision_score(truth, probability),
        "rows": 300,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-12)
    np.testing.assert_array_equal(
        confusion(probability, happened), sklearn.metrics.confusion_matrix(happened, predicted)
    )


def test_figures_agree_with_a_hand() -> None:
    probability = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    happened = np.array([0, 1, 1, 2])
    base = np.tile([0.25, 0.5, 0.25], (4, 1))
    found = score(probability, happened, base)
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert found["majority_accuracy"] == 0.5
    assert found["log_loss"] == pytest.approx(-np.log(0.7 * 0.6 * 0.3 * 0.6) / 4)
    ours = (0.09 + 0.04 + 0.01) + (0.01 + 0.16 + 0.09) + (0.25 + 0.49 + 0.04) + (0.04 + 0.04 + 0.16)
    theirs = 0.875 + 0.375 + 0.375 + 0.875
    assert found["brier_skill"] == pytest.approx(1 - ours / theirs)
    assert found["average_precision"] == 1
    assert found["rows"] == 4


def test_average_precision_of_a_known_ranking() -> None:
    chances = np.array([0.9, 0.8, 0.7, 0.6])
    found = average_precision(np.column_stack([1 - chances, chances]), np.array([1, 0, 1, 0]))
    wanted, rest = (1 + 2 / 3) / 2, (1 + 2 / 3) / 2
    assert found == pytest.approx((wanted + rest) / 2)


def test_a_class_that_did_not_happen_counts_nowhere() -> None:
    probability, happened, base = drawn()
    kept = happened != 2
    found = score(probability[kept], happened[kept], base[kept])
    predicted = probability[kept].argmax(axis=1)
    recalls = [(predicted[happened[kept] == k] == k).mean() for k in (0, 1)]
    precisions = [
        sklearn.metrics.average_precision_score(happened[kept] == k, probability[kept][:, k])
        for k in (0, 1)
    ]
    assert found["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert found["average_precision"] == pytest.approx(np.mean(precisions))
    assert confusion(probability[kept], happened[kept]).shape == (3, 3)


def test_one_class_only_is_scored_without_a_warning() -> None:
    probability, _, base = drawn(50)
    found = score(probability, np.ones(50, int), base)
    assert found["average_precision"] == 1
    assert found["accuracy"] == found["balanced_accuracy"]
    assert all(np.isfinite(value) for value in found.values())


@pytest.mark.parametrize(("chance", "skill_found"), [(1.0, 0.0), (0.5, -0.5)])
def test_a_base_that_is_never_wrong_cannot_be_beaten(chance: float, skill_found: float) -> None:
    certain = np.tile([0.0, 1.0, 0.0], (50, 1))
    rest = 1 - chance
    probability = np.tile([rest, chance, 0.0], (50, 1))
    found = score(probability, np.ones(50, int), certain)
    assert found["brier_skill"] == skill_found
    assert found["brier_skill_low"] <= 0
    json.dumps(mean_over_heads({"direction": found}), allow_nan=False)


def test_a_perfect_forecast_has_every_best_figure() -> None:
    _, happened, base = drawn()
    found = score(np.eye(3)[happened], happened, base)
    best = ("accuracy", "balanced_accuracy", "average_precision", "brier_skill")
    assert [found[name] for name in best] == [1, 1, 1, 1]
    assert found["log_loss"] == 0
    assert found["brier_skill_low"] > 0.8


def test_a_forecast_that_is_surely_wrong_stays_finite() -> None:
    _, happened, base = drawn()
    found = score(np.eye(3)[(happened + 1) % 3], happened, base)
    assert found["accuracy"] == 0
    assert found["log_loss"] == pytest.approx(-np.log(1e-15))
    assert found["brier_skill"] < -1


def test_a_constant_forecast_is_the_majority() -> None:
    _, happened, base = drawn()
    found = score(base, happened, base)
    assert found["brier_skill"] == found["brier_skill_low"] == 0
    assert found["accuracy"] == found["majority_accuracy"] == (happened == 1).mean()
    assert found["balanced_accuracy"] == pytest.approx(1 / 3)
    shares = np.bincount(happened, minlength=3) / len(happened)
    assert found["average_precision"] == pytest.approx(shares.mean())


def test_confusion_puts_what_happened_in_rows() -> None:
    probability = np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])
    found = confusion(probability, np.array([1, 2]))
    assert found.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_losses_are_told_row_by_row() -> None:
    probability, happened, _ = drawn(20)
    for row in range(20):
        one, what = probability[row : row + 1], happened[row : row + 1]
        assert log_loss(one, what)[0] == pytest.approx(-np.log(probability[row, happened[row]]))
        assert brier(one, what)[0] == pytest.approx(
            sum((probability[row, k] - (k == happened[row])) ** 2 for k in range(3))
        )


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.123456789, 0.123457), (1234.56789, 1234.57), (1e-9, 1e-9), (0.0, 0), (250.0, 250)],
)
def test_figures_are_told_to_six_digits(value: float, told: float) -> None:
    found = mean_over_heads({"direction": dict.fromkeys(FLAT, value)})
    assert set(found) == set(FLAT)
    assert set(found.values()) == {told}


def test_figures_are_the_mean_over_heads() -> None:
    one, other = dict.fromkeys(FLAT, 0.2), dict.fromkeys(FLAT, 0.4) | {"rows": 11.0}
    found = mean_over_heads({"entry": one | {"rows": 10.0}, "exit": other})
    assert found["rows"] == 10.5
    assert found["log_loss"] == 0.3
    assert list(found) == list(FLAT)


def test_who_knows_only_whether_it_moves_has_no_direction() -> None:
    happened = np.array([0, 1, 2] * 100)
    timing = np.where((happened == 1)[:, None], [0.05, 0.9, 0.05], [0.45, 0.1, 0.45])
    base = np.full((300, 3), 1 / 3)
    found = score(timing, happened, base)
    assert found["brier_skill_low"] > 0
    assert found["direction_skill"] == found["direction_skill_low"] == pytest.approx(0)
    knowing = np.eye(3)[happened] * 0.4 + 0.2
    assert score(knowing, happened, base)["direction_skill"] == pytest.approx(0.75)


def test_without_a_move_no_direction_is_shown() -> None:
    happened = np.ones(300, "int64")
    sure = np.tile([0.1, 0.8, 0.1], (300, 1))
    found = score(sure, happened, np.full((300, 3), 1 / 3))
    assert found["direction_skill"] == found["direction_skill_low"] == 0


def test_every_flat_figure_is_scored() -> None:
    assert set(score(*drawn())) == {
        *FLAT,
        "brier_skill_low",
        "brier_skill_p",
        "direction_skill",
        "direction_skill_low",
        "direction_skill_p",
        "direction_effective_rows",
        "direction_auc",
    }


@pytest.mark.parametrize("horizon", [1, 6, 24])
def test_effective_rows_are_the_span_in_horizons(horizon: int) -> None:
    probability, happened, base = drawn()
    joined = outcomes(probability, happened, base, horizon)
    found = effective_rows(joined, "1h")
    hours_seen = 300 + horizon - 1
    assert found == pytest.approx(hours_seen / horizon)
    apart = joined.iloc[::horizon]
    assert effective_rows(apart, "1h") == pytest.approx(len(apart))


def test_two_markets_on_the_same_dates_tell_no_more_than_one() -> None:
    joined = outcomes(*drawn())
    other = joined.rename(index={"KRW-SOL": "KRW-XRP"}, level="market")
    both = pd.concat([joined, other])
    assert effective_rows(both, "1h") == pytest.approx(effective_rows(joined, "1h"))
    later = pd.concat([joined.iloc[:150], other.iloc[150:]])
    assert effective_rows(later, "1h") == pytest.approx(effective_rows(joined, "1h"))


def test_effective_rows_do_not_depend_on_the_order() -> None:
    joined = outcomes(*drawn())
    mixed = joined.sample(frac=1, random_state=1)
    assert effective_rows(mixed, "1h") == pytest.approx(effective_rows(joined, "1h"))


@given(st.permutations([0, 1, 2, 2, 2, 1, 1]), st.integers(0, 99))
def test_balanced_accuracy_agrees_with_scikit_learn(labels: list[int], seed: int) -> None:
    happened = np.array(labels)
    predicted = np.random.default_rng(seed).choice(3, len(labels))
    expected = sklearn.metrics.balanced_accuracy_score(happened, predicted)
    assert balanced_accuracy(predicted, happened) == pytest.approx(expected)
