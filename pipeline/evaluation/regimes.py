"""How much a market moves: its realised range, and whether that is calm, normal or wild."""

from __future__ import annotations

import numpy as np
import pandas as pd

REGIMES = ("calm", "normal", "wild")
DAY = pd.Timedelta(days=1)
REMEMBERED = pd.Timedelta(days=90)
LEAST_RANGE = 1e-12  # variance of candles that do not move at all


def log_range(candles: pd.DataFrame, window: pd.Timedelta) -> pd.Series:
    """Logarithm of the realised range over a trailing window, for each candle.

    Parameters
    ----------
    candles
        Keyed (market, time), with ``high`` and ``low``.
    window
        Of time up to each candle's close; where history begins, what there is of it.

    Returns
    -------
    Series
        ``log(mean(log(high / low) ** 2 / (4 log 2)))``: the variance of Parkinson (1980, The
        extreme value method for estimating the variance of the rate of return), per candle.
    """
    variance = np.log(candles["high"] / candles["low"]) ** 2 / (4 * np.log(2))
    parts = [
        one.droplevel("market").rolling(window).mean().clip(lower=LEAST_RANGE)
        for _, one in variance.groupby(level="market", sort=False)
    ]
    return pd.Series(np.log(np.concatenate(parts)), _by_market(variance.index))


def regimes_of(candles: pd.DataFrame) -> pd.Series:
    """Regime of each candle: a third of the last 90 days moved less, or more, in a day.

    Known at the candle's close.

    Parameters
    ----------
    candles
        Keyed (market, time), in order of time within a market.

    Returns
    -------
    Series
        One of `REGIMES`, keyed (market, time).
    """
    day = log_range(candles, DAY)
    parts = [
        one.droplevel("market").rolling(REMEMBERED).rank(pct=True).to_numpy()
        for _, one in day.groupby(level="market", sort=False)
    ]
    place = np.concatenate(parts)
    third = (place > 1 / 3).astype("int64") + (place > 2 / 3)
    return pd.Series(np.array(REGIMES, dtype=object)[third], day.index, name="regime")


def at_rows(values: pd.Series, rows: pd.Index) -> pd.Series:
    """What each row's candle has; rows keyed (market, time) or (market, trade, time)."""
    keys = pd.MultiIndex.from_arrays([rows.get_level_values(key) for key in ("market", "time")])
    return pd.Series(values.reindex(keys).to_numpy(), rows)


def _by_market(index: pd.Index) -> pd.Index:
    """The keys, market after market as they first occur."""
    market = index.get_level_values("market")
    return index[np.argsort(pd.factorize(market)[0], kind="stable")]
