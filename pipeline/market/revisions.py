"""Candles whose source changed its mind: found by comparing, kept in ``revisions.jsonl``.

A line is written before the candle is replaced, so what was believed once is never lost. A last
line that a crash cut off was never written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import DataError
from registry.files import append_line

FILE = "revisions.jsonl"
CERTAIN = 3  # so many candles, all of them different, are another feed and no revision


@dataclass(frozen=True, slots=True)
class Revision:
    """One stored candle that came with other values.

    Parameters
    ----------
    number
        Place in the series' journal, from 0.
    old, new
        The columns that differ, as stored and as they came.
    """

    number: int
    time: pd.Timestamp
    seen_at: pd.Timestamp
    old: dict[str, float]
    new: dict[str, float]

    @property
    def key(self) -> str:
        """Which candle, and when it was seen to change."""
        return f"{self.time.isoformat()} seen {self.seen_at.isoformat()}"


@dataclass(frozen=True, slots=True)
class Compared:
    """Candles that came, beside those that are stored at the same moments."""

    fresh: pd.DataFrame
    old: pd.DataFrame
    new: pd.DataFrame


def compare(known: pd.DataFrame, came: pd.DataFrame) -> Compared:
    """Divide what came into candles that are not stored and candles with other values.

    Examples
    --------
    >>> known = pd.DataFrame({"close": [1.0, 2.0]}, index=[0, 1])
    >>> found = compare(known, pd.DataFrame({"close": [2.5, 3.0]}, index=[1, 2]))
    >>> found.fresh["close"].tolist(), found.old["close"].tolist(), found.new["close"].tolist()
    ([3.0], [2.0], [2.5])
    """
    again = came.index.intersection(known.index)
    old, new = known.loc[again], came.loc[again]
    differ = (old.to_numpy() != new.to_numpy()).any(axis=1)
    return Compared(came.loc[came.index.difference(known.index)], old[differ], new[differ])


def joined(parts: Sequence[Compared]) -> Compared:
    """Several comparisons as one."""
    whole = [pd.concat(frames) for frames in zip(*map(_frames, parts), strict=True)]
    return Compared(*whole)


def refuse_revised(compared: Compared, where: str, fix: str) -> None:
    """Let no stored candle change; `fix` is what to do about it.

    Raises
    ------
    DataError
        Naming the first candle and column that differ.
    """
    if compared.old.empty:
        return
    old, new = compared.old.to_numpy(), compared.new.to_numpy()
    row, column = (int(place) for place in np.argwhere(old != new)[0])
    raise DataError(
        f"a candle that is stored comes with another value, {len(old)} in all",
        where=f"{where}, {compared.old.index[row].isoformat()}, "
        f"column {compared.old.columns[column]}",
        found=repr(float(new[row, column])),
        expected=f"{float(old[row, column])!r} as stored",
        fix=fix,
    )


def refuse_stranger(compared: Compared, again: int, series: str) -> None:
    """Refuse a source none of whose candles is the stored one: no revision changes them all.

    Parameters
    ----------
    again
        How many of the candles that came are stored.

    Raises
    ------
    DataError
        When `CERTAIN` candles or more were compared and every close differs.
    """
    closes = compared.old["close"].to_numpy() != compared.new["close"].to_numpy()
    if again < CERTAIN or int(closes.sum()) < again:
        return
    at = compared.old.index[0]
    raise DataError(
        f"another feed or instrument: all {again} candles compared are revised in close",
        where=f"{series}, {at.isoformat()}",
        found=repr(float(compared.new["close"].iloc[0])),
        expected=f"{float(compared.old['close'].iloc[0])!r} as stored",
        fix="find out what the source serves; if it revised these alone, vintage data sync --force "
        "since= a moment some candles earlier compares and replaces all from there; if the whole "
        f"store is wrong, vintage data forget {series}, then sync",
    )


def read(folder: Path) -> list[Revision]:
    """Every revision of a series, in the order in which they were seen.

    Raises
    ------
    DataError
        When a line that is complete is no revision.
    """
    path = folder / FILE
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    return [_parsed(line, number, path) for number, line in enumerate(lines)]


def known_to(cut: pd.DataFrame, every: Iterable[Revision]) -> list[Revision]:
    """Revisions that a cut was made after: for each candle, up to the last whose values it has.

    The journal is written before the candle, so its lines alone do not tell what a cut holds.
    """
    by_time: dict[pd.Timestamp, list[Revision]] = {}
    for revision in every:
        if revision.time in cut.index:
            by_time.setdefault(revision.time, []).append(revision)
    known = []
    for time, seen in by_time.items():
        row = cut.loc[time]
        while seen and any(row[name] != value for name, value in seen[-1].new.items()):
            seen.pop()
        known += seen
    return sorted(known, key=lambda revision: revision.number)


def lines_of(compared: Compared, held: Sequence[Revision], seen_at: pd.Timestamp) -> list[str]:
    """Lines for what differs, without those that an interrupted writer left already."""
    newest = {revision.time: (revision.old, revision.new) for revision in held}
    lines = []
    for time, old, new in _rows(compared):
        if newest.get(time) != (old, new):
            told = {"time": time.isoformat(), "seen_at": seen_at.isoformat()}
            lines.append(json.dumps({**told, "old": old, "new": new}))
    return lines


def append(folder: Path, lines: Sequence[str]) -> None:
    """Add lines to the journal of a locked folder, over a last line that was cut off."""
    if not lines:
        return
    path = folder / FILE
    if path.exists() and (whole := len(_whole(path))) < path.stat().st_size:
        os.truncate(path, whole)
    append_line(path, "\n".join(lines))


def extended(folder: Path, lines: Sequence[str]) -> bytes:
    """Bytes of the journal with some lines more."""
    path = folder / FILE
    before = _whole(path) if path.exists() else b""
    return before + "".join(f"{line}\n" for line in lines).encode()


def _whole(path: Path) -> bytes:
    content = path.read_bytes()
    return content[: content.rfind(b"\n") + 1]


def _frames(part: Compared) -> tuple[pd.DataFrame, ...]:
    return part.fresh, part.old, part.new


def _rows(compared: Compared) -> Iterable[tuple[pd.Timestamp, dict[str, float], dict[str, float]]]:
    names = list(compared.old.columns)
    pairs = zip(compared.old.to_numpy(), compared.new.to_numpy(), strict=True)
    for time, (old, new) in zip(compared.old.index, pairs, strict=True):
        changed = [place for place, name in enumerate(names) if old[place] != new[place]]
        yield (
            time,
            {names[place]: float(old[place]) for place in changed},
            {names[place]: float(new[place]) for place in changed},
        )


def _parsed(line: bytes, number: int, path: Path) -> Revision:
    try:
        told = json.loads(line)
        moments = [pd.Timestamp(told[name]).as_unit("ms") for name in ("time", "seen_at")]
        return Revision(number, moments[0], moments[1], dict(told["old"]), dict(told["new"]))
    except (ValueError, KeyError, TypeError):
        raise DataError(
            "a line of the journal of revisions is none",
            where=f"{path}, line {number + 1}",
            found=line[:80].decode(errors="replace"),
            fix="delete that line",
        ) from None
