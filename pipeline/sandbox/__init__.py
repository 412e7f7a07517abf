"""A loopback exchange: Upbit, BingX and Binance USD-M candles on 127.0.0.1, faults on request.

For tests and rehearsals; nothing leaves the machine. In a test::

    from pipeline.sandbox import Fault, FaultScript, Silence, World, start_sandbox

    now = pd.Timestamp("2025-12-20T00:20Z")
    world = World()                                   # simulated, lives to now
    world = World(folder=Path("candles"))             # KRW-SOL-60m.parquet, BTCUSDT-5m.csv ...
    world = World(silences=(Silence("KRW-SOL", start, end),), until=moment)
    with start_sandbox(world, FaultScript.read("rate_limited@3"), lambda: now) as sandbox:
        sandbox.url("upbit")      # http://127.0.0.1:PORT/upbit, what exchange.base_url takes
        sandbox.requests          # [Request(venue, path, query, at, monotonic, page, status, ...)]
        sandbox.play(FaultScript.read("hang@1"))      # begin anew with another script
    world.candles("upbit", "KRW-SOL", "1h", start, end)   # what a client must end up with

Below the base URL stand the venue's own paths: ``/v1/candles/minutes/60``, ``/v1/candles/days``
and ``/v1/market/all`` (upbit), ``/openApi/swap/v3/quote/klines``, ``.../v2/quote/contracts`` and
``.../v2/server/time`` (bingx), ``/fapi/v1/klines``, ``exchangeInfo``, ``time`` and ``ping``
(binance). Symbols are the venue's: KRW-SOL, SOL-USDT, SOLUSDT (and BTC, ETH, XRP; another list:
``World(symbols={"upbit": ("KRW-ADA",)})``). Simulated candles have multiples of five minutes
and begin 2023-01-01; timeframes of recorded candles are those that have files.

Faults are words (`FaultScript.read`): ``NAME@K`` once at page K of a series, ``NAME@KxN`` N times
from there, ``NAME@Kx*`` always, ``NAME@requestK`` by request of any kind, ``upbit:NAME@K`` at one
venue. A page that is asked for again (a retry) keeps its number. `FAULTS` names them all.

``start_sandbox(..., limited=False)`` lifts the rate limits, which are otherwise enforced in real
time: Upbit 10 in any second, then 429, then 418; BingX 500 in 10 s, then code 100410; Binance
2400 of weight a minute, then 429 and 418 with Retry-After.
"""

from pipeline.sandbox.exchange import Request
from pipeline.sandbox.faults import FAULTS
from pipeline.sandbox.script import Fault, FaultScript
from pipeline.sandbox.server import Sandbox, start_sandbox
from pipeline.sandbox.world import Silence, World

__all__ = [
    "FAULTS",
    "Fault",
    "FaultScript",
    "Request",
    "Sandbox",
    "Silence",
    "World",
    "start_sandbox",
]
