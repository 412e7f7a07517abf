from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline.config import read_yaml
from pipeline.errors import DataError
from pipeline.market.exchanges.base import Market
from pipeline.market.exchanges.replay import Replay
from pipeline.market.store import CandleStore
from pipeline.market.sync import sync
from pipeline.market.validation import Asked, Validation

pytestmark = pytest.mark.real

CONF = Path(__file__).parents[2] / "conf"
AS_OF = pd.Timestamp("2025-12-20T00:00Z")
START = pd.Timestamp("2025-10-19T02:00Z")
MARKETS = ("KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL")


def market(name: str) -> Market:
    return Market.parse(read_yaml(CONF / "market" / f"{name}.yaml"), name)


@pytest.mark.parametrize("name", MARKETS)
def test_recorded_hours_go_through_store_and_rules(
    real_data: Path, tmp_path: Path, name: str
) -> None:
    exchange, store = Replay(root=real_data / "upbit"), CandleStore(tmp_path)
    report = sync(store, exchange, market(name), "1h", START, AS_OF)
    candles = store.read(report.series, START, AS_OF)
    recorded = pd.read_parquet(real_data / "upbit" / f"{name}-60m.parquet")
    recorded = recorded.set_index("timestamp").rename_axis("time")
    recorded = recorded[(recorded.index >= START) & (recorded.index < AS_OF)]
    pd.testing.assert_frame_equal(candles, recorded, check_exact=True)
    quality = Validation().check(candles, "1h", AS_OF, Asked(name, START))
    hole = 6 if name == "KRW-SOL" else 5
    assert (quality.holes, quality.longest_hole, quality.missing) == (1, hole, hole)
    assert quality.last == pd.Timestamp("2025-12-19T23:00Z")
    assert not quality.history_short
    assert pd.Timestamp("2025-10-25T18:00Z") not in candles.index
    with pytest.raises(DataError, match=r"max_hole.*2025-10-25T1[78]:00"):
        Validation(max_unknown_hours=hole - 1).check(candles, "1h", AS_OF)


@pytest.mark.parametrize("name", MARKETS)
def test_recorded_days_pass(real_data: Path, name: str) -> None:
    exchange = Replay(root=real_data / "upbit")
    start = pd.Timestamp("2025-01-01T00:00Z")
    candles = exchange.fetch(market(name), "1d", start, AS_OF)
    quality = Validation().check(candles, "1d", AS_OF, Asked(name, start))
    assert (quality.candles, quality.missing, quality.history_short) == (339, 0, True)


def test_beyond_the_recording_is_stale(real_data: Path) -> None:
    exchange, name = Replay(root=real_data / "upbit"), market("KRW-SOL")
    as_of = pd.Timestamp("2026-01-01T00:00Z")
    newest = exchange.newest(name, "1h", as_of)
    assert newest == pd.Timestamp("2025-12-23T14:00Z")
    candles = exchange.fetch(name, "1h", START, as_of)
    with pytest.raises(DataError, match=r"stale_end.*lies beyond the data"):
        Validation().check(candles, "1h", as_of)


def test_stamps_nine_hours_late_are_another_source(real_data: Path, tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    right = Replay(root=real_data / "upbit")
    sync(store, right, market("KRW-BTC"), "1h", START, pd.Timestamp("2025-10-24T00:00Z"))
    pattern = "{symbol}-{code}_naiveKST_with_maintenance_gap.parquet"
    late = Replay(root=real_data / "dirty", pattern=pattern)
    stop = pd.Timestamp("2025-10-30T00:00Z")
    with pytest.raises(DataError, match="revised"):
        sync(store, late, market("KRW-BTC"), "1h", START, stop)


def test_a_resumed_download_is_refused(real_data: Path) -> None:
    name = "binance_BTCUSDT-5m_resumed.parquet"
    start, as_of = pd.Timestamp("2025-08-01T00:00Z"), pd.Timestamp("2025-09-21T01:35Z")
    candles = Replay(root=real_data / "dirty", pattern=name).fetch(
        market("KRW-BTC"), "5m", start, as_of
    )
    with pytest.raises(DataError, match=r"max_hole.*223 in a row"):
        Validation().check(candles, "5m", as_of)
    turnover = {"value": "quote asset volume"}
    exchange = Replay(root=real_data / "dirty", pattern=name, columns=turnover)
    with pytest.raises(DataError, match=f"{name}, column quote asset volume, row"):
        exchange.fetch(market("KRW-BTC"), "5m", start, as_of)


def test_two_pulls_glued_together_are_refused(real_data: Path) -> None:
    exchange = Replay(root=real_data / "dirty", pattern="binance_BTCUSDT-5m_hole.parquet")
    start, as_of = pd.Timestamp("2024-12-01T00:00Z"), pd.Timestamp("2025-07-05T23:15Z")
    candles = exchange.fetch(market("KRW-BTC"), "5m", start, as_of)
    with pytest.raises(DataError, match="max_hole"):
        Validation().check(candles, "5m", as_of)


def test_on_chain_days_are_no_candles(real_data: Path) -> None:
    exchange = Replay(root=real_data / "dirty", pattern="whale_daily_stats_BTC.parquet")
    with pytest.raises(DataError, match="column open is missing"):
        exchange.fetch(market("KRW-BTC"), "1d", START, AS_OF)


def test_five_minutes_add_up_to_recorded_hours(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "bingx_or_binance" / "binance_futures"
    exchange = Replay(root=folder, pattern="BTCUSDT-{code}.parquet", codes={"1h": "1h"})
    start, stop = pd.Timestamp("2023-01-01T00:00Z"), pd.Timestamp("2023-07-01T00:00Z")
    store, chosen = CandleStore(tmp_path), market("KRW-BTC")
    report = sync(store, exchange, chosen, "5m", start, stop)
    steps = store.read(report.series)
    hours = exchange.fetch(chosen, "1h", start, stop)
    rules = {"open": "first", "high": "max", "low": "min", "close": "last"}
    added = steps.resample("1h").agg(rules)
    pd.testing.assert_frame_equal(added, hours[list(rules)], check_freq=False)
    assert Validation().check(steps, "5m", stop).missing == 0
