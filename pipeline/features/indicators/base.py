"""What an indicator is, and how one is registered."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypedDict,
    TypeVar,
    Unpack,
    get_type_hints,
)

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.arrays import FloatArray
from pipeline.errors import nearest
from pipeline.features.candle_arrays import CandleArrays
from pipeline.market.candles import USUAL
from pipeline.market.trades import TradeRows

Argument = str | int | float | bool
PriceField = Literal["open", "high", "low", "close"]
CandleField = Literal["open", "high", "low", "close", "volume", "value"]
Window = Annotated[int, Field(ge=2, le=5000)]
Periods = Annotated[int, Field(ge=1, le=5000)]
DegreesOfFreedom = Annotated[int, Field(ge=0, le=1)]
Function = TypeVar("Function", bound=Callable[..., FloatArray])

UNITS: Mapping[str, str] = {
    **dict.fromkeys(("open", "high", "low", "close"), "price"),
    "volume": "base volume",
    "value": "quote",
}
FIELD_ARGUMENTS = ("field", "numerator", "denominator")
FADED = 1e-3
EXACT = 1e-12
NEAR = 4.0
FAR = 128.0


@dataclass(frozen=True, slots=True)
class Indicator:
    """An indicator as feature sets see it.

    Parameters
    ----------
    function
        Called with `CandleArrays` and the arguments, of a trade also with `TradeRows` between
        them; float64 array of one value per candle, or per row of a trade. Never its input
        changed; an array of `CandleArrays` may be returned as it is.
    warm_up
        First rows to drop, from the arguments: error there above 1e-3 of the column's
        standard deviation, or no value at all.
    memory
        Newest candles that reproduce the newest value to 1e-12 of the column's standard
        deviation, from the arguments. One more than the warm-up says that a value follows from
        the window of that many candles alone: such a column is computed over parts of the
        candles, and has no value where its window reaches into another market.
    formula
        One line, in which the names of arguments stand for themselves.
    unit
        price, quote, base volume, share, candles, 1, or a range such as ``0 to 100``; from the
        arguments where it depends on them.
    scale_free
        Multiplying every price, with it the value, by a constant leaves the column as it is.
    inputs
        Candle columns read besides those that the arguments name.
    of_trade
        One value per row of a trade.
    together
        Fills several columns of this indicator in one pass: called with `CandleArrays`, the
        arguments of each and the array of each.
    """

    name: str
    function: Callable[..., FloatArray]
    warm_up: Callable[..., int]
    memory: Callable[..., int]
    formula: str
    unit: str | Callable[..., str]
    scale_free: bool | Callable[..., bool]
    inputs: tuple[str, ...] = ()
    of_trade: bool = False
    together: Callable[..., None] | None = None

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
            reason = error.errors()[0]["msg"]
            raise ValueError(
                f"argument '{name}' of {self.name} is {value!r}: {reason[0].lower()}{reason[1:]}"
            ) from None
        return checked


_GIVEN = (CandleArrays, TradeRows)
REGISTERED: dict[str, Indicator] = {}


class Facts(TypedDict):
    """What is said of an indicator where it is registered; see `Indicator`."""

    warm_up: Callable[..., int]
    memory: Callable[..., int]
    formula: str
    unit: str | Callable[..., str]
    scale_free: bool | Callable[..., bool]
    inputs: NotRequired[tuple[str, ...]]
    together: NotRequired[Callable[..., None]]


def indicator(**facts: Unpack[Facts]) -> Callable[[Function], Function]:
    """Register a function of candles under its own name; see `Indicator` for the parameters."""
    return lambda function: _registered(function, Indicator(function.__name__, function, **facts))


def position_indicator(**facts: Unpack[Facts]) -> Callable[[Function], Function]:
    """Register a function of candles and rows of trades under its own name."""
    return lambda function: _registered(
        function, Indicator(function.__name__, function, **facts, of_trade=True)
    )


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
    return {
        name: TypeAdapter(hints[name], config=strict)
        for name in inspect.signature(function).parameters
        if hints[name] not in _GIVEN
    }


def _defaults(function: Callable[..., FloatArray]) -> dict[str, Argument]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}


def _registered(function: Function, made: Indicator) -> Function:
    if made.name in REGISTERED:
        raise ValueError(f"two indicators are named {made.name}")
    REGISTERED[made.name] = made
    return function
