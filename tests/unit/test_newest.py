"""The newest rows of a set, recorded once and run again on later candles."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.arrays import FloatArray
from pipeline.features import newest
from pipeline.features.engine import Plan, Step
from pipeline.features.feature_set import FeatureSet
from pipeline.features.indicators import CandleArrays
from pipeline.features.newest import NewestRows, newest_rows
from pipeline.features.rolling import exponential_mean, rolling_mean
from pipeline.recording import Recording, recording
from tests.oracles.walks import random_walk
from tests.property.test_feature_engine import SETS

ROWS = 3


def arrays(rows: int, seed: int = 1) -> CandleArrays:
    return CandleArrays.from_frame(random_walk(np.random.default_rng(seed), rows, 1e8))


def plan_of(function: object, memory: int) -> Plan:
    assert callable(function)
    return Plan.of([Step(0, function, {}, memory - 1, memory)])


def in_plain_numpy(candles: CandleArrays) -> FloatArray:
    mean: FloatArray = candles.shared(rolling_mean, candles.close, 4)
    return np.log(mean)


def upon_what_is_not_recorded(candles: CandleArrays) -> FloatArray:
    return rolling_mean(np.log(candles.close), 4)


@pytest.mark.parametrize("features", SETS.values(), ids=SETS)
def test_a_recorded_row_is_the_row(features: FeatureSet) -> None:
    plan = features._plan
    whole = arrays(plan.memory + ROWS + 40)
    again = NewestRows(plan)
    for end in range(plan.memory + ROWS, whole.close.size, 7):
        seen = whole.part(0, end)
        for rows in (1, ROWS):
            found = again.table(seen, rows)
            np.testing.assert_array_equal(found, newest_rows(plan, seen, rows))


def changed_in_place(candles: CandleArrays) -> FloatArray:
    mean: FloatArray = rolling_mean(candles.close, 4)
    mean *= 100.0
    return mean


def weighed_by_the_newest_volume(candles: CandleArrays) -> FloatArray:
    weight = 1.0 / (1.0 + float(candles.volume[-1]))
    return exponential_mean(candles.close[-4:], weight, candles.starts)


def one_or_the_other(candles: CandleArrays) -> FloatArray:
    rose = candles.close[-1] > candles.close[-3]
    return rolling_mean(candles.close if rose else candles.open, 3)


@pytest.mark.parametrize(
    "function",
    [
        in_plain_numpy,
        upon_what_is_not_recorded,
        changed_in_place,
        weighed_by_the_newest_volume,
        one_or_the_other,
    ],
)
def test_what_is_no_compiled_function_is_computed_anew(function: object) -> None:
    plan = plan_of(function, 4)
    again, whole = NewestRows(plan), arrays(60)
    found = [again.table(whole.part(0, end), 1)[0, 0] for end in range(10, 60)]
    expected = [newest_rows(plan, whole.part(0, end), 1)[0, 0] for end in range(10, 60)]
    assert found == expected
    assert len({*found}) > 40


def test_a_set_without_room_is_computed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "ARRAYS", 0)
    plan = SETS["hourly46"]._plan
    again, whole = NewestRows(plan), arrays(plan.memory + 9)
    for end in range(plan.memory + 1, plan.memory + 9):
        seen = whole.part(0, end)
        np.testing.assert_array_equal(again.table(seen, 1), newest_rows(plan, seen, 1))


def test_fewer_candles_than_the_memory_are_computed_from_their_first() -> None:
    plan = SETS["hourly46"]._plan
    short = arrays(plan.memory - 1)
    found = NewestRows(plan).table(short, 1)
    np.testing.assert_array_equal(found, newest_rows(plan, short, 1))


def test_threads_do_not_write_over_each_other() -> None:
    plan = SETS["entry37"]._plan
    again = NewestRows(plan)
    markets = [arrays(plan.memory + 1, seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda market: again.table(market, 1), markets * 20))
    for table, market in zip(found, markets * 20, strict=True):
        np.testing.assert_array_equal(table, newest_rows(plan, market, 1))


def test_only_the_thread_that_records_is_recorded() -> None:
    into = Recording(1000)
    values = into.array(50)
    with recording(into), ThreadPoolExecutor(1) as other:
        other.submit(rolling_mean, values, 3).result()
        assert not into.calls
        rolling_mean(values, 3)
    rolling_mean(values, 3)
    assert len(into.calls) == 1
