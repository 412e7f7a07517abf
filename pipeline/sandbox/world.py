"""The market behind the wire: recorded or simulated candles, silences, a candle that is forming."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from pipeline.market.candles import PRICES, REQUIRED, duration, moment
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.simulated import Simulated
from pipeline.sandbox import recorded
from pipeline.sandbox.forming import forming

COINS = ("BTC", "ETH", "XRP", "SOL")
SYMBOLS: Mapping[str, tuple[str, ...]] = {
    "upbit": tuple(f"KRW-{coin}" for coin in COINS),
    "bingx": tuple(f"{coin}-USDT" for coin in COINS),
    "binance": tuple(f"{coin}USDT" for coin in COINS),
}
COLUMNS = (*REQUIRED, "value", "taker_volume")
OMITS_EMPTY = ("upbit",)
WEEK = "1w"  # served of every symbol; it tells how far back its candles go


@dataclass(frozen=True, slots=True)
class Series:
    """What one page of candles is a part of."""

    venue: str
    symbol: str
    timeframe: str

    @property
    def step(self) -> pd.Timedelta:
        """Length of one candle."""
        return pd.Timedelta(days=7) if self.timeframe == WEEK else duration(self.timeframe)


@dataclass(frozen=True, slots=True)
class Silence:
    """A span ``[start, end)`` without a trade, or one in which the venue itself was down.

    Candles that lie in it whole are absent from Upbit and flat (volume 0) on the others; of an
    outage they are absent everywhere.
    """

    symbol: str
    start: pd.Timestamp
    end: pd.Timestamp
    kind: Literal["no_trade", "outage"] = "no_trade"


@dataclass(frozen=True, slots=True)
class World:
    """Candles of every venue, symbol and timeframe, the same however they are asked for.

    Parameters
    ----------
    folder
        Files in the replay's layout, such as ``KRW-SOL-60m.parquet`` and ``BTCUSDT-5m.parquet``;
        only they are listed. None: the simulated exchange, any symbol of `symbols`.
    simulated
        The simulated world; a symbol is its market's name there.
    until
        Close of the last candle there is; None: the world lives on.
    """

    folder: Path | None = None
    simulated: Simulated = field(default_factory=Simulated)
    symbols: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: SYMBOLS)
    silences: tuple[Silence, ...] = ()
    until: pd.Timestamp | None = None

    def listed(self, venue: str) -> tuple[str, ...]:
        """Symbols that a venue trades."""
        if self.folder is None:
            return self.symbols.get(venue, ())
        plain = sorted({symbol for symbol, _ in recorded.files(self.folder)})
        return tuple(spelt for symbol in plain for spelt in _spelt(symbol, venue))

    def serves(self, series: Series) -> bool:
        """Whether a listed symbol has candles of that timeframe."""
        if series.timeframe == WEEK:
            return True
        if self.folder is None:
            return duration(series.timeframe) % pd.Timedelta(minutes=5) == pd.Timedelta(0)
        return (series.symbol.replace("-", ""), series.timeframe) in recorded.files(self.folder)

    def candles(
        self, venue: str, symbol: str, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        """Final candles with ``start <= time`` and ``time + timeframe <= end``.

        Returns
        -------
        DataFrame
            A candle frame with `COLUMNS`. Turnover and taker volume are derived where the source
            has none: turnover = volume x mean of the four prices, taker volume = 30 to 70 % of
            the volume by a hash of the moment.
        """
        series = Series(venue, symbol, timeframe)
        held = [gap for gap in self.silences if gap.symbol == symbol and gap.end > start]
        before = min([start, *(gap.start - series.step for gap in held)])
        frame = self._source(series, before, end)
        for gap in held:
            frame = _silenced(frame, gap, series)
        return _derived(frame[frame.index >= start])

    def listed_at(self, venue: str, symbol: str) -> pd.Timestamp:
        """Open time of the first candle of a symbol in any timeframe."""
        if self.folder is None:
            return moment(self.simulated.start)
        plain = symbol.replace("-", "")
        frames = [frame for name, frame in recorded.files(self.folder) if name == plain]
        return min(self.first(Series(venue, symbol, frame)) for frame in frames)

    def first(self, series: Series) -> pd.Timestamp:
        """Open time of the first candle there is."""
        if self.folder is None:
            return moment(self.simulated.start)
        return pd.Timestamp(self._file(series).index[0])

    def last(self) -> pd.Timestamp | None:
        """Close of the last candle there is; None when there is no end to them."""
        if self.folder is None:
            return self.until
        ends = [
            recorded.read(path, timeframe).index[-1] + duration(timeframe)
            for (_, timeframe), path in recorded.files(self.folder).items()
        ]
        last = pd.Timestamp(max(ends))
        return last if self.until is None else min(last, self.until)

    def forming(self, series: Series, now: pd.Timestamp, turn: int) -> pd.DataFrame:
        """The candle that is open at `now`, as it stands at the `turn`-th look at it.

        Empty where nothing is traded, or after `until`.
        """
        opened = now.floor(series.step)
        final = self.candles(
            series.venue, series.symbol, series.timeframe, opened, opened + series.step
        )
        return final if final.empty else forming(final, series.step, now, turn)

    def _source(self, series: Series, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        end = end if self.until is None else min(end, self.until)
        if self.folder is None:
            market = Instrument(name=series.symbol, symbol=series.symbol)
            return self.simulated.fetch(market, series.timeframe, start, end)
        held = self._file(series)
        return held[(held.index >= start) & (_times(held) + series.step <= end)]

    def _file(self, series: Series) -> pd.DataFrame:
        assert self.folder is not None
        path = recorded.files(self.folder)[series.symbol.replace("-", ""), series.timeframe]
        return recorded.read(path, series.timeframe)


def _spelt(plain: str, venue: str) -> tuple[str, ...]:
    if plain.startswith("KRW"):
        return (f"KRW-{plain[3:]}",) if venue == "upbit" else ()
    if not plain.endswith("USDT") or venue == "upbit":
        return ()
    return (f"{plain[:-4]}-USDT" if venue == "bingx" else plain,)


def _silenced(frame: pd.DataFrame, gap: Silence, series: Series) -> pd.DataFrame:
    times = _times(frame)
    inside = (times >= gap.start) & (times + series.step <= gap.end)
    if gap.kind == "outage" or series.venue in OMITS_EMPTY:
        return frame.loc[~inside]
    flat = frame.copy()
    last = frame["close"].mask(inside).ffill()
    for name in frame.columns:
        flat[name] = frame[name].mask(inside, last if name in PRICES else 0.0)
    return flat.dropna()


def _derived(frame: pd.DataFrame) -> pd.DataFrame:
    full = frame.copy()
    if "value" not in full:
        full["value"] = full["volume"] * full[list(PRICES)].mean(axis=1)
    if "taker_volume" not in full:
        minutes = _times(full).as_unit("s").asi8 // 60
        share = 0.3 + 0.4 * (minutes * 2654435761 % 1000) / 1000
        full["taker_volume"] = (full["volume"] * share).round(8)
    return full[list(COLUMNS)]


def _times(frame: pd.DataFrame) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(frame.index)
