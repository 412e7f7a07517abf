"""What every online adapter has in common, and what each reads out of its venue's rows."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.configuration.compose import options
from pipeline.errors import ConfigError, RetryLater
from pipeline.market.candles import COLUMNS, TIMEFRAMES, USUAL, duration
from pipeline.market.exchanges import binance, bingx, upbit
from pipeline.market.exchanges.answer import Answer
from pipeline.market.exchanges.base import Instrument, Market
from pipeline.market.exchanges.faults import Fault, UnknownMarketError, garbage
from pipeline.market.exchanges.online import CCXT, VENUES, Online
from pipeline.market.exchanges.page import read_page
from pipeline.market.exchanges.rows import cells_of, to_frame
from pipeline.market.exchanges.simulated import Simulated
from pipeline.market.exchanges.venue import Ask
from tests.machine import Hands
from tests.spine import CONF, planned

NOW = pd.Timestamp("2025-12-20T00:20:30Z")
HOUR = pd.Timedelta(hours=1)
ONLINE = [
    name
    for name in options(CONF, "exchange")
    if read_yaml(CONF / f"exchange/{name}.yaml")["_target_"].endswith(".Online")
]
every_option = pytest.mark.parametrize("name", ONLINE)


def made(name: str, **given: Any) -> Online:
    exchange = build({**read_yaml(CONF / f"exchange/{name}.yaml"), **given}, name)
    assert isinstance(exchange, Online)
    return exchange


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hands:
    monkeypatch.setenv("VINTAGE_RATE_FOLDER", str(tmp_path / "rates"))
    return Hands(NOW)


# options


def test_there_is_an_option_for_every_venue() -> None:
    assert {made(name).venue for name in ONLINE} == {*VENUES, CCXT}


@every_option
def test_an_option_keeps_the_protocol(name: str) -> None:
    exchange = made(name)
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]*", exchange.feed)
    assert exchange.feed == ("ccxt-kraken" if name == "ccxt" else name)
    assert exchange.reachable
    assert set(exchange.timeframes) <= set(TIMEFRAMES)
    assert exchange.timeframes
    assert isinstance(exchange.omits_empty, bool)
    assert exchange.grace_seconds >= 2


@every_option
def test_another_address_is_another_feed(name: str) -> None:
    feeds = {made(name, base_url=url).feed for url in (None, "http://a/x", "http://a:1/x")}
    assert len(feeds) == 3
    assert all(feed.startswith(made(name).feed) for feed in feeds)


@every_option
@pytest.mark.parametrize("url", ["ftp://a", "http://a/", "http://a?b", "a", "http://"])
def test_an_address_that_is_none_is_refused(name: str, url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        made(name, base_url=url)


@every_option
def test_more_requests_than_the_ceiling_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"exchange\.requests_per_second.*at most"):
        made(name, requests_per_second=1000)
    assert made(name, requests_per_second=0.5).requests_per_second == 0.5


@every_option
def test_a_timeframe_that_the_venue_lacks_names_those_it_has(name: str, hands: Hands) -> None:
    exchange = made(name).on(hands.machine)
    lacking = [timeframe for timeframe in TIMEFRAMES if timeframe not in exchange.timeframes]
    for timeframe in lacking:
        with pytest.raises(ConfigError, match=", ".join(exchange.timeframes)):
            exchange.fetch(Instrument(name="A-B", symbol="A-B"), timeframe, NOW - 9 * HOUR, NOW)


def test_a_venue_that_is_none_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean upbit"):
        Online.parse({"venue": "upbitt"}, "exchange")
    with pytest.raises(ConfigError, match="did you mean kraken"):
        Online.parse({"venue": "ccxt", "id": "krakn"}, "exchange")
    for told in ({"venue": "ccxt"}, {"venue": "upbit", "id": "kraken"}):
        with pytest.raises(ConfigError, match="only where, venue is ccxt"):
            Online.parse(told, "exchange")


def test_how_to_ask_changes_no_stage() -> None:
    plain = planned("exchange=upbit", "market=KRW-SOL")
    words = ("exchange.timeout_seconds=3", "exchange.requests_per_second=2")
    hurried = planned("exchange=upbit", "market=KRW-SOL", *words)
    assert hurried.stages == plain.stages
    assert hurried.local["exchange"]["timeout_seconds"] == 3
    elsewhere = planned("exchange=upbit", "market=KRW-SOL", "exchange.base_url=http://a/upbit")
    assert elsewhere.stages["download"] != plain.stages["download"]


@pytest.mark.parametrize(
    ("venue", "market", "word"),
    [
        ("upbit", "KRW-SOL", "KRW-SOL"),
        ("bingx", "BTC-USDT", "BTC-USDT"),
        ("binance", "BTC-USDT", "BTCUSDT"),
    ],
)
def test_a_market_has_the_venues_own_word(venue: str, market: str, word: str) -> None:
    node = Market.parse(read_yaml(CONF / f"market/{market}.yaml"), market)
    assert VENUES[venue].symbol_of(node.instrument) == word
    assert (node.funding is None) == (venue == "upbit")


def test_nothing_is_asked_for_what_lies_ahead(hands: Hands) -> None:
    exchange = made("binance", base_url="http://127.0.0.1:9/x").on(hands.machine)
    market = Instrument(name="BTC-USDT", symbol="BTCUSDT")
    for start, end in ((NOW, NOW + HOUR), (NOW - HOUR / 3, NOW), (NOW, NOW - HOUR)):
        empty = exchange.fetch(market, "1h", start, end)
        assert empty.empty
        assert list(empty.columns) == list(COLUMNS)
        assert str(empty.index.dtype) == "datetime64[ms, UTC]"


# rows


def cells(**other: Any) -> dict[str, list[Any]]:
    plain = {name: ["2.5"] for name in ("open", "high", "low", "close", "volume")}
    return plain | {name: [cell] for name, cell in other.items()}


@pytest.mark.parametrize("cell", [None, "", "many", "nan", "inf", True, [1], -1.0, "-0.1", 1e400])
@pytest.mark.parametrize("column", ["close", "volume"])
def test_a_cell_that_is_no_amount_is_a_fault(cell: Any, column: str) -> None:
    with pytest.raises(Fault, match=column):
        to_frame([1582197540000], cells(**{column: cell}))


@pytest.mark.parametrize("moment", [None, "1582197540000", 1582197540.5, True, 0, 10**15])
def test_a_row_without_a_moment_is_a_fault(moment: Any) -> None:
    with pytest.raises(Fault, match="names no moment"):
        to_frame([moment], cells())


def test_nothing_costs_nothing_but_trades_may_be_none() -> None:
    with pytest.raises(Fault, match="open is no possible"):
        to_frame([1582197540000], cells(open="0"))
    assert to_frame([1582197540000], cells(volume=0)).loc[:, "volume"].iloc[0] == 0
    assert to_frame([], {name: [] for name in cells()}).empty


@pytest.mark.parametrize("rows", [[None], [1], ["x"], [[1]], [{"a": 1}], [{}], [[]]])
def test_a_row_that_is_no_row_is_a_fault(rows: list[Any]) -> None:
    with pytest.raises(Fault, match="no candle"):
        cells_of(rows, {"open": "o"} if isinstance(rows[0], dict) else {"open": 3})


def upbit_row(**other: Any) -> dict[str, Any]:
    row = {
        "market": "KRW-BTC",
        "candle_date_time_utc": "2020-02-20T11:19:00",
        "candle_date_time_kst": "nonsense",
        "opening_price": 1.0,
        "high_price": 3.0,
        "low_price": 1.0,
        "trade_price": 2.0,
        "candle_acc_trade_price": 8.0,
        "candle_acc_trade_volume": 4.0,
        "unit": 1,
    }
    return row | other


def test_upbit_reads_the_utc_field_alone() -> None:
    frame = upbit.frame_of([upbit_row()], "KRW-BTC", 1)
    assert frame.index[0] == pd.Timestamp("2020-02-20T11:19Z")
    assert frame.iloc[0].tolist() == [1.0, 3.0, 1.0, 2.0, 4.0, 8.0]
    for other in (
        {"market": "KRW-ETH"},
        {"unit": 3},
        {"candle_date_time_utc": "2020-02-20T11:19:00+09:00"},
        {"candle_date_time_utc": "2020-02-31T11:19:00"},
        {"candle_date_time_utc": None},
        {"trade_price": "2.0x"},
    ):
        with pytest.raises(Fault):
            upbit.frame_of([upbit_row(), upbit_row(**other)], "KRW-BTC", 1)
    for body in ({}, "x", None, [None], [[]]):
        with pytest.raises(Fault):
            upbit.frame_of(body, "KRW-BTC", 1)


@pytest.mark.real
def test_recorded_pages_of_upbit_are_read(real_data: Path) -> None:
    paths = sorted((real_data / "wire").glob("upbit_*m_*.json"))
    assert len(paths) == 4
    for path in paths:
        minutes = int(path.name.split("_")[1].removesuffix("m"))
        body = json.loads(path.read_bytes())
        frame = upbit.frame_of(body, "KRW-BTC", minutes)
        step = duration(f"{minutes}m")
        stop = frame.index.max() + step
        page = read_page(
            frame,
            Ask("KRW-BTC", f"{minutes}m", stop - 200 * step, stop),
            frame.iloc[:0],
        )
        assert len(page.rows) == len(body)
        newest = page.inside.iloc[-1]
        assert newest["close"] == body[0]["trade_price"]
        assert newest["value"] == body[0]["candle_acc_trade_price"]


def told(body: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, "", headers, json.dumps(body).encode())


def test_answers_that_contradict_each_other_say_in_what() -> None:
    hours = pd.date_range("2025-12-20", periods=4, freq="h", tz="UTC", unit="ms")
    known = pd.DataFrame(dict.fromkeys(USUAL, 5.0), index=hours)
    ask = Ask("KRW-SOL", "1h", hours[0], hours[3] + pd.Timedelta("1h"))
    with pytest.raises(Fault, match="lacks a candle that an earlier one had") as caught:
        read_page(known.iloc[1:3], ask, known)
    assert caught.value.found == (
        f"no {hours[0].isoformat()}; what came is {hours[1].isoformat()} to {hours[2].isoformat()}"
    )
    other = known.assign(volume=[5.0, 5.0, 6.5, 5.0])
    with pytest.raises(Fault, match="differ on one candle") as caught:
        read_page(other, ask, known)
    assert caught.value.found == f"{hours[2].isoformat()}, volume 5.0 and then 6.5"
    assert garbage("x", np.float64("nan")).found == "nan"


def test_what_the_venues_state_is_understood() -> None:
    with pytest.raises(UnknownMarketError, match="Code not found"):
        upbit.judge(told({"error": {"name": 404, "message": "Code not found"}}, 404), NOW)
    assert upbit.judge(told([], **{"Remaining-Req": "group=x; min=1; sec=0"}), NOW) == 1
    assert upbit.judge(told([], **{"Remaining-Req": "group=x; min=1; sec=3"}), NOW) == 0
    assert upbit.judge(told([], **{"Remaining-Req": "nonsense"}), NOW) == 0
    with pytest.raises(UnknownMarketError):
        binance.judge(told({"code": -1121, "msg": "Invalid symbol."}, 400), NOW)
    assert binance.judge(told([], **{"X-MBX-USED-WEIGHT-1M": "1919"}), NOW) == 0
    assert binance.judge(told([], **{"X-MBX-USED-WEIGHT-1M": "1920"}), NOW) == 30
    with pytest.raises(UnknownMarketError):
        bingx.judge(told({"code": 109425, "msg": "symbol not exist", "data": {}}), NOW)
    until = int((NOW + pd.Timedelta(seconds=40)).timestamp() * 1000)
    with pytest.raises(Fault, match="rate limit") as caught:
        bingx.judge(told({"code": 100410, "msg": f"unblocked after {until}"}), NOW)
    assert caught.value.block == pytest.approx(40)
    with pytest.raises(Fault, match="rate limit") as caught:
        bingx.judge(told({"code": 100410, "msg": "slow down"}), NOW)
    assert caught.value.block == 300
    with pytest.raises(Fault, match="busy"):
        bingx.judge(told({"code": 100500, "msg": "busy"}), NOW)
    for body in ([], {}, {"code": 0}, "x", None):
        with pytest.raises(Fault):
            bingx.judge(told(body), NOW)


# any exchange that ccxt knows


class Kraken(BaseHTTPRequestHandler):
    """Enough of Kraken: two coins, one pair, and never more than its newest 720 candles."""

    asked: list[str]

    def log_message(self, *words: Any) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(parts.path.rsplit("/", 1)[-1])
        result = ANSWERS.get(self.asked[-1]) or {"XXBTZUSD": kraken_rows(query), "last": 1}
        body = json.dumps({"error": [], "result": result}).encode()
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ANSWERS: dict[str, Any] = {
    "Assets": {
        "XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "status": "enabled"},
        "ZUSD": {"aclass": "currency", "altname": "USD", "decimals": 4, "status": "enabled"},
    },
    "AssetPairs": {
        "XXBTZUSD": {
            "altname": "XBTUSD",
            "wsname": "XBT/USD",
            "base": "XXBT",
            "quote": "ZUSD",
            "pair_decimals": 1,
            "lot_decimals": 8,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[0, 0.26]],
            "fees_maker": [[0, 0.16]],
            "ordermin": "0.0001",
            "tick_size": "0.1",
            "status": "online",
        }
    },
}
SOURCE = Instrument(name="SIM-BTC", symbol="SIM-BTC")


def kraken_rows(query: dict[str, str]) -> list[list[Any]]:
    minutes, since = int(query["interval"]), int(query.get("since", 0))
    if minutes > 1440:
        return [[1380758400, "1", "1", "1", "1", "1", "1", 1]]
    candles = Simulated().fetch(SOURCE, "1h", NOW.floor("h") - 719 * HOUR, NOW.floor("h"))
    return [
        [int(at.timestamp()), *map(repr, row[:4]), "1", repr(row[4]), 3]
        for at, row in zip(candles.index, candles.to_numpy().tolist(), strict=True)
        if at.timestamp() >= since
    ]


@pytest.fixture
def kraken(hands: Hands) -> Iterator[Online]:
    Kraken.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Kraken) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/sandbox"
        yield made("ccxt", base_url=url).on(hands.machine)
        server.shutdown()
        thread.join()


def test_any_exchange_of_ccxt_serves_five_columns(kraken: Online) -> None:
    market = Instrument(name="BTC-USD", symbol="XBTUSD")
    got = kraken.fetch(market, "1h", NOW - 300 * HOUR, NOW)
    expected = Simulated().fetch(SOURCE, "1h", (NOW - 300 * HOUR).ceil("h"), NOW)
    expected = expected.drop(columns="value")
    pd.testing.assert_frame_equal(got, expected, check_exact=True, check_freq=False)
    assert kraken.newest(market, "1h", NOW) == got.index[-1]
    assert Kraken.asked.count("OHLC") == 3


def test_an_exchange_that_serves_only_its_newest_candles_is_noticed(kraken: Online) -> None:
    market = Instrument(name="USD-BTC", symbol="XBTUSD")
    with pytest.raises(RetryLater, match=r"does not give the beginning.*a later start"):
        kraken.fetch(market, "1h", NOW - 1500 * HOUR, NOW)


def test_an_unlisted_market_names_the_nearest(kraken: Online) -> None:
    with pytest.raises(ConfigError, match="did you mean BTC/USD"):
        kraken.fetch(Instrument(name="BTC-USDX", symbol="X"), "1h", NOW - 9 * HOUR, NOW)
