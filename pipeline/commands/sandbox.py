"""``vintage sandbox``: a loopback exchange to rehearse with."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline.commands.arguments import parse, parser
from pipeline.commands.console import table
from pipeline.errors import ConfigError
from pipeline.market.candles import moment
from pipeline.sandbox import FAULTS, Fault, FaultScript, Request, Sandbox, World, start_sandbox
from pipeline.sandbox.messages import VENUES

PORT, PORTS = 8765, range(65536)
LOOK_SECONDS = 0.2
EXAMPLES = [
    "vintage sandbox",
    "vintage sandbox --port 9000 --fault rate_limited@3",
    "vintage sandbox --fault upbit:hang@2x* --fault html@request5",
    "vintage sandbox --candles ../candles --until 2025-12-20T00:00Z",
]


def main(argv: Sequence[str]) -> int:
    """Serve in the foreground until Ctrl-C."""
    made = parser(
        "sandbox",
        "A loopback exchange: Upbit, BingX and Binance candles on 127.0.0.1, with faults on "
        "request. NAME@K plays a fault once at page K of a download, NAME@KxN N times from "
        "there, NAME@Kx* always; NAME@requestK counts every request; VENUE: before it keeps it "
        "to one venue. --faults lists them.",
        EXAMPLES,
    )
    made.add_argument("--port", type=int, default=PORT, help=f"port, {PORT} unless given; 0: any")
    made.add_argument("--candles", metavar="FOLDER", help="recorded files; else simulated ones")
    made.add_argument("--fault", metavar="NAME@PAGE", action="append", default=[], help="a fault")
    made.add_argument("--until", metavar="MOMENT", help="close of the last candle; else now")
    made.add_argument("--faults", action="store_true", help="list the faults and leave")
    asked = parse(made, argv)
    if asked.faults:
        print(_listing())
        return 0
    if asked.port not in PORTS:
        raise ConfigError(
            "is no port", where="--port", found=str(asked.port), expected="0 to 65535"
        )
    script = FaultScript.read(*asked.fault)
    world = _world(asked.candles, asked.until)
    with start_sandbox(world, script, _now, port=asked.port) as sandbox:
        print(_welcome(sandbox, world, script), flush=True)
        _watch(sandbox)
    return 0


def _now() -> pd.Timestamp:
    return pd.Timestamp.now(tz="UTC")


def _listing() -> str:
    rows = [(name, ", ".join(fault.venues), fault.summary) for name, fault in FAULTS.items()]
    return table(("fault", "venues", "what it does"), rows)


def _world(candles: str | None, until: str | None) -> World:
    folder = None if candles is None else Path(candles).expanduser()
    if folder is not None and not folder.is_dir():
        raise ConfigError("is no folder", where="--candles", found=str(folder))
    world = World(folder=folder, until=None if until is None else moment(until, "--until"))
    world.last()  # a file that cannot be read is told now
    return world


def _welcome(sandbox: Sandbox, world: World, script: FaultScript) -> str:
    served = [venue for venue in VENUES if world.listed(venue)]
    rows = [
        (venue, ", ".join(_market(name) for name in world.listed(venue)), sandbox.url(venue))
        for venue in served
    ]
    last = world.last()
    ends = f"{last:%Y-%m-%d %H:%M} UTC" if last else "now"
    lines = [
        "The loopback exchange serves until Ctrl-C; nothing leaves this machine.",
        "",
        table(("venue", "markets", "base URL"), rows),
        "",
        f"candles: {world.folder or 'simulated'}, to {ends}",
        *(f"fault: {_told(fault)}" for fault in script.faults),
        "",
        "Type in another terminal:",
        "",
        *(f"  {_words(sandbox, world, venue)}" for venue in served),
        "",
    ]
    return "\n".join(lines)


def _told(fault: Fault) -> str:
    often = {1: "once", None: "always"}.get(fault.times, f"{fault.times} times")
    where = f" at {fault.venue}" if fault.venue else ""
    return (
        f"{fault.name} from {fault.unit} {fault.at}, {often}{where}: {FAULTS[fault.name].summary}"
    )


def _words(sandbox: Sandbox, world: World, venue: str) -> str:
    last = world.last()
    until = f" as_of={last:%Y-%m-%dT%H:%MZ}" if last else ""
    market = _market(world.listed(venue)[-1])
    url = sandbox.url(venue)
    return f"vintage data sync exchange={venue} exchange.base_url={url} market={market}{until}"


def _market(symbol: str) -> str:
    """Name of the market option of a venue's symbol; Binance's have no dash."""
    return symbol if "-" in symbol else f"{symbol.removesuffix('USDT')}-USDT"


def _watch(sandbox: Sandbox) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job ignores Ctrl-C
        signal.signal(number, signal.default_int_handler)
    told = 0
    try:
        while not threading.Event().wait(LOOK_SECONDS):
            received = sandbox.requests
            for request in received[told:]:
                print(_line(request), flush=True)
            told = len(received)
    except KeyboardInterrupt:
        faulty = sum(request.fault is not None for request in sandbox.requests)
        print(f"\n{len(sandbox.requests)} requests, {faulty} of them with a fault")


def _line(request: Request) -> str:
    query = "&".join(f"{name}={text}" for name, text in request.query.items())
    fault = f" [{request.fault}]" if request.fault else ""
    asked = f"{request.path}?{query}" if query else request.path
    rows = f", rows {request.rows}" if request.rows else ""
    return f"{request.at:%H:%M:%S} {request.venue} {asked} -> {request.status}{rows}{fault}"
