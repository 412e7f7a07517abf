"""A threshold that training rows speak for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pipeline.evaluation.backtest.arrays import Candles, Rules, Signals
from pipeline.evaluation.backtest.simulate import simulate

UNREACHED = 2.0  # above every probability
FEWEST_TRADES = 20


def choose_threshold(
    candles: Candles,
    signals: Signals,
    rules: Rules,
    side: Literal["long", "short"],
    grid: Sequence[float],
) -> float:
    """The threshold of one side at which trading it alone on these rows grew the equity most.

    Give it training rows only, with probabilities that were not fitted on them. Thresholds with
    fewer than 20 trades are not judged; where none is left, or none grew the equity, it is the
    highest of the grid. The lowest of equals.
    """
    best, most = max(grid), 1.0
    for threshold in sorted(grid):
        long, short = (threshold, UNREACHED) if side == "long" else (UNREACHED, threshold)
        tried = rules._replace(long_threshold=long, short_threshold=short)
        trades = simulate(candles, signals, tried)
        if len(trades.rows) >= FEWEST_TRADES and trades.equity[-1] > most:
            best, most = threshold, float(trades.equity[-1])
    return best
