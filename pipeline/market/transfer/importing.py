"""Candles of another program's file, brought into the store or only looked at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.errors import ConfigError
from pipeline.market.candles import TIMEFRAMES, duration
from pipeline.market.exchanges.replay_files import require_increasing
from pipeline.market.holes import missing_between
from pipeline.market.revisions import compare, refuse_revised
from pipeline.market.sources import COLUMN, IMPORTED
from pipeline.market.store import CandleStore, Series
from pipeline.market.transfer.layouts import Layout, own, recognise
from pipeline.market.transfer.reading import Table, read_table
from pipeline.market.transfer.zones import check_zone, place
from pipeline.market.validation import check_times
from pipeline.market.writing import require_columns

RIGHT = "find out which is right: leave such rows out of the file; or, if the file is right, "
RIGHT += "vintage data forget {series} and import the file again"


@dataclass(frozen=True, slots=True)
class Said:
    """What the caller says about a file; None where the file shall say it."""

    feed: str | None = None
    market: str | None = None
    timeframe: str | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class Import:
    """What a file holds, and what bringing it into the store would do.

    Parameters
    ----------
    why
        How the time zone of its moments is known.
    dropped
        Rows that are left out, each with the reason.
    known
        How many of the candles are stored already, with the same values.
    missing
        Candles that the file lacks between its first and its last.
    """

    path: Path
    writer: str
    series: Series
    candles: pd.DataFrame
    why: str
    dropped: tuple[str, ...]
    ignored: tuple[str, ...]
    known: int
    missing: int


def look(path: Path, said: Said, store: CandleStore, now: pd.Timestamp) -> Import:
    """Read a file as far as an import would; nothing is written.

    Raises
    ------
    ConfigError
        When neither the file nor the caller says which series it is.
    DataError
        When the file is no sound table of candles, its time zone is unknown, or a stored candle
        has other values.
    """
    if not path.is_file():
        raise ConfigError("there is no such file", where=str(path))
    layout, table = recognise(path), read_table(path)
    if table.series is not None:
        layout = own(table.series)
    series = _series(said, layout, path)
    candles, why = _placed(table, said, store, series)
    require_columns(store.folder(series), candles, series)
    stored = store.read(series, candles.index[0], candles.index[-1] + duration(series.timeframe))
    candles, dropped = _closed(candles, stored, series, _Written(path, layout, table, now))
    if len(candles):
        check_times(candles.index, series.timeframe, now, f"{path} as {series}")
    compared = compare(stored if len(stored) else candles.iloc[:0], candles)
    refuse_revised(compared, f"{path} as {series}", RIGHT.format(series=series))
    return Import(
        path=path,
        writer=layout.writer,
        series=series,
        candles=candles,
        why=why,
        dropped=dropped,
        ignored=table.ignored,
        known=len(candles) - len(compared.fresh),
        missing=len(missing_between(pd.DatetimeIndex(candles.index), duration(series.timeframe))),
    )


def bring(found: Import, store: CandleStore) -> int:
    """Append what was looked at and count the new candles; they are marked as imported.

    Raises
    ------
    DataError
        When columns differ from those stored, or a stored candle has other values.
    """
    return store.append(found.series, found.candles.assign(**{COLUMN: IMPORTED}))


@dataclass(frozen=True, slots=True)
class _Written:
    path: Path
    layout: Layout
    table: Table
    now: pd.Timestamp

    @property
    def at(self) -> pd.Timestamp:
        """When the file was written last; a copy may be younger."""
        return pd.Timestamp(self.path.stat().st_mtime, unit="s", tz="UTC")


def _series(said: Said, layout: Layout, path: Path) -> Series:
    parts = {
        "feed": said.feed or layout.feed,
        "market": said.market or layout.market,
        "timeframe": said.timeframe or layout.timeframe,
    }
    examples = {"feed": "upbit", "market": "KRW-SOL", "timeframe": "1h"}
    for name, part in parts.items():
        if part is None:
            raise ConfigError(
                f"nothing says of which {name} these candles are",
                where=str(path),
                fix=f"add {name}=, such as {name}={examples[name]}",
            )
    if parts["timeframe"] not in TIMEFRAMES:
        raise ConfigError(
            "unknown timeframe", found=str(parts["timeframe"]), expected=", ".join(TIMEFRAMES)
        )
    return Series.parse("/".join(str(part) for part in parts.values()))


def _placed(
    table: Table, said: Said, store: CandleStore, series: Series
) -> tuple[pd.DataFrame, str]:
    where = f"{table.path} as {series}"
    zone = (said.zone or "UTC") if table.naive else None
    candles = table.candles(zone)
    require_increasing(pd.DatetimeIndex(candles.index), f"{table.path}, its moments")
    if table.naive and said.zone is None:
        placed = place(candles, store, series, where)
        return placed.candles, placed.why
    why = f"zone={zone} as said" if table.naive else "the file names it"
    return candles, why + check_zone(candles, store, series, where)


def _closed(
    candles: pd.DataFrame, stored: pd.DataFrame, series: Series, written: _Written
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Leave out the last row unless it is known to be final."""
    last, step = candles.index[-1], duration(series.timeframe)
    reason = None
    if last + step > written.now:
        reason = "it is not closed yet"
    elif last in stored.index:
        same = bool((stored.loc[last] == candles.loc[last]).all())
        reason = None if same else "the stored candle differs: it was still forming"
    elif last + step > written.at >= last:
        reason = "the file was written before it closed"
    elif written.layout.forming:
        reason = "nothing shows that it is final; the next sync fetches it"
    if reason is None:
        return candles, ()
    return candles.iloc[:-1], (f"{last.isoformat()}: {reason}",)
