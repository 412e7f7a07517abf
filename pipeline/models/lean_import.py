"""Import what grows trees without what it can do without."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

LEFT_OUT = "sklearn"


@contextmanager
def without_sklearn() -> Iterator[None]:
    """Import LightGBM and XGBoost in here, the first time, without scikit-learn.

    Both take it in for wrappers that nothing here uses, and it brings scipy.stats along: that is
    two thirds of the time that their import takes. Where it is imported already it stays.
    """
    if LEFT_OUT in sys.modules:
        yield
        return
    sys.modules[LEFT_OUT] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[LEFT_OUT]
