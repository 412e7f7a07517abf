from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.labels.entry import Entry
from pipeline.labels.exit import Exit
from pipeline.labels.high_vol import HighVol
from pipeline.labels.learned import LearnedThreshold
from pipeline.labels.three_class_scaled import ThreeClassScaled
from pipeline.labels.triple_barrier import TripleBarrier
from pipeline.labels.volatility import trailing_volatility
from pipeline.market.candles import duration
from pipeline.market.trades import TradeRule
from tests.conftest import recorded
from tests.oracles.labels import own_rows, slow_rows, slow_weights
from tests.oracles.walks import random_walk
from tests.volume import volume

HOUR = pd.Timedelta(hours=1)
LONG, SHORT = TradeRule(side="long"), TradeRule(side="short")
QUICK = {"every": 3, "hold": 8, "stop": 0.006, "profit": 0.009, "from_candle": 1}
QUICK_LONG = TradeRule(side="long", **QUICK)  # type: ignore[arg-type]
QUICK_SHORT = TradeRule(side="short", **QUICK)  # type: ignore[arg-type]
SMALL = {  # horizons of a few candles: what hypothesis cuts holes into
    "scaled": ThreeClassScaled(horizon_hours=4, multiple=0.5, volatility_hours=10),
    "long_entry": Entry(side="long", horizon_candles=3, threshold=0.003),
    "short_entry": Entry(side="short", horizon_candles=2, threshold=0.003),
    "long_exit": Exit(trades=QUICK_LONG, share=0.8, horizon_candles=3),
    "short_exit": Exit(trades=QUICK_SHORT, share=0.5, horizon_candles=2),
    "barrier": TripleBarrier(profit=0.006, stop=0.004, horizon_hours=6, touched_by="high_low"),
    "barrier_closes": TripleBarrier(profit=0.006, stop=0.004, horizon_hours=6, touched_by="close"),
    "barrier_scaled": TripleBarrier(
        profit=1, stop=0.5, horizon_hours=5, touched_by="high_low", volatility_hours=8
    ),
    "range": HighVol(measure="range", horizon_hours=5, quantile=0.8),
    "realised": HighVol(measure="realised", horizon_hours=3, quantile=0.8),
}
USUAL = {
    "scaled": ThreeClassScaled(horizon_hours=24, multiple=0.5, volatility_hours=168),
    "long_entry": Entry(side="long", horizon_candles=3, threshold=0.003),
    "short_entry": Entry(side="short", horizon_candles=3, threshold=0.003),
    "long_exit": Exit(trades=LONG, share=0.8, horizon_candles=12),
    "short_exit": Exit(trades=SHORT, share=0.8, horizon_candles=12),
    "barrier": TripleBarrier(profit=0.02, stop=0.02, horizon_hours=24, touched_by="high_low"),
    "range": HighVol(measure="range", horizon_hours=24, quantile=0.8),
    "realised": HighVol(measure="realised", horizon_hours=24, quantile=0.8),
}
every_small = pytest.mark.parametrize("name", SMALL)
every_usual = pytest.mark.parametrize("name", USUAL)


def moving(rows: int, seed: int = 1) -> pd.DataFrame:
    return random_walk(np.random.default_rng(seed), rows)


def agree(label: Any, candles: pd.DataFrame, timeframe: str = "1h") -> pd.DataFrame:
    """The label's frame, after comparing it with its oracle, exactly."""
    step = duration(timeframe)
    found: pd.DataFrame = label.compute(candles, timeframe)
    expected = slow_rows(candles, label, step)
    assert own_rows(found) == expected
    np.testing.assert_allclose(found["weight"], slow_weights(expected, step), rtol=1e-9)
    assert found.index.is_unique
    assert found["weight"].between(0, 1, inclusive="right").all()
    return found


@every_small
def test_a_label_agrees_with_its_oracle(name: str) -> None:
    found = agree(SMALL[name], moving(700))
    value = found[found.columns[0]]
    assert value.nunique() == len(SMALL[name].classes) or name in ("range", "realised")
    assert value.dtype == ("float64" if found.columns[0] == "outcome" else "int8")
    assert found.index.get_level_values("time").equals(found.index.get_level_values(-1))


@every_small
@given(st.data())
@settings(max_examples=volume(20))
def test_it_agrees_on_any_holes(name: str, data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 70))
    gone = data.draw(st.sets(st.integers(0, rows - 1), max_size=min(rows - 1, 8)))
    kept = sorted(set(range(rows)) - gone)
    agree(SMALL[name], moving(rows, data.draw(st.integers(0, 99))).iloc[kept])


@every_small
def test_no_candle_and_one_have_no_label(name: str) -> None:
    for rows in (0, 1):
        found = SMALL[name].compute(moving(30).iloc[:rows], "1h")
        assert found.empty
        assert list(found)[1:] == ["ends_at", "weight"]


@every_small
@given(factor=st.sampled_from([2.0**-20, 0.5, 1024.0]), seed=st.integers(0, 50))
@settings(max_examples=volume(10))
def test_a_price_level_changes_nothing(name: str, factor: float, seed: int) -> None:
    candles = moving(120, seed)
    found, scaled = (SMALL[name].compute(each, "1h") for each in (candles, candles * factor))
    pd.testing.assert_frame_equal(found, scaled, check_exact=True)


@every_small
def test_one_bad_candle_is_forgotten(name: str) -> None:
    candles, label = moving(200), SMALL[name]
    spoiled = candles.copy()
    spoiled.iloc[60] *= 1e9
    clean, dirty = label.compute(candles, "1h"), label.compute(spoiled, "1h")
    after = candles.index[60] + 12 * HOUR  # beyond every window above, and every trade
    pick = [frame[frame.index.get_level_values(0) > after].iloc[:, :2] for frame in (clean, dirty)]
    assert len(pick[0]) > 80
    pd.testing.assert_frame_equal(*pick, check_exact=True)


@pytest.mark.real
@every_usual
@pytest.mark.parametrize("market", ["KRW-BTC", "KRW-SOL"])
def test_it_agrees_on_recorded_hourly_candles(name: str, market: str, real_data: Path) -> None:
    candles = recorded(real_data / "upbit" / f"{market}-60m.parquet").iloc[-2500:]
    assert len(agree(USUAL[name], candles)) > 1000


@pytest.mark.real
@every_usual
def test_it_agrees_on_recorded_five_minute_candles(name: str, real_data: Path) -> None:
    frame = pd.read_parquet(real_data / "bingx_or_binance/bingx_swap/BTCUSDT-5m.parquet")
    candles = frame.rename(columns={"timestamp": "time"}).set_index("time")
    heavy = name in ("scaled", "barrier", "range", "realised")
    agree(USUAL[name], candles.iloc[: 3000 if heavy else None], "5m")


@pytest.mark.parametrize(("hours", "said"), [(1, "1 hour"), (24, "24 hours")])
def test_a_class_says_the_horizon_that_was_waited_for(hours: float, said: str) -> None:
    barriers = {"profit": 2, "stop": 1, "horizon_hours": hours, "touched_by": "close"}
    scaled = ThreeClassScaled(horizon_hours=hours, multiple=0.5, volatility_hours=168)
    assert scaled.meanings("1h")[2] == (
        f"the close {said} later is higher by more than 0.5 of the usual move of {said}"
    )
    assert TripleBarrier.parse(barriers | {"volatility_hours": 168}, "label").meanings("1h")[0] == (
        f"the price falls by 1 times the usual move of {said} before it rises by 2 times the "
        f"usual move of {said}, within {said}"
    )
    assert TripleBarrier.parse(barriers | {"stop": 0.01}, "label").meanings("1h")[1] == (
        f"the price neither falls by 1 % nor rises by 200 % within {said}"
    )
    measured = HighVol(measure="realised", horizon_hours=hours, quantile=0.8)
    assert measured.meanings("1h")[1].startswith(f"the realised volatility of the next {said} is")


# entries


def closes(*prices: float) -> pd.DataFrame:
    """Hourly candles without shadows, from 1970 on so that the first is an entry of any rule."""
    index = pd.date_range("1970-01-01", periods=len(prices), freq="h", tz="UTC", name="time")
    values = np.asarray(prices, "float64")
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), values)
    return pd.DataFrame(columns, index=index.as_unit("ms"))


@pytest.mark.parametrize(("side", "sign"), [("long", 1), ("short", -1)])
def test_an_entry_sees_exactly_the_next_three_closes(side: Any, sign: int) -> None:
    rule = Entry(side=side, horizon_candles=3, threshold=0.25)
    for moved in range(9):
        prices = [100.0] * 9
        prices[moved] += sign * 25
        found = rule.compute(closes(*prices), "1h")["label"].tolist()
        enter = {moved - 3, moved - 2, moved - 1}
        others = [k for k in range(6) if k != moved]
        assert [found[k] for k in others] == [int(k in enter) for k in others]


def test_what_was_before_a_candle_changes_no_entry() -> None:
    """The mistake of a label that looks back: a fall just before t counted as one after it."""
    for label in (SMALL["long_entry"], SMALL["short_entry"]):
        candles = moving(60)
        spoiled = candles.copy()
        spoiled.iloc[:30] *= 3
        one, other = (label.compute(each, "1h").iloc[30:] for each in (candles, spoiled))
        pd.testing.assert_frame_equal(one, other)


# barriers


@pytest.mark.parametrize(
    ("high", "low", "touched_by", "label"),
    [
        (103.0, 97.0, "high_low", 0),
        (103.0, 99.0, "high_low", 2),
        (101.0, 97.0, "high_low", 0),
        (101.0, 99.0, "high_low", 1),
        (103.0, 97.0, "close", 1),
    ],
)
def test_a_candle_that_touches_both_barriers_is_a_loss(
    high: float, low: float, touched_by: Any, label: int
) -> None:
    candles = closes(100, 100, 100)
    candles.iloc[1, candles.columns.get_loc("high")] = high
    candles.iloc[1, candles.columns.get_loc("low")] = low
    rule = TripleBarrier(profit=0.02, stop=0.02, horizon_hours=2, touched_by=touched_by)
    found = rule.compute(candles, "1h")
    assert found["label"].iloc[0] == label
    assert found["ends_at"].iloc[0] == candles.index[0] + 3 * HOUR


def test_a_barrier_reached_early_waits_for_the_whole_horizon_too() -> None:
    candles = closes(100, 103, 100, 100, 100, 100)
    rule = TripleBarrier(profit=0.02, stop=0.5, horizon_hours=3, touched_by="close")
    assert rule.compute(candles, "1h")["label"].tolist() == [2, 1, 1]
    assert rule.compute(candles.iloc[:3], "1h").empty
    assert rule.compute(candles.drop(index=candles.index[3]), "1h").empty


def test_where_nothing_has_moved_no_barrier_is_known() -> None:
    rule = TripleBarrier(
        profit=1, stop=1, horizon_hours=3, touched_by="high_low", volatility_hours=4
    )
    candles = closes(*[100.0] * 20, 101, 100, 101, 100, 101)
    found = rule.compute(candles, "1h")
    assert found.index.tolist() == [candles.index[20], candles.index[21]]


@pytest.mark.parametrize("name", ["barrier", "barrier_closes", "barrier_scaled"])
def test_before_a_cut_no_barrier_is_kept_for_having_been_reached_early(name: str) -> None:
    candles, label = moving(400), SMALL[name]
    found = label.compute(candles, "1h")
    horizon = pd.Timedelta(hours=label.horizon_hours + 1)
    assert set(found["ends_at"] - found.index) == {horizon}


@pytest.mark.parametrize("name", ["long_exit", "short_exit"])
def test_before_a_cut_no_trade_is_kept_for_having_been_short(name: str) -> None:
    candles, label = moving(400), SMALL[name]
    found = label.compute(candles, "1h")
    entered = found.index.get_level_values("trade")
    assert set(found["ends_at"] - entered) == {(label.trades.hold + 1) * HOUR}
    lengths = found.groupby(level="trade").size()
    assert lengths.nunique() > 3, "no trade is over before it must be"
    newest = label.compute(candles.iloc[: 3 * 60 + 1], "1h")
    assert newest.index.get_level_values("trade").max() <= candles.index[180] - 8 * HOUR


@pytest.mark.parametrize(
    "bad", [{"stop": 1.0}, {"stop": 0}, {"profit": -1}, {"touched_by": "open"}]
)
def test_senseless_barriers_are_refused(bad: dict[str, Any]) -> None:
    good = {"profit": 0.02, "stop": 0.02, "horizon_hours": 24, "touched_by": "close"}
    assert TripleBarrier.parse(good, "label")
    with pytest.raises(ConfigError, match=next(iter(bad))):
        TripleBarrier.parse(good | bad, "label")
    assert TripleBarrier.parse(good | {"stop": 2, "volatility_hours": 24}, "label")


# exits


def exits(*prices: float, side: Any = "long", **given: Any) -> pd.DataFrame:
    rule = {"every": 100, "hold": 6, "stop": 0.1, "profit": 0.3, "from_candle": 1} | given
    label = Exit(trades=TradeRule(side=side, **rule), share=0.8, horizon_candles=2)
    return label.compute(closes(*prices), "1h")


def test_an_exit_is_near_the_peak_and_better_than_waiting() -> None:
    found = exits(100, 104, 110, 109, 107, 107.5, 105)
    assert found["label"].tolist() == [0, 1, 1, 0, 0]
    assert found.index.get_level_values("time").hour.tolist() == [1, 2, 3, 4, 5]
    assert set(found.index.get_level_values("trade").hour) == {0}
    assert set(found["ends_at"].dt.hour) == {7}  # nothing is known before the trade is over


def test_a_short_exit_gains_from_falls() -> None:
    found = exits(100, 96, 90, 91, 93, 92.5, 95, side="short")
    assert found["label"].tolist() == [0, 1, 1, 0, 0]


def test_the_whole_trades_peak_counts_also_before_its_first_row() -> None:
    assert exits(100, 120, 109, 108, 107, 106, 105, from_candle=2)["label"].sum() == 0
    assert exits(100, 105, 109, 108, 107, 106, 105, from_candle=2)["label"].sum() > 0


def test_a_trade_that_only_lost_has_no_good_exit() -> None:
    found = exits(100, 99, 98, 97, 96, 95, 94)
    assert len(found) == 5
    assert found["label"].sum() == 0


@pytest.mark.parametrize("last", [89.0, 131.0])
def test_a_barrier_ends_a_trade(last: float) -> None:
    found = exits(100, 102, 101, last, 100, 100, 100)
    assert found.index.get_level_values("time").hour.tolist() == [1, 2]
    assert set(found["ends_at"].dt.hour) == {7}, "as if it had been held to the end"
    assert exits(100, 102, 101, last, 100, 100).empty


def test_open_trades_have_no_rows() -> None:
    assert exits(100, 101, 102, 101, 100, 101).empty
    assert len(exits(100, 101, 102, 101, 100, 101, 100)) == 5
    holed = closes(100, 101, 102, 101, 100, 101, 100, 100)
    rule = TradeRule(side="long", every=100, hold=6, stop=0.1, profit=0.3, from_candle=1)
    label = Exit(trades=rule, share=0.8, horizon_candles=2)
    assert label.compute(holed.drop(index=holed.index[4]), "1h").empty


# volatility


def test_volatility_is_the_root_mean_square_of_what_is_there() -> None:
    close = np.array([1.0, 2.0, 2.0, 2.0, np.nan, 2.0, 3.0])
    found = trailing_volatility(close, 4)
    assert np.isnan(found[:4]).all(), "less than a window of history"
    assert found[4:6].tolist() == [np.sqrt(1 / 3), 0.0]
    assert np.isnan(trailing_volatility(close, 3)[6])


@given(seed=st.integers(0, 50), start=st.integers(0, 60))
@settings(max_examples=volume(15))
def test_volatility_does_not_depend_on_where_history_starts(seed: int, start: int) -> None:
    close = moving(150, seed)["close"].to_numpy()
    whole, late = trailing_volatility(close, 20), trailing_volatility(close[start:], 20)
    np.testing.assert_array_equal(late[20:], whole[start + 20 :])


# learned


def test_a_threshold_is_the_quantile_of_what_it_was_taught() -> None:
    rule = HighVol(measure="range", horizon_hours=24, quantile=0.8)
    outcomes = np.random.default_rng(3).normal(size=1000)
    learned = rule.learn(outcomes)
    assert learned == LearnedThreshold(threshold=float(np.quantile(outcomes, 0.8)))
    assert learned.assign(outcomes).sum() == 200
    assert LearnedThreshold.parse(learned.model_dump(), "bundle") == learned
