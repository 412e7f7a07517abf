"""Out-of-fold rows as the signals of a backtest, and what trading them came to.

A head that tells sell, hold and buy says both entries, and neither exit. Otherwise the name of a
head says what its class says: ``long_entry`` and ``short_entry`` with the class ``enter``,
``long_exit`` and ``short_exit`` with the class ``exit``. An exit head speaks of the trades of its
own rule; at a candle at which several of these are open its probability is their mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.evaluation.backtest import Profile, Result, Setup, backtest
from pipeline.evaluation.fold_thresholds import with_fold_thresholds, without_thresholds
from pipeline.evaluation.statistics import (
    Floats,
    Returns,
    deflated_sharpe,
    probabilistic_sharpe,
)
from pipeline.frames import of_market
from pipeline.market.candles import duration

SIDES = {"p_long": "buy", "p_short": "sell"}
ROLES = {
    "long_entry": ("p_long", "enter"),
    "short_entry": ("p_short", "enter"),
    "long_exit": ("p_exit_long", "exit"),
    "short_exit": ("p_exit_short", "exit"),
}
MOST_MOMENTS = 1000  # of the equity that is drawn
SERIES = {"equity": "traded", "buy_and_hold": "buy and hold", "always_flat": "always flat"}
DIGITS = 6
MINUTE = pd.Timedelta(minutes=1)


class Predicted(NamedTuple):
    """A head's out-of-fold rows joined with their labels, each key once, and its classes."""

    joined: pd.DataFrame
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trading:
    """A backtest, or why there is none."""

    result: Result | None
    why_not: str = ""

    def facts(self) -> dict[str, Any]:
        """What is written down beside the tables, ready for JSON."""
        if self.result is None:
            return {"traded": False, "why_not": self.why_not}
        lucky = probabilistic_sharpe(Returns.of(self.daily_returns()))
        return {
            "traded": True,
            **self.result.facts(),
            "probabilistic_sharpe": lucky if math.isfinite(lucky) else None,
        }

    def deflated_sharpe(self, trials: int) -> float | None:
        """Probability that this Sharpe ratio is better than the best of as many without skill."""
        found = deflated_sharpe(Returns.of(self.daily_returns()), trials)
        return found if math.isfinite(found) else None

    def daily_returns(self) -> Floats:
        """Returns of UTC calendar days, 0 where nothing moved."""
        if self.result is None:
            return np.empty(0)
        return daily_returns(self.result.curve["equity"])

    def flat(self) -> dict[str, float]:
        """The figures that stand beside the scores, without those that mean nothing here."""
        if self.result is None:
            return {}
        found = self.result.first.figures
        told = {
            "net_return": found["total_return"],
            "sharpe": found["sharpe"],
            "max_drawdown": found["drawdown"],
            "trades": found["trades"],
        }
        return {
            name: float(f"{value:.{DIGITS}g}") for name, value in told.items() if value is not None
        }

    def equity(self) -> pd.DataFrame:
        """What the start became, one row for a moment and a series; the last moment is kept."""
        if self.result is None:
            return pd.DataFrame(columns=["time", "series", "equity"])
        return drawn_equity(self.result.curve)

    def trades(self) -> pd.DataFrame:
        """Every trade at the first multiple of the costs; no row and no column without any."""
        if self.result is None:
            return pd.DataFrame()
        return self.result.first.trades.table().drop(columns=["entry_row", "exit_row"])


def daily_returns(equity: pd.Series[float]) -> Floats:
    """Returns of UTC calendar days of an equity by the close of candles, 0 where nothing moved."""
    day = (pd.DatetimeIndex(equity.index) - MINUTE).floor("D")
    last = equity.groupby(day).last().resample("D").ffill()
    worth = np.r_[1.0, last.to_numpy("float64")]
    before = np.where(worth[:-1] > 0.0, worth[:-1], np.nan)
    return np.asarray(np.nan_to_num(worth[1:] / before - 1.0))


def drawn_equity(curve: pd.DataFrame) -> pd.DataFrame:
    """At most so many moments of a backtest's curve, one row for a moment and a series."""
    every = -(-len(curve) // MOST_MOMENTS)
    drawn = curve.iloc[::-1][::every][::-1][list(SERIES)].rename(columns=SERIES)
    moments = pd.DatetimeIndex(drawn.index).strftime("%Y-%m-%dT%H:%MZ")
    drawn.index = moments.rename("time")
    return drawn.reset_index().melt("time", var_name="series", value_name="equity")


def trade(
    heads: Mapping[str, Predicted], candles: pd.DataFrame, setup: Setup, held: str | None = None
) -> Trading:
    """Backtest what the heads of one market said of candles that they were not trained on.

    Parameters
    ----------
    candles
        Execution candles indexed by time, with what came before the first signal.
    held
        Timeframe of `candles`; that of the signals where it is not given.

    Raises
    ------
    DataError
        When the candles do not cover the signals.
    """
    why = _why_not(heads, setup.profile, setup.timeframe, held or setup.timeframe)
    if why:
        return Trading(None, why)
    signals = signals_of(heads, setup.market.name)
    setup = replace(setup, horizon_minutes=_horizon(heads, setup.timeframe))
    if setup.profile.thresholds == "folds":
        rows = [of_market(joined, setup.market.name) for joined, _ in heads.values()]
        signals = with_fold_thresholds(signals, rows, candles, setup)
    made = backtest(candles, signals, setup)
    untold = without_thresholds(signals)
    told = {"folds_without_threshold": untold} if untold else {}
    return Trading(replace(made, flags=told | made.flags))


def signals_of(heads: Mapping[str, Predicted], market: str) -> pd.DataFrame:
    """Probabilities of entering and leaving by candle; NaN where a head says nothing.

    Examples
    --------
    >>> time = pd.to_datetime(["2025-01-01T00:00Z", "2025-01-01T01:00Z"])
    >>> index = pd.MultiIndex.from_product([["A-B"], time], names=["market", "time"])
    >>> rows = pd.DataFrame({"p_buy": [0.6, 0.2], "p_sell": [0.1, 0.3]}, index=index)
    >>> signals_of({"direction": Predicted(rows, ("sell", "hold", "buy"))}, "A-B").iloc[0].to_dict()
    {'p_long': 0.6, 'p_short': 0.1}
    """
    said = {
        column: _by_time(of_market(heads[name].joined, market)[f"p_{of}"])
        for name, column, of in _spoken(heads)
    }
    return pd.DataFrame(said).sort_index()


def _spoken(heads: Mapping[str, Predicted]) -> Iterator[tuple[str, str, str]]:
    """Head, column and class of everything that a backtest can act on."""
    for name, (_, classes) in heads.items():
        if {*SIDES.values()} <= {*classes}:
            yield from ((name, column, of) for column, of in SIDES.items())
        elif name in ROLES and ROLES[name][1] in classes:
            yield (name, *ROLES[name])


def _by_time(said: pd.Series[float]) -> pd.Series[float]:
    mean: pd.Series[float] = said.groupby(level="time").mean() if said.index.nlevels > 1 else said
    return mean


def _why_not(
    heads: Mapping[str, Predicted], profile: Profile, timeframe: str, held: str
) -> str | None:
    spoken = [column for _, column, _ in _spoken(heads)]
    finer = profile.execution(timeframe)
    if not {"p_long", "p_short"} & {*spoken}:
        return "no head says when to enter, so there is nothing to trade"
    if len({*spoken}) < len(spoken):
        return "several heads say when to buy or sell, and nothing says which one is followed"
    if finer != held:
        return (
            f"the profile fills orders on candles of {finer}, and a run has those of {held} alone; "
            "vintage backtest takes them from the store"
        )
    return None


def _horizon(heads: Mapping[str, Predicted], timeframe: str) -> int:
    """Minutes from the close of a candle to the end of the longest label that is entered on."""
    entries = {name for name, column, _ in _spoken(heads) if column in SIDES}
    ahead = [
        (joined["ends_at"] - joined.index.get_level_values("time")).max()
        for joined in (heads[name].joined for name in entries)
    ]
    return int((max(ahead) - duration(timeframe)) / MINUTE)
