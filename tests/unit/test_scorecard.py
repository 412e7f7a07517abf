"""Figures beside baselines, by regime and month, from candles and labels that a hand can check."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import sklearn.metrics

from pipeline.evaluation.baselines import (
    CLIMATOLOGY,
    HAR,
    MAJORITY,
    PERSISTENCE,
    baselines,
    har_forecast,
)
from pipeline.evaluation.metrics import (
    POWER,
    direction_rows,
    outcomes_of,
    score_head,
)
from pipeline.evaluation.regimes import DAY, REGIMES, at_rows, log_range, regimes_of
from pipeline.evaluation.scorecard import mean_skill, scorecard
from pipeline.labels.uniqueness import average_uniqueness
from tests.bench.coverage import Case, simulated

CLASSES = ("sell", "hold", "buy")
START, HOUR = pd.Timestamp("2025-01-01T00:00Z"), pd.Timedelta(hours=1)
HORIZON, ROWS, TESTED = 24, 4000, 2400


@cache
def market(name: str = "SIM-BTC", seed: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Candles whose volatility comes in weeks, and three classes of the next day's return."""
    rng = np.random.default_rng(seed)
    deviation = np.repeat(rng.choice([0.001, 0.004, 0.016], ROWS // 100), 100)
    move = deviation * rng.standard_normal(ROWS)
    close = 100 * np.exp(np.cumsum(move))
    reach = np.exp(np.abs(move) + deviation)
    time = START + np.arange(ROWS) * HOUR
    index = pd.MultiIndex.from_arrays([[name] * ROWS, time], names=["market", "time"])
    candles = pd.DataFrame({"high": close * reach, "low": close / reach, "close": close}, index)
    change = close[HORIZON:] / close[:-HORIZON] - 1
    label = (1 + (change > 0.02) - (change < -0.02)).astype("int8")
    starts = np.arange(ROWS - HORIZON)
    labels = pd.DataFrame(
        {
            "label": label,
            "ends_at": time[:-HORIZON] + (HORIZON + 1) * HOUR,
            "weight": average_uniqueness(starts, starts + HORIZON),
        },
        index[:-HORIZON],
    )
    return candles, labels


def predicted(labels: pd.DataFrame, knows: float = 0.0) -> pd.DataFrame:
    """Two folds of the newest rows; `knows` is the weight of what will happen."""
    rows = labels.iloc[TESTED:]
    truth = np.eye(3)[rows["label"].to_numpy("int64")]
    probability = knows * truth + (1 - knows) * np.array([0.2, 0.6, 0.2])
    columns = {f"p_{name}": probability[:, k] for k, name in enumerate(CLASSES)}
    columns |= dict(zip([f"base_{name}" for name in CLASSES], (0.25, 0.5, 0.25), strict=True))
    fold = np.arange(len(rows)) // (len(rows) // 2 + 1)
    return pd.DataFrame(columns, rows.index).assign(
        fold=fold, label=rows["label"], ends_at=rows["ends_at"]
    )


@cache
def card(knows: float = 0.0) -> dict[str, Any]:
    candles, labels = market()
    return scorecard(predicted(labels, knows), CLASSES, "1h", labels, candles)


def all_baselines(joined: pd.DataFrame) -> dict[str, np.ndarray]:
    candles, labels = market()
    return baselines(joined, CLASSES, "1h", labels, candles)


def test_figures_agree_with_scikit_learn() -> None:
    candles, labels = market()
    joined = predicted(labels, 0.1)
    noise = np.random.default_rng(1).dirichlet([1, 2, 1], len(joined))
    columns = [f"p_{name}" for name in CLASSES]
    joined[columns] = 0.9 * noise + 0.1 * np.eye(3)[joined["label"]]
    found = scorecard(joined, CLASSES, "1h", labels, candles)["metrics"]
    probability, happened = joined[columns].to_numpy(), joined["label"].to_numpy()
    said = probability.argmax(axis=1)
    recall = sklearn.metrics.recall_score(happened, said, average=None)
    precision = sklearn.metrics.precision_score(happened, said, average=None)
    truth = np.eye(3)[happened]
    moves = direction_rows(joined, CLASSES)
    expected = {
        "accuracy": sklearn.metrics.accuracy_score(happened, said),
        "balanced_accuracy": sklearn.metrics.balanced_accuracy_score(happened, said),
        "log_loss": sklearn.metrics.log_loss(happened, probability),
        "auc": sklearn.metrics.roc_auc_score(truth, probability),
        "average_precision": sklearn.metrics.average_precision_score(truth, probability),
        "auc_buy": sklearn.metrics.roc_auc_score(truth[:, 2], probability[:, 2]),
        "direction_auc": sklearn.metrics.roc_auc_score(moves["label"], moves["p_buy"]),
        **{f"recall_{name}": recall[k] for k, name in enumerate(CLASSES)},
        **{f"precision_{name}": precision[k] for k, name in enumerate(CLASSES)},
    }
    assert {name: found[name]["value"] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert all(found[name]["low"] < expected[name] < found[name]["high"] for name in expected)


def test_calibration_error_agrees_with_a_hand() -> None:
    joined = predicted(market()[1])
    happened = joined["label"].to_numpy()
    shares = np.bincount(happened, minlength=3) / len(happened)
    gap = np.abs(shares - [0.2, 0.6, 0.2]).mean()
    assert card()["metrics"]["calibration_error"]["value"] == pytest.approx(gap, rel=1e-5)
    assert score_head(joined, CLASSES, "1h")["calibration_error"] == pytest.approx(gap)
    halves = joined.assign(p_sell=0.0, p_buy=0.0, p_hold=1.0)
    rest = score_head(halves, CLASSES, "1h")["calibration_error"]
    assert rest == pytest.approx(2 * (1 - shares[1]) / 3), "the last tenth holds 1"


def test_the_gate_and_the_card_tell_the_same() -> None:
    scores = score_head(predicted(market()[1], 0.2), CLASSES, "1h")
    metrics = card(0.2)["metrics"]
    for name in ("brier_skill", "direction_skill"):
        assert scores[name] == pytest.approx(metrics[name]["value"], rel=1e-5)
        assert scores[f"{name}_low"] == pytest.approx(metrics[name]["low"], rel=1e-5)


def test_direction_rests_on_the_rows_that_moved_alone() -> None:
    joined = predicted(market()[1], 0.2)
    moves = direction_rows(joined, CLASSES)
    found, alone = score_head(joined, CLASSES, "1h"), score_head(moves, ("sell", "buy"), "1h")
    assert len(moves) < len(joined) / 2
    assert found["direction_effective_rows"] == alone["effective_rows"] < found["effective_rows"]
    for name in ("skill", "skill_low"):
        assert found[f"direction_{name}"] == pytest.approx(alone[f"brier_{name}"])


def test_moves_in_one_stretch_are_few_independent_rows() -> None:
    joined = predicted(market()[1], 0.2)
    label = np.ones(len(joined), "int8")
    label[500:530] = np.resize([0, 2], 30)
    told = joined.assign(label=label)
    scores = score_head(told, CLASSES, "1h")
    assert scores["direction_effective_rows"] == pytest.approx(53 / 24)
    outcomes = outcomes_of(told, CLASSES, "1h")
    assert outcomes.moves.moments == 30
    assert outcomes.moves.widening > 1.3 * outcomes.blocks.widening
    label[505:530] = 1
    metrics = scorecard(joined.assign(label=label), CLASSES, "1h", market()[1], market()[0])[
        "metrics"
    ]
    assert metrics["direction_skill"]["low"] is None, "less than two independent rows moved"
    assert metrics["brier_skill"]["low"] is not None


def test_a_distance_has_no_interval() -> None:
    told = card()["metrics"]["calibration_error"]
    assert (told["low"], told["high"]) == (None, None)
    assert told["value"] > 0


def test_every_figure_stands_beside_every_baseline() -> None:
    told = card(0.2)
    for name, figure in told["metrics"].items():
        own = {"perfect"} if name == "calibration_error" else set()
        assert set(figure) == {"value", "low", "high", "baselines"} | own
        assert set(figure["baselines"]) == {MAJORITY, PERSISTENCE, CLIMATOLOGY, HAR}
    assert told["metrics"]["log_loss"]["baselines"][PERSISTENCE] is None
    assert told["metrics"]["brier_skill"]["baselines"][MAJORITY] == 0
    skill = told["metrics"]["skill_over_climatology"]
    assert skill["baselines"][CLIMATOLOGY] == 0
    assert mean_skill({"a": told}) == {"skill_over_climatology": skill["value"]}
    json.dumps(told, allow_nan=False)


def test_who_knows_volatility_alone_has_no_skill_over_it() -> None:
    candles, labels = market()
    joined = predicted(labels)
    shares = all_baselines(joined)[CLIMATOLOGY]
    told = joined.assign(**{f"p_{name}": shares[:, k] for k, name in enumerate(CLASSES)})
    found = scorecard(told, CLASSES, "1h", labels, candles)["metrics"]
    assert found["brier_skill"]["low"] > 0
    skill = found["skill_over_climatology"]
    assert (skill["value"], skill["low"], skill["high"]) == (0, 0, 0)
    area = found["direction_auc"]
    assert area["low"] < 0.5 < area["high"]


def test_regimes_and_months_hold_every_row_once() -> None:
    told, joined = card(0.2), predicted(market()[1])
    for parts in (told["by_regime"], told["by_month"]):
        assert sum(part["rows"] for part in parts.values()) == len(joined)
    assert tuple(told["by_regime"]) == REGIMES
    assert list(told["by_month"]) == ["2025-04", "2025-05", "2025-06"]
    may = told["by_month"]["2025-05"]
    assert may["rows"] == 744
    assert may["effective_rows"] == pytest.approx((744 + 23) / 24, rel=1e-5)
    rows = joined[joined.index.get_level_values("time").month == 5]
    expected = score_head(predicted(market()[1], 0.2).loc[rows.index], CLASSES, "1h")
    assert may["metrics"]["brier_skill"]["low"] == pytest.approx(
        expected["brier_skill_low"], rel=1e-5
    )
    assert "auc" not in may["metrics"]


def test_few_independent_rows_have_no_interval() -> None:
    candles, labels = market()
    told = scorecard(predicted(labels).iloc[:20], CLASSES, "1h", labels, candles)
    figure = told["metrics"]["accuracy"]
    assert figure["value"] is not None
    assert (figure["low"], figure["high"]) == (None, None)


def test_two_classes_of_trades_are_scored() -> None:
    candles, labels = market()
    joined = predicted(labels, 0.2)
    two = joined.assign(label=(joined["label"] != 1).astype("int8"))
    for kind in ("p", "base"):
        two[f"{kind}_stay"] = joined[f"{kind}_hold"]
        two[f"{kind}_exit"] = 1 - joined[f"{kind}_hold"]
    known = labels.assign(label=(labels["label"] != 1).astype("int8"))
    by_trade = [pd.concat({START: frame}, names=["trade"]) for frame in (two, known)]
    keyed = [frame.reorder_levels(["market", "trade", "time"]) for frame in by_trade]
    plain = scorecard(two, ("stay", "exit"), "1h", known, candles)
    found = scorecard(keyed[0], ("stay", "exit"), "1h", keyed[1], candles)
    assert found == plain
    assert "direction_auc" not in found["metrics"]
    assert found["metrics"]["auc_exit"]["value"] > 0.5


def test_a_learned_label_is_judged_by_its_own_rows() -> None:
    candles, labels = market()
    unlearned = labels.drop(columns="label").assign(outcome=1.0)
    found = baselines(predicted(labels), CLASSES, "1h", unlearned, candles)
    assert found[PERSISTENCE][0].tolist() == [0.25, 0.5, 0.25], "nothing was judged before"
    assert set(found[PERSISTENCE][HORIZON + 5]) == {0.0, 1.0}
    json.dumps(scorecard(predicted(labels), CLASSES, "1h", unlearned, candles), allow_nan=False)


def test_persistence_repeats_the_newest_label_that_was_known() -> None:
    _, labels = market()
    joined = predicted(labels)
    said = all_baselines(joined)[PERSISTENCE].argmax(axis=1)
    known = labels["label"].to_numpy()[TESTED - HORIZON :][: len(said)]
    assert said.tolist() == known.tolist()


def test_climatology_agrees_with_a_plain_loop() -> None:
    candles, labels = market()
    joined = predicted(labels)
    found = all_baselines(joined)[CLIMATOLOGY]
    day = at_rows(log_range(candles, DAY), labels.index).to_numpy()
    second = joined[joined["fold"] == 1]
    opened = second.index.get_level_values("time").min()
    past = (labels["ends_at"] <= opened).to_numpy()
    edges = np.quantile(day[past], [0.2, 0.4, 0.6, 0.8])
    now = day[TESTED:][(joined["fold"] == 1).to_numpy()][5]
    bucket = sum(now > edge for edge in edges)
    same = past & ((day[:, None] > edges).sum(axis=1) == bucket)
    weight = labels["weight"].to_numpy()
    sums = [weight[same & (labels["label"] == k).to_numpy()].sum() for k in range(3)]
    mixed = np.array(sums) + 10 * np.array([0.25, 0.5, 0.25])
    assert found[(joined["fold"] == 1).to_numpy()][5] == pytest.approx(mixed / mixed.sum())


def test_har_is_the_regression_on_day_week_and_month() -> None:
    candles, labels = market()
    joined = predicted(labels)
    found = har_forecast(joined, candles, "1h")
    terms = np.column_stack(
        [np.ones(ROWS), *(log_range(candles, days * DAY) for days in (1, 7, 30))]
    )
    later = np.append(terms[HORIZON:, 1], np.full(HORIZON, np.nan))
    known = TESTED - HORIZON
    factor = np.linalg.lstsq(terms[:known], later[:known], rcond=None)[0]
    assert found[0].to_numpy() == pytest.approx(terms @ factor)
    error = np.nanmean((found[0].to_numpy() - later)[TESTED:] ** 2)
    assert error < np.nanmean((terms[:, 1] - later)[TESTED:] ** 2), "better than persistence"


@pytest.mark.parametrize("cut", [TESTED + 30, TESTED + 900])
def test_no_baseline_looks_ahead(cut: int) -> None:
    candles, labels = market()
    joined = predicted(labels)
    before = baselines(joined, CLASSES, "1h", labels, candles)
    changed = candles.copy()
    changed.iloc[cut + 1 :, :2] *= [3.0, 0.3]
    moment = joined.index.get_level_values("time")[cut - TESTED] + HOUR
    other = labels.assign(label=labels["label"].where(labels["ends_at"] <= moment, 2))
    after = baselines(joined, CLASSES, "1h", other, changed)
    for name, values in before.items():
        assert np.array_equal(values[: cut - TESTED + 1], after[name][: cut - TESTED + 1]), name
    assert (regimes_of(candles).iloc[: cut + 1] == regimes_of(changed).iloc[: cut + 1]).all()


def test_markets_learn_each_from_its_own() -> None:
    parts = [market(), market("SIM-ETH", 5)]
    candles, labels = (pd.concat(both) for both in zip(*parts, strict=True))
    joined = pd.concat([predicted(own) for _, own in parts])
    found = baselines(joined, CLASSES, "1h", labels, candles)
    for name, values in all_baselines(predicted(market()[1])).items():
        assert np.array_equal(found[name][: len(values)], values), name
    regimes = regimes_of(candles)
    assert (regimes.loc[["SIM-BTC"]] == regimes_of(market()[0])).all()


def test_regimes_are_thirds_of_what_was_seen() -> None:
    shares = regimes_of(market()[0]).iloc[2200:].value_counts(normalize=True)
    assert set(shares.index) == set(REGIMES)
    assert shares.min() > 0.1
    day = log_range(market()[0], DAY).iloc[2200:]
    regime = regimes_of(market()[0]).iloc[2200:]
    assert day[regime == "calm"].median() < day[regime == "normal"].median()
    assert day[regime == "normal"].median() < day[regime == "wild"].median()


def test_log_range_is_the_variance_of_a_trailing_window() -> None:
    candles = market()[0]
    ratio = np.log(candles["high"] / candles["low"]).to_numpy()
    variance = (ratio[976:1000] ** 2).mean() / (4 * np.log(2))
    assert log_range(candles, DAY).iloc[999] == pytest.approx(np.log(variance))
    still = candles.assign(high=1.0, low=1.0)
    assert np.isfinite(log_range(still, DAY)).all()


def test_the_detectable_skill_is_shown_four_times_out_of_five() -> None:
    case, shown, skills, detectable = Case(1500, 12), [], [], []
    for seed in range(120):
        rows = simulated(case, np.random.default_rng([seed, 8]))
        outcomes = outcomes_of(rows, CLASSES, "1h")
        assert outcomes.blocks.draws == 2000
        scores = score_head(rows, CLASSES, "1h")
        detectable.append(scores["detectable_skill"])
        skills.append(scores["brier_skill"])
        shown.append(scores["brier_skill_low"] > 0)
    deviations = np.std(skills)
    assert np.mean(detectable) == pytest.approx(POWER * deviations, rel=0.2)
    expected = np.mean(skills) / deviations - 1.645
    assert np.mean(shown) == pytest.approx(scipy.stats.norm.cdf(expected), abs=0.12)
