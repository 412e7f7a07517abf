"""The path of a simulated market, month by month.

In step j, with known state z and volatility sigma::

    sigma_j  = step volatility * season_j * exp(x_j - s^2)   x, z: AR(1), normal, independent
    return_j = sigma_j * (shock_j + k * z_{j-1})             shock: symmetric, unit variance
    close_j  = close_{j-1} * (1 + return_j)

With ``edge=0`` k is 0 and the close is an exact martingale. The state z shows in the volume:
log volume = base + season + 0.5 * (x_j - s^2) + 0.8 * z_j + noise, whatever the edge.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import ConfigError

Array = np.ndarray[Any, np.dtype[np.float64]]

STEP = pd.Timedelta(minutes=5)
HOUR = 12
DAY = 24 * HOUR
STATE_MEMORY = 0.5 ** (1 / DAY)  # half-life one day
CALM_MEMORY = 0.5 ** (2 / (3 * DAY))  # half-life a day and a half
CALM_SPREAD = 0.5  # standard deviation of log volatility
SHOCK_LIMIT = 8.0
STATE = "state"

_ANGLE = 2 * np.pi * (np.arange(DAY) / DAY - 15 / 24)  # busiest at 15:00 UTC
SEASON: Array = np.exp(0.35 * np.cos(_ANGLE))
SEASON /= np.sqrt(np.mean(SEASON**2))
VOLUME_SEASON: Array = 0.25 * np.cos(_ANGLE)


def drift_per_volatility(edge: float, horizon: int) -> float:
    """Drift per step, in units of its volatility and per unit of state, that plants an edge.

    The state's correlation with the return of the next `horizon` hours (H steps) is::

        edge = k * S / sqrt(H + k^2 * V)    so    k = edge * sqrt(H / (S^2 - edge^2 * V))
        S = E[sigma] * sum_i phi^i          V = sum_ij phi^|i-j| * E[sigma_i * sigma_j]

    with sigma in units of its root mean square (log-normal times season) and phi the state's
    AR(1) coefficient. At constant volatility both expectations are 1.

    Raises
    ------
    ConfigError
        When the state forgets too fast to reach that correlation over that horizon.

    Examples
    --------
    >>> drift_per_volatility(0.0, 24)
    0.0
    >>> round(drift_per_volatility(0.2, 24), 4)
    0.0198
    """
    steps = horizon * HOUR
    lags = np.arange(steps)
    memory = STATE_MEMORY**lags
    season = np.array([np.mean(SEASON * np.roll(SEASON, lag)) for lag in range(DAY)])[lags % DAY]
    together = season * np.exp(-(CALM_SPREAD**2) * (1 - CALM_MEMORY**lags))
    reach = np.mean(SEASON) * np.exp(-(CALM_SPREAD**2) / 2) * np.sum(memory)
    spread = steps + 2 * np.sum(((steps - lags) * memory * together)[1:])
    room = reach**2 - edge**2 * spread
    if room <= 0:
        raise ConfigError(
            f"an edge of {edge} cannot be planted over {horizon} hours",
            where="exchange.edge",
            expected=f"less than {reach / np.sqrt(spread):.2f}",
        )
    return float(edge * np.sqrt(steps / room))


@dataclass(frozen=True, slots=True)
class World:
    """What one market of one world is drawn from; volatility is that of a step."""

    seed: int
    market: str
    first_month: int
    first_price: float
    volatility: float
    drift: float

    def generator(self, month: int) -> np.random.Generator:
        """Make the generator of a month; month 0 draws what the first month opens with."""
        name = int.from_bytes(hashlib.sha256(self.market.encode()).digest()[:8])
        return np.random.Generator(
            np.random.PCG64(np.random.SeedSequence([self.seed, name, month]))
        )


@dataclass(frozen=True, slots=True)
class Opening:
    """What a month hands to the next: price, deviation of log volatility, state."""

    price: float
    calm: float
    state: float


@dataclass(frozen=True, slots=True)
class Steps:
    """One month of five-minute candles with their state, and what it hands on."""

    month: int
    candles: dict[str, Array]
    closing: Opening


@lru_cache(maxsize=8192)
def opening_of(world: World, month: int) -> Opening:
    """Find what a month opens with; asked in order of months it never goes back far."""
    if month > world.first_month:
        return steps_of(world, month - 1).closing
    calm, state = world.generator(0).standard_normal(2)
    return Opening(world.first_price, CALM_SPREAD * float(calm), float(state))


@lru_cache(maxsize=48)
def steps_of(world: World, month: int) -> Steps:
    """Draw a month; the same whatever was asked before."""
    opening, draw = opening_of(world, month), world.generator(month)
    days = (month_start(month + 1) - month_start(month)).days
    calm = _remember(draw, days * DAY, CALM_MEMORY, opening.calm / CALM_SPREAD) * CALM_SPREAD
    state = _remember(draw, days * DAY, STATE_MEMORY, opening.state)
    calmed = calm - CALM_SPREAD**2
    sigma = world.volatility * np.tile(SEASON, days) * np.exp(calmed)
    known = np.concatenate([[opening.state], state[:-1]])
    returns = np.clip(sigma * (_shocks(draw, len(sigma)) + world.drift * known), -0.5, 0.5)
    candles = _prices(draw, opening.price, returns, sigma)
    noise = 0.3 * draw.standard_normal(len(sigma))
    volume = np.exp(3 + np.tile(VOLUME_SEASON, days) + 0.5 * calmed + 0.8 * state + noise).round(6)
    candles |= {
        "volume": volume,
        "value": volume * (candles["open"] + candles["close"]) / 2,
        STATE: state,
    }
    closing = Opening(
        float(candles["close"][-1]), round(float(calm[-1]), 9), round(float(state[-1]), 9)
    )
    return Steps(month, candles, closing)


def _remember(draw: np.random.Generator, count: int, memory: float, before: float) -> Array:
    """AR(1) of unit variance after `before`; 1/(1 - aB) as the product of (1 + a^n B^n), n=2^i."""
    path: Array = draw.standard_normal(count) * np.sqrt(1 - memory**2)
    path[0] += memory * before
    lag = 1
    while lag < count:
        path[lag:] += memory**lag * path[:-lag]
        lag *= 2
    return path


def _shocks(draw: np.random.Generator, count: int) -> Array:
    """Student t of 4 degrees clipped at the limit c, divided by its standard deviation.

    Substituting t = 2 tan(a) gives E[min(t^2, c^2)] = 2u^3 + c^2 (1 - 1.5u + 0.5u^3) with
    u = c / sqrt(4 + c^2).
    """
    sine = SHOCK_LIMIT / np.sqrt(4 + SHOCK_LIMIT**2)
    variance = 2 * sine**3 + SHOCK_LIMIT**2 * (1 - 1.5 * sine + 0.5 * sine**3)
    drawn = np.clip(draw.standard_t(4, count), -SHOCK_LIMIT, SHOCK_LIMIT)
    return np.asarray(drawn / np.sqrt(variance))


def _prices(
    draw: np.random.Generator, before: float, returns: Array, sigma: Array
) -> dict[str, Array]:
    """Prices of the steps; the extremes are those of a Brownian bridge between open and close.

    Its maximum given the end x is (x + sqrt(x^2 + 2 sigma^2 e)) / 2, e exponential. Eight digits
    are kept: another processor's last bit makes no other candle.
    """
    digits = 7 - math.floor(math.log10(before))
    close = (before * np.cumprod(1 + returns)).round(digits)
    opened = np.concatenate([[before], close[:-1]])
    moved = np.log1p(returns)
    above, below = np.sqrt(moved**2 + 2 * sigma**2 * draw.standard_exponential((2, len(sigma))))
    high = (opened * np.exp((moved + above) / 2)).round(digits)
    low = (opened * np.exp((moved - below) / 2)).round(digits)
    return {
        "open": opened,
        "high": np.maximum(high, np.maximum(opened, close)),
        "low": np.minimum(low, np.minimum(opened, close)),
        "close": close,
    }


def month_of(at: pd.Timestamp) -> int:
    """Count the months from year 0 to a moment.

    Examples
    --------
    >>> month_of(pd.Timestamp("2023-01-31T23:00Z"))
    24276
    """
    return at.year * 12 + at.month - 1


def month_start(month: int) -> pd.Timestamp:
    """First moment of a month, UTC.

    Examples
    --------
    >>> month_start(24276)
    Timestamp('2023-01-01 00:00:00+0000', tz='UTC')
    """
    return pd.Timestamp(year=month // 12, month=month % 12 + 1, day=1, tz="UTC").as_unit("ms")
