from __future__ import annotations

import contextlib
import itertools
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import DataError, RetryLater
from pipeline.market import asking
from pipeline.market.candles import duration
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.replay import Replay
from pipeline.market.exchanges.simulated import Simulated
from pipeline.market.holes import Confirmed, Hole, holes, missing_between
from pipeline.market.store import CandleStore, Series
from pipeline.market.sync import sync
from pipeline.market.validation import Validation
from tests.stored import Venue
from tests.volume import volume

START = pd.Timestamp("2023-01-01T00:00Z")
HOURS = 24 * 100
MARKET = Instrument(name="SIM-P", symbol="SIM-P")
SERIES = Series("simulated", "SIM-P", "1h")
WHOLE = Simulated().fetch(MARKET, "1h", START, START + pd.Timedelta(hours=HOURS))
MINUTES = st.integers(0, HOURS * 60)
FEW = settings(max_examples=volume(25), deadline=None)


def at(minutes: int) -> pd.Timestamp:
    return START + pd.Timedelta(minutes=minutes)


def closed(frame: pd.DataFrame, first: pd.Timestamp, stop: pd.Timestamp) -> pd.DataFrame:
    return frame[(frame.index >= first) & (frame.index + duration("1h") <= stop)]


@FEW
@given(MINUTES, MINUTES)
def test_any_window_is_a_piece_of_the_whole(one: int, two: int) -> None:
    found = Simulated().fetch(MARKET, "1h", at(one), at(two))
    pd.testing.assert_frame_equal(found, closed(WHOLE, at(one), at(two)), check_freq=False)


@FEW
@given(
    st.lists(st.tuples(st.integers(0, HOURS - 1), st.integers(1, 900)), min_size=1, max_size=5),
    MINUTES,
    MINUTES,
)
def test_the_store_is_the_union_of_what_was_appended(
    pieces: list[tuple[int, int]], one: int, two: int
) -> None:
    kept = np.zeros(HOURS, dtype=bool)
    with tempfile.TemporaryDirectory() as folder:
        store = CandleStore(Path(folder))
        for first, rows in pieces:
            fresh = int((~kept[first : first + rows]).sum())
            assert store.append(SERIES, WHOLE.iloc[first : first + rows]) == fresh
            kept[first : first + rows] = True
        expected = WHOLE[kept]
        pd.testing.assert_frame_equal(store.read(SERIES), expected, check_freq=False)
        pd.testing.assert_frame_equal(
            store.read(SERIES, at(one), at(two)),
            closed(expected, at(one), at(two)),
            check_freq=False,
        )
        span = store.span(SERIES)
        assert span is not None
        assert (span.first, span.last, span.rows) == (
            expected.index[0],
            expected.index[-1],
            int(kept.sum()),
        )


@FEW
@given(st.lists(st.tuples(MINUTES, MINUTES), min_size=1, max_size=5))
def test_syncs_make_no_hole_and_know_all_they_were_asked(asked: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = CandleStore(Path(folder))
        for one, two in asked:
            sync(store, Simulated(), MARKET, "1h", at(one), at(two))
        stored = store.read(SERIES)
        for one, two in asked:
            assert closed(WHOLE, at(one), at(two)).index.isin(stored.index).all()
        if len(stored):
            part = WHOLE.loc[stored.index[0] : stored.index[-1]]
            pd.testing.assert_frame_equal(stored, part, check_freq=False)


@FEW
@given(st.sets(st.integers(1, 398), max_size=60), st.integers(0, 12))
def test_holes_are_what_is_missing(dropped: set[int], limit: int) -> None:
    frame = WHOLE.iloc[:400].drop(WHOLE.index[sorted(dropped)])
    text = "".join("x" if row in dropped else " " for row in range(400))
    runs = [len(run) for run in text.split()]
    as_of = WHOLE.index[400]
    rules = Validation(max_unknown_hours=limit)
    if max(runs, default=0) > limit:
        with pytest.raises(DataError, match="max_hole"):
            rules.check(frame, "1h", as_of)
        return
    quality = rules.check(frame, "1h", as_of)
    assert quality.candles == 400 - len(dropped)
    assert quality.missing == len(dropped)
    assert quality.holes == len(runs)
    assert quality.longest_hole == max(runs, default=0)


@FEW
@given(
    st.lists(
        st.floats(min_value=1e-12, max_value=1e12, allow_subnormal=False), min_size=1, max_size=8
    ),
    st.sampled_from(["csv", "parquet"]),
    st.sampled_from(["Asia/Seoul", "America/Sao_Paulo", "UTC"]),
)
def test_a_replay_returns_what_was_written(prices: list[float], suffix: str, zone: str) -> None:
    times = WHOLE.index[: len(prices)]
    cells = dict.fromkeys(("open", "high", "low", "close", "volume"), prices)
    local = times.tz_convert(zone).tz_localize(None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"SIM-P-60m.{suffix}"
        frame = pd.DataFrame({"timestamp": local} | cells)
        if suffix == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
        exchange = Replay(root=path.parent, pattern="{symbol}-{code}." + suffix, zone=zone)
        found = exchange.fetch(MARKET, "1h", START, at(HOURS * 60))
    assert found["close"].tolist() == prices
    assert found.index.equals(times)


class Unsteady(Venue):
    """A venue with holes that answers short, fails, or answers well, as it is told."""

    feed = "simulated"

    def __init__(self, served: pd.DataFrame, moods: list[int]) -> None:
        super().__init__(served)
        self.moods = moods

    def fetch(
        self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        whole = super().fetch(market, timeframe, start, end)
        mood = self.moods.pop() if self.moods else 0
        if mood == 1:
            raise RetryLater("the venue is down")
        return whole.iloc[: max(4, len(whole) // mood)] if mood else whole


@settings(max_examples=volume(8), deadline=None)
@given(
    st.sets(st.integers(1, 398), max_size=60),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=1, max_size=3),
    st.lists(st.integers(0, 3), max_size=8),
    st.integers(20, 120),
)
def test_whatever_the_venue_does_the_end_is_the_same(
    dropped: set[int], spans: list[tuple[int, int]], moods: list[int], piece: int
) -> None:
    served = WHOLE.iloc[:400].drop(WHOLE.index[sorted(dropped)])
    whole = at(0), at(400 * 60)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "PIECE", piece)
        patch.setattr("os.fsync", lambda descriptor: None)
        straight, crooked = CandleStore(Path(folder) / "1"), CandleStore(Path(folder) / "2")
        sync(straight, Unsteady(served, []), MARKET, "1h", *whole)
        venue = Unsteady(served, moods)
        for first, stop in spans:
            with contextlib.suppress(RetryLater, DataError):
                sync(crooked, venue, MARKET, "1h", at(first * 60), at(stop * 60))
            stored = crooked.read(SERIES)
            pd.testing.assert_frame_equal(stored, served.loc[stored.index], check_freq=False)
        venue.moods.clear()
        sync(crooked, venue, MARKET, "1h", *whole)
        assert files(straight) == files(crooked)
        missing = {WHOLE.index[row] for row in dropped}
        assert {time for hole in crooked.holes(SERIES) for time in hours(hole)} == missing
        assert all(hole.kind != "unknown" for hole in crooked.holes(SERIES))
        venue.asked.clear()
        sync(crooked, venue, MARKET, "1h", *whole)
        assert len(venue.asked) == 1


def files(store: CandleStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.folder(SERIES).glob("*.parquet")}


def hours(hole: Hole) -> list[pd.Timestamp]:
    found = list(pd.date_range(hole.first, hole.last, freq="h"))
    assert len(found) == hole.candles
    return found


@FEW
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 20), st.sampled_from(["simulated", "b", "c"])),
        min_size=1,
        max_size=6,
    )
)
def test_every_row_is_counted_for_who_sent_it_first(
    writes: list[tuple[int, int, str]],
) -> None:
    sent: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = CandleStore(Path(folder))
        for first, rows, name in writes:
            store.append(SERIES, WHOLE.iloc[first : first + rows].assign(source=name))
            for row in range(first, first + rows):
                sent.setdefault(row, name)
        counts = {name: list(sent.values()).count(name) for name in sorted(set(sent.values()))}
        assert store.sources(SERIES) == {"simulated": 0, **counts}
        part = [name for row, name in sent.items() if 10 <= row < 40]
        found = store.sources(SERIES, at(600), at(2400))
        assert found == {"simulated": 0} | {name: part.count(name) for name in set(part)}


@FEW
@given(st.lists(st.sampled_from(["no_trade", "outage", "unknown", "there"]), max_size=60))
def test_holes_are_cut_where_their_kind_changes(kinds: list[str]) -> None:
    line = ["there", *kinds, "there"]
    step = duration("1h")
    times = WHOLE.index[[row for row, kind in enumerate(line) if kind == "there"]]
    missing = missing_between(times, step)
    rows = [row for row, kind in enumerate(line) if kind != "there"]
    assert [pd.Timestamp(moment, unit="ms", tz="UTC") for moment in missing] == [
        WHOLE.index[row] for row in rows
    ]
    confirmed = [
        Confirmed(WHOLE.index[row], WHOLE.index[row], line[row], START)  # type: ignore[arg-type]
        for row in rows
        if line[row] != "unknown"
    ]
    found = holes(missing, confirmed, step)
    assert [(hole.kind, hole.candles) for hole in found] == [
        (kind, len(list(run))) for kind, run in itertools.groupby(line) if kind != "there"
    ]
