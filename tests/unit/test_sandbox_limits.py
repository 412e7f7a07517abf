"""Rate limits: how much fits, what is told, and what those meet who do not stop."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sandbox import FaultScript, World, start_sandbox
from pipeline.sandbox.exchange import Exchange
from pipeline.sandbox.limits import Binance, Bingx, Limiter, Upbit, Window
from pipeline.sandbox.messages import Answer, Ask

NOW = pd.Timestamp("2025-12-20T00:20Z")
MS = int(NOW.timestamp() * 1000)
CANDLES = "v1/candles/minutes/60"


def ask(
    limiter: Limiter,
    at: float,
    path: str = CANDLES,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    asked = Ask("upbit", path, query or {}, NOW, headers=headers or {})
    return limiter(asked, at, lambda: Answer([], headers={"Date": "now"}))


@given(st.lists(st.floats(0.001, 0.5), min_size=30, max_size=60))
def test_no_window_ever_holds_more_than_it_may(pauses: list[float]) -> None:
    window, at, passed = Window(10, 1, patience=10_000, block=1), 0.0, []
    for pause in pauses:
        at += pause
        wait = window.take(at)
        if wait == 0:
            passed.append(at)
        else:
            inside = [moment for moment in passed if moment > at - 1]
            assert len(inside) == 10
            assert at + wait == pytest.approx(inside[0] + 1, abs=0.002)
    assert all(sum(moment - 1 < other <= moment for other in passed) <= 10 for moment in passed)


def test_upbit_gives_ten_a_second_then_429_then_a_block_that_grows() -> None:
    limiter = Upbit()
    first = [ask(limiter, 5 + number / 100) for number in range(10)]
    left = [f"group=candles; min=600; sec={number}" for number in range(9, -1, -1)]
    assert [answer.headers["Remaining-Req"] for answer in first] == left
    assert all(answer.headers["Date"] == "now" for answer in first)
    refused = [ask(limiter, 5.1 + number / 100) for number in range(10)]
    assert {answer.status for answer in refused} == {429}
    assert {answer.body for answer in refused} == {b"Too many API requests."}
    assert ask(limiter, 5.3, "v1/market/all").status == 200
    banned = ask(limiter, 5.3)
    assert banned.status == 418
    assert "blocked for 10 seconds" in banned.content["error"]["message"]
    assert "blocked for 4 seconds" in ask(limiter, 11.3).content["error"]["message"]
    assert ask(limiter, 15.31).status == 200
    again = [ask(limiter, 15.4).status for _ in range(21)]
    assert again == [200] * 9 + [429] * 10 + [418] * 2
    assert ask(limiter, 35.3).status == 418
    assert ask(limiter, 35.5).status == 200


def test_upbit_forgives_those_who_stop() -> None:
    limiter = Upbit()
    for second in range(5):
        assert [ask(limiter, second * 1.01).status for _ in range(15)] == [200] * 10 + [429] * 5


def test_a_browser_gets_one_request_in_ten_seconds() -> None:
    limiter, browser = Upbit(), {"Origin": "https://example.org"}
    assert ask(limiter, 1, headers=browser).status == 200
    assert ask(limiter, 10.9, headers=browser).status == 429
    assert ask(limiter, 10.9).status == 200
    assert ask(limiter, 11.1, headers=browser).status == 200


def test_bingx_blocks_with_a_stated_end() -> None:
    limiter = Bingx()
    assert {ask(limiter, 1 + number / 1000).content == [] for number in range(500)} == {True}
    refused = ask(limiter, 2)
    assert refused.status == 200
    assert refused.content["code"] == 100410
    assert refused.content["msg"].endswith(f"unblocked after {MS + 10_000}")
    assert ask(limiter, 11.5).content["msg"].endswith(str(MS + 500))
    assert ask(limiter, 12.1).content == []


def test_binance_counts_weight_and_says_when_to_come_back() -> None:
    limiter = Binance()
    page = {"limit": "1500"}
    used = [ask(limiter, 1, "fapi/v1/klines", page) for _ in range(239)][-1]
    assert used.headers["X-MBX-USED-WEIGHT-1M"] == "2390"
    assert ask(limiter, 2, "fapi/v1/ping").headers["X-MBX-USED-WEIGHT-1M"] == "2391"
    refused = ask(limiter, 11, "fapi/v1/klines", page)
    assert (refused.status, refused.content["code"]) == (429, -1003)
    assert refused.headers["Retry-After"] == "50"
    assert ask(limiter, 11, "fapi/v1/klines", {"limit": "1000"}).status == 200
    banned = [ask(limiter, 12, "fapi/v1/klines", page) for _ in range(11)][-1]
    assert banned.status == 418
    assert banned.headers["Retry-After"] == "120"
    assert f"banned until {MS + 120_000}" in banned.content["msg"]
    assert ask(limiter, 131.9, "fapi/v1/ping").status == 418
    assert ask(limiter, 132.1, "fapi/v1/ping").headers["X-MBX-USED-WEIGHT-1M"] == "1"


@pytest.mark.parametrize("limited", [True, False])
def test_limits_hold_over_the_wire_unless_lifted(limited: bool) -> None:
    with start_sandbox(World(), None, lambda: NOW, limited=limited) as sandbox:
        url = sandbox.url("upbit") + "/v1/candles/days?market=KRW-SOL"
        browser = {"Origin": "https://example.org"}
        answers = [requests.get(url, headers=browser, timeout=5) for _ in range(3)]
        seen = sandbox.requests
        sandbox.play()
        assert requests.get(url, headers=browser, timeout=5).status_code == 200
    codes = [answer.status_code for answer in answers]
    assert codes == ([200, 429, 429] if limited else [200] * 3)
    assert [request.status for request in seen] == codes
    assert {answer.headers["Date"] for answer in answers} == {"Sat, 20 Dec 2025 00:20:00 GMT"}
    assert seen[0].monotonic < seen[1].monotonic < seen[2].monotonic
    assert {request.at for request in seen} == {NOW}


def test_a_request_that_is_refused_spends_no_fault() -> None:
    exchange = Exchange(World(), lambda: NOW)
    exchange.play(FaultScript.read("html@request2"))
    browser = {"Origin": "https://example.org"}
    for headers in (browser, browser, {}, {}):
        exchange.answer("upbit", CANDLES, {"market": "KRW-SOL"}, headers)
    assert [(request.status, request.fault) for request in exchange.requests] == [
        (200, None),
        (429, None),
        (200, "html"),
        (200, None),
    ]
