"""One column of a feature set: an indicator and its arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import model_serializer, model_validator

from pipeline.arrays import FloatArray
from pipeline.config import Node, Record
from pipeline.errors import nearest
from pipeline.features.engine import Step
from pipeline.features.indicators import INDICATORS, CandleArrays, Indicator
from pipeline.features.indicators.base import Argument
from pipeline.market.trades import TradeRows


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

    @property
    def of_trade(self) -> bool:
        """Whether it has a value for the rows of trades only."""
        return self._found.of_trade

    @property
    def formula(self) -> str:
        """One line, in which the names of arguments stand for themselves."""
        return self._found.formula

    @property
    def unit(self) -> str:
        """What its values are counted in."""
        unit = self._found.unit
        return unit if isinstance(unit, str) else unit(**self.arguments)

    @property
    def scale_free(self) -> bool:
        """Whether prices multiplied by a constant leave it as it is."""
        free = self._found.scale_free
        return free if isinstance(free, bool) else free(**self.arguments)

    def step(self, place: int) -> Step:
        """What the engine needs to fill a row of its table."""
        found = self._found
        return Step(
            place, found.function, self.arguments, self.warm_up, self.memory, found.together
        )

    def compute_trades(self, arrays: CandleArrays, rows: TradeRows) -> FloatArray:
        """Values of a column of trades, one per row."""
        return self._found.function(arrays, rows, **self.arguments)

    @property
    def _found(self) -> Indicator:
        return INDICATORS[self.indicator]
