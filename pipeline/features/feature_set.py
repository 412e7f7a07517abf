"""A feature set: an ordered table of columns, and how it is computed from candles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, field_serializer, field_validator

from pipeline.arrays import FloatArray
from pipeline.config import Node, Record
from pipeline.errors import ConfigError, DataError
from pipeline.features.column import ColumnSpec
from pipeline.features.columns_digest import columns_digest
from pipeline.features.engine import Plan, every_row, first_broken, later_rows
from pipeline.features.indicators import CandleArrays
from pipeline.features.newest import NewestRows
from pipeline.market.trades import TradeRows

if TYPE_CHECKING:
    import pandas as pd


class FeatureSet(Record):
    """Columns in the order in which models see them.

    In YAML `columns` is a mapping from column name to indicator and arguments, or a list
    of the same mappings with a ``name`` each. Only the list keeps its order in key-sorted
    files, so it is the form that `model_dump` and `to_list` give.
    """

    name: Annotated[str, Field(min_length=1)]
    columns: Annotated[dict[str, ColumnSpec], Field(min_length=1)]

    @field_validator("columns", mode="before")
    @classmethod
    def _named(cls, columns: Any) -> Any:
        return _by_name(columns) if isinstance(columns, list | tuple) else columns

    @field_serializer("columns")
    def _in_order(self, columns: dict[str, ColumnSpec]) -> list[Node]:
        return [{"name": name, **spec.model_dump()} for name, spec in columns.items()]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(self.columns)

    @cached_property
    def warm_up(self) -> int:
        """First rows to drop: on them some column is off by over 1e-3 of its deviation."""
        return max(spec.warm_up for spec in self.columns.values())

    @cached_property
    def memory(self) -> int:
        """Newest candles that reproduce the newest row to 1e-12 of each column's deviation."""
        return max(spec.memory for spec in self.columns.values())

    @cached_property
    def reads(self) -> frozenset[str]:
        """Candle columns that the features are made of."""
        return frozenset(name for spec in self.columns.values() for name in spec.reads)

    @property
    def digest(self) -> str:
        """The sha256 of the ordered table, defaults filled in; another order, another digest."""
        return columns_digest(self.to_list())

    def to_list(self) -> list[Node]:
        """Write the columns as an ordered list of flat mappings, defaults filled in."""
        return self._in_order(self.columns)

    @cached_property
    def of_trades(self) -> tuple[str, ...]:
        """Columns that have a value for the rows of trades only."""
        return tuple(name for name, spec in self.columns.items() if spec.of_trade)

    def compute(self, candles: pd.DataFrame) -> pd.DataFrame:
        """Features of every candle of one market from row `warm_up` on; see `compute_many`."""
        return self.compute_many(candles)

    def compute_many(self, candles: pd.DataFrame) -> pd.DataFrame:
        """Features of every candle but the first `warm_up` of each market.

        A market's features depend on its own candles alone, whatever stands beside it.

        Parameters
        ----------
        candles
            Candle frame keyed (market, time), each market at a stretch and oldest candle
            first; or of one market, keyed by time.

        Returns
        -------
        DataFrame
            float64 columns `names`, indexed as the candles are.

        Raises
        ------
        DataError
            When a candle column is missing, a market has no candle left after the warm-up, or
            a feature is NaN or infinite.
        ConfigError
            When a column needs trades.
        """
        arrays = self._arrays(candles)
        self._require(candles.index, arrays, rows=1)
        table, kept = later_rows(self._plan, arrays, self.warm_up)
        index = candles.index[kept[0] :] if len(arrays.starts) == 1 else candles.index[kept]
        return self._frame(self._finite(table, index), index)

    def compute_all(self, candles: pd.DataFrame) -> pd.DataFrame:
        """Features of every candle, those of the warm-up too, unchecked: NaN where undefined.

        Raises
        ------
        DataError
            When a candle column is missing.
        ConfigError
            When a column needs trades.
        """
        return self._frame(every_row(self._plan, self._arrays(candles)), candles.index)

    def compute_trades(self, candles: pd.DataFrame, rows: TradeRows) -> pd.DataFrame:
        """Features of the rows of trades, without those in the warm-up of their market.

        Parameters
        ----------
        candles
            Candle frame as in `compute_many`.
        rows
            Trades over these candles.

        Returns
        -------
        DataFrame
            float64 columns `names`, indexed (market, trade, time), a trade named by the open
            of its entry candle; without market where the candles are keyed by time alone.

        Raises
        ------
        DataError
            When a candle column is missing, a market has no row left after the warm-up, or a
            feature is NaN or infinite.
        """
        arrays = self._arrays(candles, with_trades=True)
        kept = self._warmed_up(candles.index, arrays, rows)
        of_candles = dict(zip(self._of_candles, every_row(self._plan, arrays), strict=True))
        table = np.empty((len(self.columns), len(kept)))
        for place, (name, spec) in enumerate(self.columns.items()):
            of_trade = name not in of_candles
            table[place] = (
                spec.compute_trades(arrays, kept) if of_trade else of_candles[name][kept.row]
            )
        index = kept.index(candles)
        return self._frame(self._finite(table, index), index)

    def newest(self, candles: pd.DataFrame, rows: int = 1) -> pd.DataFrame:
        """Features of one market's newest candles, each column over its own memory alone.

        Equal to the last rows of `compute`, to 1e-12 of each column's deviation; where
        fewer candles are given, `compute` itself starts there.

        Raises
        ------
        DataError
            When a candle column is missing, fewer than ``warm_up + rows`` candles are
            given, or a feature is NaN or infinite.
        ConfigError
            When a column needs trades.
        """
        tail = candles.iloc[-(self.memory + rows) :]
        arrays, index = self._arrays(tail), tail.index[-rows:]
        self._require(tail.index, arrays, rows)
        return self._frame(self._finite(self.newest_values(arrays, rows), index), index)

    def newest_values(self, candles: CandleArrays, rows: int = 1) -> FloatArray:
        """Table (columns, rows) of one market's newest candles, unchecked; see `newest`."""
        return self._newest_rows.table(candles, rows)

    @cached_property
    def _of_candles(self) -> tuple[str, ...]:
        return tuple(name for name in self.columns if name not in self.of_trades)

    @cached_property
    def _plan(self) -> Plan:
        return Plan.of(
            self.columns[name].step(place) for place, name in enumerate(self._of_candles)
        )

    @cached_property
    def _newest_rows(self) -> NewestRows:
        return NewestRows(self._plan)

    def _frame(self, table: FloatArray, index: pd.Index) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame(table.T, index=index, columns=list(self.columns), copy=False)

    def _arrays(self, candles: pd.DataFrame, with_trades: bool = False) -> CandleArrays:
        if self.of_trades and not with_trades:
            raise ConfigError(
                "the feature set has columns of trades, and there are no trades",
                where=f"feature set {self.name}",
                found=", ".join(self.of_trades),
                fix="pair it with a label that has trades, or choose another feature set",
            )
        if missing := sorted(name for name in self.reads if name not in candles.columns):
            raise DataError(
                f"the candles have no column {' and no column '.join(missing)}",
                where=f"feature set {self.name}",
                found=", ".join(map(str, candles.columns)) or "no columns",
                fix="take the candles from a venue that has it, or choose another feature set",
            )
        return CandleArrays.from_frame(candles)

    def _require(self, index: pd.Index, arrays: CandleArrays, rows: int) -> None:
        lengths = arrays.lengths
        if not lengths.size:
            raise self._too_few("0", rows)
        fewest = int(lengths.argmin())
        if lengths[fewest] < self.warm_up + rows:
            raise self._too_few(f"{lengths[fewest]}{_of_whom(index, arrays, fewest)}", rows)

    def _warmed_up(self, index: pd.Index, arrays: CandleArrays, rows: TradeRows) -> TradeRows:
        self._require(index, arrays, rows=1)
        market = np.searchsorted(arrays.starts, rows.row, side="right") - 1
        later = rows.row - arrays.starts[market] >= self.warm_up
        left = np.bincount(market[later], minlength=arrays.starts.size)
        fewest = int(left.argmin())
        if left[fewest] == 0:
            of_whom = _of_whom(index, arrays, fewest)
            found = f"{np.count_nonzero(market == fewest)} rows of trades{of_whom}"
            raise self._too_few(f"{found}, none of them later", 1)
        return rows.take(later)

    def _too_few(self, found: str, rows: int) -> DataError:
        return DataError(
            "too few candles for the warm-up of the features",
            where=f"feature set {self.name}",
            found=found,
            expected=f"at least {self.warm_up + rows} ({self.warm_up} of them warm-up)",
            fix="give more history (recipe.history_days; a later as_of or another market where "
            "there are no older candles), or choose features that look back less",
        )

    def _finite(self, table: FloatArray, index: pd.Index) -> FloatArray:
        row = first_broken(table)
        if row >= 0:
            column = int((~np.isfinite(table[:, row])).argmax())
            raise DataError(
                "a feature has no finite value",
                where=f"feature set {self.name}, column {self.names[column]}",
                found=f"{table[column, row]} at {index[row]}",
                fix="look at the candles up to that moment with vintage data status",
            )
        return table


def _of_whom(index: pd.Index, arrays: CandleArrays, market: int) -> str:
    return f" of {index[arrays.starts[market]][0]}" if index.nlevels > 1 else ""


def _by_name(columns: Iterable[Any]) -> Node:
    named: Node = {}
    for item in columns:
        if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
            raise ValueError("every column of a list needs a 'name'")  # noqa: TRY004
        if item["name"] in named:
            raise ValueError(f"two columns are named '{item['name']}'")
        named[item["name"]] = {key: value for key, value in item.items() if key != "name"}
    return named
