"""Whether what was predicted out of fold could have been said at the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd


def trained_on_later(fits: Sequence[Mapping[str, Any]]) -> int:
    """Count the folds whose model was trained on candles later than some that it was tested on.

    Parameters
    ----------
    fits
        What the training tells of each fit: ``train_to`` and, but for the refit, ``test_from``,
        open times of candles.

    Examples
    --------
    >>> trained_on_later([
    ...     {"train_to": "2025-03-01T00:00Z", "test_from": "2025-02-01T00:00Z"},
    ...     {"train_to": "2025-01-31T00:00Z", "test_from": "2025-02-01T00:00Z"},
    ...     {"train_to": "2025-03-01T00:00Z"},
    ... ])
    1
    """
    tested = [fit for fit in fits if fit.get("test_from")]
    return sum(pd.Timestamp(fit["train_to"]) > pd.Timestamp(fit["test_from"]) for fit in tested)


def is_chronological(fits: Sequence[Mapping[str, Any]]) -> bool | None:
    """Whether each fold's model was trained on candles before its test alone.

    None where nothing is told of any fold: then it is not known.

    Examples
    --------
    >>> fold = {"train_to": "2025-01-31T00:00Z", "test_from": "2025-02-01T00:00Z"}
    >>> is_chronological([fold]), is_chronological([])
    (True, None)
    """
    if not any(fit.get("test_from") for fit in fits):
        return None
    return trained_on_later(fits) == 0
