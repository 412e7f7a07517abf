"""What an indicator is, and how one is registered."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeVar, get_type_hints

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.errors import nearest
from pipeline.market.candles import USUAL

FloatArray = npt.NDArray[np.float64]
Argument = str | int | float | bool
PriceField = Literal["open", "high", "low", "close"]
CandleField = Literal["open", "high", "low", "close", "volume", "value"]
Window = Annotated[int, Field(ge=2, le=5000)]
Periods = Annotated[int, Field(ge=1, le=5000)]
DegreesOfFreedom = Annotated[int, Field(ge=0, le=1)]
Function = TypeVar("Function", bound=Callable[..., FloatArray])

FIELD_ARGUMENTS = ("field", "numerator", "denominator")
FADED = 1e-3
EXACT = 1e-12
NEAR = 4.0
FAR = 128.0


@dataclass(frozen=True, slots=True)
class CandleArrays:
    """Columns of a candle frame as float64 arrays of one length, oldest candle first."""

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    value: FloatArray

    @classmethod
    def from_frame(cls, candles: pd.DataFrame) -> Self:
        """Copy the columns of a candle frame; a column it lacks becomes NaN."""
        return cls(*(_column(candles, name) for name in USUAL))


@dataclass(frozen=True, slots=True)
class Indicator:
    """An indicator as feature sets see it.

    Parameters
    ----------
    function
        Called with `CandleArrays` and the arguments; float64 array of the same length,
        NaN before its window is full.
    warm_up
        First rows to drop, from the arguments: error there above 1e-3 of the column's
        standard deviation, or no value at all.
    memory
        Newest candles that reproduce the newest value to 1e-12 of the column's standard
        deviation, from the arguments.
    inputs
        Candle columns read besides those that the arguments name.
    """

    name: str
    function: Callable[..., FloatArray]
    warm_up: Callable[..., int]
    memory: Callable[..., int]
    inputs: tuple[str, ...]

    def complete(self, given: Mapping[str, Any]) -> dict[str, Argument]:
        """Every argument by name, defaults filled in.

        Raises
        ------
        ValueError
            When an argument is unknown, missing, of the wrong type or out of range.
        """
        adapters = _adapters(self.function)
        for name in given:
            if name not in adapters:
                raise ValueError(f"{self.name} has no argument '{name}': {nearest(name, adapters)}")
        values = {**_defaults(self.function), **given}
        for name in adapters:
            if name not in values:
                raise ValueError(f"{self.name} needs the argument '{name}'")
        return {name: self._checked(name, values[name]) for name in adapters}

    def reads(self, arguments: Mapping[str, Argument]) -> tuple[str, ...]:
        """Candle columns that the indicator reads under these arguments."""
        named = {str(arguments[name]) for name in FIELD_ARGUMENTS if name in arguments}
        return tuple(name for name in USUAL if name in named or name in self.inputs)

    def _checked(self, name: str, value: Any) -> Argument:
        try:
            checked: Argument = _adapters(self.function)[name].validate_python(value)
        except ValidationError as error:
            told = error.errors()[0]["msg"]
            raise ValueError(
                f"argument '{name}' of {self.name} is {value!r}: {told[0].lower()}{told[1:]}"
            ) from None
        return checked


REGISTERED: dict[str, Indicator] = {}


def indicator(
    *, warm_up: Callable[..., int], memory: Callable[..., int], inputs: tuple[str, ...] = ()
) -> Callable[[Function], Function]:
    """Register a function under its own name; see `Indicator` for the parameters."""

    def register(function: Function) -> Function:
        name = function.__name__
        if name in REGISTERED:
            raise ValueError(f"two indicators are named {name}")
        REGISTERED[name] = Indicator(name, function, warm_up, memory, inputs)
        return function

    return register


def settled(span: int, tolerance: float, apart: float) -> int:
    """Count the steps after which an exponential mean has forgotten its seed.

    Parameters
    ----------
    span
        The mean's weight is ``2 / (span + 1)``, so the seed keeps ``(1 - weight) ** steps``.
    tolerance
        What may be left, in standard deviations of the column.
    apart
        How far from the settled value the seed may lie, in the same unit: `NEAR` for means
        of prices, `FAR` where the mean varies much less than what it is the mean of.

    Examples
    --------
    >>> settled(100, FADED, NEAR), settled(100, EXACT, NEAR)
    (415, 1451)
    """
    return math.ceil(math.log(apart / tolerance) / -math.log1p(-2 / (span + 1)))


@functools.cache
def _adapters(function: Callable[..., FloatArray]) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(function, include_extras=True)
    strict = ConfigDict(strict=True, allow_inf_nan=False)
    names = list(inspect.signature(function).parameters)[1:]
    return {name: TypeAdapter(hints[name], config=strict) for name in names}


def _defaults(function: Callable[..., FloatArray]) -> dict[str, Argument]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def _column(candles: pd.DataFrame, name: str) -> FloatArray:
    if name not in candles.columns:
        return np.full(len(candles), np.nan)
    return np.array(candles[name], dtype=np.float64)
