"""A series as one file that other programs, `exchange=replay` and `data import` can read."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ConfigError, DataError
from pipeline.market.partitions import CLOCK, moments_of
from pipeline.market.store import CandleStore, Series
from pipeline.market.transfer.reading import CLOCKS, SERIES
from registry.files import write_atomic

STAMP = "%Y-%m-%dT%H:%M:%SZ"
KINDS = (".csv", ".parquet")


def export(store: CandleStore, series: Series, path: Path, overwrite: bool = False) -> int:
    """Write every stored candle of a series to a CSV or Parquet file and count them.

    Moments are open times in UTC; numbers are exact, so that an import gives the same candles.

    Raises
    ------
    ConfigError
        When the kind of file is unknown, or the file is there already.
    DataError
        When nothing is stored, or a file of the store is damaged.
    """
    if path.suffix not in KINDS:
        raise ConfigError("cannot be written", where=str(path), expected=" or ".join(KINDS))
    if path.exists() and not overwrite:
        raise ConfigError("the file is there already", where=str(path), fix="--force replaces it")
    candles = store.read(series)
    if candles.empty:
        raise DataError("nothing is stored", where=str(series), fix="vintage data status lists it")
    write_atomic(path, _csv(candles) if path.suffix == ".csv" else _parquet(candles, series))
    return len(candles)


def _csv(candles: pd.DataFrame) -> bytes:
    text = candles.to_csv(index_label=CLOCKS[0], date_format=STAMP, lineterminator="\n")
    return text.encode()


def _parquet(candles: pd.DataFrame, series: Series) -> bytes:
    moments = pa.array(moments_of(pd.DatetimeIndex(candles.index)), pa.int64()).cast(CLOCK)
    columns = [pa.array(candles[name].to_numpy()) for name in candles.columns]
    table = pa.table([moments, *columns], names=[CLOCKS[0], *candles.columns])
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({SERIES: str(series)}), buffer, compression="zstd")
    return buffer.getvalue()
