"""``vintage features``: values on stored candles."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline.commands.arguments import checkout
from pipeline.commands.console import progress, table
from pipeline.commands.feature_sets import column_facts, story
from pipeline.commands.feature_words import Asked, figures, paragraphs
from pipeline.config import home
from pipeline.errors import ConfigError
from pipeline.kernel_cache import kept
from pipeline.market.candles import duration
from pipeline.operations.feature_rows import Row, Rows, column_of, stored_rows

SHOWN = 6


def show(asked: Asked) -> tuple[Any, str]:
    """Every column of one row."""
    rows = _rows(asked, asked.names[0] if asked.names else None)
    row = rows.at(*asked.moments)
    off = (row.values - rows.table.mean()) / rows.deviation
    units = [spec.unit for spec in rows.features.columns.values()]
    lines = zip(row.values.index, figures(list(row.values)), units, _signed(off), strict=True)
    text = table(("column", "value", "unit", "deviations"), [list(line) for line in lines])
    note = f"deviations: from the column's mean over {len(rows.table)} rows, in standard deviations"
    facts = {**_place(rows, row), "values": row.values.to_dict()}
    return facts, f"{_title(rows, row)}\n\n{text}\n\n{note}"


def explain(asked: Asked) -> tuple[Any, str]:
    """One column at one moment: its value, its formula and the candles that it read."""
    name, column = asked.require(2)
    rows = _rows(asked, name)
    spec = rows.features.columns[column_of(rows.features, column)]
    row = rows.at(*asked.moments)
    value, mean, deviation = row.values[column], rows.table[column].mean(), rows.deviation[column]
    read = rows.read(column, row)
    candles = read.iloc[_shown(len(read), spec.of_trade)]
    facts = {
        **_place(rows, row),
        **column_facts(column, spec),
        "value": value,
        "mean": mean,
        "deviation": _known(deviation),
        "candles": [
            {"time": time.isoformat(), **candles.loc[time].to_dict()}
            for time in pd.DatetimeIndex(candles.index)
        ],
    }
    spread = f"mean {mean:.6g}, standard deviation {deviation:.6g} over {len(rows.table)} rows"
    words = {"value": f"{value:.10g}   ({spread})", **story(spec)}
    return facts, f"{_title(rows, row, column)}\n\n{paragraphs(words)}{_read(candles, len(read))}"


def diff(asked: Asked) -> tuple[Any, str]:
    """Two moments side by side."""
    if len(asked.names) > 1 or len(asked.moments) != 2:  # noqa: PLR2004
        raise ConfigError(
            "two sets are compared without candles, two moments within one set",
            where="vintage features diff",
            found=f"{len(asked.names)} sets, {len(asked.moments)} moments",
            fix=asked.usage,
        )
    rows = _rows(asked, asked.names[0] if asked.names else None)
    one, other = (rows.at(moment) for moment in asked.moments)
    apart = (other.values - one.values) / rows.deviation
    header = ("column", _minute(one.time), _minute(other.time), "deviations")
    if header[1] == header[2]:
        raise ConfigError("both moments lie in one candle", found=header[1], fix=asked.usage)
    columns = (figures(list(one.values)), figures(list(other.values)), _signed(apart))
    lines = [list(line) for line in zip(rows.table.columns, *columns, strict=True)]
    facts = {
        "set": rows.features.name,
        "series": str(rows.series),
        "rows": [_place(rows, row) | {"values": row.values.to_dict()} for row in (one, other)],
        "deviations": {name: _known(value) for name, value in apart.items()},
    }
    note = f"deviations: second minus first, in standard deviations over {len(rows.table)} rows"
    title = f"{rows.features.name} on {rows.series}, two moments"
    return facts, f"{title}\n\n{table(header, lines)}\n\n{note}"


def _rows(asked: Asked, feature_set: str | None) -> Rows:
    with progress("features") as tell:
        if not kept():
            tell("compiling indicators, once: about a quarter of a minute")
        now = pd.Timestamp.now(tz="UTC")
        return stored_rows(asked.target(feature_set), checkout() / "conf", home(), now)


def _place(rows: Rows, row: Row) -> dict[str, Any]:
    known = row.time + duration(rows.series.timeframe)
    return {
        "set": rows.features.name,
        "series": str(rows.series),
        "candle": row.time.isoformat(),
        "known_at": known.isoformat(),
        "trade": row.trade.isoformat() if row.trade is not None else None,
    }


def _title(rows: Rows, row: Row, column: str = "") -> str:
    trade = f", trade entered {_minute(row.trade)}" if row.trade is not None else ""
    name = f"{rows.features.name} {column}".strip()
    return f"{name} on {rows.series}, candle {_minute(row.time)} UTC{trade}"


def _read(candles: pd.DataFrame, count: int) -> str:
    if candles.columns.empty:
        return ""
    columns = [figures(list(candles[name])) for name in candles]
    lines = [list(line) for line in zip(map(_minute, candles.index), *columns, strict=True)]
    some = f"{len(lines)} of the {count} candles" if count > len(lines) else "the candles"
    title = "the candle that it read" if count == 1 else f"{some} that it read"
    return f"\n\n{title}\n{table(('time', *candles.columns), lines)}"


def _shown(count: int, of_trade: bool) -> list[int]:
    """Rows of the newest candles; of a trade also that of its entry."""
    newest = list(range(max(count - SHOWN, 0), count))
    return [0, *newest[1:]] if of_trade else newest


def _known(value: float) -> float | None:
    return None if pd.isna(value) else value


def _signed(values: pd.Series) -> list[str]:
    texts = ["-" if pd.isna(value) else f"{value:+.2f}" for value in values]
    width = max(map(len, texts))
    return [text.rjust(width) for text in texts]


def _minute(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%d %H:%M}"
