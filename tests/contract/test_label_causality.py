"""What every option of conf/label promises. A YAML dropped in there is found here by itself."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.configuration.compose import read_root
from pipeline.configuration.conf_options import options
from pipeline.market.candles import moment
from pipeline.market.exchanges.base import Market
from pipeline.market.exchanges.simulated import Simulated
from tests.conftest import AS_OF
from tests.spine import CONF
from tests.volume import volume

HOUR = pd.Timedelta(hours=1)
TIMEFRAME, ROWS = "1h", 900
CUTS = np.linspace(2, ROWS - 1, volume(50)).astype(int)
every_label = pytest.mark.parametrize("name", options(CONF, "label"))


@functools.cache
def label_of(name: str) -> Any:
    return build(read_yaml(CONF / "label" / f"{name}.yaml"), name, read_root(CONF).plugins)


@functools.cache
def candles() -> pd.DataFrame:
    """Simulated candles, three of them missing."""
    market, end = Market.parse(read_yaml(CONF / "market/SIM-BTC.yaml"), "SIM-BTC"), moment(AS_OF)
    whole = Simulated().fetch(market, TIMEFRAME, end - (ROWS + 3) * HOUR, end)
    return whole.drop(index=whole.index[[300, 301, 640]])


def known(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The label, or the outcome it is learned from, and when it was known."""
    return label_of(name).compute(frame, TIMEFRAME).iloc[:, :2]


def until(frame: pd.DataFrame, known_at: pd.Timestamp) -> pd.DataFrame:
    return frame[frame["ends_at"] <= known_at]


@every_label
def test_a_label_is_known_later_than_its_candle(name: str) -> None:
    whole, label = candles(), label_of(name)
    found = label.compute(whole, TIMEFRAME)
    time = pd.DatetimeIndex(found.index.get_level_values("time"))
    assert len(found) > 400
    assert found.index.names == (["trade", "time"] if label.trades else ["time"])
    assert list(found.columns) == [found.columns[0], "ends_at", "weight"]
    assert found.index.is_monotonic_increasing
    assert found.index.is_unique
    assert time.isin(whole.index).all()
    assert (found["ends_at"] > time + HOUR).all()
    assert (found["ends_at"] <= whole.index[-1] + HOUR).all()
    assert found["weight"].between(0, 1, inclusive="right").all()
    assert len(set(label.classes)) == len(label.classes) > 1
    value = found[found.columns[0]]
    if hasattr(label, "learn"):
        assert value.name == "outcome"
        assert np.isfinite(value).all()
        value = pd.Series(label.learn(value.to_numpy()).assign(value.to_numpy()), found.index)
    else:
        assert value.name == "label"
    assert value.dtype == np.int8
    assert set(value) == set(range(len(label.classes)))


@every_label
def test_a_cut_series_has_the_labels_known_by_then_and_no_other(name: str) -> None:
    whole = candles()
    full = known(name, whole)
    for cut in CUTS:
        known_at = whole.index[cut - 1] + HOUR
        pd.testing.assert_frame_equal(
            known(name, whole.iloc[:cut]),
            until(full, known_at),
            check_freq=False,
            check_exact=True,
        )


@every_label
def test_no_label_changes_after_it_ends(name: str) -> None:
    whole, rng = candles(), np.random.default_rng(5)
    full = known(name, whole)
    changed = 0
    for cut in CUTS:
        known_at = whole.index[cut - 1] + HOUR
        spoiled = whole.copy()
        spoiled.iloc[cut:] *= rng.uniform(0.2, 5, (len(whole) - cut, 1))
        again, ended = known(name, spoiled), until(full, known_at)
        pd.testing.assert_frame_equal(
            until(again, known_at), ended, check_freq=False, check_exact=True
        )
        changed += not again.equals(full)
    assert changed > len(CUTS) / 2, "the candles after the cut do not reach the labels at all"


@every_label
def test_a_label_depends_on_what_it_waits_for(name: str) -> None:
    whole = candles()
    full = known(name, whole)
    row = full.index[len(full) // 2]
    before = whole[pd.DatetimeIndex(whole.index) + HOUR < full.loc[row, "ends_at"]]
    again = known(name, before)
    assert row not in again.index or again.loc[row, "ends_at"] != full.loc[row, "ends_at"]


def test_a_threshold_learned_from_the_whole_series_would_be_caught() -> None:
    """What a label that learns would be if it gave classes itself instead of outcomes."""
    label, whole = label_of("high_vol"), candles()

    def peeking(frame: pd.DataFrame) -> pd.DataFrame:
        found = label.compute(frame, TIMEFRAME)
        outcomes = found["outcome"].to_numpy()
        return found.assign(outcome=label.learn(outcomes).assign(outcomes)).iloc[:, :2]

    full, caught = peeking(whole), 0
    for cut in CUTS[len(CUTS) // 4 :]:
        known_at = whole.index[cut - 1] + HOUR
        caught += not peeking(whole.iloc[:cut]).equals(until(full, known_at))
    assert caught > len(CUTS) / 2
