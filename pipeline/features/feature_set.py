"""A feature set: an ordered table of columns, and how it is computed from candles."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import Field, field_serializer, field_validator, model_serializer, model_validator

from pipeline.config import Node, Record
from pipeline.errors import DataError, nearest
from pipeline.features.indicators import INDICATORS, CandleArrays, Indicator
from pipeline.features.indicators.base import Argument, FloatArray


class ColumnSpec(Record):
    """One column: an indicator and its arguments, written as one flat mapping."""

    indicator: str
    arguments: dict[str, Argument]

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, flat: Any) -> Any:
        if not isinstance(flat, Mapping) or "indicator" not in flat:
            raise ValueError("a column needs the key 'indicator', such as {indicator: rsi, ...}")
        name = flat["indicator"]
        if not isinstance(name, str) or name not in INDICATORS:
            raise ValueError(f"unknown indicator '{name}': {nearest(str(name), INDICATORS)}")
        given = {str(key): value for key, value in flat.items() if key != "indicator"}
        return {"indicator": name, "arguments": INDICATORS[name].complete(given)}

    @model_serializer
    def _flat(self) -> Node:
        return {"indicator": self.indicator, **self.arguments}

    @property
    def warm_up(self) -> int:
        """First rows to drop."""
        return self._found.warm_up(**self.arguments)

    @property
    def memory(self) -> int:
        """Newest candles that reproduce the newest value."""
        return self._found.memory(**self.arguments)

    @property
    def reads(self) -> tuple[str, ...]:
        """Candle columns that this column is made of."""
        return self._found.reads(self.arguments)

    def compute(self, arrays: CandleArrays) -> FloatArray:
        """Values of the column, one per candle."""
        return self._found.function(arrays, **self.arguments)

    @property
    def _found(self) -> Indicator:
        return INDICATORS[self.indicator]


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
        told = json.dumps(self.to_list(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(told.encode()).hexdigest()

    def to_list(self) -> list[Node]:
        """Write the columns as an ordered list of flat mappings, defaults filled in."""
        return self._in_order(self.columns)

    def compute(self, candles: pd.DataFrame) -> pd.DataFrame:
        """Features of every candle from row `warm_up` on.

        Parameters
        ----------
        candles
            Candle frame of one market, oldest first.

        Returns
        -------
        DataFrame
            float64 columns `names`, indexed by the candles' own index.

        Raises
        ------
        DataError
            When a candle column is missing, no candle is left after the warm-up, or a
            feature is NaN or infinite.
        """
        self._require(candles, rows=1)
        return self._finite(self.compute_all(candles).iloc[self.warm_up :])

    def compute_all(self, candles: pd.DataFrame) -> pd.DataFrame:
        """Features of every candle, those of the warm-up too, unchecked: NaN where undefined.

        Raises
        ------
        DataError
            When a candle column is missing.
        """
        self._require(candles, rows=-self.warm_up)
        arrays = CandleArrays.from_frame(candles)
        table = np.empty((len(self.columns), len(candles)))
        for position, spec in enumerate(self.columns.values()):
            table[position] = spec.compute(arrays)
        return pd.DataFrame(table.T, index=candles.index, columns=list(self.names), copy=False)

    def newest(self, candles: pd.DataFrame, rows: int = 1) -> pd.DataFrame:
        """Features of the newest candles, computed from the newest ``memory + rows`` alone.

        Equal to the last rows of `compute`, to 1e-12 of each column's deviation; where
        fewer candles are given, `compute` itself starts there.

        Raises
        ------
        DataError
            When a candle column is missing, fewer than ``warm_up + rows`` candles are
            given, or a feature is NaN or infinite.
        """
        self._require(candles, rows=rows)
        tail = candles.iloc[-(self.memory + rows) :]
        return self._finite(self.compute_all(tail).iloc[-rows:])

    def _require(self, candles: pd.DataFrame, rows: int) -> None:
        if missing := sorted(self.reads.difference(candles.columns)):
            raise DataError(
                f"the candles have no column {' and no column '.join(missing)}",
                where=f"feature set {self.name}",
                found=", ".join(map(str, candles.columns)) or "no columns",
                fix="take the candles from a venue that has it, or choose another feature set",
            )
        if len(candles) < self.warm_up + rows:
            raise DataError(
                "too few candles for the warm-up of the features",
                where=f"feature set {self.name}",
                found=f"{len(candles)}",
                expected=f"at least {self.warm_up + rows} ({self.warm_up} of them warm-up)",
                fix="give more history (recipe.history_days; a later as_of or another market where "
                "there are no older candles), or choose features that look back less",
            )

    def _finite(self, features: pd.DataFrame) -> pd.DataFrame:
        broken = ~np.isfinite(features.to_numpy())
        if broken.any():
            row = int(broken.any(axis=1).argmax())
            column = int(broken[row].argmax())
            raise DataError(
                "a feature has no finite value",
                where=f"feature set {self.name}, column {self.names[column]}",
                found=f"{features.to_numpy()[row, column]} at {features.index[row]}",
                fix="look at the candles up to that moment with vintage data status",
            )
        return features


def _by_name(columns: Iterable[Any]) -> Node:
    named: Node = {}
    for item in columns:
        if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
            raise ValueError("every column of a list needs a 'name'")  # noqa: TRY004
        if item["name"] in named:
            raise ValueError(f"two columns are named '{item['name']}'")
        named[item["name"]] = {key: value for key, value in item.items() if key != "name"}
    return named
