from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.comparison import Difference, OutOfFold, compare

CLASSES = ("sell", "hold", "buy")
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
    frame = pd.DataFrame({**columns, "label": np.full(len(rows), happened, "int8")}, index=index)
    return OutOfFold(frame, CLASSES, LABEL)


def test_the_difference_is_candidate_minus_champion() -> None:
    found = compare({"d": head(range(10), 0.5)}, {"d": head(range(10), 0.25)})
    assert found == Difference(True, "", 10, pytest.approx(np.log(0.25 / 0.5)))
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
    assert compare({"d": one}, {"d": one}) == Difference(True, "", 10, 0.0)


def test_heads_are_weighed_by_their_rows() -> None:
    ours = {"entry": head(range(30), 0.5), "exit": head(range(10), 0.2)}
    theirs = {"entry": head(range(30), 0.25), "exit": head(range(10), 0.4)}
    found = compare(ours, theirs)
    assert found.common_rows == 40
    assert found.log_loss_difference == pytest.approx((30 * np.log(0.5) + 10 * np.log(2)) / 40)


def test_the_same_moment_of_another_market_is_no_common_row() -> None:
    found = compare({"d": head(range(9), 0.5)}, {"d": head(range(9), 0.5, market="KRW-XRP")})
    assert found == Difference(False, "no candle was predicted out of fold by both", 0, 0.0)


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
    assert found == Difference(False, why_not, 0, 0.0)


def test_a_surely_wrong_row_stays_finite() -> None:
    found = compare({"d": head(range(5), 0.0)}, {"d": head(range(5), 1.0)})
    assert found.log_loss_difference == pytest.approx(-np.log(1e-15))


def test_rows_whose_outcome_is_told_differently_are_no_evidence() -> None:
    ours, theirs = head(range(10), 0.5), head(range(10), 0.25)
    theirs.frame.iloc[:4, theirs.frame.columns.get_loc("label")] = 0
    found = compare({"d": ours}, {"d": theirs})
    assert found.common_rows == 6
    assert found.log_loss_difference == pytest.approx(np.log(0.25 / 0.5))
