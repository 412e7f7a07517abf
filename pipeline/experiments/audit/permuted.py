"""Labels of other weeks: features and labels stay as they are, and no longer belong together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline.models.base import Samples

BLOCK = pd.Timedelta(days=7)


def block_permuted(
    samples: Samples, rng: np.random.Generator, block: pd.Timedelta = BLOCK
) -> Samples:
    """The same rows with the labels of other weeks: each week's labels stay in their order.

    Weeks change places whole; what ends when is left as it is, so that folds stay the same.
    """
    number = ((samples.time - samples.time.min()) // block).to_numpy()
    weeks = [np.flatnonzero(number == each) for each in np.unique(number)]
    order = np.concatenate([weeks[each] for each in rng.permutation(len(weeks))])
    place = np.concatenate(weeks)
    label, outcomes = samples.label.copy(), samples.outcomes
    label[place] = samples.label[order]
    if outcomes is not None:
        values = outcomes.values.copy()
        values[place] = outcomes.values[order]
        outcomes = replace(outcomes, values=values)
    return replace(samples, label=label, outcomes=outcomes)
