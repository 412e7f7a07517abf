"""Numbers as venues write them: the shortest text that reads back as the same float."""

from __future__ import annotations

import numpy as np


def numeral(value: float, places: int = 0) -> str:
    """Write a number without an exponent, padded to `places` decimals, losing nothing.

    Examples
    --------
    >>> numeral(19396.8), numeral(0.00001), numeral(7.0), numeral(0.0163479, 8)
    ('19396.8', '0.00001', '7', '0.01634790')
    """
    text = np.format_float_positional(value, trim="-")
    whole, _, decimals = text.partition(".")
    padded = decimals.ljust(places, "0")
    return f"{whole}.{padded}" if padded else whole
