"""Splits beside skfolio's, which purge a number of rows: the same where labels end alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.splits.combinatorial import Combinatorial
from pipeline.splits.fold import Fold
from pipeline.splits.walk_forward import WalkForward
from tests.volume import volume

START, HOUR = pd.Timestamp("2025-01-01T00:00Z"), pd.Timedelta(hours=1)
SIZES, SHARES = st.integers(1, 30), st.floats(0, 1)


@pytest.fixture(scope="module")
def skfolio() -> Any:
    return pytest.importorskip("skfolio.model_selection")


def hourly(rows: int, horizon: int) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    time = pd.date_range(START, periods=rows, freq="h")
    return time, time + (horizon + 1) * HOUR


def rows_of(folds: Iterable[Fold]) -> list[tuple[list[int], list[int]]]:
    return [(fold.train.tolist(), fold.test.tolist()) for fold in folds]


@given(blocks=st.integers(3, 7), size=st.integers(2, 30), shares=st.tuples(SHARES, SHARES))
@settings(max_examples=volume(20), deadline=None)
def test_combinations_of_blocks(
    skfolio: Any, blocks: int, size: int, shares: tuple[float, float]
) -> None:
    horizon = int(shares[0] * (size - 2))
    embargo = int(shares[1] * (size - 2 - horizon))
    time, ends_at = hourly(blocks * size, horizon)
    split = Combinatorial(block_count=blocks, tested_blocks=2, embargo_hours=embargo)
    peer = skfolio.CombinatorialPurgedCV(blocks, 2, purged_size=horizon, embargo_size=embargo)
    found = [(list(train), list(np.concatenate(tests))) for train, tests in peer.split(time)]
    assert rows_of(split.folds(time, ends_at)) == found


@given(count=st.integers(1, 5), size=SIZES, train=st.integers(1, 60), horizon=st.integers(0, 12))
@settings(max_examples=volume(20), deadline=None)
def test_walks_forward(skfolio: Any, count: int, size: int, train: int, horizon: int) -> None:
    time, ends_at = hourly(train + horizon + count * size, horizon)
    for window, days in (("rolling", (train + horizon) / 24), ("expanding", None)):
        split = WalkForward.model_validate(
            {
                "fold_count": count,
                "every_days": size / 24,
                "window": window,
                "train_days": days,
            }
        )
        expands = window == "expanding"
        peer = skfolio.WalkForward(size, train, expand_train=expands, purged_size=horizon)
        found = [(list(trained), list(tested)) for trained, tested in peer.split(time)]
        assert rows_of(split.folds(time, ends_at)) == found
