from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation import comparison
from pipeline.evaluation.comparison import (
    FEWEST_HORIZONS,
    Difference,
    OutOfFold,
    after,
    independent_moments,
)
from tests.volume import volume

CLASSES = ("sell", "hold", "buy")
HOUR = pd.Timedelta(hours=1)
LABEL = {"_target_": "three_class", "horizon_hours": 24}


def head(
    rows: range, chances: list[float] | float, market: str = "KRW-SOL", happened: int = 2
) -> OutOfFold:
    """Rows an hour apart; `chances` is what was given to the class that happened."""
    given = np.broadcast_to(np.asarray(chances, float), len(rows))
    time = pd.Timestamp("2025-01-01T00:00Z") + pd.to_timedelta(list(rows), unit="h")
    index = pd.MultiIndex.from_arrays([[market] * len(rows), time], names=["market", "time"])
    columns = {f"p_{name}": (1 - given) / 2 for name in CLASSES}
    columns[f"p_{CLASSES[happened]}"] = given
    told = {"label": np.full(len(rows), happened, "int8"), "fold": 0, "ends_at": time + 25 * HOUR}
    return OutOfFold(pd.DataFrame({**columns, **told}, index=index), CLASSES, LABEL)


def compare(ours: dict[str, OutOfFold], theirs: dict[str, OutOfFold]) -> Difference:
    return comparison.compare(ours, theirs, "1h")


def test_the_difference_is_candidate_minus_champion() -> None:
    found = compare({"d": head(range(10), 0.5)}, {"d": head(range(10), 0.25)})
    gain = np.log(0.25 / 0.5)
    assert (found.comparable, found.why_not, found.common_rows) == (True, "", 10)
    assert (found.log_loss_difference, found.low, found.high) == pytest.approx((gain,) * 3)
    assert found.diebold_mariano_p is None, "ten rows are less than a horizon"
    assert found.word == "better"
    back = compare({"d": head(range(10), 0.25)}, {"d": head(range(10), 0.5)})
    assert back.log_loss_difference == -found.log_loss_difference > 0


def test_only_rows_that_both_predicted_count() -> None:
    ours = head(range(10), [0.5] * 5 + [0.9] * 5)
    theirs = head(range(3, 8), [0.25] * 5)
    found = compare({"d": ours}, {"d": theirs})
    expected = -np.log([0.5, 0.5, 0.9, 0.9, 0.9]) + np.log(0.25)
    assert found.common_rows == 5
    assert found.log_loss_difference == pytest.approx(expected.mean())


def test_the_order_of_rows_does_not_matter() -> None:
    ours, theirs = head(range(8), list(np.linspace(0.1, 0.8, 8))), head(range(8), 0.3)
    mixed = OutOfFold(ours.frame.sample(frac=1, random_state=3), CLASSES, LABEL)
    expected = compare({"d": ours}, {"d": theirs}).log_loss_difference
    assert compare({"d": mixed}, {"d": theirs}).log_loss_difference == pytest.approx(expected)


def test_a_model_beside_itself_differs_by_nothing() -> None:
    one = head(range(10), list(np.linspace(0.05, 0.95, 10)))
    same = {"direction_loss_difference": 0.0, "direction_loss_p": 1.0}
    assert compare({"d": one}, {"d": one}) == Difference(True, "", 10, 10, **same)


def test_heads_are_weighed_by_their_rows() -> None:
    ours = {"entry": head(range(30), 0.5), "exit": head(range(10), 0.2)}
    theirs = {"entry": head(range(30), 0.25), "exit": head(range(10), 0.4)}
    found = compare(ours, theirs)
    assert found.common_rows == 40
    assert found.log_loss_difference == pytest.approx((30 * np.log(0.5) + 10 * np.log(2)) / 40)


def test_rows_of_trades_stand_beside_rows_of_candles() -> None:
    def of_trades(chance: float) -> OutOfFold:
        one = head(range(10), chance)
        trades = one.frame.assign(trade=one.frame.index.get_level_values("time") - 5 * HOUR)
        keyed = trades.set_index("trade", append=True).swaplevel()
        return OutOfFold(keyed, CLASSES, LABEL)

    ours = {"entry": head(range(30), 0.5), "exit": of_trades(0.2)}
    found = compare(ours, {"entry": head(range(30), 0.25), "exit": of_trades(0.4)})
    assert found.common_rows == 40
    assert found.log_loss_difference == pytest.approx((30 * np.log(0.5) + 10 * np.log(2)) / 40)


def test_the_same_moment_of_another_market_is_no_common_row() -> None:
    found = compare({"d": head(range(9), 0.5)}, {"d": head(range(9), 0.5, market="KRW-XRP")})
    assert found == Difference(False, "no candle was predicted out of fold by both")


def test_later_candles_alone_are_no_common_row() -> None:
    found = compare({"d": head(range(10, 20), 0.5)}, {"d": head(range(10), 0.5)})
    assert not found.comparable
    assert found.common_rows == 0


@pytest.mark.parametrize(
    ("theirs", "why_not"),
    [
        ({"other": head(range(5), 0.5)}, "the heads differ"),
        ({"d": head(range(5), 0.5), "e": head(range(5), 0.5)}, "the heads differ"),
        (
            {"d": OutOfFold(head(range(5), 0.5).frame, CLASSES, LABEL | {"horizon_hours": 6})},
            "the label of head d differs",
        ),
        (
            {"d": OutOfFold(head(range(5), 0.5).frame, CLASSES[::-1], LABEL)},
            "the label of head d differs",
        ),
    ],
)
def test_what_is_no_common_ground_is_not_compared(
    theirs: dict[str, OutOfFold], why_not: str
) -> None:
    found = compare({"d": head(range(5), 0.5)}, theirs)
    assert found == Difference(False, why_not)


def test_a_surely_wrong_row_stays_finite() -> None:
    found = compare({"d": head(range(5), 0.0)}, {"d": head(range(5), 1.0)})
    assert found.log_loss_difference == pytest.approx(-np.log(1e-15))


def test_rows_whose_outcome_is_told_differently_are_no_evidence() -> None:
    ours, theirs = head(range(10), 0.5), head(range(10), 0.25)
    theirs.frame.iloc[:4, theirs.frame.columns.get_loc("label")] = 0
    found = compare({"d": ours}, {"d": theirs})
    assert found.common_rows == 6
    assert found.log_loss_difference == pytest.approx(np.log(0.25 / 0.5))


def test_nothing_but_predictions_of_rows_not_fitted_on_is_evidence() -> None:
    one, other = head(range(30), 0.5), head(range(30), 0.25)
    unknown = OutOfFold(other.frame.drop(columns="fold"), CLASSES, LABEL)
    refit = OutOfFold(other.frame.assign(fold=-1), CLASSES, LABEL)
    for flattered in (unknown, refit):
        found = compare({"d": one}, {"d": flattered})
        told = "it is not known that the predictions are out of fold of the champion's head d"
        assert found == Difference(False, told)
        assert "candidate" in compare({"d": flattered}, {"d": one}).why_not


def test_a_deployed_model_is_evidence_from_its_as_of_on() -> None:
    one, other = head(range(30), 0.5), head(range(30), 0.25)
    as_of = one.frame.index.get_level_values("time")[20]
    deployed = OutOfFold(other.frame.drop(columns="fold"), CLASSES, LABEL, as_of)
    found = compare({"d": one}, {"d": deployed})
    told = "20 rows before as_of are in the deployed model's predictions of the champion's head d"
    assert found == Difference(False, told)
    fair = compare({"d": one}, {"d": after(deployed, as_of)})
    assert (fair.comparable, fair.common_rows) == (True, 10)


def test_mcnemar_counts_labels_that_do_not_overlap_once() -> None:
    ours, theirs = head(range(240), 0.5), head(range(240), 0.1)
    found = compare({"d": ours}, {"d": theirs})
    assert found.mcnemar_p == pytest.approx(2 / 2**10), "ten days, though 240 rows"
    two = [pd.concat([each.frame, head(range(240), p, "KRW-ETH").frame])
           for each, p in ((ours, 0.5), (theirs, 0.1))]  # fmt: skip
    both = [{"d": OutOfFold(frame, CLASSES, LABEL)} for frame in two]
    assert (compare(*both).common_rows, compare(*both).common_moments) == (480, 240)
    assert compare(*both).mcnemar_p == found.mcnemar_p, "markets move together"


def test_moments_are_taken_one_horizon_apart() -> None:
    moment = np.arange(10)
    assert independent_moments(moment, moment + 1).tolist() == list(range(10))
    assert independent_moments(moment, moment + 4).tolist() == [0, 4, 8]
    assert independent_moments(moment, moment).tolist() == list(range(10))
    assert independent_moments(moment[:0], moment[:0]).tolist() == []


def rivals(rows: int, horizon: int, lead: float, seed: int) -> list[OutOfFold]:
    """Two models that each know a part of what drives the price; by `lead` the first knows more."""
    rng = np.random.default_rng([seed, rows, horizon])
    noise = np.cumsum(rng.standard_normal((3, rows + horizon)), axis=1)
    first, second, unknown = (noise[:, horizon:] - noise[:, :-horizon]) / np.sqrt(horizon)
    change = 0.3 * ((1 + lead) * first + (1 - lead) * second) + 0.9 * unknown
    label = 1 + (change > 0.6) - (change < -0.6)
    time = pd.Timestamp("2025-01-01T00:00Z") + np.arange(rows) * HOUR
    index = pd.MultiIndex.from_arrays([["SIM"] * rows, time], names=["market", "time"])
    told = {"label": label, "fold": 0, "ends_at": time + (horizon + 1) * HOUR}
    return [
        OutOfFold(
            pd.DataFrame({"p_sell": 0.3 - lean, "p_hold": 0.4, "p_buy": 0.3 + lean, **told}, index),
            CLASSES, LABEL,
        )
        for lean in (np.tanh(first) * 0.2, np.tanh(second) * 0.2)
    ]  # fmt: skip


def shares(rows: int, horizon: int, lead: float, pairs: int) -> dict[str, float]:
    """How often the first model is called better and worse, and either p is below 5 %."""
    counts = dict.fromkeys(("better", "worse", "undecidable", "loss", "hits"), 0)
    for seed in range(pairs):
        one, other = rivals(rows, horizon, lead, seed)
        found = compare({"d": one}, {"d": other})
        counts[found.word] += 1
        assert found.diebold_mariano_p is not None
        counts["loss"] += found.diebold_mariano_p < 0.05
        counts["hits"] += found.mcnemar_p < 0.05
    return {name: count / pairs for name, count in counts.items()}


@pytest.mark.parametrize(("rows", "horizon"), [(2000, 24), (2000, 6), (600, 24)])
def test_equal_models_are_called_unequal_as_often_as_stated(rows: int, horizon: int) -> None:
    pairs = volume(50)
    found = shares(rows, horizon, 0.0, pairs)
    slack = 0.03 if pairs >= 1000 else 0.12
    assert found["better"] == pytest.approx(0.05, abs=slack), found
    assert found["worse"] == pytest.approx(0.05, abs=slack), found
    assert found["loss"] <= 0.05 + slack, found
    assert found["hits"] <= 0.05 + slack, found


def test_a_better_model_is_found_better() -> None:
    found = shares(4000, 6, 0.8, volume(10))
    assert found["better"] > 0.8, found
    assert found["worse"] == 0
    assert min(found["loss"], found["hits"]) > 0.5, found


def test_few_horizons_have_no_p_of_equal_loss() -> None:
    enough, few = (rivals(24 * horizons, 24, 0.0, 3) for horizons in (FEWEST_HORIZONS, 12))
    told = [compare({"d": one}, {"d": other}) for one, other in (enough, few)]
    assert told[0].diebold_mariano_p is not None
    assert told[1].diebold_mariano_p is None
    pooled = [
        OutOfFold(
            pd.concat([each.frame.rename(index={"SIM": name}, level=0) for name in "ABCD"]),
            CLASSES,
            LABEL,
        )
        for each in few
    ]
    found = compare({"d": pooled[0]}, {"d": pooled[1]})
    assert (found.common_rows, found.common_moments) == (4 * 288, 288)
    assert found.diebold_mariano_p is None, "four markets are no more horizons"


def test_what_is_not_known_of_the_order_is_not_taken_for_granted() -> None:
    one, other = head(range(30), 0.5), head(range(30), 0.25)
    unknown = replace(other, chronological=None)
    told = "it is not known whether the {}'s models were trained on later candles too"
    assert compare({"d": one}, {"d": unknown}).why_not == told.format("champion")
    assert compare({"d": unknown}, {"d": one}).why_not == told.format("candidate")
    assert compare({"d": unknown}, {"d": unknown}).comparable
