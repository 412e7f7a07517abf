"""Sequence models on recorded candles, whose holes no window may cross."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.build import build
from pipeline.config import Node, read_yaml
from pipeline.errors import DataError
from pipeline.features.feature_set import FeatureSet
from pipeline.fitting.training import labelled_samples
from pipeline.frames import key_by_market
from pipeline.models.base import FeatureTable, Model, Samples
from pipeline.models.probabilities import check_probabilities
from pipeline.models.windows import whole, with_whole_windows
from tests.conftest import CHECKOUT, recorded

pytestmark = pytest.mark.real
HOUR = pd.Timedelta(hours=1)
CONF = CHECKOUT / "conf"
LOOKBACK = 24
NAMES = ["lstm", "lstm_lgbm", "logistic"]


def declared(group: str, name: str) -> Node:
    return read_yaml(CONF / group / f"{name}.yaml")


def short(name: str) -> Model:
    node = declared("model", name)
    if "training" in node:
        node["training"]["max_epochs"] = 2
    made: Model = build(node, name)
    return made


@pytest.fixture
def features() -> FeatureSet:
    made: FeatureSet = build(declared("features", "hourly46"), "hourly46")
    return made


def labelled(candles: pd.DataFrame, features: FeatureSet) -> Samples:
    labels = build(declared("label", "three_class"), "label").compute(candles, "1h")
    keyed = [key_by_market(frame, "KRW") for frame in (features.compute(candles), labels)]
    return labelled_samples(keyed[0], keyed[1], ("sell", "hold", "buy"))


@pytest.fixture
def given(sol: pd.DataFrame, features: FeatureSet) -> Samples:
    """KRW-SOL, whose recorded hole falls into the warm-up."""
    return labelled(sol, features)


@pytest.fixture
def holed(real_data: Path, features: FeatureSet) -> Samples:
    """KRW-BTC with the hours that the venue was away for."""
    return labelled(recorded(real_data / "upbit" / "KRW-BTC-60m.parquet"), features)


def test_windows_of_recorded_candles_have_no_hole(holed: Samples) -> None:
    kept = with_whole_windows(holed, LOOKBACK)
    time = pd.DatetimeIndex(holed.table.index.get_level_values("time"))
    span = time[kept.rows] - time[kept.rows - LOOKBACK + 1]
    assert (span == (LOOKBACK - 1) * HOUR).all()
    holes = np.flatnonzero(np.diff(time) > HOUR)
    assert len(holes) > 0
    lost = len(holed.rows) - len(kept.rows)
    assert LOOKBACK - 1 < lost <= (LOOKBACK - 1) * (1 + len(holes))


@pytest.mark.parametrize("name", NAMES)
def test_recorded_candles_are_learnt_and_predicted(name: str, given: Samples) -> None:
    model = short(name)
    kept = with_whole_windows(given, model.lookback)
    train = kept.take(np.arange(len(kept.rows) - 300))
    fitted = model.fit(train, np.random.default_rng(1))
    found = fitted.predict_proba(given.table, kept.rows[-276:])
    check_probabilities(found)
    assert found.std(axis=0).max() > 0
    again = model.load(fitted.save()).predict_proba(given.table, kept.rows[-276:])
    assert again.tobytes() == found.tobytes()


@pytest.mark.parametrize("name", ["lstm", "lstm_lgbm"])
def test_windows_with_a_hole_are_refused(name: str, holed: Samples) -> None:
    model = short(name)
    with pytest.raises(DataError, match=r"a window is not whole.*the table starts at"):
        model.fit(holed, np.random.default_rng(1))
    fitted = model.fit(with_whole_windows(holed, LOOKBACK), np.random.default_rng(1))
    rows = np.arange(LOOKBACK - 1, len(holed.table.index))
    after_hole = rows[~whole(holed.table, rows, LOOKBACK)]
    for row in (after_hole[0], after_hole[-1]):
        with pytest.raises(DataError, match=r"a hole, candle 20\d\d-.* is missing"):
            fitted.predict_proba(holed.table, np.array([row]))


def test_the_newest_window_live_is_the_one_of_the_table(
    given: Samples, sol: pd.DataFrame, features: FeatureSet
) -> None:
    model = short("lstm")
    fitted = model.fit(with_whole_windows(given, LOOKBACK), np.random.default_rng(1))
    frame = features.newest(sol, LOOKBACK)
    live = FeatureTable.from_frame(key_by_market(frame, "KRW"))
    one = fitted.predict_proba(live, np.array([LOOKBACK - 1]))
    other = fitted.predict_proba(given.table, np.array([len(given.table.index) - 1]))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-4)


def test_a_later_world_does_not_reach_back(given: Samples) -> None:
    model = short("lstm_lgbm")
    kept = with_whole_windows(given, LOOKBACK)
    train = kept.take(np.arange(1000))
    values = given.table.values.copy()
    values[int(train.rows[-1]) + 1 :] *= 3
    spoiled = dataclasses.replace(train, table=dataclasses.replace(given.table, values=values))
    saved = [model.fit(one, np.random.default_rng(1)).save() for one in (train, spoiled)]
    assert saved[0] == saved[1]
