"""Features as they are declared, and their values on stored candles: what a person looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.build import build
from pipeline.configuration.compose import read_root
from pipeline.configuration.extended_sets import read_feature_set
from pipeline.errors import ConfigError, DataError, nearest
from pipeline.features.feature_set import FeatureSet
from pipeline.frames import key_by_market, of_market
from pipeline.market.candles import TIME, duration, moment
from pipeline.market.series import Series
from pipeline.operations.target import UNKNOWN_YET, Target, resolve
from pipeline.stages import features as stage

AS_OF = "as_of="


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: the open of its candle, and of its trade's entry candle, if any."""

    time: pd.Timestamp
    trade: pd.Timestamp | None
    values: pd.Series


@dataclass(frozen=True, slots=True)
class Rows:
    """A feature set over one market's stored candles.

    `table` is keyed time, or (trade, time), and holds every row that training would see of
    these candles; `candles` are keyed time.
    """

    features: FeatureSet
    series: Series
    candles: pd.DataFrame
    table: pd.DataFrame

    @property
    def deviation(self) -> pd.Series:
        """Standard deviation of each column over all rows."""
        return self.table.std()

    def at(self, at: pd.Timestamp | None = None) -> Row:
        """The row of the candle that a moment lies in; the newest row without one.

        Of trades that are open together, that of the newest.

        Raises
        ------
        DataError
            When there is no such candle, or it has no row.
        """
        times = pd.DatetimeIndex(self.table.index.get_level_values(TIME))
        time = times.max() if at is None else at.floor(duration(self.series.timeframe))
        found = self.table[times == time]
        if found.empty:
            raise self._no_row(time, times)
        key = found.index[-1]
        trade = key[0] if isinstance(key, tuple) else None
        return Row(time, trade, found.iloc[-1])

    def read(self, column: str, row: Row) -> pd.DataFrame:
        """The candles that a column read for a row: its memory, and back to the trade's entry."""
        spec = self.features.columns[column]
        until = self.candles.loc[: row.time, list(spec.reads)]
        since = 0 if row.trade is None else len(until.loc[row.trade :])
        return until.iloc[-max(spec.memory, since if spec.of_trade else 0) :]

    def _no_row(self, time: pd.Timestamp, times: pd.DatetimeIndex) -> DataError:
        place = self.candles.index.searchsorted(time)
        if time not in self.candles.index:
            why = "there is no candle of that moment"
        elif place < self.features.warm_up:
            why = "the candle lies in the warm-up"
        else:
            why = "no trade has a row at that candle: none has been open for long enough"
        return DataError(
            why,
            where=f"{self.series}, feature set {self.features.name}",
            found=time.isoformat(),
            expected=f"a candle of {times.min().isoformat()} to {times.max().isoformat()}",
            fix="choose another at=, or vintage data sync",
        )


def declared(name: str, conf: Path) -> FeatureSet:
    """A feature set of conf/features, without any candle.

    Raises
    ------
    ConfigError
        When there is no such set, or its file is wrong.
    """
    made: FeatureSet = build(
        read_feature_set(conf, name), f"features={name}", read_root(conf).plugins
    )
    return made


def stored_rows(words: Sequence[str], conf: Path, home: Path, now: pd.Timestamp) -> Rows:
    """Features of the market that words name, over its candles in the store, up to as_of.

    Nobody is asked for newer candles; without as_of all stored candles count.

    Raises
    ------
    ConfigError
        When a word names nothing, or the recipe's heads have several feature sets.
    DataError
        When the store has no candle of the market, or too few.
    """
    cut = any(word.startswith(AS_OF) for word in words)
    given = words if cut else [*words, f"{AS_OF}{UNKNOWN_YET}"]
    target = resolve(given, conf, home, now)
    end, market = moment(target.plan.run.as_of) if cut else None, target.only_market.name
    candles = target.store.read(target.series, end=end)
    if candles.empty:
        raise _nothing_stored(target)
    config = stage.Config.parse(target.plan.stages["features"], "features")
    name = _only(config)
    features: FeatureSet = build(config.sets[name], f"features={name}", target.plan.plugins)
    keyed = key_by_market(candles, market)
    rule = config.trades.get(name)
    table = stage.compute(keyed, features, rule, config.timeframe, config.lookback)
    return Rows(features, target.series, candles, of_market(table, market))


def column_of(features: FeatureSet, name: str) -> str:
    """A column's name, once it is known to exist.

    Raises
    ------
    ConfigError
        Naming the nearest.
    """
    if name not in features.columns:
        raise ConfigError(
            f"there is no column '{name}'",
            where=f"feature set {features.name}",
            fix=nearest(name, features.columns),
        )
    return name


def _only(config: stage.Config) -> str:
    if len(config.sets) > 1:
        raise ConfigError(
            "the heads of the recipe have several tables of features",
            found=", ".join(sorted(config.sets)),
            fix="choose one: features=SET, and label=LABEL where the set has columns of trades",
        )
    return next(iter(config.sets))


def _nothing_stored(target: Target) -> DataError:
    run = target.plan.run
    words = f"recipe={run.recipe} market={run.market.name} exchange={run.exchange}"
    return DataError(
        "the store has no candle of that market",
        where=str(target.series),
        fix=f"vintage data sync {words}, or vintage data status for what there is",
    )
