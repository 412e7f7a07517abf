"""Rows of the table: a backtest from arrays to trades and equity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.backtest.arrays import Signals
from pipeline.evaluation.backtest.profile import FixedSize, Level, Profile
from pipeline.evaluation.backtest.simulate import Costs, candle_arrays, rules_of, simulate
from tests.bench import backtest_peers, peers

NAMES = {"vectorbt": "vectorbt 1.2, from_signals and total_return", "backtesting": "backtesting.py"}


@dataclass(frozen=True, slots=True)
class Pair:
    """What both sides do: ours here, theirs by the name of the peer's task."""

    what: str
    ours: Callable[[], object]
    task: str
    name: str


def pairs() -> list[Pair]:
    """One for each peer; both stops and profits 2 % away, 2 % of the candles a signal each side."""
    level = Level(share=backtest_peers.LEVEL, basis="price")
    profile = Profile(
        venue="swap",
        long_threshold=backtest_peers.THRESHOLD,
        short_threshold=backtest_peers.THRESHOLD,
        stop_loss=level,
        take_profit=level,
        sizing=FixedSize(rule="fixed", share=0.5),
    )
    candles = candle_arrays(peers.candles(backtest_peers.ROWS), None)
    long, short = backtest_peers.probabilities()
    silent = np.full(long.size, np.nan)
    signals = Signals(long, short, silent, silent, np.full(long.size, 0.5))
    costs = Costs(fee=backtest_peers.FEE, slippage=backtest_peers.SLIPPAGE)
    rules = rules_of(profile, costs, 60)
    return [
        Pair(
            f"backtest of {long.size:,} candles",
            lambda: simulate(candles, signals, rules),
            task,
            name,
        )
        for task, name in NAMES.items()
    ]
