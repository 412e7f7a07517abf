"""The refit beside the last fold's model, on recorded candles."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.build import build
from pipeline.fitting.training import TrainedHead, labelled_samples, train_head
from pipeline.frames import key_by_market
from pipeline.labels.three_class import ThreeClass
from pipeline.splits.holdout import Holdout
from tests.unit.test_predictor import SET, TREES

pytestmark = pytest.mark.real
HOURS = 24


def trained(sol: pd.DataFrame, seed: int = 7) -> TrainedHead:
    label = ThreeClass(horizon_hours=HOURS, threshold=0.01)
    features, labels = (
        key_by_market(frame, "KRW-SOL") for frame in (SET.compute(sol), label.compute(sol, "1h"))
    )
    samples = labelled_samples(features, labels, label.classes)
    return train_head(samples, build(TREES, "model"), Holdout(test_share=0.25), seed)


def test_a_refit_on_recorded_candles_is_certified_on_rows_that_the_fold_did_not_know(
    sol: pd.DataFrame,
) -> None:
    head = trained(sol)
    found = head.certification
    assert found is not None
    assert found.unlabelled_rows == HOURS
    assert found.rows == len(head.folds[0].test) + HOURS
    assert found.rank_correlation is not None
    assert -1 < found.rank_correlation < 1, "one procedure, another quarter of the rows"
    assert np.isfinite([found.signal_rate, found.fold_signal_rate]).all()
    assert trained(sol).certification == found
