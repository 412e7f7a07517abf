"""What knowing the class shares of each market comes to: the forecast that skill is over."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.models.base import Floats, Samples

SHRUNK = 10.0  # independent rows of all members' shares that are mixed into each member's own


def training_shares(train: Samples, test: Samples) -> Floats:
    """Class shares of the training rows, at each row of the test, shape (test rows, classes).

    Of one market they are its own. Of several, a row has those of its market, with 10 independent
    rows of all markets' shares mixed in: else a model that tells one market from another would
    have skill by that alone. With n the sum of a market's weights, ``(n own + 10 all) / (n + 10)``.

    Raises
    ------
    DataError
        When there is no training row.
    """
    train.require(least=1)
    classes = len(train.classes)
    every = _shares(train.label, classes)
    known, asked = (_market(samples) for samples in (train, test))
    found = np.tile(every, (len(test.rows), 1))
    if len({*known, *asked}) == 1:
        return found
    for name in pd.unique(asked):
        own = known == name
        if own.any():
            worth = float(train.weight[own].sum())
            mixed = worth * _shares(train.label[own], classes) + SHRUNK * every
            found[asked == name] = mixed / (worth + SHRUNK)
    return found


def _shares(label: np.ndarray[tuple[int], np.dtype[np.int8]], classes: int) -> Floats:
    counts = np.bincount(label, minlength=classes)
    return np.asarray(counts / counts.sum())


def _market(samples: Samples) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    return np.asarray(samples.index.get_level_values("market"), object)
