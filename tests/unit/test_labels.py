from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.labels.grid import candles_in
from pipeline.labels.three_class import ThreeClass
from pipeline.labels.uniqueness import average_uniqueness
from pipeline.market.candles import duration
from tests.conftest import recorded
from tests.oracles.walks import random_walk

HOUR = pd.Timedelta(hours=1)
DAY = ThreeClass(horizon_hours=24, threshold=0.01)
HOLE = (pd.Timestamp("2025-10-25T17:00Z"), pd.Timestamp("2025-10-25T22:00Z"))  # 26 October in Korea


def slow_labels(candles: pd.DataFrame, hours: int, threshold: float) -> pd.DataFrame:
    """Hourly candles only: look every later moment up by its name."""
    close = {time: float(price) for time, price in candles["close"].items()}
    rows = []
    for time, price in close.items():
        end = time + hours * HOUR
        if end not in close:
            continue
        change = close[end] / price - 1
        label = 2 if change > threshold else 0 if change < -threshold else 1
        rows.append((time, label, end + HOUR))
    frame = pd.DataFrame(rows, columns=["time", "label", "ends_at"]).set_index("time")
    frame["weight"] = slow_uniqueness([(time, time + hours * HOUR) for time in frame.index])
    return frame


def slow_uniqueness(intervals: list[tuple[pd.Timestamp, pd.Timestamp]]) -> list[float]:
    alive: dict[pd.Timestamp, int] = {}
    slots = []
    for start, end in intervals:
        own = [start + k * HOUR for k in range(1, int((end - start) / HOUR) + 1)]
        slots.append(own)
        for slot in own:
            alive[slot] = alive.get(slot, 0) + 1
    return [sum(1 / alive[slot] for slot in own) / len(own) for own in slots]


def assert_same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert list(found.index) == list(expected.index)
    assert found["label"].tolist() == expected["label"].tolist()
    assert found["ends_at"].tolist() == expected["ends_at"].tolist()
    np.testing.assert_allclose(found["weight"], expected["weight"], rtol=1e-12)


@pytest.mark.parametrize(
    ("hours", "timeframe", "later"),
    [(24, "1h", "24 hours"), (1, "1h", "1 hour"), (1.5, "30m", "1.5 hours")],
)
def test_a_class_says_what_it_means(hours: float, timeframe: str, later: str) -> None:
    label = ThreeClass(horizon_hours=hours, threshold=0.015)
    assert dict(zip(label.classes, label.meanings(timeframe), strict=True)) == {
        "sell": f"the close {later} later is more than 1.5 % lower",
        "hold": f"the close {later} later is at most 1.5 % away",
        "buy": f"the close {later} later is more than 1.5 % higher",
    }


def moving(rows: int, seed: int = 1) -> pd.DataFrame:
    return random_walk(np.random.default_rng(seed), rows)


@pytest.mark.parametrize(("hours", "threshold"), [(1, 0.002), (5, 0.01), (24, 0.01)])
def test_labels_agree_with_a_plain_loop(hours: int, threshold: float) -> None:
    candles = moving(300).drop(moving(300).index[[40, 41, 42, 150, 299 - hours]])
    found = ThreeClass(horizon_hours=hours, threshold=threshold).compute(candles, "1h")
    assert_same(found, slow_labels(candles, hours, threshold))
    assert set(found["label"]) == {0, 1, 2}


@given(st.data())
def test_labels_agree_with_a_plain_loop_on_any_holes(data: st.DataObject) -> None:
    rows, hours = data.draw(st.integers(1, 60)), data.draw(st.integers(1, 30))
    kept = data.draw(st.sets(st.integers(0, rows - 1), min_size=1))
    candles = moving(rows, data.draw(st.integers(0, 99))).iloc[sorted(kept)]
    found = ThreeClass(horizon_hours=hours, threshold=0.004).compute(candles, "1h")
    assert_same(found, slow_labels(candles, hours, 0.004))


@pytest.mark.real
@pytest.mark.parametrize("market", ["KRW-BTC", "KRW-ETH", "KRW-SOL", "KRW-XRP"])
def test_labels_of_recorded_candles_agree_with_a_plain_loop(market: str, real_data: Path) -> None:
    candles = recorded(real_data / "upbit" / f"{market}-60m.parquet")
    found = DAY.compute(candles, "1h")
    assert_same(found, slow_labels(candles, 24, 0.01))
    assert set(found["label"]) == {0, 1, 2}


@pytest.mark.real
def test_the_recorded_hole_is_counted_in_time(sol: pd.DataFrame) -> None:
    first, last = HOLE
    assert not sol.loc[first:last].size
    found = DAY.compute(sol, "1h")
    blind = found.loc[first - 24 * HOUR : last - 24 * HOUR]
    assert blind.empty
    before, after = first - 25 * HOUR, first - HOUR
    assert found["ends_at"][before] == first
    expected = sol["close"][after + 24 * HOUR] / sol["close"][after] - 1
    assert found["label"][after] == 1 + int(expected > 0.01) - int(expected < -0.01)
    assert len(found) == len(sol) - 24 - 6


def test_the_last_day_has_no_label() -> None:
    candles = moving(100)
    found = DAY.compute(candles, "1h")
    assert found.index[-1] == candles.index[-1] - 24 * HOUR
    assert len(found) == 76
    assert found["ends_at"].iloc[-1] == candles.index[-1] + HOUR


def test_a_label_sees_nothing_after_its_end() -> None:
    candles = moving(100)
    found = DAY.compute(candles, "1h")
    for row in (0, 30, 75):
        known = candles[candles.index + HOUR <= found["ends_at"].iloc[row]]
        again = DAY.compute(known, "1h")
        assert again.index[-1] == found.index[row]
        assert again["label"].iloc[-1] == found["label"].iloc[row]
        short = DAY.compute(known.iloc[:-1], "1h")
        assert found.index[row] not in short.index


@pytest.mark.parametrize(
    ("later", "label"), [(125.0, 1), (125.01, 2), (75.0, 1), (74.99, 0), (100.0, 1)]
)
def test_the_threshold_itself_is_hold(later: float, label: int) -> None:
    candles = moving(2).assign(close=[100.0, later])
    rule = ThreeClass(horizon_hours=1, threshold=0.25)
    assert rule.compute(candles, "1h")["label"].tolist() == [label]


@pytest.mark.parametrize(("hours", "candles_ahead"), [(24, 6), (20, 5), (4, 1)])
def test_a_horizon_is_waited_for_to_the_candle(hours: float, candles_ahead: int) -> None:
    step = pd.Timedelta(hours=4)
    index = pd.date_range("2025-01-01", periods=60, freq=step, tz="UTC", name="time", unit="ms")
    candles = moving(60).set_axis(index)
    found = ThreeClass(horizon_hours=hours, threshold=0.01).compute(candles, "4h")
    assert len(found) == 60 - candles_ahead
    assert set(found["ends_at"] - found.index) == {(candles_ahead + 1) * step}


@pytest.mark.parametrize(
    ("hours", "timeframe", "told"),
    [
        (0.5, "1h", r"Found: 0\.5 hours, 0\.5 candles of 1h; expected: a multiple of 1 hour\."),
        (1.5, "1h", r"To do: set it to 2 hours"),
        (22, "4h", r"Found: 22 hours, 5\.5 candles of 4h; .* To do: set it to 24 hours"),
        (0.09, "5m", r"1\.08 candles of 5m"),
        (1e-6, "1h", r"To do: set it to 1 hour"),
    ],
)
def test_a_horizon_between_candles_is_refused(hours: float, timeframe: str, told: str) -> None:
    label = ThreeClass(horizon_hours=hours, threshold=0.01)
    for said in (label.meanings, lambda timeframe: label.compute(moving(60), timeframe)):
        with pytest.raises(ConfigError, match=f"horizon_hours is no whole number.*{told}"):
            said(timeframe)


@given(st.sampled_from(["1m", "5m", "15m", "1h", "4h", "1d"]), st.integers(1, 2000))
def test_every_whole_number_of_candles_is_a_horizon(timeframe: str, candles: int) -> None:
    hours = candles * duration(timeframe) / HOUR
    assert candles_in(hours, timeframe) == candles
    assert candles_in(round(hours, 5), timeframe) == candles


def test_too_few_candles_have_no_labels() -> None:
    for rows in (0, 1, 24):
        found = DAY.compute(moving(30).iloc[:rows], "1h")
        assert found.empty
        assert list(found) == ["label", "ends_at", "weight"]


def test_dtypes_are_small_and_utc() -> None:
    found = DAY.compute(moving(60), "1h")
    assert found["label"].dtype == np.int8
    assert str(found["ends_at"].dtype).endswith("UTC]")
    assert found["weight"].between(0, 1, inclusive="right").all()


@pytest.mark.parametrize("key", ["horizon_hours", "threshold"])
def test_senseless_declarations_are_refused(key: str) -> None:
    good = {"horizon_hours": 24, "threshold": 0.01}
    assert ThreeClass.parse(good, "label")
    for bad in (0, -1, 1e9, float("nan")):
        with pytest.raises(ConfigError, match=key):
            ThreeClass.parse(good | {key: bad}, "label")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), min_size=1, max_size=25))
def test_uniqueness_agrees_with_counting(intervals: list[tuple[int, int]]) -> None:
    starts = np.array([start for start, _ in intervals])
    ends = starts + [length for _, length in intervals]
    origin = pd.Timestamp("2025-01-01T00:00Z")
    expected = slow_uniqueness(
        [
            (origin + int(a) * HOUR, origin + int(b) * HOUR)
            for a, b in zip(starts, ends, strict=True)
        ]
    )
    found = average_uniqueness(starts, ends)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    covered = {slot for a, b in zip(starts, ends, strict=True) for slot in range(a + 1, b + 1)}
    shares = found * (ends - starts)
    assert shares.sum() == pytest.approx(len(covered))


def test_labels_that_do_not_overlap_are_each_their_own() -> None:
    starts = np.arange(0, 100, 10)
    assert average_uniqueness(starts, starts + 10).tolist() == [1.0] * 10
    assert average_uniqueness(np.array([], int), np.array([], int)).tolist() == []


@pytest.mark.parametrize("shared", range(2, 12))
def test_no_label_has_more_than_its_own(shared: int) -> None:
    starts = np.r_[np.zeros(shared, int), np.arange(5, 400, 5)]
    found = average_uniqueness(starts, starts + 5)[shared:]
    assert (found <= 1).all()
    np.testing.assert_allclose(found, 1, rtol=1e-12)
