"""A threshold that training rows speak for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from pipeline.evaluation.backtest.arrays import Rules
from pipeline.evaluation.backtest.simulate import Trades

UNREACHED = 2.0  # above every probability
FEWEST_TRADES = 20


def choose_threshold(
    trade: Callable[[Rules], Trades],
    rules: Rules,
    side: Literal["long", "short"],
    grid: Sequence[float],
) -> float:
    """The threshold of one side at which trading it alone on some rows grew the equity most.

    Where there are no shorts, what sells goes on closing longs at its own threshold. `trade` is
    to know training rows only, with probabilities that were not fitted on them. Thresholds with
    fewer than 20 trades are not judged; where none is left, or none grew the equity, it is the
    highest of the grid. The lowest of equals.
    """
    best, most = max(grid), 1.0
    for threshold in sorted(grid):
        other = UNREACHED if rules.shorts else rules.short_threshold
        long, short = (threshold, other) if side == "long" else (UNREACHED, threshold)
        trades = trade(rules._replace(long_threshold=long, short_threshold=short))
        if len(trades.rows) >= FEWEST_TRADES and trades.equity[-1] > most:
            best, most = threshold, float(trades.equity[-1])
    return best
