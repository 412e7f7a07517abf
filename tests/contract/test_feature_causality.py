"""What every set of conf/features promises. A YAML dropped in there is found here by itself."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from pipeline.configuration.conf_options import options
from pipeline.features.feature_set import FeatureSet
from pipeline.market.candles import moment
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.simulated import Simulated
from tests.causality import SETS, Compute, leaking, part, tables
from tests.conftest import AS_OF
from tests.spine import CONF

HOUR = pd.Timedelta(hours=1)
TIMEFRAME, CUTS = "1h", 50
VIEWS = {
    f"{name}-{view}": made
    for name, features in SETS.items()
    for view, made in tables(features, TIMEFRAME).items()
}
Leak = Callable[[pd.DataFrame], pd.Series]
every_set = pytest.mark.parametrize("name", SETS)
every_table = pytest.mark.parametrize("view", VIEWS)


@functools.cache
def candles(rows: int) -> pd.DataFrame:
    """The newest simulated candles before the demo's as_of, one of them missing."""
    market, end = Instrument(name="SIM-BTC", symbol="SIM-BTC"), moment(AS_OF)
    whole = Simulated().fetch(market, TIMEFRAME, end - (rows + 1) * HOUR, end)
    holed: pd.DataFrame = whole.drop(index=whole.index[rows // 2])
    return holed


def cuts_of(features: FeatureSet, rows: int) -> list[int]:
    """Half of them inside the warm-up, where there is one."""
    inside = np.linspace(1, max(features.warm_up, 2), CUTS // 2)
    later = np.linspace(features.warm_up + 1, rows - 1, CUTS - CUTS // 2)
    return [int(cut) for cut in (*inside, *later)]


def test_every_set_is_looked_at() -> None:
    assert set(SETS) == set(options(CONF, "features"))
    assert {view.split("-")[1] for view in VIEWS} == {
        *("candles", "long", "short", "long whole", "short whole")
    }


@every_set
def test_columns_are_unique_finite_and_as_declared(name: str) -> None:
    features = SETS[name]
    assert features.name == name
    assert len(set(features.names)) == len(features.names)
    for column, spec in features.columns.items():
        assert 0 <= spec.warm_up < spec.memory, column
    frame = candles(features.memory + 700)
    for view, (columns, compute) in tables(features, TIMEFRAME).items():
        whole = compute(frame)
        if view == "candles":
            whole = columns.compute(frame)
            assert len(whole) == len(frame) - columns.warm_up
        assert tuple(whole.columns) == columns.names
        assert np.isfinite(whole.to_numpy()).all()
        assert (whole.dtypes == "float64").all()


@every_table
def test_no_feature_sees_the_future(view: str) -> None:
    features, compute = VIEWS[view]
    rows = features.warm_up + 500
    cuts = cuts_of(features, rows)
    assert len(cuts) == CUTS
    assert len(compute(candles(rows))) > 200
    assert leaking(compute, candles(rows), cuts) == {}


@every_set
def test_the_newest_rows_are_those_of_training(name: str) -> None:
    features, compute = tables(SETS[name], TIMEFRAME)["candles"]
    whole = candles(features.memory + 420)
    everything = compute(whole).iloc[features.warm_up :]
    for rows in (1, 24):
        newest = features.newest(whole, rows)
        assert newest.index.equals(whole.index[-rows:])
        apart = (newest - everything.iloc[-rows:]).abs().max()
        assert (apart <= 1e-12 * everything.std()).all()


@every_table
def test_prices_and_volumes_in_other_units_change_no_scale_free_column(view: str) -> None:
    """Prices by one constant and volumes by another: all of `scale_free`, and every such column."""
    features, compute = VIEWS[view]
    whole = candles(features.warm_up + 600)
    table = compute(whole)
    free = [name for name, spec in features.columns.items() if spec.scale_free]
    if view.startswith("scale_free"):
        assert free == list(features.names)
    unit = {name: spec.unit for name, spec in features.columns.items()}
    for price, volume in ((3.7e-7, 250.0), (1234.5, 0.017)):
        other = whole.copy()
        other[["open", "high", "low", "close"]] *= price
        other["volume"] *= volume
        other["value"] *= price * volume
        scaled = compute(other)
        for name in free:
            if unit[name] != "base volume":
                apart = (scaled[name] - table[name]).abs().max()
                assert apart <= 1e-9 * table[name].std(), name


@every_set
def test_another_order_of_columns_is_another_feature_set(name: str) -> None:
    features = SETS[name]
    again = part(features, features.names)
    assert again.digest == features.digest
    assert part(features, features.names[::-1]).digest != features.digest


# what the checker is worth: leaks that somebody could write


def shifted(frame: pd.DataFrame) -> pd.Series:
    """The close of the next candle."""
    return frame["close"].shift(-1)


def centred(frame: pd.DataFrame) -> pd.Series:
    """A mean whose window lies around its row."""
    return frame["close"].rolling(21, center=True).mean()


def scaled_by_all(frame: pd.DataFrame) -> pd.Series:
    """Scaled by the mean and deviation of the whole series."""
    return (frame["close"] - frame["close"].mean()) / frame["close"].std()


def future_pivot(frame: pd.DataFrame) -> pd.Series:
    """A pivot told at its own candle, not when the candles behind it have confirmed it."""
    high = frame["high"]
    return (high == high.rolling(7, center=True, min_periods=1).max()).astype("float64")


def filled_back(frame: pd.DataFrame) -> pd.Series:
    """A warm-up filled with the first value that comes after it."""
    return frame["close"].rolling(20).mean().bfill()


LEAKS = (shifted, centred, scaled_by_all, future_pivot, filled_back)


def beside_honest(leak: Leak) -> Compute:
    """A leak as one more column of an honest table."""
    honest = part(SETS["hourly46"], ["rsi", "sma_20", "ema_100"])
    return lambda frame: honest.compute_all(frame).assign(leak=leak(frame))


@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_caught(leak: Leak) -> None:
    caught = leaking(beside_honest(leak), candles(700), cuts_of(SETS["hourly46"], 700))
    assert set(caught) == {"leak"}


def test_a_fill_from_behind_shows_inside_the_warm_up_alone() -> None:
    """Why half of the cuts lie there."""
    compute = beside_honest(filled_back)
    assert leaking(compute, candles(700), [*range(40, 700, 60)]) == {}
    assert set(leaking(compute, candles(700), [3, 11])) == {"leak"}


def test_a_row_that_later_candles_decide_is_caught() -> None:
    """Such as rows kept of those trades alone that went on for long enough."""

    def survivors(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.iloc[:-5]

    assert set(leaking(survivors, candles(300), [100, 200])) == {"rows"}
