from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import DataError, RetryLater
from pipeline.market import asking
from pipeline.market.exchanges.base import Instrument
from pipeline.market.generations import generations
from pipeline.market.store import CandleStore, Series
from pipeline.market.sync import How, Progress, SyncReport, sync
from tests.stored import MARKET, SERIES, Fake, Venue, candles

T = pd.Timestamp
HOUR = pd.Timedelta(hours=1)
SERVED = candles("2025-01-01", 240)
T2 = (T("2025-01-01T00:00Z"), T("2025-01-10T00:00Z"))
NOW = T("2025-01-20T00:00Z")


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "store")


def run(store: CandleStore, exchange: Fake, first: str, stop: str, **how: Any) -> SyncReport:
    return sync(store, exchange, MARKET, "1h", T(first), T(stop), How(**how))


def without(*moments: str) -> pd.DataFrame:
    return SERVED.drop(index=[T(moment) for moment in moments])


def changed(*moments: str, column: str = "close") -> pd.DataFrame:
    revised = SERVED.copy()
    revised.loc[[T(moment) for moment in moments], column] += 1
    return revised


def holes(store: CandleStore) -> list[tuple[str, int, str]]:
    return [(f"{hole.first:%d %H:%M}", hole.candles, hole.kind) for hole in store.holes(SERIES)]


def test_it_asks_for_what_is_missing(store: CandleStore) -> None:
    exchange = Fake(SERVED)
    report = run(store, exchange, "2025-01-03T00:30Z", "2025-01-04T12:30Z")
    assert exchange.asked == [("03 01:00", "04 12:00")]
    assert (report.asked, report.appended) == (35, 35)
    assert (report.first, report.last) == (T("2025-01-03T01:00Z"), T("2025-01-04T11:00Z"))

    exchange.asked.clear()
    report = run(store, exchange, "2025-01-03T01:00Z", "2025-01-04T11:59Z")
    assert exchange.asked == []
    assert (report.asked, report.appended) == (0, 0)

    run(store, exchange, "2025-01-04T00:00Z", "2025-01-05T00:00Z")
    assert exchange.asked == [("04 09:00", "05 00:00")]

    exchange.asked.clear()
    report = run(store, exchange, "2025-01-02T00:00Z", "2025-01-06T00:00Z")
    assert exchange.asked == [("04 21:00", "06 00:00"), ("02 00:00", "03 04:00")]
    assert report.appended == 25 + 24
    assert (report.first, report.last) == (T("2025-01-02T00:00Z"), T("2025-01-05T23:00Z"))


def test_it_asks_for_the_last_three_again(store: CandleStore) -> None:
    exchange = Fake(SERVED)
    run(store, exchange, "2025-01-03T00:00Z", "2025-01-04T00:00Z")
    exchange.asked.clear()
    report = run(store, exchange, "2025-01-03T00:00Z", "2025-01-04T00:30Z")
    assert exchange.asked == [("03 21:00", "04 00:00")]
    assert (report.asked, report.appended, report.revised) == (3, 0, 0)


def test_it_bridges_to_what_is_stored(store: CandleStore) -> None:
    exchange = Fake(SERVED)
    run(store, exchange, "2025-01-04T00:00Z", "2025-01-04T02:00Z")
    run(store, exchange, "2025-01-08T00:00Z", "2025-01-09T00:00Z")
    run(store, exchange, "2025-01-01T00:00Z", "2025-01-02T00:00Z")
    assert store.times(SERIES).equals(SERVED.loc[:"2025-01-08"].index)


def test_candles_that_may_still_change_are_not_asked_for(store: CandleStore) -> None:
    exchange = Venue(SERVED)
    end = T("2025-01-05T12:00Z")
    for now, last in (("12:00:01Z", 10), ("12:00:02Z", 11), ("12:59:59Z", 11)):
        how = How(now=T(f"2025-01-05T{now}"))
        report = sync(store, exchange, MARKET, "1h", T2[0], end + HOUR, how)
        assert report.last == T(f"2025-01-05T{last}:00Z")


def test_a_long_span_comes_in_pieces(store: CandleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PIECE", 50)
    exchange, told = Venue(SERVED), list[Progress]()
    run(store, exchange, "2025-01-05T00:00Z", "2025-01-10T00:00Z", notify=told.append)
    assert exchange.asked == [
        ("07 22:00", "10 00:00"),
        ("05 20:00", "08 01:00"),
        ("05 00:00", "05 23:00"),
    ]
    assert [one.done for one in told] == [50, 103, 126]
    assert told[-1].total >= told[-1].done
    exchange.asked.clear()
    run(store, exchange, "2025-01-05T00:00Z", "2025-01-13T00:00Z")
    assert exchange.asked == [
        ("09 21:00", "11 23:00"),
        ("10 21:00", "12 23:00"),
        ("12 23:00", "13 00:00"),
    ]
    assert store.times(SERIES).equals(SERVED.loc["2025-01-05":].index)


def test_an_answer_that_stops_short_is_asked_for_again(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Short(Venue):
        """Gives the oldest or newest 30 candles of what it is asked for."""

        newest_first = False

        def fetch(
            self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
        ) -> pd.DataFrame:
            whole = super().fetch(market, timeframe, start, end)
            return whole.iloc[-30:] if self.newest_first else whole.iloc[:30]

    monkeypatch.setattr(asking, "PIECE", 40)
    exchange = Short(SERVED)
    run(store, exchange, "2025-01-05T00:00Z", "2025-01-05T10:00Z")
    with pytest.raises(RetryLater, match="missing: 2025-01-08T19:00"):
        run(store, exchange, "2025-01-05T00:00Z", "2025-01-09T00:00Z")
    run(store, exchange, "2025-01-05T00:00Z", "2025-01-09T00:00Z")
    exchange.newest_first = True
    run(store, exchange, "2025-01-02T00:00Z", "2025-01-09T00:00Z")
    assert store.times(SERIES)[0] == T("2025-01-02T00:00Z")
    assert holes(store) == []


def test_what_came_before_a_failure_stays(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Flaky(Venue):
        left = 2

        def fetch(
            self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
        ) -> pd.DataFrame:
            if not self.left:
                raise RetryLater("the venue is down", where="here", fix="wait")
            self.left -= 1
            return super().fetch(market, timeframe, start, end)

    monkeypatch.setattr(asking, "PIECE", 50)
    with pytest.raises(RetryLater) as caught:
        run(store, Flaky(SERVED), "2025-01-01T00:00Z", "2025-01-10T00:00Z")
    first = store.times(SERIES)[0]
    assert first == T("2025-01-05T20:00Z")
    told = str(caught.value)
    assert "the venue is down (here; missing: 2025-01-01T00:00:00+00:00 to " in told
    assert f"to {first.isoformat()}" in told
    assert told.endswith("To do: wait.")
    run(store, Venue(SERVED), "2025-01-01T00:00Z", "2025-01-10T00:00Z")
    assert store.times(SERIES).equals(SERVED.loc[:"2025-01-09"].index)


def test_a_changed_candle_is_a_revision(store: CandleStore) -> None:
    run(store, Fake(SERVED), "2025-01-02T00:00Z", "2025-01-03T00:00Z", now=NOW)
    later = NOW + HOUR
    revised = changed("2025-01-02T22:00Z")
    report = run(store, Fake(revised), "2025-01-02T00:00Z", "2025-01-04T00:00Z", now=later)
    assert (report.revised, report.appended) == (1, 24)
    (revision,) = store.revisions(SERIES)
    at = T("2025-01-02T22:00Z")
    assert (revision.number, revision.time, revision.seen_at) == (0, at, later)
    assert revision.old == {"close": SERVED.loc[at, "close"]}
    assert revision.new == {"close": SERVED.loc[at, "close"] + 1}
    pd.testing.assert_frame_equal(
        store.read(SERIES), revised.loc["2025-01-02":"2025-01-03"], check_freq=False
    )
    revised = changed("2025-01-02T01:00Z", "2025-01-02T22:00Z", column="volume")
    run(store, Fake(revised), "2025-01-01T00:00Z", "2025-01-04T00:00Z", now=later)
    assert [each.time for each in store.revisions(SERIES)] == [at, T("2025-01-02T01:00Z")]
    assert store.revisions(SERIES, T("2025-01-02T02:00Z"), T("2025-01-02T22:30Z")) == []
    assert len(store.revisions(SERIES, at, T("2025-01-02T23:00Z"))) == 1


def test_a_change_and_back_are_two_revisions(store: CandleStore) -> None:
    span = ("2025-01-02T00:00Z", "2025-01-03T00:00Z")
    for served in (SERVED, changed("2025-01-02T22:00Z"), SERVED, changed("2025-01-02T22:00Z")):
        run(store, Fake(served), *span)
    assert len(store.revisions(SERIES)) == 3


def test_another_feed_is_no_revision(store: CandleStore) -> None:
    run(store, Fake(SERVED), "2025-01-02T00:00Z", "2025-01-03T00:00Z")
    before = store.read(SERIES)
    other = SERVED * 1.001
    for first, stop in (("02", "04"), ("01", "03")):
        with pytest.raises(DataError, match="another feed or instrument: all 3 candles"):
            run(store, Fake(other), f"2025-01-{first}T00:00Z", f"2025-01-{stop}T00:00Z")
    pd.testing.assert_frame_equal(store.read(SERIES), before)
    assert store.revisions(SERIES) == []
    other["close"] = SERVED["close"]
    run(store, Fake(other), "2025-01-02T00:00Z", "2025-01-04T00:00Z")
    assert len(store.revisions(SERIES)) == 3, "the closes agree: the same feed, revised"


def test_two_candles_are_too_few_to_tell_another_feed(store: CandleStore) -> None:
    run(store, Fake(SERVED), "2025-01-02T00:00Z", "2025-01-02T02:00Z")
    run(store, Fake(SERVED * 1.001), "2025-01-02T00:00Z", "2025-01-03T00:00Z")
    assert len(store.revisions(SERIES)) == 2


def test_an_answer_without_stored_candles_is_refused(store: CandleStore) -> None:
    run(store, Fake(SERVED), "2025-01-05T00:00Z", "2025-01-06T00:00Z")
    for short in (SERVED.loc[:"2025-01-02"], SERVED.loc["2025-01-08":]):
        with pytest.raises((DataError, RetryLater), match=r"no longer has a candle|gives nothing"):
            run(store, Fake(short), "2025-01-01T00:00Z", "2025-01-10T00:00Z")
    span = store.span(SERIES)
    assert span is not None
    assert span.rows == 24


@pytest.mark.parametrize("kind", [Fake, Venue])
def test_an_empty_answer_is_none_where_candles_are_stored(
    store: CandleStore, kind: type[Fake]
) -> None:
    run(store, kind(SERVED), "2025-01-05T00:00Z", "2025-01-06T00:00Z")
    told = r"gives nothing of a span.*missing: 2025-01-01T.* to 2025-01-10T"
    with pytest.raises(RetryLater, match=told):
        run(store, kind(SERVED.iloc[:0]), "2025-01-01T00:00Z", "2025-01-10T00:00Z")
    assert store.times(SERIES).equals(SERVED.loc["2025-01-05"].index)
    assert store.confirmed(SERIES) == []


@pytest.mark.parametrize("held", [(), ("2025-01-05T00:00Z", "2025-01-06T00:00Z")])
@pytest.mark.parametrize("kind", [Fake, Venue])
def test_a_newest_candle_that_is_not_given_is_missing(
    store: CandleStore, kind: type[Fake], held: tuple[str, ...]
) -> None:
    class Shortened(kind):  # type: ignore[misc, valid-type]
        def fetch(self, *given: Any) -> pd.DataFrame:
            return super().fetch(*given).loc[: held[1] if held else "2025-01-01"].iloc[:-1]

    if held:
        run(store, kind(SERVED), *held)
    told = "did not give.*none at 2025-01-08T11:00"
    with pytest.raises(RetryLater, match=told):
        run(store, Shortened(SERVED), "2025-01-05T00:00Z", "2025-01-08T12:00Z")
    quiet = SERVED.loc[:"2025-01-07"]
    run(store, kind(quiet), "2025-01-05T00:00Z", "2025-01-08T12:00Z")
    assert store.times(SERIES).equals(quiet.loc["2025-01-05":].index)


def test_a_first_candle_that_is_not_given_is_missing(store: CandleStore) -> None:
    class Newest(Fake):
        """Serves its newest candles only, and says when it began."""

        def first_candle(self, market: Instrument, timeframe: str) -> pd.Timestamp | None:
            return T("2025-01-02T00:00Z")

    span = ("2025-01-01T00:00Z", "2025-01-10T00:00Z")
    told = "did not give.*missing: 2025-01-01T.*none at 2025-01-02T00:00"
    with pytest.raises(RetryLater, match=told):
        run(store, Newest(SERVED.loc["2025-01-05":]), *span)
    assert store.times(SERIES)[0] == T("2025-01-05T00:00Z"), "what came is stored"
    run(store, Newest(SERVED.loc["2025-01-02":]), *span)


def test_all_that_a_sync_asks_ends_by_one_deadline(store: CandleStore) -> None:
    class Patient(Venue):
        """Gives to nobody who has not said that this is one sync."""

        def for_one_sync(self) -> Venue:
            return Venue(self.served)

        def fetch(self, *given: Any) -> pd.DataFrame:
            raise AssertionError("asked without a deadline")

    run(store, Patient(SERVED), "2025-01-05T00:00Z", "2025-01-06T00:00Z")
    assert len(store.times(SERIES)) == 24


def test_a_source_may_have_nothing_at_all(store: CandleStore) -> None:
    empty = sync(CandleStore(store.root / "none"), Fake(SERVED.iloc[:0]), MARKET, "1h", *T2)
    assert (empty.appended, empty.first, empty.last) == (0, None, None)


@pytest.mark.parametrize("kind", [Fake, Venue])
def test_a_confirmed_hole_is_not_asked_for_again(store: CandleStore, kind: type[Fake]) -> None:
    exchange = kind(without("2025-01-03T05:00Z", "2025-01-03T06:00Z"))
    span = ("2025-01-02T00:00Z", "2025-01-05T00:00Z")
    report = run(store, exchange, *span, now=NOW)
    assert report.unknown == 0
    assert holes(store) == [("03 05:00", 2, "no_trade" if exchange.omits_empty else "outage")]
    (confirmed,) = store.confirmed(SERIES)
    assert confirmed.confirmed_at == NOW
    exchange.asked.clear()
    run(store, exchange, *span, now=NOW + HOUR)
    assert exchange.asked == [("04 21:00", "05 00:00")]
    assert store.confirmed(SERIES) == [confirmed]
    assert not store.lacks(SERIES, T(span[0]), T(span[1]))


def test_a_hole_that_nobody_answered_for_is_asked_for(store: CandleStore) -> None:
    store.append(SERIES, SERVED.loc["2025-01-02":"2025-01-04"].drop(index=SERVED.index[30:50]))
    store.append(SERIES, SERVED.loc["2025-01-09":])
    assert holes(store) == [("02 06:00", 20, "unknown"), ("05 00:00", 96, "unknown")]
    assert store.lacks(SERIES, T("2025-01-02T00:00Z"), T("2025-01-04T00:00Z"))
    exchange = Venue(without("2025-01-03T02:00Z"))
    with pytest.raises(DataError, match="no longer has a candle"):
        run(store, exchange, "2025-01-02T00:00Z", "2025-01-04T00:00Z")
    exchange = Venue(without("2025-01-02T08:00Z"))
    report = run(store, exchange, "2025-01-02T00:00Z", "2025-01-04T00:00Z")
    assert exchange.asked == [("02 04:00", "03 04:00")]
    assert (report.appended, report.unknown) == (19, 0)
    assert holes(store) == [("02 08:00", 1, "no_trade"), ("05 00:00", 96, "unknown")]


def test_a_month_that_is_gone_is_fetched_anew(store: CandleStore) -> None:
    served = candles("2025-01-20", 24 * 60)
    span = ("2025-01-20T00:00Z", "2025-03-10T00:00Z")
    run(store, Fake(served), *span)
    path = store.folder(SERIES) / "2025-02.parquet"
    content = path.read_bytes()
    path.unlink()
    assert store.lacks(SERIES, T(span[0]), T(span[1]))
    run(store, Fake(served), *span)
    assert path.read_bytes() == content


def test_near_holes_are_one_request(store: CandleStore) -> None:
    store.append(SERIES, SERVED.iloc[::2])
    exchange = Venue(SERVED)
    report = run(store, exchange, "2025-01-01T00:00Z", "2025-01-10T00:00Z")
    assert exchange.asked == [("01 00:00", "10 02:00")]
    assert report.appended == 240 // 2 - 11


def test_a_venue_that_began_later_is_remembered(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PIECE", 60)
    exchange = Venue(SERVED.loc["2025-01-04T06:00Z":])
    span = ("2025-01-01T00:00Z", "2025-01-08T00:00Z")
    run(store, exchange, *span)
    (confirmed,) = store.confirmed(SERIES)
    assert (confirmed.kind, confirmed.first) == ("not_listed", T("2025-01-01T00:00Z"))
    assert confirmed.last == T("2025-01-04T05:00Z")
    assert holes(store) == []
    assert not store.lacks(SERIES, T(span[0]), T(span[1]))
    exchange.asked.clear()
    run(store, exchange, *span)
    assert exchange.asked == [("07 21:00", "08 00:00")]
    exchange.asked.clear()
    run(store, exchange, "2024-12-31T00:00Z", span[1])
    assert exchange.asked == [("07 21:00", "08 00:00"), ("31 00:00", "01 00:00")]
    assert store.confirmed(SERIES)[0].first == T("2024-12-31T00:00Z")
    assert store.lacks(SERIES, T("2024-12-30T00:00Z"), T(span[1]))


def test_a_file_that_begins_later_may_grow(store: CandleStore) -> None:
    span = ("2025-01-01T00:00Z", "2025-01-08T00:00Z")
    run(store, Fake(SERVED.loc["2025-01-04":]), *span)
    assert store.confirmed(SERIES) == []
    run(store, Fake(SERVED), *span)
    assert store.times(SERIES)[0] == T(span[0])


def test_where_the_venue_says_its_first_candle_nothing_earlier_is_asked(
    store: CandleStore,
) -> None:
    class Telling(Venue):
        def first_candle(self, market: Instrument, timeframe: str) -> pd.Timestamp | None:
            return T("2025-01-04T06:00Z")

    exchange = Telling(SERVED.loc["2025-01-04T06:00Z":])
    run(store, exchange, "2020-01-01T00:00Z", "2025-01-08T00:00Z")
    assert exchange.asked == [("04 06:00", "08 00:00")]
    assert not store.lacks(SERIES, T("2020-01-01T00:00Z"), T("2025-01-08T00:00Z"))


def test_a_stretch_longer_than_a_piece_without_candles_is_crossed(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PIECE", 10)
    quiet = SERVED.drop(index=SERVED.index[60:130])
    for first, stop in (("01", "10"), ("03", "10"), ("01", "03")):
        other = CandleStore(store.root / f"{first}{stop}")
        run(other, Venue(quiet), f"2025-01-{first}T00:00Z", f"2025-01-{stop}T00:00Z")
        run(other, Venue(quiet), "2025-01-01T00:00Z", "2025-01-10T00:00Z")
        assert other.times(SERIES).equals(quiet.loc[:"2025-01-09"].index)
        assert holes(other) == [("03 12:00", 70, "outage")]


GONE = ("2025-01-03T05:00Z", "2025-01-03T06:00Z", "2025-01-03T07:00Z")
WEEK = ("2025-01-01T00:00Z", "2025-01-07T00:00Z")


def beside(store: CandleStore, market: str, *missing: str) -> list[str]:
    """Sync another market; kinds of its holes."""
    other = MARKET.model_copy(update={"name": market})
    sync(store, Venue(without(*missing)), other, "1h", T(WEEK[0]), T(WEEK[1]), How(now=NOW))
    return [hole.kind for hole in store.holes(Series("fake", market, "1h"))]


def kinds(store: CandleStore, *missing: str, **how: Any) -> list[str]:
    run(store, Venue(without(*missing)), *WEEK, **how)
    return [hole.kind for hole in store.holes(SERIES)]


def test_a_stretch_that_two_other_markets_miss_too_is_an_outage(store: CandleStore) -> None:
    early = "2025-01-02T05:00Z"
    assert kinds(store, early, *GONE) == ["no_trade", "no_trade"]
    assert beside(store, "KRW-ETH", *GONE) == ["no_trade"]
    assert kinds(store, early, *GONE) == ["no_trade"] * 2, "two quiet markets prove nothing"
    assert beside(store, "KRW-XRP", early, *GONE) == ["no_trade", "outage"]
    assert kinds(store, early, *GONE) == ["no_trade", "outage"]
    assert beside(store, "KRW-ETH", *GONE) == ["outage"]
    assert beside(store, "KRW-SOL") == []
    assert kinds(store, early, *GONE) == ["no_trade", "no_trade"], "one was traded meanwhile"


def test_a_short_stretch_without_trades_anywhere_is_chance(store: CandleStore) -> None:
    for market in ("KRW-ETH", "KRW-XRP", "KRW-SOL"):
        beside(store, market, *GONE)
    assert kinds(store, *GONE[:2]) == ["no_trade"]


def test_what_nobody_asked_a_neighbour_for_is_no_evidence(store: CandleStore) -> None:
    assert beside(store, "KRW-ETH", *GONE) == ["no_trade"]
    imported = Series("fake", "KRW-XRP", "1h")
    store.append(imported, without(*GONE))
    assert [hole.kind for hole in store.holes(imported)] == ["unknown"]
    assert kinds(store, *GONE) == ["no_trade"]
    beside(store, "KRW-XRP", *GONE)
    assert kinds(store, *GONE) == ["outage"]


def test_evidence_that_has_gone_changes_no_kind(store: CandleStore) -> None:
    for market in ("KRW-ETH", "KRW-XRP"):
        beside(store, market, *GONE)
    assert kinds(store, *GONE) == ["outage"]
    store.forget(Series("fake", "KRW-XRP", "1h"))
    assert kinds(store, *GONE) == ["outage"]
    assert kinds(store, *GONE, repair=True) == ["no_trade"], "asked anew, judged anew"


def test_a_neighbour_that_goes_meanwhile_is_none(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside(store, "KRW-ETH", *GONE)
    listed = store.series()
    store.forget(listed[0])
    monkeypatch.setattr(CandleStore, "series", lambda self: listed)
    assert kinds(store, *GONE) == ["no_trade"]


def test_repair_asks_for_every_hole(store: CandleStore) -> None:
    gone = ["2025-01-02T05:00Z", "2025-01-04T05:00Z", "2025-01-04T06:00Z"]
    late = without(*gone).loc["2025-01-01T12:00Z":]
    span = ("2025-01-01T00:00Z", "2025-01-07T00:00Z")
    run(store, Venue(late), *span)
    store.append(SERIES, SERVED.loc["2025-01-08"])
    exchange = Venue(without(gone[0]))
    report = run(store, exchange, "2025-01-06T00:00Z", span[1], repair=True)
    assert ("01 00:00", "01 12:00") in exchange.asked
    assert (report.recovered, report.empty, report.unknown) == (12 + 2 + 24, 1, 0)
    assert holes(store) == [("02 05:00", 1, "no_trade")]
    assert store.times(SERIES)[0] == T("2025-01-01T00:00Z")
    assert [span.kind for span in store.confirmed(SERIES)] == ["no_trade"]


def test_repair_extends_nothing(store: CandleStore) -> None:
    run(store, Venue(SERVED), "2025-01-02T00:00Z", "2025-01-03T00:00Z")
    exchange = Venue(SERVED)
    report = run(store, exchange, *WEEK, repair=True)
    assert (report.appended, exchange.asked) == (0, [])
    assert len(store.times(SERIES)) == 24
    empty = CandleStore(store.root.with_name("empty"))
    assert run(empty, Venue(SERVED), *WEEK, repair=True).appended > 24


def test_a_forced_sync_counts_what_came(store: CandleStore) -> None:
    first = run(store, Venue(without(*GONE)), *WEEK)
    again = run(store, Venue(without(*GONE)), *WEEK, force=True)
    assert (again.came, again.appended, again.revised) == (first.appended, 0, 0)
    assert again.asked == again.came + len(GONE)


def test_repair_tells_an_answer_from_none(store: CandleStore) -> None:
    """An empty answer where candles are stored answers nothing."""

    class Deaf(Venue):
        def fetch(self, *given: Any) -> pd.DataFrame:
            whole = super().fetch(*given)
            return whole if given[2] >= T("2025-01-04T00:00Z") else whole.iloc[:0]

    store.append(SERIES, without(GONE[0], "2025-01-05T05:00Z"))
    report = run(store, Deaf(SERVED), "2025-01-06T00:00Z", "2025-01-11T00:00Z", repair=True)
    assert (report.recovered, report.empty, report.unknown) == (0, 0, 2), "two near holes, one ask"
    late = Deaf(without(GONE[0]))
    report = run(store, late, "2025-01-06T00:00Z", "2025-01-11T00:00Z")
    assert (report.recovered, report.empty, report.unknown) == (0, 0, 0), "of that span"


def test_a_repair_that_renews_too_counts_once(store: CandleStore) -> None:
    store.append(SERIES, without(*GONE))
    report = run(store, Venue(without(GONE[1])), *WEEK, force=True, repair=True)
    assert (report.recovered, report.empty, report.unknown) == (2, 1, 0)
    report = run(store, Venue(without(GONE[1])), *WEEK)
    assert (report.recovered, report.empty, report.unknown) == (0, 0, 0)
    report = run(store, Venue(without(GONE[1])), *WEEK, repair=True)
    assert (report.recovered, report.empty, report.unknown) == (0, 1, 0)


def test_three_revised_candles_have_a_way_out(store: CandleStore) -> None:
    revised = changed(*(f"2025-01-06T{hour}:00Z" for hour in (21, 22, 23)))
    run(store, Venue(SERVED), *WEEK)
    for _ in range(2):
        with pytest.raises(DataError, match=r"all 3 candles .* data sync --force since="):
            run(store, Venue(revised), *WEEK)
    report = run(store, Venue(revised), *WEEK, now=NOW, force=True)
    assert (report.revised, report.appended) == (3, 0)
    assert run(store, Venue(revised), *WEEK).revised == 0


def test_force_fetches_the_span_anew_and_keeps_what_it_replaces(store: CandleStore) -> None:
    run(store, Fake(SERVED), *map(str, T2))
    before = {path.name: path.read_bytes() for path in store.folder(SERIES).glob("*.parquet")}
    revised = changed("2025-01-03T05:00Z", "2025-01-06T05:00Z")
    report = run(store, Fake(revised), *map(str, T2), now=NOW)
    assert report.revised == 0, "only the last three are compared"
    exchange = Fake(revised)
    report = run(store, exchange, "2025-01-03T00:00Z", "2025-01-04T00:00Z", now=NOW, force=True)
    assert exchange.asked == [("03 00:00", "04 00:00")]
    assert (report.revised, report.appended) == (1, 0)
    assert store.read(SERIES).loc[T("2025-01-03T05:00Z"), "close"] == revised["close"].iloc[53]
    assert store.read(SERIES).loc[T("2025-01-06T05:00Z"), "close"] == SERVED["close"].iloc[125]
    (kept,) = generations(store.folder(SERIES))
    assert kept.name == ".generation-20250120T000000Z"
    assert {path.name: path.read_bytes() for path in kept.glob("*.parquet")} == before
    run(store, Fake(revised), *map(str, T2), now=NOW + HOUR, force=True)
    (kept,) = generations(store.folder(SERIES))
    assert kept.name == ".generation-20250120T010000Z"
    assert len(store.revisions(SERIES)) == 2


def test_force_reaches_to_what_is_stored(store: CandleStore) -> None:
    exchange = Fake(SERVED)
    run(store, exchange, "2025-01-04T00:00Z", "2025-01-05T00:00Z")
    run(store, exchange, "2025-01-07T00:00Z", "2025-01-08T00:00Z", force=True)
    run(store, exchange, "2025-01-02T00:00Z", "2025-01-03T00:00Z", force=True)
    assert store.times(SERIES).equals(SERVED.loc["2025-01-02":"2025-01-07"].index)
    empty = CandleStore(store.root / "empty")
    assert run(empty, exchange, "2025-01-02T00:00Z", "2025-01-03T00:00Z", force=True).appended == 24


@pytest.mark.parametrize(
    "served", [SERVED.iloc[:0], SERVED.drop(index=SERVED.index[50]), SERVED * 1.001]
)
def test_force_replaces_nothing_by_less(store: CandleStore, served: pd.DataFrame) -> None:
    run(store, Fake(SERVED), *map(str, T2))
    before = store.read(SERIES)
    with pytest.raises(DataError, match=r"no longer has a candle|another feed"):
        run(store, Fake(served), *map(str, T2), force=True)
    pd.testing.assert_frame_equal(store.read(SERIES), before)
    assert generations(store.folder(SERIES)) == []


def test_rows_from_another_source_are_told_apart(store: CandleStore) -> None:
    def mixed(rows: slice, name: str) -> pd.DataFrame:
        sources = np.full(len(SERVED), "fake", dtype=object)
        sources[rows] = name
        return SERVED.assign(source=sources)

    run(store, Fake(mixed(slice(30, 40), "other")), "2025-01-01T00:00Z", "2025-01-03T00:00Z")
    assert store.sources(SERIES) == {"fake": 38, "other": 10}
    assert "source" not in store.read(SERIES)
    run(store, Fake(mixed(slice(60, 70), "third")), "2025-01-01T00:00Z", "2025-01-05T00:00Z")
    assert store.sources(SERIES) == {"fake": 76, "other": 10, "third": 10}
    start, end = T("2025-01-02T12:00Z"), T("2025-01-03T12:00Z")
    assert store.sources(SERIES, start, end) == {"fake": 20, "other": 4}
    run(store, Fake(mixed(slice(0, 0), "")), "2025-01-01T00:00Z", "2025-01-06T00:00Z")
    assert store.sources(SERIES)["other"] == 10, "the same candle again keeps its source"


def test_a_source_that_stands_in_for_one_piece_is_told_apart(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StandIn(Venue):
        def fetch(
            self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
        ) -> pd.DataFrame:
            whole = super().fetch(market, timeframe, start, end)
            return whole.assign(source="other") if len(self.asked) == 2 else whole

    monkeypatch.setattr(asking, "PIECE", 48)
    run(store, Venue(SERVED), "2025-01-01T00:00Z", "2025-01-03T00:00Z")
    run(store, StandIn(SERVED), "2025-01-03T00:00Z", "2025-01-09T00:00Z", force=True)
    assert store.sources(SERIES) == {"fake": 192 - 48, "other": 48}


def test_a_feed_that_comes_back_is_compared_with_itself(store: CandleStore) -> None:
    """What stood in with slightly other values was no other feed; nor is it, once it goes."""
    run(store, Fake(SERVED), "2025-01-01T00:00Z", "2025-01-03T00:00Z")
    lent = (SERVED * 1.001).loc["2025-01-03"].assign(source="other")
    store.write(SERIES, lent, NOW)
    report = run(store, Fake(SERVED), "2025-01-01T00:00Z", "2025-01-05T00:00Z", now=NOW)
    assert (report.revised, report.appended) == (3, 24)
    assert store.sources(SERIES) == {"fake": 48 + 3 + 24, "other": 21}


def test_a_feed_is_compared_with_what_was_imported_for_it(store: CandleStore) -> None:
    store.append(SERIES, (SERVED * 1.001).iloc[:48].assign(source="import"))
    with pytest.raises(DataError, match="another feed"):
        run(store, Fake(SERVED), "2025-01-01T00:00Z", "2025-01-05T00:00Z")


class Careless(Fake):
    """An exchange that answers with more than it was asked for."""

    def fetch(
        self, market: Instrument, timeframe: str, start: pd.Timestamp, end: pd.Timestamp
    ) -> pd.DataFrame:
        return self.served


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: f.loc[:"2025-01-03T00:00Z"], "forming_last"),
        (lambda f: f.loc[:"2025-01-03T02:00Z"], "future"),
        (lambda f: f.loc["2025-01-01T23:00Z":"2025-01-02T20:00Z"], "not asked for"),
        (lambda f: f.loc["2025-01-02"].iloc[::-1], "order"),
        (lambda f: f.loc["2025-01-02"].iloc[[3, 3, 4]], "duplicates"),
        (lambda f: f.loc["2025-01-02"].shift(freq="5min"), "off_grid"),
    ],
)
def test_what_was_not_asked_for_is_refused(
    store: CandleStore, change: Callable[[pd.DataFrame], pd.DataFrame], told: str
) -> None:
    exchange = Careless(change(SERVED))
    with pytest.raises(DataError, match=told):
        run(store, exchange, "2025-01-02T00:00Z", "2025-01-03T00:00Z")
    assert store.span(SERIES) is None
