"""What trading the members of a pool came to: each on its own, with an account of its own.

No signal of one market moves money of another. Together, the start is shared out equally and
nothing is moved between the accounts later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline.evaluation.backtest import Setup
from pipeline.evaluation.backtest.figures import DAYS_A_YEAR, drawdowns
from pipeline.evaluation.trading import (
    DIGITS,
    SERIES,
    Predicted,
    Trading,
    daily_returns,
    drawn_equity,
    trade,
)
from pipeline.frames import of_market
from pipeline.market.pool import MEMBERS, Pool

NO_MEMBER = "No member of the pool has out-of-fold rows."


@dataclass(frozen=True, slots=True)
class PooledTrading:
    """The backtest of each member, by its name."""

    members: Mapping[str, Trading]

    @property
    def why_not(self) -> str:
        """Why nothing is traded; empty where something is."""
        if self._traded():
            return ""
        return next((each.why_not for each in self.members.values()), NO_MEMBER)

    @property
    def curve(self) -> pd.DataFrame:
        """Mean equity of the members' accounts, as `pipeline.evaluation.backtest.Result.curve`.

        Indexed by every moment of any of them; an account stands at its start until its first.
        """
        curves = [each.result.curve[list(SERIES)] for each in self._traded() if each.result]
        every = curves[0].index
        for curve in curves[1:]:
            every = every.union(curve.index)
        whole = [curve.reindex(every).ffill().fillna(1.0).to_numpy("float64") for curve in curves]
        mean = pd.DataFrame(np.mean(whole, axis=0), every, columns=list(SERIES))
        return mean.assign(drawdown=drawdowns(mean["equity"].to_numpy("float64")))

    def facts(self) -> dict[str, Any]:
        """What is written down beside the tables, ready for JSON."""
        if not self._traded():
            return {"traded": False, "why_not": self.why_not}
        members = {name: each.facts() for name, each in self.members.items()}
        return {"traded": True, "together": self.flat(), MEMBERS: members}

    def flat(self) -> dict[str, float]:
        """The figures that stand beside the scores: those of the mean equity."""
        if not self._traded():
            return {}
        curve = self.curve
        days = daily_returns(curve["equity"])
        told = {"net_return": float(curve["equity"].iloc[-1]) - 1.0}
        deviation = float(days.std(ddof=1)) if days.size > 1 else 0.0
        if deviation > 0:
            told["sharpe"] = float(days.mean() / deviation * np.sqrt(DAYS_A_YEAR))
        told["max_drawdown"] = float(curve["drawdown"].max())
        told["trades"] = float(len(self.trades()))
        return {name: float(f"{value:.{DIGITS}g}") for name, value in told.items()}

    def equity(self) -> pd.DataFrame:
        """The mean equity as `Trading.equity` gives that of one market."""
        if not self._traded():
            return Trading(None).equity()
        return drawn_equity(self.curve)

    def trades(self) -> pd.DataFrame:
        """Every trade of every member, its market first; no row and no column without any."""
        each = {name: trading.trades() for name, trading in self.members.items()}
        found = [table.assign(market=name) for name, table in each.items() if len(table)]
        if not found:
            return pd.DataFrame()
        columns = ["market", *(name for name in found[0] if name != "market")]
        return pd.concat(found, ignore_index=True)[columns]

    def _traded(self) -> list[Trading]:
        return [each for each in self.members.values() if each.result is not None]


def trade_pool(
    heads: Mapping[str, Predicted], candles: pd.DataFrame, setup: Setup, pool: Pool
) -> PooledTrading:
    """Backtest each member of a pool on what the heads said of its own candles.

    Parameters
    ----------
    candles
        Keyed (market, time).
    setup
        Whose market is replaced by each member; one without out-of-fold rows is left out.
    """
    known = {name for rows, _ in heads.values() for name in rows.index.unique("market")}
    traded = {}
    for member in pool.members:
        if member.name in known:
            own = {head: _rows_of(each, member.name) for head, each in heads.items()}
            one = replace(setup, market=member)
            traded[member.name] = trade(own, of_market(candles, member.name), one)
    return PooledTrading(traded)


def _rows_of(head: Predicted, market: str) -> Predicted:
    rows = head.joined[head.joined.index.get_level_values("market") == market]
    return Predicted(rows, head.classes)
