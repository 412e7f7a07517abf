"""What holding a perpetual contract was paid or charged: recorded where it was, else assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import DataError
from pipeline.evaluation.backtest.arrays import FloatArray, IntArray
from pipeline.market.exchanges.base import Funding

BASIS_POINT = 1e-4
HIGHEST = 0.1  # share of the position in one payment; a table in percent or basis points is above


@dataclass(frozen=True, slots=True)
class RecordedFunding:
    """Payments as they were settled, and what is assumed before the first and after the last.

    `minute` are whole minutes since 1970, rising; `rate` is the share of the position that longs
    pay; `source` names the table and `sha256` its content.
    """

    minute: IntArray
    rate: FloatArray
    assumed: Funding | None
    source: str = ""
    sha256: str = ""

    def settled(self, minute: IntArray) -> FloatArray:
        """Rate that fell due after the open of the candle before, up to each candle's own."""
        paid = np.r_[0.0, np.cumsum(self.rate)][self.minute.searchsorted(minute, side="right")]
        inside = _count(np.clip(minute, self.minute[0] - 1, self.minute[-1]), self.assumed)
        outside = _count(minute, self.assumed) - inside
        rates = np.zeros(minute.size)
        bps = self.assumed.bps if self.assumed else 0.0
        rates[1:] = np.diff(paid) + np.diff(outside) * bps * BASIS_POINT
        return rates

    def facts(self, minute: IntArray) -> dict[str, Any]:
        """What was paid on candles that open at these minutes, ready for JSON."""
        after, until = minute[0], minute[-1]
        used = self.rate[(self.minute > after) & (self.minute <= until)]
        whole = int(np.diff(_count(np.array([after, until]), self.assumed))[0])
        ends = np.clip([after, until], self.minute[0] - 1, self.minute[-1])
        inside = int(np.diff(_count(ends, self.assumed))[0])
        return {
            **_assumed(self.assumed, whole - inside),
            "recorded_payments": len(used),
            "recorded_mean_bps": float(used.mean()) / BASIS_POINT if used.size else None,
            "longest_gap_hours": float(np.diff(self.minute).max(initial=0)) / 60,
            "table": self.source,
            "sha256": self.sha256,
        }


def recorded_funding(
    table: pd.DataFrame, assumed: Funding | None, source: str, sha256: str = ""
) -> RecordedFunding:
    """Take a table of settlements: columns ``time`` (UTC) and ``rate``, a share of the position.

    Stamps are floored to the minute: venues write them some milliseconds late.

    Raises
    ------
    DataError
        When it is empty, has a moment twice or a rate that is none.
    """
    told = table.sort_values("time", kind="stable")
    minute = pd.DatetimeIndex(told["time"]).tz_convert("UTC").tz_localize(None)
    minutes = minute.to_numpy("datetime64[m]").astype("int64")
    rate = told["rate"].to_numpy("float64")
    found = ""
    if not len(told):
        found = "no rows"
    elif (np.diff(minutes) <= 0).any():
        row = int(np.argmax(np.diff(minutes) <= 0)) + 1
        found = f"{minute[row].isoformat()} twice"
    elif not (np.abs(rate) <= HIGHEST).all():
        row = int(np.argmin(np.abs(rate) <= HIGHEST))
        found = f"{rate[row]:g} at {minute[row].isoformat()}"
    if found:
        raise DataError(
            "the table of funding payments cannot be used",
            where=source,
            found=found,
            expected=f"one row a payment, each rate a share between -{HIGHEST:g} and {HIGHEST:g}",
            fix="give rates as shares of the position (0.0001 is 1 bp), each moment once",
        )
    return RecordedFunding(minutes, rate, assumed, source, sha256)


def settled(minute: IntArray, funding: Funding | RecordedFunding | None) -> FloatArray:
    """Funding rate that fell due after the open of the candle before, up to each candle's own.

    Examples
    --------
    >>> settled(np.array([420, 480, 540, 1440]), Funding(hours=8, bps=1.0)).tolist()
    [0.0, 0.0001, 0.0, 0.0002]
    """
    if isinstance(funding, RecordedFunding):
        return funding.settled(minute)
    rates = np.zeros(minute.size)
    if funding is not None:
        rates[1:] = np.diff(_count(minute, funding)) * funding.bps * BASIS_POINT
    return rates


def funding_facts(minute: IntArray, funding: Funding | RecordedFunding | None) -> dict[str, Any]:
    """Which payments fell due on these candles and where their rates come from."""
    if isinstance(funding, RecordedFunding):
        return funding.facts(minute)
    whole = int(np.diff(_count(minute[[0, -1]], funding))[0]) if minute.size else 0
    return _assumed(funding, whole)


def _count(minute: IntArray, funding: Funding | None) -> IntArray:
    """Payments up to each minute at the fixed hours, since 1970."""
    if funding is None:
        return np.zeros(len(minute), np.int64)
    return minute // round(funding.hours * 60)


def _assumed(funding: Funding | None, payments: int) -> dict[str, Any]:
    return {
        "assumed_bps": funding.bps if funding else None,
        "assumed_hours": funding.hours if funding else None,
        "assumed_payments": payments,
    }
