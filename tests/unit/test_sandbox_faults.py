"""Every fault, as a plain HTTP client sees it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import pytest
import requests

from pipeline.errors import ConfigError
from pipeline.sandbox import FAULTS, Fault, FaultScript, Sandbox, World, start_sandbox
from pipeline.sandbox.faults import DRIP_SECONDS
from pipeline.sandbox.messages import VENUES

NOW = pd.Timestamp("2025-12-20T00:20Z")
HOUR = pd.Timedelta(hours=1)
CASES = [(name, venue) for name, fault in FAULTS.items() for venue in fault.venues]
PATHS = {
    "upbit": "/v1/candles/minutes/60",
    "bingx": "/openApi/swap/v3/quote/klines",
    "binance": "/fapi/v1/klines",
}
QUERIES: dict[str, dict[str, Any]] = {
    "upbit": {"market": "KRW-SOL", "count": 10},
    "bingx": {"symbol": "SOL-USDT", "interval": "1h", "limit": 10},
    "binance": {"symbol": "SOLUSDT", "interval": "1h", "limit": 10},
}
PRICES: dict[str, tuple[Any, ...]] = {
    "upbit": ("opening_price", "high_price", "low_price", "trade_price"),
    "bingx": ("open", "high", "low", "close"),
    "binance": (1, 2, 3, 4),
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with start_sandbox(World(), None, lambda: NOW, limited=False) as served:
        yield served


def get(sandbox: Sandbox, venue: str, **more: Any) -> requests.Response:
    query = QUERIES[venue] | more
    return requests.get(sandbox.url(venue) + PATHS[venue], params=query, timeout=5)


def rows_of(venue: str, response: requests.Response) -> list[Any]:
    body = response.json()
    return list(body["data"] if venue == "bingx" else body)


def times(venue: str, rows: list[Any]) -> list[pd.Timestamp]:
    if venue == "upbit":
        return [pd.Timestamp(row["candle_date_time_utc"], tz="UTC") for row in rows]
    key = "time" if venue == "bingx" else 0
    return [pd.Timestamp(row[key], unit="ms", tz="UTC") for row in rows]


def prices(venue: str, row: Any) -> list[float]:
    return [float(row[name]) for name in PRICES[venue]]


Seen = Callable[[str, requests.Response, list[Any]], None]


def status(code: int, body: str | None = None) -> Seen:
    def look(venue: str, response: requests.Response, usual: list[Any]) -> None:
        assert response.status_code == code
        assert body is None or body in response.text

    return look


def envelope_429(venue: str, response: requests.Response, usual: list[Any]) -> None:
    assert response.status_code == 429
    body = response.json()
    if venue == "upbit":
        assert body["error"]["name"] == "too_many_requests"
    elif venue == "bingx":
        assert body["code"] == 100410
    else:
        assert body["code"] == -1003
        assert response.headers["Retry-After"] == "3"


def banned(venue: str, response: requests.Response, usual: list[Any]) -> None:
    assert response.status_code == 418
    until = str(int(NOW.timestamp() * 1000) + 3000)
    assert ("3 seconds" if venue == "upbit" else until) in response.text
    assert (response.headers.get("Retry-After") == "3") is (venue == "binance")


def busy(venue: str, response: requests.Response, usual: list[Any]) -> None:
    assert response.status_code == 200
    assert response.json()["code"] == 100410
    assert str(int(NOW.timestamp() * 1000) + 3000) in response.json()["msg"]


def no_json(venue: str, response: requests.Response, usual: list[Any]) -> None:
    assert response.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        response.json()


def html(venue: str, response: requests.Response, usual: list[Any]) -> None:
    no_json(venue, response, usual)
    assert response.headers["Content-Type"] == "text/html"
    assert response.text.startswith("<!DOCTYPE html>")


def truncated(venue: str, response: requests.Response, usual: list[Any]) -> None:
    no_json(venue, response, usual)
    assert response.text.startswith('{"code":0' if venue == "bingx" else "[")
    assert 300 < len(response.content) < len(json.dumps(usual))


def empty_body(venue: str, response: requests.Response, usual: list[Any]) -> None:
    assert (response.status_code, response.content) == (200, b"")


def null_rows(venue: str, response: requests.Response, usual: list[Any]) -> None:
    rows = rows_of(venue, response)
    assert len(rows) == len(usual)
    assert len(rows[0]) == len(usual[0])
    cells = rows[0] if venue == "binance" else rows[0].values()
    assert set(cells) == {None}


def rows_are(change: Callable[[list[Any]], list[Any]]) -> Seen:
    def look(venue: str, response: requests.Response, usual: list[Any]) -> None:
        closed = [
            row for row, at in zip(usual, times(venue, usual), strict=True) if at < NOW - HOUR
        ]
        wanted = times(venue, change(usual))
        rows = rows_of(venue, response)
        assert times(venue, rows) == wanted
        assert [row for row in rows if row in closed] == [
            row for row in change(usual) if row in closed
        ]

    return look


def forming_jumps(venue: str, response: requests.Response, usual: list[Any]) -> None:
    place = -1 if venue == "binance" else 0
    row, before = rows_of(venue, response)[place], usual[place]
    assert times(venue, [row]) == [NOW.floor("h")]
    factor = prices(venue, row)[0] / prices(venue, before)[0]
    assert factor == pytest.approx(0.95) or factor == pytest.approx(1.05)


def no_forming(venue: str, response: requests.Response, usual: list[Any]) -> None:
    assert times(venue, rows_of(venue, response)) == [
        at for at in times(venue, usual) if at < NOW.floor("h")
    ]


def changed(wanted: Callable[[list[float]], list[float]]) -> Seen:
    def look(venue: str, response: requests.Response, usual: list[Any]) -> None:
        newest = NOW.floor("h") - HOUR
        for row, before, at in zip(
            rows_of(venue, response), usual, times(venue, usual), strict=True
        ):
            if at == newest:
                assert prices(venue, row) == pytest.approx(wanted(prices(venue, before)), rel=1e-7)
                assert row != before
            elif at < newest:
                assert row == before

    return look


def doubled(venue: str, response: requests.Response, usual: list[Any]) -> None:
    for row, before in list(zip(rows_of(venue, response), usual, strict=True))[2:-2]:
        assert prices(venue, row) == pytest.approx([2 * price for price in prices(venue, before)])


def clock(minutes: int) -> Seen:
    def look(venue: str, response: requests.Response, usual: list[Any]) -> None:
        date = parsedate_to_datetime(response.headers["Date"])
        assert date == NOW + pd.Timedelta(minutes=minutes)

    return look


def header(text: str | None) -> Seen:
    def look(venue: str, response: requests.Response, usual: list[Any]) -> None:
        assert response.headers.get("Remaining-Req") == text
        assert len(rows_of(venue, response)) == len(usual)

    return look


OVER_THE_WIRE = {"hang", "slow_drip", "reset", "cut_off"}
NEEDS_A_CURSOR = {"overlapping_page", "ignored_cursor", "repeated_page", "newest_only"}
LOOKS: dict[str, Seen] = {
    "rate_limited": status(429, "Too Many Requests"),
    "rate_limited_envelope": envelope_429,
    "banned": banned,
    "busy": busy,
    "error_500": status(500, "<html>"),
    "error_502": status(502, "<html>"),
    "error_503": status(503, "<html>"),
    "html": html,
    "truncated_json": truncated,
    "empty_body": empty_body,
    "empty_list": rows_are(lambda _: []),
    "null_rows": null_rows,
    "short_page": rows_are(lambda page: page[:5]),
    "lost_row": rows_are(lambda page: page[:5] + page[6:]),
    "duplicated_rows": rows_are(lambda page: [row for row in page for _ in range(2)]),
    "reordered_page": rows_are(lambda page: page[1::2] + page[::2]),
    "jumping_forming": forming_jumps,
    "no_forming": no_forming,
    "revised_candle": changed(lambda row: [price * 1.01 for price in row]),
    "impossible_candle": changed(lambda row: [row[0], row[2], row[1], row[3]]),
    "other_instrument": doubled,
    "clock_ahead": clock(10),
    "clock_behind": clock(-10),
    "no_header": header(None),
    "strange_header": header("group=quotation.candle; min=600; sec=9"),
}


def test_every_fault_is_looked_at() -> None:
    assert set(LOOKS) | OVER_THE_WIRE | NEEDS_A_CURSOR == set(FAULTS)


@pytest.mark.parametrize(("name", "venue"), [case for case in CASES if case[0] in LOOKS])
def test_a_fault_is_seen_once(sandbox: Sandbox, name: str, venue: str) -> None:
    usual = rows_of(venue, get(sandbox, venue))
    sandbox.play(FaultScript.read(name))
    LOOKS[name](venue, get(sandbox, venue), usual)
    again = get(sandbox, venue)
    assert len(rows_of(venue, again)) == 10
    assert again.headers["Date"] == "Sat, 20 Dec 2025 00:20:00 GMT"
    assert [request.fault for request in sandbox.requests] == [name, None]


@pytest.mark.parametrize("venue", VENUES)
def test_faults_that_need_a_cursor(sandbox: Sandbox, venue: str) -> None:
    ends = NOW.floor("h") - 100 * HOUR
    first: dict[str, Any] = {"to": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}
    second: dict[str, Any] = {"to": f"{ends - 10 * HOUR:%Y-%m-%dT%H:%M:%SZ}"}
    if venue != "upbit":
        first = {"startTime": int((ends - 10 * HOUR).timestamp() * 1000)}
        second = {"startTime": int(ends.timestamp() * 1000)}
    pages = [rows_of(venue, get(sandbox, venue, **cursor)) for cursor in (first, second)]
    assert not {str(row) for row in pages[0]} & {str(row) for row in pages[1]}
    sandbox.play(FaultScript.read("overlapping_page@2", "repeated_page@3", "ignored_cursor@4"))
    got = [
        rows_of(venue, get(sandbox, venue, **cursor))
        for cursor in (first, second, {**second, "x": 1}, {**second, "x": 2}, second)
    ]
    assert got[0] == pages[0]
    assert sum(row in pages[0] for row in got[1]) == 5
    assert sum(row in pages[1] for row in got[1]) == 5
    assert got[2] == got[1]
    assert max(times(venue, got[3])) == NOW.floor("h")
    assert got[4] == pages[1]


@pytest.mark.parametrize("venue", VENUES)
def test_old_candles_may_be_kept_back(sandbox: Sandbox, venue: str) -> None:
    ends = NOW.floor("h") - 90 * HOUR
    cursor: dict[str, Any] = {"to": f"{ends:%Y-%m-%dT%H:%M:%SZ}", "count": 20}
    if venue != "upbit":
        start, stop = (int((at).timestamp() * 1000) for at in (ends - 20 * HOUR, ends - HOUR))
        cursor = {"startTime": start, "endTime": stop, "limit": 20}
    whole = sorted(times(venue, rows_of(venue, get(sandbox, venue, **cursor))))
    sandbox.play(FaultScript.read("newest_only"))
    kept = sorted(times(venue, rows_of(venue, get(sandbox, venue, **cursor))))
    assert len(whole) == 20
    assert kept == [at for at in whole if at >= NOW - 100 * HOUR]
    assert 5 < len(kept) < 15


@contextmanager
def raw(sandbox: Sandbox, venue: str, seconds: float) -> Iterator[http.client.HTTPResponse]:
    link = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=seconds)
    with closing(link):
        link.request("GET", f"/{venue}{PATHS[venue]}?{urlencode(QUERIES[venue])}")
        with link.getresponse() as answer:
            yield answer


def fails(sandbox: Sandbox, venue: str, seconds: float = 5) -> Exception:
    """What a request ends with that gets no answer, or no whole one."""
    try:
        with raw(sandbox, venue, seconds) as answer:
            body = answer.read()
    except (OSError, http.client.IncompleteRead) as error:
        return error
    raise AssertionError(f"a whole answer came: {body!r}")


@pytest.mark.parametrize("venue", VENUES)
def test_reset_and_cut_off(sandbox: Sandbox, venue: str) -> None:
    sandbox.play(FaultScript.read("reset@1", "cut_off@1"))
    assert isinstance(fails(sandbox, venue), ConnectionResetError)
    cut = fails(sandbox, venue)
    assert isinstance(cut, http.client.IncompleteRead)
    assert cut.expected is not None
    assert len(cut.partial) == pytest.approx(cut.expected, abs=1)
    assert len(get(sandbox, venue).content) > 300


def test_hang_lasts_until_the_client_gives_up(sandbox: Sandbox) -> None:
    sandbox.play(FaultScript.read("hang@1"))
    begun = time.monotonic()
    assert isinstance(fails(sandbox, "upbit", 0.3), TimeoutError)
    assert 0.3 <= time.monotonic() - begun < 5
    assert get(sandbox, "upbit").status_code == 200


def test_hang_ends_when_the_server_does() -> None:
    ended: list[float] = []
    with start_sandbox(World(), FaultScript.read("hang@1"), lambda: NOW) as sandbox:

        def wait() -> None:
            with raw(sandbox, "upbit", 30):
                ended.append(time.monotonic())

        waiting = threading.Thread(target=wait)
        waiting.start()
        while not sandbox.requests:
            waiting.join(0.01)
        left = time.monotonic()
    waiting.join(30)
    assert left <= ended[0] < left + 5


def test_slow_drip_comes_byte_by_byte(sandbox: Sandbox) -> None:
    sandbox.play(FaultScript.read("slow_drip@1"))
    begun = time.monotonic()
    with raw(sandbox, "upbit", 5) as answer:
        assert answer.read(2) == b"[{"
        assert time.monotonic() - begun >= 0.9 * DRIP_SECONDS
        assert int(answer.headers["Content-Length"]) > 1000


def test_a_retry_is_the_same_page_and_faults_end() -> None:
    script = FaultScript.read("error_503@2x2", "html@3")
    with start_sandbox(World(), script, lambda: NOW, limited=False) as sandbox:
        codes = [get(sandbox, "upbit", to=f"2025-12-{day}T00:00:00Z") for day in (9, 8, 8, 8, 7, 9)]
        pages = [(request.page, request.fault) for request in sandbox.requests]
    assert [code.status_code for code in codes] == [200, 503, 503, 200, 200, 200]
    assert pages == [
        (1, None),
        (2, "error_503"),
        (2, "error_503"),
        (2, None),
        (3, "html"),
        (1, None),
    ]


def test_pages_are_counted_for_each_series_and_requests_for_all(sandbox: Sandbox) -> None:
    sandbox.play(FaultScript.read("bingx:error_500@2", "error_502@request5x*"))
    answers = [
        get(sandbox, "upbit", to="2025-12-09T00:00:00Z"),
        get(sandbox, "bingx", timestamp=1),
        get(sandbox, "bingx", timestamp=2),
        get(sandbox, "bingx", endTime=1760000000000),
        requests.get(sandbox.url("upbit") + "/v1/market/all", timeout=5),
        get(sandbox, "binance"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 500, 502, 502]
    assert [request.page for request in sandbox.requests] == [1, 1, 1, 2, None, 1]


@pytest.mark.parametrize(
    ("word", "fault"),
    [
        ("html", Fault("html")),
        ("html@3", Fault("html", 3)),
        ("hang@2x4", Fault("hang", 2, 4)),
        ("upbit:hang@2x*", Fault("hang", 2, None, venue="upbit")),
        ("reset@request7", Fault("reset", 7, unit="request")),
    ],
)
def test_words_of_faults(word: str, fault: Fault) -> None:
    assert FaultScript.read(word) == FaultScript((fault,))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("htm@3", "did you mean html?"),
        ("html@0", "at 1 or later"),
        ("html@2x0", "once or more"),
        ("html@", "such as rate_limited@3"),
        ("html@two", "such as rate_limited@3"),
        ("upbitt:html@1", "did you mean upbit?"),
    ],
)
def test_words_that_are_none(word: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("?", r"\?")):
        FaultScript.read(word)


def test_nothing_is_left_behind() -> None:
    before = threading.active_count()
    for _ in range(3):
        with start_sandbox(World(), FaultScript.read("hang@1"), lambda: NOW) as sandbox:
            assert isinstance(fails(sandbox, "upbit", 0.05), TimeoutError)
            sandbox.close()
            sandbox.close()
        assert isinstance(fails(sandbox, "upbit", 1), ConnectionRefusedError)
    assert threading.active_count() == before
