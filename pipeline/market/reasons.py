"""Why candles are missing: nothing was traded, or the venue stood still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.market.holes import Kinds, milliseconds
from pipeline.market.partitions import Moments

ENOUGH = 2  # neighbours that miss a candle too, and
LEAST = 3  # candles in a row that they miss, are no chance


@dataclass(frozen=True, slots=True)
class Rule:
    """How a venue tells that nothing happened.

    Parameters
    ----------
    step
        Length of a candle.
    omits_empty
        Whether it writes no candle where nothing was traded.
    outage_candles
        Longest run without trades; what is longer is an outage.
    """

    step: pd.Timedelta
    omits_empty: bool
    outage_candles: int


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another market of the same feed and timeframe, at the moments that are judged.

    Parameters
    ----------
    traded
        Where it has a candle.
    empty
        Where the source confirmed that it has none; what nobody asked for is in neither.
    """

    traded: Moments
    empty: Moments


def kinds(missing: Moments, before: Kinds, rule: Rule, others: Sequence[Neighbour]) -> Kinds:
    """Tell for each missing candle whether nothing was traded or the venue stood still.

    On a venue that writes flat candles every missing one is an outage. On one that omits them, an
    outage is a run of at least `LEAST` candles that `ENOUGH` neighbours or more miss too and none
    has, or a run of the remaining ones longer than `rule.outage_candles`. What was an outage
    before stays one until a neighbour shows a trade: that evidence has gone proves nothing.

    Parameters
    ----------
    missing
        Milliseconds since 1970, increasing.
    before
        What each was taken for; ``unknown`` where it is judged afresh.

    Examples
    --------
    >>> hours, before = np.arange(4) * 3_600_000, np.full(4, "unknown", dtype=object)
    >>> rule = Rule(pd.Timedelta(hours=1), omits_empty=True, outage_candles=3)
    >>> kinds(hours, before, rule, []).tolist()
    ['outage', 'outage', 'outage', 'outage']
    >>> one, two = Neighbour(hours[:1], hours[1:]), Neighbour(hours[:0], hours[1:])
    >>> kinds(hours, before, rule, [one, two]).tolist()
    ['no_trade', 'outage', 'outage', 'outage']
    >>> kinds(hours[:3], before[:3], rule, [one, two]).tolist()
    ['no_trade', 'no_trade', 'no_trade']
    """
    found: Kinds = np.full(len(missing), "outage", dtype=object)
    if not rule.omits_empty:
        return found
    alive = np.zeros(len(missing), dtype=bool)
    silent = np.zeros(len(missing), dtype=int)
    for other in others:
        alive |= np.isin(missing, other.traded)
        silent += np.isin(missing, other.empty)
    together = np.flatnonzero(~alive & (silent >= ENOUGH))
    still = np.zeros(len(missing), dtype=bool)
    still[together[_runs(missing[together], rule.step) >= LEAST]] = True
    quiet = np.flatnonzero(~still)
    found[quiet[_runs(missing[quiet], rule.step) <= rule.outage_candles]] = "no_trade"
    found[(before == "outage") & ~alive] = "outage"
    return found


def _runs(moments: Moments, step: pd.Timedelta) -> Moments:
    """For each moment, how many follow each other without a gap where it stands."""
    run = np.cumsum(np.diff(moments, prepend=moments[:1]) != milliseconds(step))
    found: Moments = np.bincount(run)[run] if len(run) else run
    return found
