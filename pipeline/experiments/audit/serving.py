"""What is served beside what was trained, and what a fitted model has to refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import DataError
from pipeline.experiments.audit.causality import part
from pipeline.experiments.audit.check import Result
from pipeline.features.feature_set import FeatureSet
from pipeline.models.base import FeatureTable, Fitted, Model, Samples

APART = 1e-12  # of a column's deviation: what memory promises
NEWEST = 24  # rows that are served at once


def parity(features: FeatureSet, candles: pd.DataFrame, moments: int) -> Result:
    """Compare what serving computes from a tail with what training computed over everything.

    Columns of trades are left out: they are served through the same candle columns.

    Parameters
    ----------
    candles
        One market's, by time.
    moments
        How many moments are served, each a tail of `features.memory` candles.
    """
    names = [name for name in features.names if name not in features.of_trades]
    own = part(features, names)
    whole = own.compute_all(candles)
    deviation = whole.std().to_numpy()
    least = own.memory + NEWEST
    worst, places = 0.0, np.linspace(least, len(candles), moments).astype(int)
    for place in places:
        newest = own.newest(candles.iloc[max(place - least, 0) : place], NEWEST)
        apart = np.abs(newest.to_numpy() - whole.iloc[place - NEWEST : place].to_numpy())
        worst = max(worst, float(np.max(apart / np.where(deviation > 0, deviation, 1.0))))
    number = f"{worst:.1e} of a deviation at most, over {len(places)} moments, {APART:g} allowed"
    return Result(check="parity", passed=worst <= APART, number=number)


def loaded(model: Model, made: Fitted, samples: Samples) -> Result:
    """Compare what a model says with what it says once it was saved and loaded."""
    rows = samples.rows[-1000:]
    again = model.load(made.save())
    said, heard = (each.predict_proba(samples.table, rows) for each in (made, again))
    other = int((said != heard).any(axis=1).sum())
    number = f"{other} of {len(rows)} probabilities differ"
    return Result(check="bundle", passed=not other, number=number)


def refused(made: Fitted, samples: Samples, rng: np.random.Generator) -> Result:
    """Ask a model about columns of another order, of another name, and with one missing."""
    table, count = samples.table, len(samples.table.columns)
    order = np.roll(np.arange(count), 1) if count > 1 else np.arange(count)
    wrong = {
        "turned": _picked(table, order),
        "drawn": _picked(table, rng.permutation(np.roll(order, 1))),
        "renamed": replace(table, columns=(*table.columns[:-1], "another")),
        "missing": _picked(table, np.arange(count - 1)),
    }
    wrong = {name: each for name, each in wrong.items() if each.columns != table.columns}
    taken = [name for name, each in wrong.items() if not _refuses(made, each, samples.rows[-1:])]
    number = f"{len(wrong) - len(taken)} of {len(wrong)} wrong tables refused"
    return Result(check="columns", passed=not taken, number=number)


def _picked(table: FeatureTable, order: Any) -> FeatureTable:
    columns = tuple(table.columns[each] for each in order)
    return replace(table, columns=columns, values=table.values[:, order])


def _refuses(made: Fitted, table: FeatureTable, rows: Any) -> bool:
    try:
        made.predict_proba(table, rows)
    except DataError:
        return True
    return False
