from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.signal import argrelextrema

from pipeline.build import build
from pipeline.configuration.extended_sets import read_feature_set
from pipeline.features.feature_set import FeatureSet
from pipeline.features.indicators.pivots import last_two
from pipeline.market.trades import TradeRule, trade_rows
from tests.oracles.entry37 import entry37
from tests.oracles.trades import NAMES, position8
from tests.spine import CONF

ENTRY37: FeatureSet = build(read_feature_set(CONF, "entry37"), "features=entry37")
EXIT44: FeatureSet = build(read_feature_set(CONF, "exit44"), "features=exit44")
FIVE_MINUTES = "bingx_or_binance/bingx_swap/BTCUSDT-5m.parquet"
SLICES = {"5m": (FIVE_MINUTES, 9000), "1h": ("upbit/KRW-XRP-60m.parquet", 0)}

pytestmark = pytest.mark.real


def read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path).rename(columns={"timestamp": "time"}).set_index("time")


@pytest.fixture
def bitcoin(real_data: Path) -> pd.DataFrame:
    """All recorded 5-minute candles of BTC-USDT, 68 days."""
    return read(real_data / FIVE_MINUTES)


@pytest.fixture(params=SLICES)
def timeframe(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def candles(timeframe: str, real_data: Path) -> pd.DataFrame:
    """A slice that is long enough for the oracle to say something, short enough to wait for."""
    path, first = SLICES[timeframe]
    return read(real_data / path).iloc[first : first + 1200]


def test_every_column_agrees_with_the_oracle(candles: pd.DataFrame) -> None:
    found, expected = ENTRY37.compute_all(candles), entry37(candles)
    assert sorted(found) == sorted(expected)
    for name, spec in ENTRY37.columns.items():
        apart = (found[name] - expected[name]).iloc[spec.warm_up :].abs()
        assert not apart.isna().any(), name
        assert apart.max() <= 1e-12 * expected[name].std(), name
        assert expected[name].std() > 0, name


@pytest.mark.parametrize("side", ["long", "short"])
def test_every_trade_agrees_with_the_oracle(
    candles: pd.DataFrame, timeframe: str, side: str
) -> None:
    rule = TradeRule.parse({"side": side, "every": 4, "stop": 0.015, "profit": 0.02}, "test")
    rows = trade_rows(candles, rule, timeframe)
    features, expected = EXIT44, position8(candles, rule, timeframe)
    found = features.compute_trades(candles, rows)[list(NAMES)]
    later = expected.index.get_level_values("time") >= candles.index[features.warm_up]
    expected = expected[later]
    assert found.index.equals(expected.index)
    assert len(found) > 500
    assert ((found - expected).abs().max() <= 1e-12 * expected.std()).all()


def test_columns_agree_with_pandas_scipy_and_numpy(bitcoin: pd.DataFrame) -> None:
    found, close = ENTRY37.compute(bitcoin), bitcoin["close"]
    step = close.diff()
    gain, loss = (
        each.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean() for each in (step, -step)
    )
    band = close.rolling(20)
    spread = 2 * band.std(ddof=0)
    windows = np.lib.stride_tricks.sliding_window_view(bitcoin["high"].to_numpy(), 20)[:-1]
    slope, height = np.polynomial.polynomial.polyfit(np.arange(20), windows.T, 1)[::-1]
    line = pd.Series(height + 20 * slope, bitcoin.index[20:])
    peers = {
        "rsi": 100 - 100 / (1 + gain / loss),
        "bb_high": band.mean() + spread,
        "bb_low": band.mean() - spread,
        "volume_price_correlation": bitcoin["volume"].rolling(20).corr(close),
        "upper_trendline_slope": pd.Series(slope, bitcoin.index[20:]),
        "price_vs_upper_trendline_pct": 100 * (close - line) / close,
    }
    for name, peer in peers.items():
        apart = (found[name] - peer.reindex(found.index)).abs().max()
        assert apart <= 1e-7 * found[name].std(), name
    strict = argrelextrema(bitcoin["high"].to_numpy(), np.greater, order=3)[0]
    newest, _ = last_two(bitcoin["high"].to_numpy(), len(bitcoin), 3)
    confirmed = pd.Series(bitcoin["high"].to_numpy()[strict], strict + 3)
    expected = confirmed.reindex(range(len(bitcoin))).ffill().to_numpy()
    np.testing.assert_array_equal(newest, expected)


def test_no_column_of_real_candles_is_constant(bitcoin: pd.DataFrame) -> None:
    entries, exits = ENTRY37.compute(bitcoin), EXIT44
    rows = trade_rows(bitcoin, TradeRule(side="short"), "5m")
    for frame in (entries, exits.compute_trades(bitcoin, rows)):
        flags = frame.isin([0.0, 1.0]).all()
        assert (frame.std() > 0).all()
        assert flags.sum() == 13
        assert frame.loc[:, flags].mean().between(0.01, 0.7).all()
    assert len(exits.names) == 44
    assert exits.names[:36] == tuple(name for name in ENTRY37.names if name != "atr_pct")


def test_cutting_or_spoiling_what_follows_changes_nothing(bitcoin: pd.DataFrame) -> None:
    candles = bitcoin.iloc[5000:7000]
    everything = ENTRY37.compute_all(candles)
    for cut in [1, 3, 20, 54, 56, 61, 100, *np.linspace(200, 1990, 24, dtype=int)]:
        spoiled = candles.copy()
        spoiled.iloc[cut:] = 1e12
        for other in (candles.iloc[:cut], spoiled):
            frame = ENTRY37.compute_all(other).iloc[:cut]
            pd.testing.assert_frame_equal(frame, everything.iloc[:cut], check_exact=True)


def test_newest_reproduces_compute(bitcoin: pd.DataFrame) -> None:
    everything = ENTRY37.compute(bitcoin)
    worst = 1e-12 * everything.std()
    for end in np.linspace(ENTRY37.memory + 1, len(bitcoin), 120, dtype=int):
        newest = ENTRY37.newest(bitcoin.iloc[:end]).iloc[0]
        assert ((newest - everything.loc[newest.name]).abs() <= worst).all(), newest.name
