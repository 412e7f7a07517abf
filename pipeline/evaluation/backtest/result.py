"""One backtest from candles and probabilities to trades, figures and flags."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.errors import DataError
from pipeline.evaluation.backtest.arrays import Candles, IntArray, Signals
from pipeline.evaluation.backtest.figures import Figures, buy_and_hold, drawdowns, figures
from pipeline.evaluation.backtest.flags import flags
from pipeline.evaluation.backtest.funding import RecordedFunding, funding_facts
from pipeline.evaluation.backtest.profile import Profile
from pipeline.evaluation.backtest.signals import signal_arrays
from pipeline.evaluation.backtest.simulate import (
    Costs,
    Trades,
    candle_arrays,
    minutes_since_epoch,
    rules_of,
    simulate,
)
from pipeline.evaluation.backtest.windows import five_day_windows, summary
from pipeline.market.candles import duration
from pipeline.market.exchanges.base import Funding, Market

MINUTE = pd.Timedelta(minutes=1)
FEWEST = 2  # candles: one to decide on, one to fill on


@dataclass(frozen=True, slots=True)
class Setup:
    """What is traded how: `timeframe` of the signals, `horizon_minutes` of their label.

    `recorded` are payments of funding as they were settled; without them the market's are assumed.
    """

    profile: Profile
    market: Market
    timeframe: str
    horizon_minutes: int | None = None
    recorded: RecordedFunding | None = None

    @property
    def paid(self) -> Funding | RecordedFunding | None:
        """Funding that positions pay or are paid: none on a spot venue."""
        return (self.recorded or self.market.funding) if self.profile.venue == "swap" else None

    @property
    def step(self) -> int:
        """Minutes of an execution candle."""
        return duration(self.profile.execution(self.timeframe)) // MINUTE


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run at one multiple of the costs."""

    trades: Trades
    figures: Figures
    windows: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Result:
    """A backtest: an outcome for each multiple of the costs, the first of which is the result.

    `curve` is indexed by the close of each execution candle: equity, drawdown, buy_and_hold,
    always_flat, in units of the start.
    """

    setup: Setup
    outcomes: dict[float, Outcome]
    curve: pd.DataFrame
    flags: dict[str, str]

    @property
    def first(self) -> Outcome:
        """The outcome at the first multiple."""
        return next(iter(self.outcomes.values()))

    def facts(self) -> dict[str, Any]:
        """Everything but the tables, ready for JSON."""
        held = self.curve["buy_and_hold"].to_numpy("float64")
        return {
            "profile": self.setup.profile.model_dump(mode="json"),
            "market": self.setup.market.name,
            "timeframe": self.setup.timeframe,
            "from": self.curve.index[0].isoformat(),
            "to": self.curve.index[-1].isoformat(),
            "funding": funding_facts(self._opens(), self.setup.paid),
            "fill": "optimistic" if self.setup.profile.fill == "same_close" else "next open",
            "baselines": {
                "buy_and_hold": {
                    "total_return": float(held[-1]) - 1.0,
                    "drawdown": float(drawdowns(held).max()),
                },
                "always_flat": {"total_return": 0.0, "drawdown": 0.0},
            },
            "costs": {
                f"{multiple:g}x": {**one.figures, "five_days": summary(one.windows)}
                for multiple, one in self.outcomes.items()
            },
            "flags": self.flags,
        }

    def _opens(self) -> IntArray:
        return minutes_since_epoch(self.curve.index) - self.setup.step


def backtest(candles: pd.DataFrame, signals: pd.DataFrame, setup: Setup) -> Result:
    """Trade out-of-fold probabilities on candles, at each multiple of the market's costs.

    Parameters
    ----------
    candles
        A candle frame of the execution timeframe; what lies before the first signal is only
        looked back at, what lies after the last is not traded.
    signals
        Indexed by candle open: p_long, p_short, and where there are such heads p_exit_long,
        p_exit_short; see `signal_arrays`.

    Raises
    ------
    ConfigError
        When the holding limit is shorter than a candle.
    DataError
        When no candle closes while there are signals, or candles are not of that timeframe.
    """
    frame = _within(candles, signals, setup)
    laid = signal_arrays(signals, candles.loc[: frame.index[-1]], setup.profile, setup.timeframe)
    laid = laid.part(laid.size.size - len(frame), laid.size.size)
    arrays = candle_arrays(frame, setup.paid)
    outcomes = {
        multiple: _outcome(arrays, laid, setup, multiple)
        for multiple in setup.profile.cost_multiples
    }
    first = next(iter(outcomes.values()))
    told = flags(
        setup.profile, setup.market, first.figures, summary(first.windows), setup.horizon_minutes
    )
    costs = Costs.of_market(setup.market, next(iter(outcomes)))
    held = buy_and_hold(arrays, costs, setup.profile.venue == "swap")
    curve = pd.DataFrame(
        {
            "equity": first.trades.equity,
            "drawdown": drawdowns(first.trades.equity),
            "buy_and_hold": held,
            "always_flat": 1.0,
        },
        index=pd.DatetimeIndex(frame.index) + pd.Timedelta(minutes=setup.step),
    )
    return Result(setup, outcomes, curve, told)


def _within(candles: pd.DataFrame, signals: pd.DataFrame, setup: Setup) -> pd.DataFrame:
    """Candles from the one that closes with the first signal to the one after the last."""
    step, wait = pd.Timedelta(minutes=setup.step), duration(setup.timeframe)
    known = (signals.index[0] + wait, signals.index[-1] + wait) if len(signals) else None
    frame = candles.loc[known[0] - step : known[1]] if known else candles.iloc[:0]
    if len(frame) < FEWEST:
        raise DataError(
            "no candles to fill orders on while there are signals",
            where=f"{setup.market.name}, candles of {setup.profile.execution(setup.timeframe)}",
            fix="give candles that cover the signals",
        )
    shortest = (frame.index[1:] - frame.index[:-1]).min()
    if shortest != step:
        raise DataError(
            "candles of another timeframe than orders are to be filled on",
            found=f"{shortest / MINUTE:g} minutes between two candles",
            expected=f"{setup.step} minutes",
            fix="give candles of backtest.execution_timeframe, or change it",
        )
    return frame


def _outcome(candles: Candles, signals: Signals, setup: Setup, multiple: float) -> Outcome:
    rules = rules_of(setup.profile, Costs.of_market(setup.market, multiple), setup.step)
    trades = simulate(candles, signals, rules, setup.profile.positions)
    windows = five_day_windows(candles, signals, rules, setup.profile.positions)
    return Outcome(trades, figures(trades, candles, setup.step), windows)
