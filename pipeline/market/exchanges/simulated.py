"""A market without a network: seeded candles that are the same however they are asked for.

The path is made of five-minute steps (``simulated_path``). Each calendar month of each market has
its own generator, and what one month hands to the next is three numbers, so a candle depends on
seed, market and moment alone. Every timeframe is an aggregate of the same steps.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Self

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from pipeline.config import Record
from pipeline.errors import ConfigError, DataError
from pipeline.market.candles import (
    TIME,
    TIMEFRAMES,
    USUAL,
    duration,
    empty_frame,
    last_closed,
    moment,
)
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.simulated_path import (
    DAY,
    STATE,
    STEP,
    Steps,
    World,
    drift_per_volatility,
    month_of,
    month_start,
    opening_of,
    steps_of,
)


class Simulated(Record):
    """Markets that exist only here: clustered, seasonal, fat-tailed, and of a known edge."""

    seed: Annotated[int, Field(ge=0)] = 7
    start: str = "2023-01-01T00:00Z"
    end: str | None = None
    annual_volatility: Annotated[float, Field(gt=0, le=2)] = 0.6
    edge: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    edge_horizon: Annotated[int, Field(ge=1, le=168)] = 24
    first_price: Annotated[float, Field(gt=0)] = 10_000.0

    @model_validator(mode="after")
    def _check(self) -> Self:
        opens = moment(self.start, "exchange.start")
        if opens != month_start(month_of(opens)):
            raise ConfigError(
                "start of a simulated market is no start of a month",
                where="exchange.start",
                found=self.start,
                expected="such as 2023-01-01T00:00Z",
            )
        if self.end is not None:
            moment(self.end, "exchange.end")
        drift_per_volatility(self.edge, self.edge_horizon)
        return self

    @property
    def feed(self) -> str:
        """``simulated`` for the default world, else with a digest of what differs from it.

        ``end`` is left out: it decides how far a world is shown, not what is in it.
        """
        chosen = self.model_dump(exclude={"end"})
        if chosen == Simulated().model_dump(exclude={"end"}):
            return "simulated"
        text = json.dumps(chosen, sort_keys=True)
        return f"simulated-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @property
    def reachable(self) -> bool:
        """Always."""
        return True

    @property
    def omits_empty(self) -> bool:
        """False: there is a trade in every candle."""
        return False

    @property
    def timeframes(self) -> tuple[str, ...]:
        """Multiples of five minutes."""
        return tuple(name for name in TIMEFRAMES if duration(name) % STEP == pd.Timedelta(0))

    def first_candle(self, market: Instrument, timeframe: str) -> pd.Timestamp | None:
        """The world's beginning."""
        _steps_per_candle(timeframe, market)
        return moment(self.start)

    def fetch(
        self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """Candles with ``start <= time`` and ``time + timeframe <= end``, inside the world.

        Raises
        ------
        DataError
            When the timeframe is no multiple of five minutes.
        """
        return self._table(market, timeframe, start, end)[list(USUAL)]

    def planted_state(
        self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.Series:
        """State z at each candle's close: what a perfect model would know there."""
        return self._table(market, timeframe, start, end)[STATE]

    def newest(self, market: Instrument, timeframe: str, now: pd.Timestamp) -> pd.Timestamp | None:
        """Open time of the newest final candle at `now`; None before the world's first."""
        _steps_per_candle(timeframe, market)
        newest = last_closed(self._stop(now), timeframe)
        return newest if newest >= moment(self.start) else None

    def _stop(self, end: pd.Timestamp) -> pd.Timestamp:
        return end if self.end is None else min(end, moment(self.end))

    def _table(
        self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        per_candle = _steps_per_candle(timeframe, market)
        start, stop = max(start, moment(self.start)), self._stop(end)
        newest = last_closed(stop, timeframe)
        if newest < start:
            return empty_frame().assign(**{STATE: 0.0})
        world = self._world(market)
        months = range(month_of(start), month_of(newest) + 1)
        for earlier in range(world.first_month, months.start):
            opening_of(world, earlier)
        table = pd.concat([_aggregate(steps_of(world, month), per_candle) for month in months])
        return table[(table.index >= start) & (table.index <= newest)]

    def _world(self, market: Instrument) -> World:
        return World(
            seed=self.seed,
            market=market.name,
            first_month=month_of(moment(self.start)),
            first_price=self.first_price,
            volatility=self.annual_volatility / np.sqrt(365 * DAY),
            drift=drift_per_volatility(self.edge, self.edge_horizon),
        )


def _aggregate(steps: Steps, per_candle: int) -> pd.DataFrame:
    grouped = {name: values.reshape(-1, per_candle) for name, values in steps.candles.items()}
    columns = {
        "open": grouped["open"][:, 0],
        "high": grouped["high"].max(axis=1),
        "low": grouped["low"].min(axis=1),
        "close": grouped["close"][:, -1],
        "volume": grouped["volume"].sum(axis=1),
        "value": grouped["value"].sum(axis=1),
        STATE: grouped[STATE][:, -1],
    }
    first = month_start(steps.month).tz_localize(None).to_datetime64()
    times = first + np.arange(len(columns["open"])) * per_candle * STEP.to_timedelta64()
    return pd.DataFrame(columns, index=pd.DatetimeIndex(times, tz="UTC", name=TIME).as_unit("ms"))


def _steps_per_candle(timeframe: str, market: Instrument) -> int:
    if duration(timeframe) % STEP:
        served = [name for name in TIMEFRAMES if not duration(name) % STEP]
        raise DataError(
            "the simulated exchange has no such timeframe",
            where=market.name,
            found=timeframe,
            expected=", ".join(served),
            fix="choose a multiple of five minutes",
        )
    return int(duration(timeframe) / STEP)
