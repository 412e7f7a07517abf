"""Out-of-fold rows that were predicted several times, as paths that hold each row once.

Under overlapping tests a row has a prediction of each fold that tested it. The first path takes
each row's first prediction, the second path its second, and so on (López de Prado, "Advances in
Financial Machine Learning", 2018, section 12.4). Each path is what one model for each row would
have said. The mean of the predictions would not be: it is the work of an ensemble that nobody
serves, and it scores better than any of its models.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipeline.evaluation.metrics import Scores


def paths_of(predicted: pd.DataFrame) -> list[pd.DataFrame]:
    """Cut predictions into paths; where each row was predicted once there is one.

    Parameters
    ----------
    predicted
        Out-of-fold predictions with their ``fold``, a row's key as often as it was predicted.

    Returns
    -------
    list of DataFrame
        Unique keys, in order of the keys.

    Examples
    --------
    >>> rows = pd.DataFrame({"fold": [1, 0, 0], "p_up": [0.3, 0.2, 0.1]}, index=["a", "a", "b"])
    >>> [path["p_up"].to_dict() for path in paths_of(rows)]
    [{'a': 0.2, 'b': 0.1}, {'a': 0.3}]
    """
    if predicted.index.is_unique:
        return [predicted]
    ordered = predicted.iloc[predicted["fold"].to_numpy().argsort(kind="stable")]
    turn = ordered.groupby(level=list(range(ordered.index.nlevels)), sort=False).cumcount()
    numbers = turn.to_numpy()
    return [ordered[numbers == number].sort_index() for number in range(numbers.max() + 1)]


def mean_over_paths(scores: Sequence[Scores]) -> Scores:
    """Unweighted mean of each figure over the paths.

    The ends of intervals are means too: paths share their rows, so that several of them are
    hardly worth more independent rows than one.

    Examples
    --------
    >>> mean_over_paths([{"log_loss": 1.0, "rows": 9.0}, {"log_loss": 1.5, "rows": 9.0}])
    {'log_loss': 1.25, 'rows': 9.0}
    """
    first, *_ = scores
    return {name: sum(each[name] for each in scores) / len(scores) for name in first}
