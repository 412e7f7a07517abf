"""What somebody would earn who knew the planted state: the size of an edge in plain figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.arrays import FloatArray
from pipeline.experiments.audit.markets import YEAR, Drawn, information_coefficient
from pipeline.market.candles import duration
from pipeline.market.exchanges.base import Market

ENTER, LEAVE = 0.8, 0.0  # of the state's deviation: enough to be worth the costs of a turn


@dataclass(frozen=True, slots=True)
class Known:
    """A planted edge as it came out in one market.

    `candle` and `label` are information coefficients, the correlation of the state with the return
    of the next candle and with that up to the end of the label; `sharpe` is the annual Sharpe
    ratio, after fees and slippage, of who knows the state.
    """

    candle: float
    label: float
    sharpe: float


def known_of(drawn: Drawn, market: Market, timeframe: str) -> Callable[[int], Known]:
    """Measure an edge; the number of candles up to the end of the label is asked for later."""
    cost = (market.fee_bps + market.slippage_bps) * 1e-4

    def known(ahead: int) -> Known:
        return Known(
            candle=information_coefficient(drawn, 1),
            label=information_coefficient(drawn, ahead),
            sharpe=sharpe_after_costs(drawn, cost, timeframe),
        )

    return known


def sharpe_after_costs(drawn: Drawn, cost: float, timeframe: str) -> float:
    """Annual Sharpe ratio of following the state, both ways, each turn paid for.

    It enters beyond `ENTER` deviations of the state and leaves at `LEAVE`, at the close at which
    the state is known, which is the next open.

    Parameters
    ----------
    cost
        Share of the amount that each side of a trade costs.
    """
    close = drawn.candles["close"].to_numpy()
    held = _held(drawn.state)[:-1]
    earned = held * np.diff(close) / close[:-1]
    earned -= cost * np.abs(np.diff(held, prepend=0.0))
    deviation = float(earned.std())
    years = math.sqrt(YEAR / duration(timeframe))
    return float(earned.mean()) / deviation * years if deviation > 0 else 0.0


def _held(state: FloatArray) -> FloatArray:
    """Position after each close: entered far from nought, left when the state is back there."""
    held = np.empty(len(state))
    now = 0.0
    for row, value in enumerate(state):
        if abs(value) >= ENTER:
            now = math.copysign(1.0, value)
        elif now * value <= LEAVE:
            now = 0.0
        held[row] = now
    return held
