"""What is believed of one page: rows on the grid, once each, and not against earlier answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.market.candles import PRICES, TIME
from pipeline.market.exchanges.faults import Fault
from pipeline.market.exchanges.venue import Ask


@dataclass(frozen=True, slots=True)
class Page:
    """The candles of a window, and older ones that the venue gave beside them; both in order."""

    inside: pd.DataFrame
    older: pd.DataFrame

    @property
    def rows(self) -> pd.DataFrame:
        """All of them."""
        return pd.concat([self.older, self.inside])


def read_page(came: pd.DataFrame, ask: Ask, known: pd.DataFrame) -> Page:
    """Sort a venue's rows out by their moments.

    Parameters
    ----------
    came
        Raw rows; those at or after the stop are left out, the forming candle among them.
    known
        Candles of earlier answers. Those in the window have to come again, and none may differ.

    Raises
    ------
    Fault
        When a row is off the grid or impossible, when rows of one moment differ, or when the
        answer contradicts an earlier one.
    """
    rows = came[came.index < ask.stop]
    _require_possible(rows, ask)
    rows = _once(rows)
    _require_same(rows, known)
    inside = rows[rows.index >= ask.start]
    wanted = known.index[(known.index >= ask.start) & (known.index < ask.stop)]
    gone = wanted.difference(inside.index)
    if len(gone):
        raise Fault(
            "an answer lacks a candle that an earlier one had",
            found=f"no {gone[0].isoformat()}; {_told(rows)}",
        )
    return Page(inside, rows[rows.index < ask.start])


def require_reaching_back(page: Page, ask: Ask, known: pd.DataFrame) -> None:
    """Refuse an answer with fewer rows than asked that leaves out older candles that exist.

    Raises
    ------
    Fault
        Naming the newest candle that it leaves out.
    """
    older = known.index[known.index < ask.start]
    gone = older.difference(page.older.index)
    if len(gone) and len(page.inside) + len(page.older) < ask.count:
        raise Fault(
            "an answer stops short of candles that exist", found=f"no {gone[-1].isoformat()}"
        )


def empty(columns: tuple[str, ...]) -> pd.DataFrame:
    """A candle frame of these columns without candles."""
    index = pd.DatetimeIndex([], dtype="datetime64[ms, UTC]", name=TIME)
    return pd.DataFrame(index=index, columns=list(columns), dtype="float64")


def joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """All candles of agreeing frames once, in order."""
    full = [frame for frame in frames if len(frame)]
    if not full:
        return frames[0]
    rows = pd.concat(full)
    return rows[~rows.index.duplicated()].sort_index()


def gaps_of(
    times: pd.Index, start: pd.Timestamp, end: pd.Timestamp, step: pd.Timedelta
) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """First and last missing slot of each gap in ``[start, end)``.

    Examples
    --------
    >>> hour, day = pd.Timedelta(hours=1), pd.Timestamp("2025-12-20T00:00Z")
    >>> held = pd.DatetimeIndex([day, day + 3 * hour])
    >>> [(gap[0].hour, gap[1].hour) for gap in gaps_of(held, day, day + 5 * hour, hour)]
    [(1, 2), (4, 4)]
    """
    missing = np.ones(max(int((end - start) / step), 0), dtype=bool)
    inside = times[(times >= start) & (times < end)]
    missing[(pd.DatetimeIndex(inside) - start) // step] = False
    edges = np.flatnonzero(np.diff(np.concatenate(([False], missing, [False]))))
    return [
        (start + int(first) * step, start + int(stop - 1) * step)
        for first, stop in edges.reshape(-1, 2)
    ]


def _told(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "no candle at all"
    return f"what came is {rows.index[0].isoformat()} to {rows.index[-1].isoformat()}"


def _once(rows: pd.DataFrame) -> pd.DataFrame:
    if not rows.index.is_unique:
        rows = rows[~rows.reset_index().duplicated().to_numpy()]
    if not rows.index.is_unique:
        twice = rows.index[rows.index.duplicated()][0]
        raise Fault("two rows of one moment differ", found=twice.isoformat())
    return rows if rows.index.is_monotonic_increasing else rows.sort_index()


def _require_same(rows: pd.DataFrame, known: pd.DataFrame) -> None:
    place = rows.index.get_indexer(known.index)
    again = place >= 0
    now, before = rows.to_numpy()[place[again]], known.to_numpy()[again]
    differs = np.argwhere(now != before)
    if len(differs):
        row, column = differs[0]
        raise Fault(
            "two answers differ on one candle",
            found=f"{known.index[again][row].isoformat()}, {known.columns[column]} "
            f"{float(before[row, column])!r} and then {float(now[row, column])!r}",
        )


def _require_possible(rows: pd.DataFrame, ask: Ask) -> None:
    off = rows.index != pd.DatetimeIndex(rows.index).floor(ask.step)
    if off.any():
        found = rows.index[off][0].isoformat()
        raise Fault(f"a row does not begin on the grid of {ask.timeframe}", found=found)
    prices = rows[list(PRICES)].to_numpy()
    high, low = prices[:, PRICES.index("high")], prices[:, PRICES.index("low")]
    wrong = (prices > high[:, None]).any(axis=1) | (prices < low[:, None]).any(axis=1)
    if wrong.any():
        found = rows.index[int(np.argmax(wrong))].isoformat()
        raise Fault("a candle's high and low do not enclose its prices", found=found)
