"""What a backtest is summed up by; money in units of the equity at the start."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.evaluation.backtest.arrays import Candles, FloatArray
from pipeline.evaluation.backtest.profile import REASONS
from pipeline.evaluation.backtest.simulate import Costs, Trades
from pipeline.evaluation.backtest.sizing import REGIMES, regimes

Figures = dict[str, Any]
DAY = 1440
DAYS_A_YEAR = 365.25
FASTEST = 300.0  # natural logarithm of a growth that is still worth a number


def figures(trades: Trades, candles: Candles, step: int) -> Figures:
    """Every figure of one run, numbers or None where they mean nothing.

    Sharpe and Sortino are of the returns of calendar days, times the root of 365.25; Calmar is
    the annual return over the deepest drawdown. Turnover is what was bought and sold over the
    mean equity; exposure the share of candles with a position.
    """
    annual = annual_return(trades.equity, candles, step)
    deepest = float(drawdowns(trades.equity).max(initial=0.0))
    days = daily_returns(trades.equity, candles, step)
    told = {
        "total_return": float(trades.equity[-1]) - 1.0 if trades.equity.size else 0.0,
        "annual_return": annual,
        "drawdown": deepest,
        "sharpe": _ratio(days.mean(), days.std(ddof=1)) if days.size > 1 else None,
        "sortino": _ratio(days.mean(), _downside(days)) if days.size > 1 else None,
        "calmar": annual / deepest if deepest > 0.0 and annual is not None else None,
        **_activity(trades),
        **_outcomes(trades),
    }
    return {**told, "by": _groups(trades, candles)}


def drawdowns(equity: FloatArray) -> FloatArray:
    """Share lost since the highest equity so far, the start's 1 among them.

    Examples
    --------
    >>> drawdowns(np.array([1.0, 2.0, 1.5])).tolist()
    [0.0, 0.0, 0.25]
    """
    peak = np.maximum(np.maximum.accumulate(equity), 1.0)
    lost: FloatArray = 1.0 - equity / peak
    return lost


def daily_returns(equity: FloatArray, candles: Candles, step: int) -> FloatArray:
    """Returns of UTC calendar days; a day without candles returns nothing, as 0."""
    if equity.size == 0:
        return np.empty(0)
    ends = candles.minute + step
    first, last = candles.minute[0] // DAY, (ends[-1] - 1) // DAY
    rows = np.searchsorted(ends, (np.arange(first, last + 1) + 1) * DAY, side="right") - 1
    worth = np.r_[1.0, np.where(rows >= 0, equity[np.maximum(rows, 0)], 1.0)]
    before = np.where(worth[:-1] > 0.0, worth[:-1], np.nan)
    returns: FloatArray = np.nan_to_num(worth[1:] / before - 1.0)
    return returns


def annual_return(equity: FloatArray, candles: Candles, step: int) -> float | None:
    """Growth a calendar year at the same pace, less 1; None where it cannot be written."""
    if equity.size == 0:
        return None
    years = (candles.minute[-1] + step - candles.minute[0]) / (DAY * DAYS_A_YEAR)
    if equity[-1] <= 0.0:
        return -1.0
    pace = float(np.log(equity[-1]) / years)
    return float(np.expm1(pace)) if pace < FASTEST else None


def buy_and_hold(candles: Candles, costs: Costs, swap: bool) -> FloatArray:
    """Equity of buying all at the first open and selling at the last close, after the same costs.

    A swap is held without leverage and pays its funding.
    """
    if candles.close.size == 0:
        return np.empty(0)
    share = (costs.fee + costs.slippage) * costs.multiple
    worth: FloatArray = (1.0 - share) * candles.close / candles.open[0]
    if swap:
        paid = candles.funding[1:] * candles.close[:-1] / candles.open[0]
        worth = worth - np.r_[0.0, np.cumsum(paid)]
    worth[-1] -= share * candles.close[-1] / candles.open[0]
    return worth


def _activity(trades: Trades) -> Figures:
    rows = trades.equity.size
    entry, leave = (trades.column(name).astype("int64") for name in ("entry_row", "exit_row"))
    change = np.zeros(rows + 1)
    np.add.at(change, entry, 1.0)
    np.add.at(change, np.minimum(leave + 1, rows), -1.0)
    traded = trades.column("quantity") * (
        trades.column("entry_price") + trades.column("exit_price")
    )
    mean = float(trades.equity.mean()) if rows else 1.0
    return {
        "trades": len(trades.rows),
        "open_at_end": int((trades.column("reason") == REASONS.index("end")).sum()),
        "turnover": float(traded.sum()) / mean if mean > 0.0 else None,
        "exposure": float((np.cumsum(change[:-1]) > 0).mean()) if rows else 0.0,
        "fee": float(trades.column("fee").sum()),
        "slippage": float(trades.column("slippage").sum()),
        "funding": float(trades.column("funding").sum()),
    }


def _outcomes(trades: Trades) -> Figures:
    pnl = trades.column("pnl")
    won, lost = float(pnl[pnl > 0.0].sum()), float(-pnl[pnl <= 0.0].sum())
    some = pnl.size > 0
    return {
        "win_rate": float((pnl > 0.0).mean()) if some else None,
        "profit_factor": won / lost if lost > 0.0 else None,
        "long_share": float((trades.column("side") > 0).mean()) if some else None,
        "mean_pnl": float(pnl.mean()) if some else None,
    }


def _groups(trades: Trades, candles: Candles) -> Figures:
    pnl, entry = trades.column("pnl"), trades.column("entry_row").astype("int64")
    before = np.maximum(entry - 1, 0)
    regime = regimes(candles.close)[before] if pnl.size else np.empty(0, np.int64)
    hour = (trades.column("entry_minute").astype("int64") // 60) % 24
    side = np.where(trades.column("side") > 0, 0, 1)
    reason = trades.column("reason").astype("int64")
    return {
        "side": _sums(side, pnl, ("long", "short")),
        "reason": _sums(reason, pnl, REASONS),
        "regime": _sums(regime, pnl, REGIMES),
        "hour": _sums(hour, pnl, tuple(f"{hour:02d}" for hour in range(24))),
    }


def _sums(code: npt.NDArray[np.int64], pnl: FloatArray, names: tuple[str, ...]) -> Figures:
    counts = np.bincount(code, minlength=len(names))
    sums = np.bincount(code, weights=pnl, minlength=len(names))
    return {
        name: {"trades": int(count), "pnl": float(total)}
        for name, count, total in zip(names, counts, sums, strict=True)
        if count
    }


def _downside(returns: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))


def _ratio(mean: float, deviation: float) -> float | None:
    return float(mean / deviation * np.sqrt(DAYS_A_YEAR)) if deviation > 0.0 else None
