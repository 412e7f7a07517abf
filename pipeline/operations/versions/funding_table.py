"""A recorded table of funding payments, read from a file of yours."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.backtest.funding import RecordedFunding, recorded_funding
from pipeline.market.exchanges.base import Funding
from registry.files import read_if_there, sha256

COLUMNS = {"time": ("time", "timestamp"), "rate": ("rate", "funding_rate")}


def read_funding(path: Path, assumed: Funding | None) -> RecordedFunding:
    """Read a Parquet or CSV file of moments, UTC, and rates as shares of the position.

    Raises
    ------
    ConfigError
        When there is no such file.
    DataError
        When it does not read as such a table.
    """
    content = read_if_there(path)
    if content is None:
        raise ConfigError("there is no such file", where="--funding", found=str(path))
    try:
        table = _table(content, path.suffix)
    except (ValueError, KeyError, OSError) as error:
        raise DataError(
            "the file does not read as a table of funding payments",
            where=str(path),
            found=" ".join(str(error).split())[:200],
            expected="Parquet, or CSV, with columns time (UTC) and rate (share of the position)",
        ) from error
    return recorded_funding(table, assumed, path.name, sha256(content))


def _table(content: bytes, suffix: str) -> pd.DataFrame:
    read = pd.read_csv if suffix == ".csv" else pd.read_parquet
    whole = read(io.BytesIO(content))
    table = pd.DataFrame({name: _column(whole, names) for name, names in COLUMNS.items()})
    if pd.api.types.is_numeric_dtype(table["time"]):
        raise ValueError("moments are plain numbers")
    table["time"] = pd.to_datetime(table["time"], utc=True)
    return table.astype({"rate": "float64"})


def _column(table: pd.DataFrame, names: tuple[str, ...]) -> pd.Series:
    found = [name for name in names if name in table]
    if not found:
        raise KeyError(f"no column {' or '.join(names)} among {', '.join(map(str, table))}")
    return table[found[0]]
