"""Whatever a venue does to some of its pages, a download is the truth or an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.market.candles import REQUIRED
from pipeline.market.exchanges.faults import Fault
from pipeline.market.exchanges.line import Line
from pipeline.market.exchanges.machine import Deadline
from pipeline.market.exchanges.page import gaps_of
from pipeline.market.exchanges.paging import Download
from pipeline.market.exchanges.rate_bucket import RateLimit
from pipeline.market.exchanges.rows import to_frame
from pipeline.market.exchanges.venue import Ask, Venue
from tests.machine import Hands
from tests.volume import volume

START = pd.Timestamp("2025-12-01T00:00Z")
HOUR = pd.Timedelta(hours=1)
ROWS, SLOTS = 8, 90
COARSE = 10 * HOUR
SPOILS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "nothing": lambda page: page.iloc[:0],
    "half": lambda page: page.iloc[: len(page) // 2],
    "other half": lambda page: page.iloc[len(page) // 2 :],
    "hole": lambda page: page.drop(page.index[len(page) // 2 : len(page) // 2 + 1]),
    "twice": lambda page: pd.concat([page, page]),
    "backwards": lambda page: page.iloc[::-1],
    "later": lambda page: page.set_axis(page.index + 4 * HOUR),
    "earlier": lambda page: page.set_axis(page.index - 4 * HOUR),
    "off the grid": lambda page: page.set_axis(page.index + pd.Timedelta(minutes=1)),
    "doubled": lambda page: page * 2,
    "upside down": lambda page: page.assign(high=page["low"], low=page["high"]),
}


@dataclass
class FakeDesk:
    """Gives pages of a frame, some of them spoilt."""

    truth: pd.DataFrame
    back: bool
    spoilt: dict[int, str] = field(default_factory=dict)
    asked: int = 0

    def page(self, ask: Ask) -> pd.DataFrame:
        assert ask.count <= ROWS
        held = self.truth[self.truth.index < ask.stop]
        rows = held.tail(ask.count) if self.back else held[held.index >= ask.start]
        return self._spoil(rows)

    def latest(self, symbol: str, timeframe: str) -> pd.DataFrame:
        return self._spoil(self.truth.tail(ROWS))

    def symbols(self) -> list[str]:
        return []

    def _spoil(self, rows: pd.DataFrame) -> pd.DataFrame:
        self.asked += 1
        name = self.spoilt.get(self.asked)
        return rows if name is None or rows.empty else SPOILS[name](rows)


def frame(present: np.ndarray) -> pd.DataFrame:
    place = np.flatnonzero(present)
    moments = [int((START + int(hour) * HOUR).value // 10**6) for hour in place]
    close = 100 + place * 7 % 13
    columns = {"open": close, "high": close + 2, "low": close - 2, "close": close + 1}
    cells = {name: [float(cell) for cell in cells] for name, cells in columns.items()}
    return to_frame(moments, {**cells, "volume": [float(cell) for cell in place % 5]})


def download(desk: FakeDesk, hands: Hands, *, tells_first: bool) -> Download:
    def first(_line: Line, _symbol: str, _timeframe: str) -> pd.Timestamp:
        if desk.truth.empty:
            raise Fault("there is no candle")
        return desk.truth.index[0] if tells_first else desk.truth.index[0] + COARSE

    venue = Venue(
        name="fake",
        base_url="",
        limit=RateLimit(1, 1, ""),
        rows=ROWS,
        columns=REQUIRED,
        omits_empty=desk.back,
        reaches_back=desk.back,
        symbol_of=lambda market: market.symbol,
        open=lambda line: desk,
        judge=lambda answer, now: 0.0,
        first=first,
        tells_first=tells_first,
    )
    line = Line(
        rate=1,
        judge=venue.judge,
        deadline=Deadline.after(hands.machine, 1e6),
        timeout=1,
        max_skew=1,
        base_url="",
    )
    return Download(venue, desk, line, "X", "1h")


@st.composite
def worlds(draw: st.DrawFn) -> np.ndarray:
    """Which candles exist: none before the listing, and holes of any length."""
    present = np.ones(SLOTS, dtype=bool)
    present[: draw(st.sampled_from([0, 0, 3, 40, SLOTS]))] = False
    for _ in range(draw(st.integers(0, 4))):
        first = draw(st.integers(0, SLOTS - 1))
        present[first : first + draw(st.sampled_from([1, 2, 5, 30]))] = False
    return present


@given(
    present=worlds(),
    ends=st.tuples(st.integers(0, SLOTS - 1), st.integers(1, 25) | st.integers(25, SLOTS)),
    back=st.booleans(),
    tells_first=st.booleans(),
    spoilt=st.dictionaries(
        st.integers(1, 7) | st.integers(8, 25), st.sampled_from(sorted(SPOILS)), max_size=2
    ),
)
def test_a_download_is_the_truth_or_an_error(
    present: np.ndarray,
    ends: tuple[int, int],
    back: bool,
    tells_first: bool,
    spoilt: dict[int, str],
) -> None:
    start, end = START + ends[0] * HOUR, START + (ends[0] + ends[1]) * HOUR
    truth = frame(present)
    with pytest.MonkeyPatch.context() as patch, Hands.folder() as folder:
        patch.setenv("VINTAGE_RATE_FOLDER", folder)
        hands = Hands(START + SLOTS * HOUR)
        desk = FakeDesk(truth, back, spoilt)
        try:
            got = download(desk, hands, tells_first=tells_first and not back).candles(start, end)
        except Fault:
            refused = spoilt or truth.empty or not back
            assert refused, "a sound venue that reaches back is never refused"
            return
    expected = truth[(truth.index >= start) & (truth.index < end)]
    pd.testing.assert_frame_equal(got, expected, check_exact=True, check_freq=False)


WORLDS = {
    "whole": ((), 20, 40),
    "listed inside": (((0, 30),), 20, 45),
    "listed later": (((0, 60),), 20, 45),
    "hole at the start": (((18, 23),), 20, 40),
    "long hole": (((25, 45),), 20, 60),
    "hole at the end": (((36, 50),), 20, 40),
    "one page": ((), 80, 88),
}


@pytest.mark.parametrize("back", [True, False])
@pytest.mark.parametrize("name", sorted(WORLDS))
def test_one_lie_anywhere_makes_no_wrong_candles(name: str, back: bool) -> None:
    holes, first, stop = WORLDS[name]
    present = np.ones(SLOTS, dtype=bool)
    for hole in holes:
        present[slice(*hole)] = False
    start, end = START + first * HOUR, START + stop * HOUR
    truth = frame(present)
    expected = truth[(truth.index >= start) & (truth.index < end)]
    outcomes = set()
    with pytest.MonkeyPatch.context() as patch, Hands.folder() as folder:
        patch.setenv("VINTAGE_RATE_FOLDER", folder)
        for lie in sorted(SPOILS):
            for page in lying_pages():
                hands, desk = Hands(START + SLOTS * HOUR), FakeDesk(truth, back, {page: lie})
                try:
                    got = download(desk, hands, tells_first=False).candles(start, end)
                except Fault as fault:
                    outcomes.add(fault.what)
                    continue
                outcomes.add("the truth")
                where = f"{lie} at page {page}"
                assert got.index.equals(expected.index), where
                assert (got.to_numpy() == expected.to_numpy()).all(), where
    assert "the truth" in outcomes


def lying_pages() -> list[int]:
    return list(range(1, 16)) if volume(1) > 1 else [1, 2, 4, 7]


@pytest.mark.parametrize("back", [True, False])
@pytest.mark.parametrize("lie", ["nothing", "half"])
def test_a_venue_that_always_lies_is_refused(
    lie: str, back: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VINTAGE_RATE_FOLDER", str(tmp_path))
    desk = FakeDesk(frame(np.ones(SLOTS, dtype=bool)), back, dict.fromkeys(range(1, 300), lie))
    with pytest.raises(Fault):
        download(desk, Hands(START + SLOTS * HOUR), tells_first=False).candles(
            START + 20 * HOUR, START + 40 * HOUR
        )


@settings(max_examples=volume(10))
@given(worlds(), st.booleans())
def test_a_sound_venue_is_asked_little_more_than_its_pages(present: np.ndarray, back: bool) -> None:
    present[0] = present[-1] = True
    with pytest.MonkeyPatch.context() as patch, Hands.folder() as folder:
        patch.setenv("VINTAGE_RATE_FOLDER", folder)
        desk = FakeDesk(frame(present), back)
        hands = Hands(START + SLOTS * HOUR)
        download(desk, hands, tells_first=False).candles(START, START + SLOTS * HOUR)
    pages = -(-(SLOTS - 3) // (ROWS - 3)) + 1
    assert desk.asked <= pages * (1 if present.all() else 2)
    assert hands.passed == 0


@given(worlds())
def test_gaps_are_the_slots_that_lack(present: np.ndarray) -> None:
    gaps = gaps_of(frame(present).index, START, START + SLOTS * HOUR, HOUR)
    missing = np.zeros(SLOTS, dtype=bool)
    for first, last in gaps:
        missing[int((first - START) / HOUR) : int((last - START) / HOUR) + 1] = True
    assert (missing == ~present).all()
    assert all(later[0] - sooner[1] > HOUR for sooner, later in pairwise(gaps))
