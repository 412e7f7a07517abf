"""What the peers do, in a process and an environment of their own.

Reads one task's name a line, does it, and answers the CPU seconds it took and a few values.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

Task = Callable[[], dict[str, float]]
LONG, SHORT, LONGER, MARKETS, CALLS = 1_000_000, 200, 616, 200, 50
DAY, DAYS = 1440, 12
FILLED = 0.1  # seconds that short work is repeated for


def candles(rows: int, seed: int = 1, step: str = "h") -> pd.DataFrame:
    """Candles of a random walk, the same in every process."""
    generator = np.random.default_rng(seed)
    close = 1e6 * np.exp(np.cumsum(generator.normal(0, 0.002, rows)))
    opened = np.r_[1e6, close[:-1]]
    volume = generator.lognormal(3, 1, rows)
    index = pd.date_range("2020-01-01", periods=rows, freq=step, tz="UTC", name="time", unit="ms")
    columns = {
        "open": opened,
        "high": np.maximum(opened, close) * 1.001,
        "low": np.minimum(opened, close) * 0.999,
        "close": close,
        "volume": volume,
        "value": volume * close,
    }
    return pd.DataFrame(columns, index=index)


def stored_and_days() -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """A million minute candles, and the days that come after them."""
    frame = candles(LONG + DAYS * DAY, step="min")
    starts = range(LONG, len(frame), DAY)
    return frame.iloc[:LONG], [frame.iloc[start : start + DAY] for start in starts]


def with_pandas(frame: pd.DataFrame) -> pd.DataFrame:
    """The 46 hourly columns, as one writes them with pandas."""
    df = frame.copy()
    close, volume = df["close"], df["volume"]
    df["returns"] = close.pct_change()
    df["log_returns"] = np.log(close / close.shift(1))
    df["high_low_ratio"] = df["high"] / df["low"]
    df["close_open_ratio"] = close / df["open"]
    df["volume_change"] = volume.pct_change()
    df["volume_ma_ratio"] = volume / volume.rolling(20).mean()
    delta = close.diff()
    gain = delta.where(delta > 0, 0).rolling(14).mean()
    loss = (-delta.where(delta < 0, 0)).rolling(14).mean()
    df["rsi"] = 100 - 100 / (1 + gain / loss)
    df["macd"] = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
    df["macd_signal"] = df["macd"].ewm(span=9, adjust=False).mean()
    df["macd_hist"] = df["macd"] - df["macd_signal"]
    middle, deviation = close.rolling(20).mean(), close.rolling(20).std()
    df["bb_upper"], df["bb_middle"] = middle + 2 * deviation, middle
    df["bb_lower"] = middle - 2 * deviation
    df["bb_width"] = (df["bb_upper"] - df["bb_lower"]) / middle
    df["bb_position"] = (close - df["bb_lower"]) / (df["bb_upper"] - df["bb_lower"])
    ranges = [df["high"] - df["low"], df["high"] - close.shift(), df["low"] - close.shift()]
    df["atr"] = pd.concat([part.abs() for part in ranges], axis=1).max(axis=1).rolling(14).mean()
    df["atr_ratio"] = df["atr"] / close
    for window in (5, 10, 20, 50, 100):
        df[f"sma_{window}"] = close.rolling(window).mean()
        df[f"ema_{window}"] = close.ewm(span=window, adjust=False).mean()
        df[f"price_to_sma_{window}"] = close / df[f"sma_{window}"]
    for window in (5, 20):
        df[f"volatility_{window}"] = df["returns"].rolling(window).std()
    for periods in (5, 10, 20):
        df[f"momentum_{periods}"] = close - close.shift(periods)
        df[f"roc_{periods}"] = close.pct_change(periods)
    return df


TA_COLUMNS = (
    *("returns", "log_returns", "rsi", "macd", "macd_signal", "macd_hist", "atr"),
    *("bb_upper", "bb_middle", "bb_lower", "bb_width", "bb_position"),
    *(f"{kind}_{window}" for kind in ("sma", "ema") for window in (5, 10, 20, 50, 100)),
    *(f"roc_{periods}" for periods in (5, 10, 20)),
)
TALIB_COLUMNS = (
    *("returns", "rsi", "macd", "macd_signal", "macd_hist", "atr"),
    *("bb_upper", "bb_middle", "bb_lower"),
    *(f"{kind}_{window}" for kind in ("sma", "ema") for window in (5, 10, 20, 50, 100)),
    *(f"{kind}_{periods}" for kind in ("momentum", "roc") for periods in (5, 10, 20)),
)


def with_ta(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that ``ta`` has, by its own classes."""
    from ta.momentum import ROCIndicator, RSIIndicator
    from ta.others import DailyLogReturnIndicator, DailyReturnIndicator
    from ta.trend import MACD, EMAIndicator, SMAIndicator
    from ta.volatility import AverageTrueRange, BollingerBands

    close = frame["close"]
    macd, bands = MACD(close), BollingerBands(close)
    made = {
        "returns": DailyReturnIndicator(close).daily_return(),
        "log_returns": DailyLogReturnIndicator(close).daily_log_return(),
        "rsi": RSIIndicator(close).rsi(),
        "macd": macd.macd(),
        "macd_signal": macd.macd_signal(),
        "macd_hist": macd.macd_diff(),
        "atr": AverageTrueRange(frame["high"], frame["low"], close).average_true_range(),
        "bb_upper": bands.bollinger_hband(),
        "bb_middle": bands.bollinger_mavg(),
        "bb_lower": bands.bollinger_lband(),
        "bb_width": bands.bollinger_wband(),
        "bb_position": bands.bollinger_pband(),
    }
    for window in (5, 10, 20, 50, 100):
        made[f"sma_{window}"] = SMAIndicator(close, window).sma_indicator()
        made[f"ema_{window}"] = EMAIndicator(close, window).ema_indicator()
    for periods in (5, 10, 20):
        made[f"roc_{periods}"] = ROCIndicator(close, periods).roc()
    assert set(made) == set(TA_COLUMNS)
    return pd.DataFrame(made)


def with_talib(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns that TA-Lib has."""
    import talib

    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    macd, bands = talib.MACD(close), talib.BBANDS(close, 20)
    made = {
        "returns": talib.ROCP(close, 1),
        "rsi": talib.RSI(close, 14),
        **dict(zip(("macd", "macd_signal", "macd_hist"), macd, strict=True)),
        "atr": talib.ATR(high, low, close, 14),
        **dict(zip(("bb_upper", "bb_middle", "bb_lower"), bands, strict=True)),
    }
    for window in (5, 10, 20, 50, 100):
        made[f"sma_{window}"] = talib.SMA(close, window)
        made[f"ema_{window}"] = talib.EMA(close, window)
    for periods in (5, 10, 20):
        made[f"momentum_{periods}"] = talib.MOM(close, periods)
        made[f"roc_{periods}"] = talib.ROCP(close, periods)
    assert set(made) == set(TALIB_COLUMNS)
    return pd.DataFrame(made, index=frame.index)


def _over(rows: int, function: Callable[[pd.DataFrame], pd.DataFrame]) -> Task:
    frame = candles(rows)
    return lambda: {str(name): x for name, x in function(frame).iloc[-1].items()}


def _markets(function: Callable[[pd.DataFrame], pd.DataFrame], rows: int = SHORT) -> Task:
    frames = [candles(rows, seed) for seed in range(MARKETS)]

    def run() -> dict[str, float]:
        for frame in frames:
            last = function(frame).iloc[-1]
        return dict(last)

    return run


def _newest() -> Task:
    frame = candles(SHORT)

    def run() -> dict[str, float]:
        for _ in range(CALLS):
            last = with_pandas(frame).iloc[-1]
        return dict(last)

    return run


def _csv() -> Task:
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "candles.csv"
    held, days = stored_and_days()
    held.to_csv(path)

    def run() -> dict[str, float]:
        assert folder.name
        stored = pd.read_csv(path, index_col="time", parse_dates=["time"])
        joined = pd.concat([stored, days.pop(0)])
        joined[~joined.index.duplicated()].sort_index().to_csv(path)
        return {"rows": len(joined)}

    return run


def _csv_read() -> Task:
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "candles.csv"
    candles(LONG, step="min").to_csv(path)

    def run() -> dict[str, float]:
        assert folder.name
        return {"rows": len(pd.read_csv(path, index_col="time", parse_dates=["time"]))}

    return run


def _backtest(name: str) -> Task:
    from tests.bench import backtest_peers

    task: Task = getattr(backtest_peers, name)(candles(backtest_peers.ROWS))
    return task


TASKS: dict[str, Callable[[], Task]] = {
    "pandas": lambda: _over(LONG, with_pandas),
    "ta": lambda: _over(LONG, with_ta),
    "talib": lambda: _over(LONG, with_talib),
    "markets": lambda: _markets(with_pandas),
    "longer_markets": lambda: _markets(with_pandas, LONGER),
    "talib_markets": lambda: _markets(with_talib),
    "newest": _newest,
    "csv": _csv,
    "csv_read": _csv_read,
    "vectorbt": lambda: _backtest("vectorbt"),
    "backtesting": lambda: _backtest("backtesting"),
}


def main() -> None:
    """Answer one line for each line read."""
    name, task = "", None
    for line in sys.stdin:
        if task is None or line.strip() != name:
            task, name = None, line.strip()
            task = TASKS[name]()
        started = time.process_time()
        told, turns = task(), 1
        while time.process_time() - started < FILLED:
            task()
            turns += 1
        seconds = (time.process_time() - started) / turns
        print(json.dumps({"seconds": seconds, "told": {k: float(v) for k, v in told.items()}}))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
