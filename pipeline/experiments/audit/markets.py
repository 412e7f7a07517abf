"""Candles of a known law: what can be known in them is said by the law, and nothing else can.

With state z and volatility sigma, both known at the close of the candle before::

    sigma_t  = volatility of a candle * season(hour, weekday) * exp(x_t - s^2)
    return_t = sigma_t * (shock_t + k * z_{t-1})       shock: Student t, symmetric, unit variance
    close_t  = close_{t-1} * (1 + return_t)

x and z are independent AR(1) of normal noise, x of deviation s. Without an edge k is 0 and the
close is an exact martingale: its volatility can be foretold, its direction cannot. z shows in the
volume, whatever the edge: log volume = season + x_t / 2 + 0.8 z_t + noise.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from pipeline.arrays import FloatArray
from pipeline.config import Record
from pipeline.market.candles import TIME, duration

START = pd.Timestamp("2023-01-01T00:00Z")
ANNUAL_VOLATILITY = 0.6
FIRST_PRICE = 10_000.0
FREEDOM, SHOCK_LIMIT = 4, 8.0
YEAR = pd.Timedelta(days=365)


class Law(Record):
    """What a market's candles are drawn from; memories are half-lives in candles.

    `edge` is the correlation of the state with the return of the next `edge_candles` candles.
    """

    name: str
    edge: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    edge_candles: Annotated[int, Field(ge=1)] = 1
    state_memory: Annotated[float, Field(gt=0)] = 24.0
    volatility_memory: Annotated[float, Field(gt=0)] = 36.0
    volatility_spread: Annotated[float, Field(ge=0, le=1.5)] = 0.5


NOISE = Law(name="noise")
TIMING = Law(name="timing", volatility_memory=72.0, volatility_spread=0.8)


class Drawn(NamedTuple):
    """Candles by time, and the state that was known at the close of each."""

    candles: pd.DataFrame
    state: FloatArray


def draw(law: Law, rows: int, timeframe: str, rng: np.random.Generator) -> Drawn:
    """Draw a market of a law.

    Parameters
    ----------
    rows
        Candles, from the start of 2023 (UTC) on.

    Examples
    --------
    >>> made = draw(NOISE, 48, "1h", np.random.default_rng(1))
    >>> made.candles.shape, bool((made.candles["high"] >= made.candles["close"]).all())
    ((48, 6), True)
    """
    step = duration(timeframe)
    time = pd.date_range(START, periods=rows, freq=step, name=TIME, unit="ms")
    calm = law.volatility_spread * _remembered(rng, rows, law.volatility_memory)
    state = _remembered(rng, rows, law.state_memory)
    season = _season(time)
    sigma = ANNUAL_VOLATILITY * math.sqrt(step / YEAR) * season
    sigma *= np.exp(calm - law.volatility_spread**2)
    known = np.concatenate([[0.0], state[:-1]])
    returns = np.clip(sigma * (_shocks(rng, rows) + drift_of(law) * known), -0.5, 0.5)
    prices = _prices(rng, returns, sigma)
    volume = np.exp(
        3 + 0.7 * np.log(season) + 0.5 * calm + 0.8 * state + 0.3 * rng.standard_normal(rows)
    )
    value = volume * (prices["open"] + prices["close"]) / 2
    return Drawn(pd.DataFrame({**prices, "volume": volume, "value": value}, index=time), state)


def drift_of(law: Law) -> float:
    """K of a law, in units of a candle's volatility and per unit of state.

    The state's correlation with the return of the next H candles is, with phi the state's AR(1)
    coefficient and m = E[sigma] / root of E[sigma^2]::

        edge = k * S / sqrt(H + k^2 * V)    S = m * sum_i phi^i    V = sum_ij phi^|i-j|

    Examples
    --------
    >>> drift_of(NOISE)
    0.0
    >>> round(drift_of(Law(name="planted", edge=0.15)), 3)
    0.183
    """
    ahead = law.edge_candles
    memory = 0.5 ** (np.arange(ahead) / law.state_memory)
    season = _season(pd.date_range(START, periods=168, freq="h"))
    mean = math.exp(-(law.volatility_spread**2) / 2) * season.mean() / math.sqrt((season**2).mean())
    reach = mean * memory.sum()
    spread = ahead + 2 * float(((ahead - np.arange(ahead)) * memory)[1:].sum())
    return float(law.edge * math.sqrt(ahead / (reach**2 - law.edge**2 * spread)))


def information_coefficient(drawn: Drawn, ahead: int) -> float:
    """Correlation of the state at a close with the return of the next `ahead` candles."""
    close = np.log(drawn.candles["close"].to_numpy())
    return float(np.corrcoef(drawn.state[:-ahead], close[ahead:] - close[:-ahead])[0, 1])


def shuffled_blocks(
    candles: pd.DataFrame, rows: int, block: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Recorded bars, cut into blocks that are chained in another order; none stands there twice.

    Each bar keeps its gap, shape and volume; a block keeps the order of its bars, and with it how
    volatility clusters. The sign of every bar is drawn, so that what rose may fall instead, and an
    edge that the recorded bars truly have is gone from them.

    Parameters
    ----------
    rows
        At most so many; whole blocks of what there is.
    """
    start = block * rng.permutation(len(candles) // block)[: max(rows // block, 1)]
    order = (start[:, None] + np.arange(block)).ravel()
    rows = len(order)
    sign = rng.choice([-1.0, 1.0], rows)
    price = {name: np.log(candles[name].to_numpy()) for name in ("open", "high", "low", "close")}
    before = np.r_[price["open"][0], price["close"][:-1]]
    part = {name: sign * (values - before)[order] for name, values in price.items()}
    highest = np.where(sign > 0, part["high"], part["low"])
    lowest = np.where(sign > 0, part["low"], part["high"])
    path = before[0] + np.cumsum(part["close"])
    base = np.r_[before[0], path[:-1]]
    volume = candles["volume"].to_numpy()[order]
    step = pd.DatetimeIndex(candles.index).to_series().diff().median()
    frame = pd.DataFrame(
        {
            "open": np.exp(base + part["open"]),
            "high": np.exp(base + highest),
            "low": np.exp(base + lowest),
            "close": np.exp(path),
            "volume": volume,
        },
        index=pd.date_range(START, periods=rows, freq=step, name=TIME, unit="ms"),
    )
    return frame.assign(value=frame["volume"] * frame["close"])


def _season(time: pd.DatetimeIndex) -> FloatArray:
    """Busiest at 15:00 UTC, and on weekends half as busy as on Wednesday."""
    hour = (time.hour + time.minute / 60).to_numpy("float64")
    day = np.exp(0.35 * np.cos(2 * np.pi * (hour - 15) / 24))
    week = np.where(time.day_of_week.to_numpy() >= 5, 0.6, 1.1)  # noqa: PLR2004 - Saturday
    return np.asarray(day * week)


def _remembered(rng: np.random.Generator, rows: int, half_life: float) -> FloatArray:
    """AR(1) of unit variance: 1 / (1 - aB) is the product of 1 + a^n B^n over n = 1, 2, 4, 8."""
    memory = 0.5 ** (1 / half_life)
    path = rng.standard_normal(rows) * math.sqrt(1 - memory**2)
    path[0] /= math.sqrt(1 - memory**2)
    lag = 1
    while lag < rows:
        path[lag:] += memory**lag * path[:-lag]
        lag *= 2
    return path


def _shocks(rng: np.random.Generator, rows: int) -> FloatArray:
    drawn = np.clip(rng.standard_t(FREEDOM, rows), -SHOCK_LIMIT, SHOCK_LIMIT)
    sine = SHOCK_LIMIT / math.sqrt(FREEDOM + SHOCK_LIMIT**2)
    variance = 2 * sine**3 + SHOCK_LIMIT**2 * (1 - 1.5 * sine + 0.5 * sine**3)
    return np.asarray(drawn / math.sqrt(variance))


def _prices(
    rng: np.random.Generator, returns: FloatArray, sigma: FloatArray
) -> dict[str, FloatArray]:
    """The extremes of a candle are those of a Brownian bridge between its open and its close."""
    close = FIRST_PRICE * np.cumprod(1 + returns)
    opened = np.concatenate([[FIRST_PRICE], close[:-1]])
    moved = np.log1p(returns)
    above, below = np.sqrt(moved**2 + 2 * sigma**2 * rng.standard_exponential((2, len(sigma))))
    return {
        "open": opened,
        "high": np.maximum(opened * np.exp((moved + above) / 2), np.maximum(opened, close)),
        "low": np.minimum(opened * np.exp((moved - below) / 2), np.minimum(opened, close)),
        "close": close,
    }
