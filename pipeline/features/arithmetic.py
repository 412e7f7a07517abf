"""Compiled arithmetic of two series, row by row."""

from __future__ import annotations

from pipeline.arrays import FloatArray
from pipeline.kernels import series_kernel


@series_kernel
def plus(left: FloatArray, right: FloatArray, into: FloatArray) -> None:
    """Sum of two series.

    Examples
    --------
    >>> import numpy as np
    >>> plus(np.array([1.0, 2.0]), np.array([3.0, 5.0])).tolist()
    [4.0, 7.0]
    """
    for row in range(left.size):
        into[row] = left[row] + right[row]


@series_kernel
def minus(left: FloatArray, right: FloatArray, into: FloatArray) -> None:
    """Difference of two series.

    Examples
    --------
    >>> import numpy as np
    >>> minus(np.array([1.0, 2.0]), np.array([3.0, 5.0])).tolist()
    [-2.0, -3.0]
    """
    for row in range(left.size):
        into[row] = left[row] - right[row]


@series_kernel
def over(left: FloatArray, right: FloatArray, into: FloatArray) -> None:
    """Quotient of two series, inf or NaN where the divisor is 0.

    Examples
    --------
    >>> import numpy as np
    >>> over(np.array([1.0, 2.0]), np.array([4.0, 5.0])).tolist()
    [0.25, 0.4]
    """
    for row in range(left.size):
        into[row] = left[row] / right[row]
