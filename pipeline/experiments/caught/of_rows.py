"""Mistakes of which rows are trained on, tested on, and thrown together."""

from __future__ import annotations

import numpy as np

from pipeline.experiments.caught.declared import Declared, Mistake
from pipeline.models.base import Floats
from pipeline.splits.fold import Fold

SHUFFLED, IN_SAMPLE = "shuffled split", "in-sample backtest"
ACROSS_TRADES = "exit rows shuffled across trades"
SEVERAL_COINS = "one model for several coins"
APART = 3.0  # spreads of a column between the middles of two markets
WIDER = 20.0  # times as wide in one market as in another


def shuffled_split(parts: Declared) -> Mistake | None:
    """Test rows after which, before their own answer was known, another row was trained on.

    In a split by time nothing newer than a test is trained on, or nothing before its last answer.
    """
    time, ends_at = (
        each.as_unit("ns").asi8 for each in (parts.samples.time, parts.samples.ends_at)
    )
    found = total = 0
    for fold in parts.folds:
        test = np.setdiff1d(fold.test, fold.train)
        moments = np.sort(time[fold.train])
        places = np.searchsorted(moments, time[test], side="right")
        followed = places < len(moments)
        known = ends_at[test][followed]
        found += int((moments[places[followed]] < known).sum())
        total += len(fold.test)
    told = (
        f"{found} of {total} test rows are followed by a training row before their answer is known"
    )
    return Mistake(SHUFFLED, told) if found else None


def in_sample_backtest(parts: Declared) -> Mistake | None:
    """Rows that a model is asked about, and then traded on, though it was fitted on them."""
    found = sum(len(np.intersect1d(fold.train, fold.test)) for fold in parts.folds)
    total = sum(len(fold.test) for fold in parts.folds)
    told = f"{found} of {total} rows are traded by a model that was fitted on them"
    return Mistake(IN_SAMPLE, told) if found else None


def shuffled_across_trades(parts: Declared) -> Mistake | None:
    """Trades that have rows among those trained on and among those tested."""
    if parts.label.trades is None:
        return None
    trades = parts.samples.index.droplevel("time")
    found = sum(len(_both_sides(fold, trades.factorize()[0])) for fold in parts.folds)
    told = f"{found} trades have rows on both sides of a split"
    return Mistake(ACROSS_TRADES, told) if found else None


def one_model_for_several_coins(parts: Declared) -> Mistake | None:
    """Columns whose values in one market are out of reach in another: they only name the coin.

    A column counts where the middles of two markets lie `APART` spreads from each other, or where
    its spread (from the 10 % to the 90 % quantile) in one is `WIDER` times that in another.
    """
    market = parts.samples.index.get_level_values("market").to_numpy()
    names = np.unique(market)
    if len(names) == 1:
        return None
    values = parts.samples.values
    quantiles = np.stack(
        [np.quantile(values[market == name], [0.1, 0.5, 0.9], axis=0) for name in names]
    )
    foreign = _foreign(quantiles[:, 1], quantiles[:, 2] - quantiles[:, 0])
    columns = [name for name, yes in zip(parts.samples.table.columns, foreign, strict=True) if yes]
    told = (
        f"{len(columns)} of {len(foreign)} columns lie elsewhere in each of "
        f"{', '.join(map(str, names))}: {', '.join(columns[:4])}"
    )
    return Mistake(SEVERAL_COINS, told) if columns else None


def _foreign(middle: Floats, spread: Floats) -> Floats:
    """Whether each column is out of reach between some two markets, shape (columns,)."""
    widest, narrowest = spread.max(axis=0), spread.min(axis=0)
    varies = widest > 0
    far = np.ptp(middle, axis=0) > APART * widest
    wider = (widest > WIDER * narrowest) & (narrowest > 0)
    return np.asarray(varies & (far | wider))


def _both_sides(fold: Fold, trades: Floats) -> Floats:
    return np.intersect1d(trades[fold.train], trades[fold.test])
