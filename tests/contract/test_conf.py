"""What every option of conf/ promises. A YAML dropped into conf/ is found here by itself."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.build import TARGET, build
from pipeline.code_digest import code_of
from pipeline.config import Node, read_yaml
from pipeline.configuration.choices import GROUPS, NONE
from pipeline.configuration.compose import read_root
from pipeline.configuration.conf_options import options
from pipeline.configuration.exchange_sources import with_sources
from pipeline.configuration.extended_sets import read_feature_set
from pipeline.configuration.pool_members import with_members
from pipeline.errors import ConfigError, DataError
from pipeline.experiments.search_space import Search, read_search
from pipeline.experiments.subject import Subject, Tuning, check_tuning
from pipeline.frames import key_by_market
from pipeline.market.candles import TIMEFRAMES, USUAL, duration, moment
from pipeline.market.exchanges.base import Exchange, Market
from pipeline.market.pool import parse_market
from pipeline.models.base import FeatureTable, Model, Samples
from pipeline.models.probabilities import check_probabilities
from pipeline.runner import STAGES
from pipeline.splits.fold import Fold, Split, check_folds
from tests.conftest import AS_OF
from tests.spine import CONF, chosen, planned
from tests.volume import volume

HOUR = pd.Timedelta(hours=1)
TIMEFRAME = "1h"
NETWORK = {"ccxt", "pyupbit", "requests", "httpx", "aiohttp"}
SMALL = {"n_estimators": 20, "epochs": 2, "max_epochs": 2}
FOLDERS = sorted(folder.name for folder in CONF.iterdir() if folder.is_dir())


def built(group: str, name: str, **given: Any) -> Any:
    path = CONF / group / f"{name}.yaml"
    node = read_feature_set(CONF, name) if group == "features" else read_yaml(path)
    return build({**node, **given}, f"{group}={name}", read_root(CONF).plugins)


def offline(name: str) -> bool:
    """Whether an exchange answers here: reachable as it is, and not over the network."""
    target = str(read_yaml(CONF / "exchange" / f"{name}.yaml")[TARGET])
    libraries = code_of([target.rpartition(".")[0]], read_root(CONF).plugins).libraries
    return not NETWORK & set(libraries) and built("exchange", name).reachable


every_model = pytest.mark.parametrize("name", options(CONF, "model"))
every_split = pytest.mark.parametrize("name", options(CONF, "split"))
every_exchange = pytest.mark.parametrize(
    "name", [name for name in options(CONF, "exchange") if offline(name)]
)


def test_options_are_found() -> None:
    assert {*GROUPS, "validation"} <= set(FOLDERS)
    for group in FOLDERS:
        assert options(CONF, group), f"conf/{group} holds no option"
        strangers = [path.name for path in (CONF / group).iterdir() if path.suffix != ".yaml"]
        assert strangers == []


def word_for(group: str, name: str) -> list[str]:
    if group == "tune" and name != NONE:
        own = read_yaml(CONF / group / f"{name}.yaml")["recipe"]
        return [f"tune={name}", f"recipe={own}", "exchange=simulated"]
    if group in GROUPS:
        words = ["exchange=simulated"] if group != "exchange" else []
        of_trades = group == "features" and built(group, name).of_trades
        return [f"{group}={name}", *words, *(["label=long_exit"] if of_trades else [])]
    return [f"recipe.{group}={name}"] if group == "validation" else []


@pytest.mark.parametrize(
    ("group", "name"),
    [(group, name) for group in FOLDERS for name in options(CONF, group)],
    ids=[f"{group}/{name}" for group in FOLDERS for name in options(CONF, group)],
)
def test_an_option_composes_and_builds(group: str, name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name)
    if words := word_for(group, name):
        plan = planned(*words)
        assert set(plan.stages) == {*STAGES}
    if TARGET in read_yaml(CONF / group / f"{name}.yaml"):
        built(group, name)


@pytest.mark.parametrize("name", options(CONF, "recipe"))
def test_a_recipe_plans_on_the_simulated_exchange(name: str) -> None:
    plan = planned(f"recipe={name}", "exchange=simulated")
    assert plan.run.recipe == name
    assert plan.run.market.name in options(CONF, "market")
    assert plan.stages["train"]["heads"].keys() == plan.stages["evaluate"]["heads"].keys()
    for head in plan.stages["train"]["heads"].values():
        assert head["feature_set"] in plan.stages["features"]["sets"]


@pytest.mark.parametrize("name", options(CONF, "market"))
def test_a_market_says_what_and_where_and_what_it_costs(name: str) -> None:
    node = with_members(read_yaml(CONF / "market" / f"{name}.yaml"), CONF)
    market = parse_market(node, name)
    assert market.name == name
    assert {Market} == {type(member) for member in market.members}
    assert re.fullmatch(r"[a-z][a-z0-9_]*", market.exchange)
    assert len(market.source) > 20, "say where the costs were read"


# models


@functools.cache
def samples(classes: int, present: tuple[int, ...] = ()) -> Samples:
    """600 rows of five columns, the first of which tells the class."""
    rng = np.random.default_rng(11)
    values = rng.normal(size=(600, 5))
    edges = np.quantile(values[:, 0], np.arange(1, classes) / classes)
    label = np.searchsorted(edges, values[:, 0] + 0.3 * rng.normal(size=600)).astype("int8")
    time = pd.date_range("2025-01-01", periods=600, freq="h", tz="UTC", name="time").as_unit("ms")
    frame = pd.DataFrame(values, index=time, columns=[*"abcd", "atr"])
    rows = np.flatnonzero(np.isin(label, present or range(classes)))
    rows = rows[rows >= 100]
    names = ("sell", "hold", "buy", "more")[:classes]
    table = FeatureTable.from_frame(key_by_market(frame, "SIM-BTC"))
    weight = rng.uniform(0.1, 1.0, len(rows))
    return Samples(
        table=table,
        rows=rows,
        label=label[rows],
        weight=weight,
        ends_at=time[rows] + pd.Timedelta("3h"),
        classes=names,
    )


def model_of(name: str) -> Model:
    made: Model = built("model", name, **small(read_yaml(CONF / "model" / f"{name}.yaml")))
    return made


def small(node: Node) -> Node:
    """The same model, cheap to fit; parts of it too."""
    return {key: small(x) if isinstance(x, dict) else SMALL.get(key, x) for key, x in node.items()}


def changed(table: FeatureTable, **fields: Any) -> FeatureTable:
    told = {"columns": table.columns, "values": table.values, "index": table.index, **fields}
    return FeatureTable(**told)


@every_model
@pytest.mark.parametrize("classes", [2, 3])
def test_a_model_is_the_same_after_saving(name: str, classes: int) -> None:
    model, given = model_of(name), samples(classes)
    files = model.fit(given, np.random.default_rng(5)).save()
    assert files == model.fit(given, np.random.default_rng(5)).save()
    assert all(re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9]+)+", file) for file in files)
    assert not any(content.startswith(b"\x80") for content in files.values()), "a pickle"
    fitted, again = model.fit(given, np.random.default_rng(5)), model.load(files)
    assert again.columns == fitted.columns == given.table.columns
    one = fitted.predict_proba(given.table, given.rows)
    assert one.tobytes() == again.predict_proba(given.table, given.rows).tobytes()
    assert again.save() == files
    assert again.report() == fitted.report()
    assert json.loads(json.dumps(fitted.report(), allow_nan=False)) == fitted.report()


@every_model
@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_probabilities(name: str, classes: int) -> None:
    given = samples(classes)
    fitted = model_of(name).fit(given, np.random.default_rng(5))
    found = fitted.predict_proba(given.table, given.rows)
    assert found.shape == (len(given.rows), classes)
    assert found.dtype == np.float64
    check_probabilities(found)
    single = fitted.predict_proba(given.table, given.rows[-1:])
    assert np.allclose(single, found[-1:], rtol=0, atol=1e-12)


@every_model
@pytest.mark.parametrize("present", [(0, 2), (1, 2), (1,)])
def test_a_class_that_training_lacks_keeps_its_column(name: str, present: tuple[int, ...]) -> None:
    given = samples(3, present)
    fitted = model_of(name).fit(given, np.random.default_rng(5))
    found = fitted.predict_proba(given.table, given.rows)
    assert found.shape == (len(given.rows), 3)
    check_probabilities(found)
    absent = [one for one in range(3) if one not in present]
    assert (found[:, absent].mean(axis=0) < 0.1).all()


@every_model
def test_columns_in_another_order_are_refused_by_name(name: str) -> None:
    given = samples(3)
    fitted = model_of(name).fit(given, np.random.default_rng(5))
    table = given.table
    turned = changed(table, columns=("a", "c", "b", "d", "atr"))
    with pytest.raises(DataError, match=r"not the model's columns.*c at position 1.*b"):
        fitted.predict_proba(turned, given.rows)
    fewer = changed(table, columns=table.columns[:4], values=table.values[:, :4])
    with pytest.raises(DataError, match="4 columns"):
        fitted.predict_proba(fewer, given.rows)


@every_model
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_by_name(name: str, bad: float) -> None:
    given = samples(3)
    fitted = model_of(name).fit(given, np.random.default_rng(5))
    values = given.table.values.copy()
    values[given.rows[-1], 3] = bad
    with pytest.raises(DataError, match=r"not finite.*column d"):
        fitted.predict_proba(changed(given.table, values=values), given.rows)


@every_model
def test_chance_comes_from_the_generator_alone(name: str) -> None:
    model, given = model_of(name), samples(3)
    before = (given.table.values.copy(), given.label.copy(), given.weight.copy())
    np.random.seed(1)  # noqa: NPY002
    one = model.fit(given, np.random.default_rng(5)).save()
    drawn = np.random.random()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert drawn == np.random.random()  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert model.fit(given, np.random.default_rng(5)).save() == one
    after = (given.table.values, given.label, given.weight)
    assert [one.tobytes() for one in before] == [one.tobytes() for one in after]


@every_model
def test_rows_that_were_not_given_change_nothing(name: str) -> None:
    model, given = model_of(name), samples(3)
    assert 1 <= model.lookback <= 100
    cut = int(given.rows[250]) + 1
    known = given.take(np.arange(251))
    spoiled = given.table.values.copy()
    spoiled[cut:] = 1e6
    dirty = Samples(
        table=changed(given.table, values=spoiled),
        rows=known.rows,
        label=known.label,
        weight=known.weight,
        ends_at=known.ends_at,
        classes=known.classes,
    )
    clean = model.fit(known, np.random.default_rng(5))
    assert model.fit(dirty, np.random.default_rng(5)).save() == clean.save()
    one = clean.predict_proba(given.table, known.rows)
    assert np.array_equal(one, clean.predict_proba(dirty.table, known.rows))


# splits


@functools.cache
def split_of(name: str) -> Split:
    """A split as a run is given it, with what compose derives."""
    node = planned(f"split={name}", "exchange=simulated").stages["train"]["split"]
    found: Split = build(node, f"split={name}", read_root(CONF).plugins)
    return found


def moments_of(hours: Any) -> pd.DatetimeIndex:
    start = pd.Timestamp("2025-01-01", tz="UTC")
    return pd.DatetimeIndex(start + pd.to_timedelta(np.asarray(hours), unit="h"))


def rows_of(
    lengths: list[int], gaps: list[int], markets: int = 1
) -> tuple[pd.DatetimeIndex, pd.DatetimeIndex]:
    """Rows half a day apart, in order of market and time, each with a label of so many hours."""
    hours = np.tile(12 * np.cumsum(np.resize(gaps, len(lengths) // markets)), markets)
    return moments_of(hours), moments_of(hours + np.array(lengths) + 1)


def windows_of(
    test: np.ndarray, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex
) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """First open and last end of each run of moments that are all tested."""
    tested: dict[pd.Timestamp, pd.Timestamp] = {}
    for row in test:
        tested[time[row]] = max(ends_at[row], tested.get(time[row], ends_at[row]))
    windows, unbroken = [], False
    for opens in sorted(set(time)):
        if opens in tested and unbroken:
            windows[-1] = (windows[-1][0], max(windows[-1][1], tested[opens]))
        elif opens in tested:
            windows.append((opens, tested[opens]))
        unbroken = opens in tested
    return windows


def apart(split: Split, time: pd.DatetimeIndex, ends_at: pd.DatetimeIndex) -> list[Fold]:
    """The folds, when no training label's interval touches the window of a tested block."""
    folds = split.folds(time, ends_at)
    check_folds(folds, time, ends_at)
    assert folds
    for fold in folds:
        assert len(np.unique(fold.train)) == len(fold.train)
        assert len(np.unique(fold.test)) == len(fold.test)
        assert not np.isin(fold.train, np.concatenate([fold.test, fold.purged])).any()
        for opens, closes in windows_of(fold.test, time, ends_at):
            assert all((ends_at[fold.train] <= opens) | (time[fold.train] >= closes))
    return folds


@every_split
@given(
    lengths=st.lists(st.integers(1, 200), min_size=300, max_size=300),
    gaps=st.lists(st.integers(1, 3), min_size=1, max_size=50),
    markets=st.integers(1, 2),
)
@settings(max_examples=volume(15), deadline=None)
def test_no_training_label_reaches_into_a_test(
    name: str, lengths: list[int], gaps: list[int], markets: int
) -> None:
    apart(split_of(name), *rows_of(lengths, gaps, markets))


@every_split
@given(
    offsets=st.lists(st.integers(0, 71), min_size=62, max_size=62),
    lengths=st.lists(st.integers(1, 72), min_size=62, max_size=62),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=volume(10), deadline=None)
def test_a_trade_is_never_on_both_sides(
    name: str, offsets: list[int], lengths: list[int], seed: int
) -> None:
    entries = [36 * trade + offset for trade, offset in enumerate(offsets)]
    rows = [
        (trade, entries[trade] + hour, entries[trade] + length + 1)
        for trade, length in enumerate(lengths)
        for hour in range(0, length, 4)
    ]
    trade, opened, ended = np.random.default_rng(seed).permutation(rows).T
    for fold in apart(split_of(name), moments_of(opened), moments_of(ended)):
        assert len(np.intersect1d(trade[fold.train], trade[fold.test])) == 0


@every_split
def test_a_split_depends_on_moments_alone(name: str) -> None:
    split = split_of(name)
    time, ends_at = rows_of([24] * 400, [1])
    one, again = split.folds(time, ends_at), split.folds(time, ends_at)
    later = split.folds(time + pd.Timedelta(days=70), ends_at + pd.Timedelta(days=70))
    for other in (again, later):
        for fold, same in zip(one, other, strict=True):
            assert np.array_equal(fold.train, same.train)
            assert np.array_equal(fold.test, same.test)


@every_split
def test_too_few_rows_are_told(name: str) -> None:
    time, ends_at = rows_of([48] * 3, [1])
    with pytest.raises(DataError, match="too few rows"):
        check_folds(split_of(name).folds(time, ends_at), time, ends_at)


# exchanges


@pytest.mark.parametrize("name", options(CONF, "exchange"))
def test_an_exchange_keeps_its_promises(name: str) -> None:
    plugins = read_root(CONF).plugins
    node = with_sources(read_yaml(CONF / "exchange" / f"{name}.yaml"), CONF, plugins)
    exchange: Exchange = build(node, f"exchange={name}", plugins)
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", exchange.feed)
    assert isinstance(exchange.reachable, bool)
    assert isinstance(exchange.omits_empty, bool)
    assert set(exchange.timeframes) <= set(TIMEFRAMES)
    assert exchange.timeframes
    for promised in (exchange.fetch, exchange.newest, exchange.first_candle):
        assert callable(promised)


@every_exchange
@pytest.mark.parametrize("timeframe", ["5m", TIMEFRAME, "1d"])
def test_candles_are_closed_on_the_grid_and_independent_of_cuts(name: str, timeframe: str) -> None:
    exchange: Exchange = built("exchange", name)
    market = Market.parse(read_yaml(CONF / "market/SIM-BTC.yaml"), "SIM-BTC")
    step, end = duration(timeframe), moment(AS_OF) + pd.Timedelta(minutes=2)
    start = end - 60 * step
    whole = exchange.fetch(market, timeframe, start, end)
    assert list(whole.columns) == list(USUAL)
    assert (whole.dtypes == "float64").all()
    time = pd.DatetimeIndex(whole.index)
    assert str(time.tz) == "UTC"
    assert time.is_monotonic_increasing
    assert time.is_unique
    assert (time == time.floor(step)).all()
    assert whole.index[0] >= start
    assert whole.index[-1] + step <= end
    assert exchange.newest(market, timeframe, end) == whole.index[-1]
    for middle in (start + 1.5 * step, start + 30 * step, end - 0.5 * step):
        cut = middle.floor(step)
        parts = [exchange.fetch(market, timeframe, *ends) for ends in ((start, cut), (cut, end))]
        again = built("exchange", name).fetch(market, timeframe, cut, end)
        pd.testing.assert_frame_equal(pd.concat(parts), whole, check_exact=True, check_freq=False)
        pd.testing.assert_frame_equal(again, parts[1], check_exact=True, check_freq=False)


@every_exchange
def test_nothing_is_an_empty_frame(name: str) -> None:
    exchange: Exchange = built("exchange", name)
    market = Market.parse(read_yaml(CONF / "market/SIM-BTC.yaml"), "SIM-BTC")
    end = moment(AS_OF)
    for start in (end, end + HOUR, end - pd.Timedelta(minutes=30)):
        empty = exchange.fetch(market, TIMEFRAME, start, end)
        assert len(empty) == 0
        assert list(empty.columns) == list(USUAL)
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", exchange.feed)


# searches


@pytest.mark.parametrize("name", options(CONF, "search"))
def test_a_search_fits_a_model(name: str) -> None:
    """The model it is named after, or any; both ends of every range and every choice compose."""
    search, models = read_search(CONF, name), options(CONF, "model")
    own = [name] if name in models else models
    assert any(fits(search, model) for model in own)


def fits(search: Search, model: str) -> bool:
    choices = chosen(f"model={model}")
    tuning = Tuning(Subject.of(choices, CONF), search, 1)
    try:
        return check_tuning(tuning).keys() == search.space.keys()
    except ConfigError:
        if model == search.name:
            raise
        return False


def test_something_is_looked_at() -> None:
    assert "simulated" in [name for name in options(CONF, "exchange") if offline(name)]
    told: Node = read_yaml(CONF / "features/hourly46.yaml")
    assert len(told["columns"]) == len(built("features", "hourly46").names)
