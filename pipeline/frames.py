"""Tables between stages: Parquet files whose bytes depend on their values alone.

Rows are keyed (market, time), or (market, trade, time) where they are those of trades; time is
the candle's open, trade that of the trade's entry candle, UTC.
"""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DataError
from registry.files import write_atomic

KEYS = ["market", "time"]
TRADE_KEYS = ["market", "trade", "time"]
CLOCK = pa.timestamp("ms", tz="UTC")


def key_by_market(frame: pd.DataFrame, market: str) -> pd.DataFrame:
    """Put the market first in the index of one market's frame, keyed time or (trade, time)."""
    return pd.concat({market: frame}, names=KEYS if frame.index.nlevels == 1 else TRADE_KEYS)


def of_market(frame: pd.DataFrame, market: str) -> pd.DataFrame:
    """One market's rows, without the market in the index."""
    one: pd.DataFrame = frame.loc[market]  # type: ignore[assignment]
    return one


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame keyed by market first; equal values give equal bytes."""
    write_atomic(path, encode_frame(frame))


def encode_frame(frame: pd.DataFrame) -> bytes:
    """Parquet bytes of a frame keyed (market, time) or (market, trade, time)."""
    table = pa.Table.from_pandas(frame.reset_index(), preserve_index=False)
    clocks = [CLOCK if pa.types.is_timestamp(kind) else kind for kind in table.schema.types]
    schema = pa.schema(list(zip(table.column_names, clocks, strict=True)))
    buffer = io.BytesIO()
    pq.write_table(table.cast(schema), buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def read_frame(source: Path | bytes) -> pd.DataFrame:
    """Read a frame keyed (market, time), or (market, trade, time) where it has trades.

    Raises
    ------
    DataError
        When the file is missing or damaged, or has no such keys.
    """
    name = "bytes" if isinstance(source, bytes) else str(source)
    try:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        table = pq.read_table(file, page_checksum_verification=True)
        kinds = dict(zip(table.column_names, table.schema.types, strict=True))
    except (OSError, ValueError, pa.ArrowException) as error:
        told = " ".join(str(error).split())
        raise _unreadable(told, name) from None
    keys = TRADE_KEYS if "trade" in kinds else KEYS
    if "market" not in kinds or any(kinds.get(key) != CLOCK for key in keys[1:]):
        raise _unreadable(f"its rows have no {' and '.join(keys)}", name)
    frame: pd.DataFrame = table.to_pandas()
    return frame.set_index(keys)


def _unreadable(told: str, name: str) -> DataError:
    return DataError(f"cannot be read as Parquet: {told}", where=name, fix="run dvc repro")
