"""How much of its own each label sees, when labels overlap in time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def average_uniqueness(
    starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Average, over a label's interval, of one over the number of labels alive (López de Prado).

    The sum over rows is the effective number of independent rows.

    Parameters
    ----------
    starts, ends
        Label k is alive on the grid slots ``starts[k] < slot <= ends[k]``; shape (n,).

    Returns
    -------
    ndarray
        Shape (n,), in (0, 1].

    Examples
    --------
    >>> average_uniqueness(np.array([0, 0, 9]), np.array([4, 4, 10])).tolist()
    [0.5, 0.5, 1.0]
    """
    if len(starts) == 0:
        return np.empty(0)
    origin = starts.min()
    opened = np.bincount(starts - origin + 1, minlength=ends.max() - origin + 2)
    closed = np.bincount(ends - origin + 1, minlength=ends.max() - origin + 2)
    alive = np.cumsum(opened - closed)
    share = np.divide(1.0, alive, out=np.zeros(len(alive)), where=alive > 0)
    total = np.concatenate([[0.0], np.cumsum(share)])
    average = (total[ends - origin + 1] - total[starts - origin + 1]) / (ends - starts)
    return np.asarray(np.minimum(average, 1.0))
