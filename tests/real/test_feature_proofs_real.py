"""Training and live, warm-up and memory, of every set of conf/features, on recorded candles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.features.feature_set import FeatureSet
from pipeline.features.indicators import CandleArrays
from pipeline.market.candles import USUAL
from pipeline.market.trades import SIGNS, TradeRows, TradeRule, trade_rows
from tests.causality import SETS, leaking, part, tables
from tests.oracles.scale_free import scale_free
from tests.volume import volume

FILES = {
    "5m": "bingx_or_binance/bingx_swap/BTCUSDT-5m.parquet",
    "1h": "upbit/KRW-BTC-60m.parquet",
}
MOMENTS = volume(50)
EXACT, FADED = 1e-12, 1e-3
every_set = pytest.mark.parametrize("name", SETS)
every_side = pytest.mark.parametrize("side", SIGNS)
OF_TRADES = [name for name, features in SETS.items() if features.of_trades]

pytestmark = pytest.mark.real


def timeframe_of(features: FeatureSet) -> str:
    """BingX tells no value of its candles; Upbit does."""
    return "1h" if "value" in features.reads else "5m"


def recorded(real_data: Path, timeframe: str, rows: int = 12_000) -> pd.DataFrame:
    frame = pd.read_parquet(real_data / FILES[timeframe])
    frame = frame.rename(columns={"timestamp": "time"}).set_index("time")
    return frame[[name for name in USUAL if name in frame]].iloc[-rows:]


def candle_part(name: str) -> FeatureSet:
    features = SETS[name]
    return part(features, [column for column in features.names if column not in features.of_trades])


@every_set
def test_fifty_cuts_of_recorded_candles_change_nothing(name: str, real_data: Path) -> None:
    timeframe = timeframe_of(SETS[name])
    for features, compute in tables(SETS[name], timeframe).values():
        candles = recorded(real_data, timeframe, features.warm_up + 500)
        cuts = np.linspace(1, len(candles) - 1, 50).astype(int)
        assert leaking(compute, candles, cuts) == {}


@every_set
def test_a_live_row_is_the_row_of_training(name: str, real_data: Path) -> None:
    """1,000 moments in a full run. Windowed columns to the bit; recurrences to 1e-12 of std."""
    features = candle_part(name)
    candles = recorded(real_data, timeframe_of(features))
    table = features.compute_all(candles)
    arrays, values = CandleArrays.from_frame(candles), table.to_numpy()
    ends = np.linspace(features.memory + 1, len(candles), MOMENTS).astype(int)
    live = np.array(
        [
            features.newest_values(arrays.part(end - features.memory - 1, end))[:, 0]
            for end in np.unique(ends)
        ]
    )
    apart = np.abs(live - values[np.unique(ends) - 1]).max(axis=0)
    assert len(live) == MOMENTS
    settled = values[features.warm_up :].std(axis=0)
    windowed = [spec.memory == spec.warm_up + 1 for spec in features.columns.values()]
    assert (apart <= EXACT * settled).all()
    assert [n for n, worst in zip(features.names, apart * windowed, strict=True) if worst] == []


@pytest.mark.parametrize("name", OF_TRADES)
@every_side
def test_a_live_row_of_a_trade_is_the_row_of_training(
    name: str, side: str, real_data: Path
) -> None:
    """From the candles of the memory before the entry on, whatever came before these."""
    features, timeframe = SETS[name], timeframe_of(SETS[name])
    candles, rule = recorded(real_data, timeframe), TradeRule.parse({"side": side}, "test")
    rows = trade_rows(candles, rule, timeframe)
    table = features.compute_trades(candles, rows)
    reach = features.memory + rule.hold
    open_later = rows.take(rows.row >= reach)
    picked = np.linspace(0, len(open_later) - 1, MOMENTS).astype(int)
    deviation = table.std()
    for number in picked:
        row, entry = int(open_later.row[number]), int(open_later.entry[number])
        tail = candles.iloc[row - reach : row + 1]
        here = np.array([[reach, reach - (row - entry)]])
        alone = TradeRows(
            here[:, 0], here[:, 1], np.zeros(1, int), open_later.side[number : 1 + number]
        )
        live = features.compute_trades(tail, alone).iloc[0]
        apart = (live - table.loc[(candles.index[entry], candles.index[row])]).abs()
        assert (apart <= EXACT * deviation).all(), (row, entry)


@every_set
def test_warm_up_and_memory_of_every_column_are_honest(name: str, real_data: Path) -> None:
    """History that starts later: error after so many rows, in deviations of the column."""
    features = candle_part(name)
    candles = recorded(real_data, timeframe_of(features), features.memory + 1000)
    table = features.compute_all(candles)
    deviation = table.iloc[features.warm_up :].std()
    for start in np.linspace(1, 950, volume(10)).astype(int):
        late = features.compute_all(candles.iloc[start:])
        apart = (late - table.iloc[start:]).abs() / deviation
        for column, spec in features.columns.items():
            errors = apart[column].to_numpy()
            assert errors[spec.warm_up :].max() < FADED, (column, start, "warm-up")
            assert errors[spec.memory - 1 :].max() <= EXACT, (column, start, "memory")


@pytest.mark.parametrize("name", OF_TRADES)
@every_side
def test_warm_up_and_memory_of_columns_of_trades_are_honest(
    name: str, side: str, real_data: Path
) -> None:
    """The candles before a row count as if the entry were at hand: on a row right behind it too."""
    features, timeframe = SETS[name], timeframe_of(SETS[name])
    candles = recorded(real_data, timeframe, 2000)
    rule = TradeRule.parse({"side": side, "every": 1, "hold": 20, "from_candle": 1}, "test")
    for column in features.of_trades:
        one, spec = part(features, [column]), features.columns[column]
        whole = one.compute_trades(candles, trade_rows(candles, rule, timeframe))[column]
        for start in np.linspace(1, 1500, volume(5)).astype(int):
            late_candles = candles.iloc[start:]
            late = one.compute_trades(late_candles, trade_rows(late_candles, rule, timeframe))
            apart = (late[column] - whole.reindex(late.index)).abs() / whole.std()
            age = late_candles.index.get_indexer(late.index.get_level_values("time"))
            assert age.min() == max(spec.warm_up, rule.from_candle)
            assert apart[age >= spec.warm_up].max() < FADED, (column, start)
            assert apart[age >= spec.memory - 1].max() <= EXACT, (column, start)


def test_columns_of_scale_free_agree_with_the_oracle(real_data: Path) -> None:
    candles, features = recorded(real_data, "1h", 1200), SETS["scale_free"]
    found, expected = features.compute_all(candles), scale_free(candles)
    assert sorted(found) == sorted(expected)
    for name, spec in features.columns.items():
        apart = (found[name] - expected[name]).iloc[spec.warm_up :].abs()
        assert expected[name].std() > 0, name
        assert apart.max() <= EXACT * expected[name].std(), name


def test_columns_of_hourly46_agree_with_pandas(real_data: Path) -> None:
    """Where pandas defines the same, to 1e-7 of the column's deviation."""
    candles = recorded(real_data, "1h")
    close, volume_of, features = candles["close"], candles["volume"], SETS["hourly46"]
    found, change, twenty = features.compute(candles), close.pct_change(), close.rolling(20)
    up, down = (each.clip(lower=0).rolling(14).mean() for each in (close.diff(), -close.diff()))
    ranges = pd.concat([candles["high"], close.shift()], axis=1).max(axis=1) - pd.concat(
        [candles["low"], close.shift()], axis=1
    ).min(axis=1)
    fast, slow = (close.ewm(span=span, adjust=False).mean() for span in (12, 26))
    macd = fast - slow
    signal = macd.ewm(span=9, adjust=False).mean()
    middle, spread = twenty.mean(), 2 * twenty.std()
    atr = ranges.where(close.shift().notna()).rolling(14).mean()
    peers = {
        "returns": change,
        "log_returns": np.log(close).diff(),
        "high_low_ratio": candles["high"] / candles["low"],
        "close_open_ratio": close / candles["open"],
        "volume_change": volume_of.pct_change(),
        "volume_ma_ratio": volume_of / volume_of.rolling(20).mean(),
        "rsi": 100 - 100 / (1 + up / down),
        "macd": macd,
        "macd_signal": signal,
        "macd_hist": macd - signal,
        "bb_upper": middle + spread,
        "bb_middle": middle,
        "bb_lower": middle - spread,
        "bb_width": 2 * spread / middle,
        "bb_position": (close - middle + spread) / (2 * spread),
        "atr": atr,
        "atr_ratio": atr / close,
        **{f"volatility_{n}": change.rolling(n).std() for n in (5, 20)},
        **{f"momentum_{n}": close.diff(n) for n in (5, 10, 20)},
        **{f"roc_{n}": close.pct_change(n) for n in (5, 10, 20)},
        **{name: candles[name] for name in USUAL},
    }
    for n in (5, 10, 20, 50, 100):
        peers[f"sma_{n}"] = close.rolling(n).mean()
        peers[f"ema_{n}"] = close.ewm(span=n, adjust=False).mean()
        peers[f"price_to_sma_{n}"] = close / close.rolling(n).mean()
    assert set(peers) == set(features.names)
    for name, peer in peers.items():
        apart = (found[name] - peer.reindex(found.index)).abs().max()
        assert apart <= 1e-7 * found[name].std(), name
