"""ccxt and pyupbit, unmodified, read the loopback exchange to the last digit."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import requests

from pipeline.market.candles import REQUIRED, duration
from pipeline.sandbox import FaultScript, Silence, World, start_sandbox
from tests.wire.clients import SYMBOLS, ccxt_client, frame_of, milliseconds
from tests.wire.tls_proxy import child_environment, tls_proxy

NOW = pd.Timestamp("2025-12-20T00:20Z")
SINCE = pd.Timestamp("2025-12-01T00:00Z")
PLAIN = {"upbit": "KRW-SOL", "bingx": "SOL-USDT", "binance": "SOLUSDT"}


@pytest.mark.parametrize(
    ("venue", "timeframe", "limit"),
    [("upbit", "4h", 100), ("bingx", "15m", 1440), ("binance", "5m", 1000)],
)
def test_ccxt_reads_a_page(venue: str, timeframe: str, limit: int) -> None:
    world = World()
    with start_sandbox(world, None, lambda: NOW) as sandbox, ccxt_client(sandbox, venue) as client:
        assert SYMBOLS[venue] in client.load_markets()
        assert client.market(SYMBOLS[venue])["active"] is True
        rows = client.fetch_ohlcv(SYMBOLS[venue], timeframe, milliseconds(SINCE), limit)
    end = SINCE + limit * duration(timeframe)
    wanted = world.candles(venue, PLAIN[venue], timeframe, SINCE, end)
    assert len(wanted) == limit
    pd.testing.assert_frame_equal(frame_of(rows), wanted[list(REQUIRED)], check_exact=True)


@pytest.mark.parametrize("venue", ["upbit", "bingx", "binance"])
def test_ccxt_gets_the_forming_candle_as_its_last_row(venue: str) -> None:
    with (
        start_sandbox(World(), None, lambda: NOW) as sandbox,
        ccxt_client(sandbox, venue) as client,
    ):
        looks = [client.fetch_ohlcv(SYMBOLS[venue], "1h", limit=3) for _ in range(2)]
    assert [row[0] for row in looks[0]] == [
        milliseconds(NOW.floor("h") - pd.Timedelta(hours=hours)) for hours in (2, 1, 0)
    ]
    assert looks[0][:2] == looks[1][:2]
    assert looks[0][2] != looks[1][2]


def test_ccxt_makes_rows_of_none_out_of_html() -> None:
    """What the stand-in must provoke: the library's own blindness, not an error of ours."""
    script = FaultScript.read("upbit:html@1", "bingx:html@1")
    with start_sandbox(World(), script, lambda: NOW) as sandbox:
        with ccxt_client(sandbox, "upbit") as client:
            assert client.fetch_ohlcv("SOL/KRW", "1h", limit=2) == [[None] * 6] * 2
        with ccxt_client(sandbox, "bingx") as client:
            assert client.fetch_ohlcv("SOL/USDT:USDT", "1h", limit=2) == []


PYUPBIT = """
import sys
import pyupbit
frame = pyupbit.get_ohlcv("KRW-SOL", "minute60", count=450, to=sys.argv[1])
print(frame.to_csv(float_format="%.17g"))
"""


def test_pyupbit_reads_three_pages_over_tls(tmp_path: Path) -> None:
    silence = Silence("KRW-SOL", SINCE, SINCE + pd.Timedelta(hours=30))
    world = World(silences=(silence,))
    end = pd.Timestamp("2025-12-10T05:00Z")
    with (
        start_sandbox(world, None, lambda: NOW) as sandbox,
        tls_proxy(sandbox.url("upbit"), "api.upbit.com", tmp_path) as proxy,
    ):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", PYUPBIT, f"{end:%Y-%m-%d %H:%M:%S}"],
            env=child_environment(proxy),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        received = sandbox.requests
    got = pd.read_csv(io.StringIO(done.stdout), index_col=0, parse_dates=True)
    got.index = got.index.tz_localize("Asia/Seoul").tz_convert("UTC").as_unit("ms")
    start = end - pd.Timedelta(hours=480)
    wanted = world.candles("upbit", "KRW-SOL", "1h", start, end)[[*REQUIRED, "value"]]
    assert len(wanted) == 450
    pd.testing.assert_frame_equal(
        got, wanted, check_exact=True, check_names=False, check_freq=False
    )
    assert [(request.page, request.rows) for request in received] == [(1, 200), (2, 200), (3, 50)]


def test_the_proxy_serves_one_host_only(tmp_path: Path) -> None:
    with (
        start_sandbox(World(), None, lambda: NOW) as sandbox,
        tls_proxy(sandbox.url("upbit"), "api.upbit.com", tmp_path) as proxy,
        pytest.raises(requests.exceptions.ProxyError),
    ):
        requests.get("https://api.binance.com/", proxies={"https": proxy["HTTPS_PROXY"]}, timeout=5)
