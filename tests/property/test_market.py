from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError
from pipeline.market.candles import duration
from pipeline.market.exchanges.base import Market
from pipeline.market.exchanges.replay import Replay
from pipeline.market.exchanges.simulated import Simulated
from pipeline.market.store import CandleStore, Series
from pipeline.market.sync import sync
from pipeline.market.validation import Validation
from tests.volume import volume

START = pd.Timestamp("2023-01-01T00:00Z")
HOURS = 24 * 100
MARKET = Market(
    name="SIM-P",
    exchange="simulated",
    symbol="SIM-P",
    base="P",
    quote="SIM",
    fee_bps=5,
    slippage_bps=2,
    source="test",
)
SERIES = Series("simulated", "SIM-P", "1h")
WHOLE = Simulated().fetch(MARKET, "1h", START, START + pd.Timedelta(hours=HOURS))
MINUTES = st.integers(0, HOURS * 60)
FEW = settings(max_examples=volume(25), deadline=None)


def at(minutes: int) -> pd.Timestamp:
    return START + pd.Timedelta(minutes=minutes)


def closed(frame: pd.DataFrame, first: pd.Timestamp, stop: pd.Timestamp) -> pd.DataFrame:
    return frame[(frame.index >= first) & (frame.index + duration("1h") <= stop)]


@FEW
@given(MINUTES, MINUTES)
def test_any_window_is_a_piece_of_the_whole(one: int, two: int) -> None:
    found = Simulated().fetch(MARKET, "1h", at(one), at(two))
    pd.testing.assert_frame_equal(found, closed(WHOLE, at(one), at(two)), check_freq=False)


@FEW
@given(
    st.lists(st.tuples(st.integers(0, HOURS - 1), st.integers(1, 900)), min_size=1, max_size=5),
    MINUTES,
    MINUTES,
)
def test_the_store_is_the_union_of_what_was_appended(
    pieces: list[tuple[int, int]], one: int, two: int
) -> None:
    kept = np.zeros(HOURS, dtype=bool)
    with tempfile.TemporaryDirectory() as folder:
        store = CandleStore(Path(folder))
        for first, rows in pieces:
            fresh = int((~kept[first : first + rows]).sum())
            assert store.append(SERIES, WHOLE.iloc[first : first + rows]) == fresh
            kept[first : first + rows] = True
        expected = WHOLE[kept]
        pd.testing.assert_frame_equal(store.read(SERIES), expected, check_freq=False)
        pd.testing.assert_frame_equal(
            store.read(SERIES, at(one), at(two)),
            closed(expected, at(one), at(two)),
            check_freq=False,
        )
        span = store.span(SERIES)
        assert span is not None
        assert (span.first, span.last, span.rows) == (
            expected.index[0],
            expected.index[-1],
            int(kept.sum()),
        )


@FEW
@given(st.lists(st.tuples(MINUTES, MINUTES), min_size=1, max_size=5))
def test_syncs_make_no_hole_and_know_all_they_were_asked(asked: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = CandleStore(Path(folder))
        for one, two in asked:
            sync(store, Simulated(), MARKET, "1h", at(one), at(two))
        stored = store.read(SERIES)
        for one, two in asked:
            assert closed(WHOLE, at(one), at(two)).index.isin(stored.index).all()
        if len(stored):
            part = WHOLE.loc[stored.index[0] : stored.index[-1]]
            pd.testing.assert_frame_equal(stored, part, check_freq=False)


@FEW
@given(st.sets(st.integers(1, 398), max_size=60), st.integers(0, 12))
def test_holes_are_what_is_missing(dropped: set[int], limit: int) -> None:
    frame = WHOLE.iloc[:400].drop(WHOLE.index[sorted(dropped)])
    text = "".join("x" if row in dropped else " " for row in range(400))
    runs = [len(run) for run in text.split()]
    as_of = WHOLE.index[400]
    rules = Validation(max_hole_candles=limit)
    if max(runs, default=0) > limit:
        with pytest.raises(DataError, match="max_hole"):
            rules.check(frame, "1h", as_of)
        return
    quality = rules.check(frame, "1h", as_of)
    assert quality.candles == 400 - len(dropped)
    assert quality.missing == len(dropped)
    assert quality.holes == len(runs)
    assert quality.longest_hole == max(runs, default=0)


@FEW
@given(
    st.lists(
        st.floats(min_value=1e-12, max_value=1e12, allow_subnormal=False), min_size=1, max_size=8
    ),
    st.sampled_from(["csv", "parquet"]),
    st.sampled_from(["Asia/Seoul", "America/Sao_Paulo", "UTC"]),
)
def test_a_replay_returns_what_was_written(prices: list[float], suffix: str, zone: str) -> None:
    times = WHOLE.index[: len(prices)]
    cells = dict.fromkeys(("open", "high", "low", "close", "volume"), prices)
    local = times.tz_convert(zone).tz_localize(None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"SIM-P-60m.{suffix}"
        frame = pd.DataFrame({"timestamp": local} | cells)
        if suffix == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
        exchange = Replay(root=path.parent, pattern="{symbol}-{code}." + suffix, zone=zone)
        found = exchange.fetch(MARKET, "1h", START, at(HOURS * 60))
    assert found["close"].tolist() == prices
    assert found.index.equals(times)
