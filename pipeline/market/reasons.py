"""Why candles are missing: nothing was traded, or the venue stood still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.market.holes import Kinds, milliseconds
from pipeline.market.partitions import Moments


@dataclass(frozen=True, slots=True)
class Rule:
    """How a venue tells that nothing happened.

    Parameters
    ----------
    omits_empty
        Whether it writes no candle where nothing was traded.
    outage_candles
        Longest run without trades; what is longer is an outage.
    """

    omits_empty: bool
    outage_candles: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another market of the same feed and timeframe: its open times, and from when to when."""

    first: int
    last: int
    moments: Moments


def kinds(missing: Moments, step: pd.Timedelta, rule: Rule, others: Sequence[Neighbour]) -> Kinds:
    """Tell for each missing candle whether nothing was traded or the venue stood still.

    On a venue that writes flat candles every missing one is an outage. On one that omits them a
    candle is an outage when every other stored market that reaches it misses it too, or when
    the run of the remaining ones that it stands in is longer than `rule.outage_candles`.

    Examples
    --------
    >>> hours = np.arange(4) * 3_600_000
    >>> kinds(hours, pd.Timedelta(hours=1), Rule(True, 3), []).tolist()
    ['outage', 'outage', 'outage', 'outage']
    >>> traded = Neighbour(-1, 10**9, hours[:1])
    >>> kinds(hours, pd.Timedelta(hours=1), Rule(True, 3), [traded]).tolist()
    ['no_trade', 'outage', 'outage', 'outage']
    """
    found: Kinds = np.full(len(missing), "outage", dtype=object)
    if not rule.omits_empty:
        return found
    still = np.zeros(len(missing), dtype=bool)
    alive = np.zeros(len(missing), dtype=bool)
    for other in others:
        reaches = (missing > other.first) & (missing < other.last)
        traded = np.isin(missing, other.moments)
        still |= reaches & ~traded
        alive |= reaches & traded
    quiet = np.flatnonzero(alive | ~still)
    run = np.cumsum(np.diff(missing[quiet], prepend=missing[quiet][:1]) != milliseconds(step))
    found[quiet[np.bincount(run)[run] <= rule.outage_candles]] = "no_trade"
    return found
