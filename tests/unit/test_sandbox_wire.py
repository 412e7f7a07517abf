"""Bodies on the wire: field by field as recorded, paged and timed as the venues do."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.market.candles import PRICES, REQUIRED
from pipeline.sandbox.exchange import Exchange
from pipeline.sandbox.messages import Answer
from pipeline.sandbox.world import Series, Silence, World
from tests.volume import volume

NOW = pd.Timestamp("2025-12-20T00:20Z")
HOUR = pd.Timedelta(hours=1)
UPBIT_FILES = [
    ("upbit_1m_20200220_170000-20200220_202000.json", 1),
    ("upbit_1m_20200220_202000-20200220_210000.json", 1),
    ("upbit_3m_20200220_000000-20200220_100000.json", 3),
    ("upbit_3m_20200220_100000-20200220_120000.json", 3),
]
PRICE_FIELDS = ("opening_price", "high_price", "low_price", "trade_price")
VOLUME_FIELDS = ("candle_acc_trade_volume", "candle_acc_trade_price")
SOL = {"upbit": "KRW-SOL", "bingx": "SOL-USDT", "binance": "SOLUSDT"}


class Caller:
    """Asks an exchange without a socket, its limits lifted."""

    def __init__(self, world: World | None = None, now: pd.Timestamp = NOW) -> None:
        self.world = world or World()
        self.exchange = Exchange(self.world, lambda: now, limited=False)

    def ask(self, venue: str, path: str, **query: Any) -> Answer:
        words = {name: str(told) for name, told in query.items()}
        answer = self.exchange.answer(venue, path, words, {})
        json.loads(answer.body)
        return answer

    def upbit(self, unit: int = 60, market: str = "KRW-SOL", **query: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.ask(
            "upbit", f"v1/candles/minutes/{unit}", market=market, **query
        ).content
        return rows

    def bingx(self, interval: str = "1h", **query: Any) -> list[dict[str, Any]]:
        path = "openApi/swap/v3/quote/klines"
        answer = self.ask("bingx", path, symbol="SOL-USDT", interval=interval, **query)
        assert (answer.content["code"], answer.content["msg"]) == (0, "")
        return answer.rows

    def binance(self, interval: str = "1h", **query: Any) -> list[list[Any]]:
        return self.ask(
            "binance", "fapi/v1/klines", symbol="SOLUSDT", interval=interval, **query
        ).rows


def ms(at: pd.Timestamp) -> int:
    return int(at.timestamp() * 1000)


def shape(node: Any) -> Any:
    """Types, names and order of a JSON document; of a list, those of its first."""
    if isinstance(node, dict):
        return [(name, shape(told)) for name, told in node.items()]
    if isinstance(node, list) and node and isinstance(node[0], dict | list):
        return [shape(node[0])]
    return [type(told) for told in node] if isinstance(node, list) else type(node)


@pytest.mark.real
@pytest.mark.parametrize(("name", "unit"), UPBIT_FILES)
def test_upbit_pages_are_those_that_were_recorded(
    name: str, unit: int, real_data: Path, tmp_path: Path
) -> None:
    sample = json.loads((real_data / "wire" / name).read_text())
    table = pd.DataFrame(sample).iloc[::-1]
    columns = dict(zip([*PRICE_FIELDS, *VOLUME_FIELDS], [*REQUIRED, "value"], strict=True))
    table = table.rename(columns=columns | {"timestamp": "tick"})
    table = table.rename(columns={"candle_date_time_utc": "timestamp"})
    table[["timestamp", *columns.values()]].to_parquet(tmp_path / f"KRW-BTC-{unit}m.parquet")
    newest = pd.Timestamp(sample[0]["candle_date_time_utc"], tz="UTC")
    to = newest + pd.Timedelta(minutes=unit)
    caller = Caller(World(folder=tmp_path), now=to + HOUR)
    got = caller.upbit(unit, "KRW-BTC", count=len(sample), to=f"{to:%Y-%m-%dT%H:%M:%SZ}")
    assert len(sample) > 30
    assert shape(got) == shape(sample)
    late = []
    for ours, theirs in zip(got, sample, strict=True):
        closed = ms(pd.Timestamp(theirs["candle_date_time_utc"], tz="UTC")) + unit * 60_000
        ticks = [row.pop("timestamp") - closed for row in (ours, theirs)]
        assert all(-60_000 < tick < 2000 for tick in ticks)
        late.append([tick >= 0 for tick in ticks])
        assert list(ours.items()) == list(theirs.items())
    assert all(0 < sum(column) < len(late) / 4 for column in zip(*late, strict=True))


@pytest.mark.real
def test_bingx_rows_have_the_shape_of_the_sample(real_data: Path) -> None:
    sample = json.loads((real_data / "wire" / "bingx_swap_v3_klines_sample.json").read_text())
    path = "openApi/swap/v3/quote/klines"
    answer = Caller().ask("bingx", path, symbol="SOL-USDT", interval="5m", limit=3)
    assert shape(answer.content) == shape(sample)
    error = json.loads((real_data / "wire" / "bingx_error_shape.json").read_text())
    refused = Caller().ask("bingx", path, symbol="NO-USDT", interval="5m")
    assert refused.status == 200
    assert shape(refused.content) == shape(error)
    assert refused.content["code"] == error["code"]


@pytest.mark.real
def test_binance_rows_have_the_shape_of_the_sample(real_data: Path) -> None:
    sample = json.loads((real_data / "wire" / "binance_spot_klines_doc_sample.json").read_text())
    rows = Caller().binance(limit=2)
    assert shape(rows) == shape(sample)
    opened, *_, closed, turnover, trades, taker, taker_turnover, unused = rows[0]
    assert closed - opened == 3_600_000 - 1
    assert (sample[0][6] - sample[0][0] + 1) % 86_400_000 == 0
    assert 0 < float(taker) < float(rows[0][5])
    assert 0 < float(taker_turnover) < float(turnover)
    assert trades > 0
    assert unused == sample[0][11]


@pytest.mark.parametrize("venue", sorted(SOL))
def test_numbers_are_the_worlds_to_the_last_digit(venue: str) -> None:
    caller = Caller()
    start = NOW.floor("h") - 50 * HOUR
    wanted = caller.world.candles(venue, SOL[venue], "1h", start, NOW)
    if venue == "upbit":
        rows = caller.upbit(count=51)[:0:-1]
        fields: tuple[Any, ...] = (*PRICE_FIELDS, *VOLUME_FIELDS)
    elif venue == "bingx":
        rows, fields = caller.bingx(limit=51)[:0:-1], REQUIRED
    else:
        rows, fields = caller.binance(limit=51)[:-1], (1, 2, 3, 4, 5, 7, 9)
    columns = [*REQUIRED, "value", "taker_volume"][: len(fields)]
    got = [[float(row[name]) for name in fields] for row in rows]
    assert got == wanted[columns].to_numpy().tolist()


def test_upbit_counts_one_unless_asked_and_200_at_most() -> None:
    caller = Caller()
    assert len(caller.upbit()) == 1
    assert len(caller.upbit(count=500)) == 200
    rows = caller.upbit(count=3)
    assert [row["candle_date_time_utc"] for row in rows] == [
        "2025-12-20T00:00:00",
        "2025-12-19T23:00:00",
        "2025-12-19T22:00:00",
    ]
    assert rows[0]["candle_date_time_kst"] == "2025-12-20T09:00:00"


@pytest.mark.parametrize(
    "to",
    [
        "2025-12-18T12:00:00Z",
        "2025-12-18T12:00:00.000Z",
        "2025-12-18 12:00:00",
        "2025-12-18T12:00:00",
        "2025-12-18T21:00:00+09:00",
        "2025-12-18T21:00:00 09:00",
    ],
)
def test_upbit_reads_to_as_an_exclusive_end_in_utc(to: str) -> None:
    assert Caller().upbit(to=to)[0]["candle_date_time_utc"] == "2025-12-18T11:00:00"


def test_upbit_goes_back_over_silence_longer_than_a_page() -> None:
    end = NOW.floor("h") - 10 * HOUR
    silence = Silence("KRW-SOL", end - 300 * HOUR, end)
    caller = Caller(World(silences=(silence,)))
    rows = caller.upbit(count=200, to=f"{end:%Y-%m-%dT%H:%M:%S}")
    assert len(rows) == 200
    assert rows[0]["candle_date_time_utc"] == f"{silence.start - HOUR:%Y-%m-%dT%H:%M:%S}"
    inside = Silence("KRW-SOL", NOW - HOUR, NOW + HOUR)
    assert (
        Caller(World(silences=(inside,))).upbit()[0]["candle_date_time_utc"].endswith("T23:00:00")
    )


@pytest.mark.parametrize("venue", ["bingx", "binance"])
def test_silence_is_flat_where_the_venue_writes_every_candle(venue: str) -> None:
    start = NOW.floor("h") - 10 * HOUR
    for kind, flat in (("no_trade", 4), ("outage", 0)):
        silence = Silence(SOL[venue], start, start + 4 * HOUR, kind)
        caller = Caller(World(silences=(silence,)))
        rows: list[Any] = getattr(caller, venue)(startTime=ms(start - HOUR), limit=20)
        by_time = sorted(rows, key=lambda row: row["time"] if venue == "bingx" else row[0])
        fields: tuple[Any, ...] = REQUIRED if venue == "bingx" else (1, 2, 3, 4, 5)
        cells = [[float(row[name]) for name in fields] for row in by_time]
        assert len(cells) == 12 - 4 + flat
        before = cells[0][3]
        assert cells[1 : 1 + flat] == [[before] * 4 + [0.0]] * flat
        assert cells[1 + flat][4] > 0


def test_the_end_of_a_silence_cuts_no_candle_that_reaches_out() -> None:
    start = NOW.floor("h") - 10 * HOUR
    silence = Silence("KRW-SOL", start + HOUR / 2, start + 3 * HOUR / 2)
    oldest = Caller(World(silences=(silence,))).upbit(count=12)[-1]
    assert oldest["candle_date_time_utc"] == f"{start - HOUR:%Y-%m-%dT%H:%M:%S}"


@pytest.mark.parametrize("venue", sorted(SOL))
def test_the_forming_candle_moves_and_is_never_the_final_one(venue: str) -> None:
    caller = Caller()
    query = {"count": 1} if venue == "upbit" else {"limit": 1}
    looks = [getattr(caller, venue)(**query)[0] for _ in range(5)]
    traded = "candle_acc_trade_volume" if venue == "upbit" else "volume"
    volumes = [float(look[5 if venue == "binance" else traded]) for look in looks]
    assert volumes == sorted(set(volumes))
    assert len({str(look) for look in looks}) == 5
    later = Caller(now=NOW + HOUR)
    final = getattr(later, venue)(**dict.fromkeys(query, 2))[0 if venue == "binance" else 1]
    assert final not in looks
    opened = {str(look[0] if venue == "binance" else look.get("time")) for look in looks}
    assert len(opened) == 1


@given(st.integers(1, 3599), st.integers(1, 50), st.sampled_from(sorted(SOL)))
def test_a_forming_candle_is_a_candle(seconds: int, turn: int, venue: str) -> None:
    world, opened = World(), NOW.floor("h")
    series = Series(venue, SOL[venue], "1h")
    row = world.forming(series, opened + pd.Timedelta(seconds=seconds), turn).iloc[0]
    final = world.candles(venue, SOL[venue], "1h", opened, opened + HOUR).iloc[0]
    assert row["open"] == final["open"]
    assert final["low"] <= row["low"] <= row[list(PRICES)].min()
    assert final["high"] >= row["high"] >= row[list(PRICES)].max()
    assert 0 < row["taker_volume"] < row["volume"] < final["volume"]


def test_upbit_days_compare_with_the_day_before() -> None:
    caller = Caller()
    rows = caller.ask("upbit", "v1/candles/days", market="KRW-SOL", count=3).content
    assert list(rows[0])[-3:] == ["prev_closing_price", "change_price", "change_rate"]
    assert "unit" not in rows[0]
    for newer, older in itertools.pairwise(rows):
        assert newer["prev_closing_price"] == older["trade_price"]
        assert newer["change_price"] == newer["trade_price"] - older["trade_price"]
        assert newer["change_rate"] == newer["change_price"] / older["trade_price"]
    assert (
        caller.ask("upbit", "v1/candles/days", market="KRW-SOL").content[0]["prev_closing_price"]
        == rows[1]["trade_price"]
    )


def test_bingx_windows() -> None:
    caller = Caller()
    start = NOW.floor("h") - 2000 * HOUR
    times = [row["time"] for row in caller.bingx(startTime=ms(start) - 1, limit=5000, timestamp=1)]
    assert times == sorted(times, reverse=True)
    assert (len(times), times[-1]) == (1440, ms(start))
    assert len(caller.bingx()) == 500
    window = {"startTime": ms(start), "endTime": ms(start + 9 * HOUR)}
    assert [row["time"] for row in caller.bingx(**window)] == [
        ms(start + hours * HOUR) for hours in range(9, -1, -1)
    ]
    narrow = caller.bingx(**window, limit=4)
    assert [row["time"] for row in narrow] == [ms(start + hours * HOUR) for hours in (9, 8, 7, 6)]


def test_binance_windows() -> None:
    caller = Caller()
    start = NOW.floor("h") - 2000 * HOUR
    times = [row[0] for row in caller.binance(startTime=ms(start) + 1, limit=5000)]
    assert times == sorted(times)
    assert (len(times), times[0]) == (1500, ms(start + HOUR))
    assert len(caller.binance()) == 500
    window = {"startTime": ms(start), "endTime": ms(start + 9 * HOUR)}
    assert [row[0] for row in caller.binance(**window)] == [
        ms(start + hours * HOUR) for hours in range(10)
    ]
    assert [row[0] for row in caller.binance(endTime=ms(start), limit=2)] == [
        ms(start - HOUR),
        ms(start),
    ]


REFUSALS: list[tuple[str, str, Mapping[str, str], int, Any]] = [
    ("upbit", "v1/candles/minutes/60", {"market": "KRW-NO"}, 404, 404),
    ("upbit", "v1/candles/minutes/60", {}, 400, 400),
    ("upbit", "v1/candles/minutes/7", {"market": "KRW-SOL"}, 400, "invalid_parameter"),
    ("upbit", "v1/candles/minutes/1", {"market": "KRW-SOL"}, 400, "invalid_parameter"),
    ("upbit", "v1/candles/days", {"market": "KRW-SOL", "to": "soon"}, 400, "invalid_parameter"),
    ("upbit", "v1/candles/days", {"market": "KRW-SOL", "count": "x"}, 400, "invalid_parameter"),
    ("upbit", "v1/orders", {}, 404, 404),
    ("bingx", "openApi/swap/v3/quote/klines", {"symbol": "NO-USDT"}, 200, 109425),
    ("bingx", "openApi/swap/v3/quote/klines", {"symbol": "SOL-USDT"}, 200, 109400),
    ("bingx", "openApi/nothing", {}, 200, 100404),
    ("binance", "fapi/v1/klines", {"interval": "1h"}, 400, -1102),
    ("binance", "fapi/v1/klines", {"symbol": "NO", "interval": "1h"}, 400, -1121),
    ("binance", "fapi/v1/klines", {"symbol": "SOLUSDT", "interval": "7h"}, 400, -1120),
    (
        "binance",
        "fapi/v1/klines",
        {"symbol": "SOLUSDT", "interval": "1h", "limit": "0"},
        400,
        -1130,
    ),
    ("binance", "fapi/v2/klines", {}, 404, -5000),
]


@pytest.mark.parametrize(("venue", "path", "query", "status", "code"), REFUSALS)
def test_refusals(
    venue: str, path: str, query: Mapping[str, str], status: int, code: int | str
) -> None:
    answer = Caller().ask(venue, path, **query)
    assert answer.status == status
    told = answer.content["error"]["name"] if venue == "upbit" else answer.content["code"]
    assert told == code


def test_lists_of_markets() -> None:
    caller = Caller()
    rows = caller.ask("upbit", "v1/market/all", isDetails="true").content
    assert list(rows[0]) == ["market", "korean_name", "english_name", "market_event"]
    plain = caller.ask("upbit", "v1/market/all").content
    assert [row["market"] for row in plain] == ["KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL"]
    assert "market_event" not in plain[0]
    contracts = caller.ask("bingx", "openApi/swap/v2/quote/contracts").rows
    assert len({row["contractId"] for row in contracts}) == 4
    assert contracts[3]["launchTime"] == ms(pd.Timestamp("2023-01-01T00:00Z"))
    listed = caller.ask("binance", "fapi/v1/exchangeInfo").content
    assert [row["symbol"] for row in listed["symbols"]][3] == "SOLUSDT"
    assert listed["serverTime"] == ms(NOW)
    assert caller.ask("binance", "fapi/v1/time").content == {"serverTime": ms(NOW)}
    assert caller.ask("binance", "fapi/v1/ping").content == {}
    time = caller.ask("bingx", "openApi/swap/v2/server/time").content
    assert time["data"] == {"serverTime": ms(NOW)}


@settings(max_examples=volume(12))
@given(data=st.data())
def test_walking_back_by_cursor_finds_exactly_the_world(data: st.DataObject) -> None:
    start = pd.Timestamp("2025-12-01T00:00Z")
    begins, hours = data.draw(st.integers(0, 300)), data.draw(st.integers(0, 300))
    gap = Silence("KRW-SOL", start + begins * HOUR, start + (begins + hours) * HOUR)
    world = World(silences=(gap,))
    caller, cursor, found = Caller(world), NOW.floor("h"), []
    count = data.draw(st.integers(40, 200))
    while True:
        rows = caller.upbit(count=count, to=f"{cursor:%Y-%m-%dT%H:%M:%SZ}")
        found += rows
        cursor = pd.Timestamp(rows[-1]["candle_date_time_utc"], tz="UTC")
        if cursor < start:
            break
    times = [pd.Timestamp(row["candle_date_time_utc"], tz="UTC") for row in found[::-1]]
    wanted = world.candles("upbit", "KRW-SOL", "1h", start, NOW)
    assert [at for at in times if at >= start] == list(wanted.index)
    assert len(wanted) == 456 - len(pd.date_range(gap.start, min(gap.end, NOW), freq="h")) + 1
