"""Downloads over a socket: the truth to the bit, or an error, whatever the venue does."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import ConfigError, RetryLater, VintageError
from pipeline.market.candles import TIME, TIMEFRAMES, duration
from pipeline.market.exchanges import online
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.machine import Machine
from pipeline.market.exchanges.online import VENUES, Online
from pipeline.market.exchanges.rate_bucket import RateBucket
from pipeline.market.exchanges.simulated import Simulated
from pipeline.sandbox import FAULTS, FaultScript, Sandbox, Silence, World, start_sandbox
from tests.conftest import CHECKOUT, child_env
from tests.machine import Hands
from tests.volume import volume

NOW = pd.Timestamp("2025-12-20T00:20:30Z")
HOUR = pd.Timedelta(hours=1)
FILES = {"1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m"}
FILES |= {"1h": "60m", "4h": "240m", "1d": "1d"}
SYMBOLS = {"upbit": "KRW-SOL", "bingx": "BTC-USDT", "binance": "BTCUSDT"}
ROWS, PAGES = 12, 20
SPAN = PAGES * (ROWS - 3) * HOUR
HELD = 450
GAPS = [(50, 49, "no_trade"), (100, 96, "no_trade"), (140, 137, "outage"), (13, 10, "outage")]
FULL = volume(1) > 1
every_venue = pytest.mark.parametrize("venue", sorted(VENUES))


def spoken(venue: str) -> str:
    """The sandbox's word for a venue: both ways to Upbit are one."""
    return venue.partition("_")[0]


def market(venue: str) -> Instrument:
    if spoken(venue) == "upbit":
        return Instrument(name="KRW-SOL", symbol="KRW-SOL")
    return Instrument(name="BTC-USDT", symbol="BTCUSDT")


def silences(venue: str) -> tuple[Silence, ...]:
    top = NOW.floor("h")
    symbol = SYMBOLS[venue]
    return tuple(Silence(symbol, top - a * HOUR, top - b * HOUR, kind) for a, b, kind in GAPS)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Candles of every timeframe, one minute and three among them, as a user's files."""
    folder = tmp_path_factory.mktemp("candles")
    source = Instrument(name="SIM-BTC", symbol="SIM-BTC")
    for timeframe, code in FILES.items():
        step = duration(timeframe)
        like = step if step >= duration("5m") else duration("5m")
        name = next(name for name in TIMEFRAMES if duration(name) == like)
        candles = Simulated().fetch(source, name, NOW - (HELD + 2) * like, NOW + 2 * like)
        last = NOW.floor(step)
        times = [last - place * step for place in reversed(range(len(candles)))]
        table = candles.set_axis(pd.DatetimeIndex(times, name=TIME)).reset_index(names="timestamp")
        for symbol in ("KRW-SOL", "BTCUSDT"):
            table.to_parquet(folder / f"{symbol}-{code}.parquet")
    return folder


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hands:
    monkeypatch.setenv("VINTAGE_RATE_FOLDER", str(tmp_path / "rates"))
    return Hands(NOW)


@pytest.fixture
def served(files: Path, hands: Hands) -> Iterator[Sandbox]:
    gaps = tuple(gap for venue in SYMBOLS for gap in silences(venue))
    with start_sandbox(World(folder=files, silences=gaps), None, hands.now, limited=False) as made:
        yield made


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    short = {name: dataclasses.replace(venue, rows=ROWS) for name, venue in VENUES.items()}
    monkeypatch.setattr(online, "VENUES", short)


def adapter(venue: str, sandbox: Sandbox, machine: Machine, timeout: float = 5.0) -> Online:
    url = sandbox.url(spoken(venue))
    return Online(venue=venue, base_url=url, timeout_seconds=timeout).on(machine)


def truth(sandbox: Sandbox, venue: str, timeframe: str, start: pd.Timestamp) -> pd.DataFrame:
    named = spoken(venue)
    whole = sandbox.exchange.world.candles(named, SYMBOLS[named], timeframe, start, NOW)
    return whole[list(VENUES[venue].columns)]


@pytest.mark.parametrize(
    ("venue", "timeframe"),
    [(venue, timeframe) for venue in sorted(VENUES) for timeframe in TIMEFRAMES],
)
def test_candles_are_the_venues_to_the_bit(
    served: Sandbox, hands: Hands, venue: str, timeframe: str
) -> None:
    exchange, step = adapter(venue, served, hands.machine), duration(timeframe)
    start = NOW.floor(step) - 210 * step
    got = exchange.fetch(market(venue), timeframe, start, NOW + 5 * step)
    expected = truth(served, venue, timeframe, start)
    pd.testing.assert_frame_equal(got, expected, check_exact=True, check_freq=False)
    assert str(got.index.dtype) == "datetime64[ms, UTC]"
    assert exchange.newest(market(venue), timeframe, NOW) == expected.index[-1]
    assert got.index[-1] + step <= NOW


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_pyupbit_gives_what_ccxt_gives(served: Sandbox, hands: Hands, timeframe: str) -> None:
    start = NOW.floor("D") - 40 * duration(timeframe)
    ways = [adapter(venue, served, hands.machine) for venue in ("upbit", "upbit_pyupbit")]
    one, other = (way.fetch(market("upbit"), timeframe, start, NOW) for way in ways)
    assert len(one) >= 30
    assert "value" in one
    pd.testing.assert_frame_equal(one, other, check_exact=True)


SPOILT: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "another zone": lambda frame: frame.set_axis(frame.index - pd.Timedelta(hours=9)),
    "another turnover": lambda frame: frame.assign(value=frame["value"] * 1.0001),
    "columns changed": lambda frame: frame.assign(open=frame["close"], close=frame["open"]),
    "a row less": lambda frame: frame.iloc[1:],
}


@pytest.mark.parametrize("spoil", sorted(SPOILT))
def test_what_pyupbit_makes_is_compared_with_the_answer(
    served: Sandbox, hands: Hands, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    import pyupbit

    usual = pyupbit.get_ohlcv
    monkeypatch.setattr(pyupbit, "get_ohlcv", lambda *a, **b: SPOILT[spoil](usual(*a, **b)))
    exchange = adapter("upbit_pyupbit", served, hands.machine)
    with pytest.raises(RetryLater, match="pyupbit made other candles of the answer"):
        exchange.fetch(market("upbit"), "1h", NOW - 9 * HOUR, NOW)


@every_venue
def test_what_forms_is_never_taken(served: Sandbox, hands: Hands, venue: str) -> None:
    exchange = adapter(venue, served, hands.machine)
    for seconds, closed in ((60 * 39 + 30.5, 23), (3, 0)):
        hands.passed += seconds
        got = exchange.fetch(market(venue), "1h", NOW - 5 * HOUR, NOW + 9 * HOUR)
        assert got.index[-1].hour == closed, "a candle is closed three seconds after its end"


def faults() -> list[tuple[str, str, int]]:
    """Every fault, at several venues; where on the walk it is played changes from one to the next.

    With all volume, at every venue that does it and at every page.
    """
    pairs = [
        (venue, name)
        for place, name in enumerate(FAULTS)
        for venue in sorted(VENUES)
        if spoken(venue) in FAULTS[name].venues and (FULL or venue in looked_at(place))
    ]
    if FULL:
        return [(*pair, page) for pair in pairs for page in range(1, PAGES + 3)]
    return [(*pair, (2, 1, 7, 3, 19, 13)[place % 6]) for place, pair in enumerate(pairs)]


def looked_at(place: int) -> set[str]:
    others = ("bingx", "binance")
    return {("upbit", "upbit", "upbit_pyupbit")[place % 3], others[place % 2]}


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize(("venue", "fault", "page"), faults())
def test_a_fault_makes_no_wrong_candle(
    served: Sandbox, hands: Hands, venue: str, fault: str, page: int
) -> None:
    served.play(FaultScript.read(f"{fault}@{page}"))
    start = NOW.floor("h") - SPAN
    got, told = None, ""
    try:
        got = adapter(venue, served, hands.machine, 0.5).fetch(market(venue), "1h", start, NOW)
    except VintageError as error:
        told = str(error)
    if got is None:
        assert fault in LYING, f"{told}: what passes by itself is asked again"
        assert "is missing" in told
    else:
        expected = truth(served, venue, "1h", start)
        pd.testing.assert_frame_equal(got, expected, check_exact=True, check_freq=False)
    assert fault in [request.fault for request in served.requests], "it was not played"


LYING = {"revised_candle", "other_instrument"}


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("fault", ["html", "empty_list", "short_page", "ignored_cursor", "banned"])
def test_a_venue_that_does_not_recover_is_told(served: Sandbox, hands: Hands, fault: str) -> None:
    served.play(FaultScript.read(f"{fault}@4x*"))
    start = NOW.floor("h") - SPAN
    with pytest.raises(RetryLater, match=f"{re.escape(start.isoformat())} to .* is missing"):
        adapter("upbit", served, hands.machine).fetch(market("upbit"), "1h", start, NOW)
    assert hands.passed < 600


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("venue", ["upbit", "binance"])
def test_every_page_is_a_sign_of_life(served: Sandbox, hands: Hands, venue: str) -> None:
    heard: list[str] = []
    served.play(FaultScript.read("rate_limited@4"))
    machine = dataclasses.replace(hands.machine, tell=heard.append)
    adapter(venue, served, machine).fetch(market(venue), "1h", NOW.floor("h") - SPAN, NOW)
    pages = [sign for sign in heard if sign.startswith("page ")]
    count = len(pages)
    assert count > 3
    assert pages == [f"page {number} of {count}" for number in range(1, count + 1)]
    (wait,) = set(heard) - set(pages)
    assert re.match(r"asking again 1 of 7 in . s after: .*HTTP 429", wait)


def test_a_long_block_is_told_at_once_and_names_what_to_turn(served: Sandbox, hands: Hands) -> None:
    exchange = adapter("upbit", served, hands.machine)
    until = RateBucket.of(served.url("upbit"), 1, hands.machine).block(3600)
    with pytest.raises(RetryLater, match=r"exchange\.requests_per_second") as caught:
        exchange.fetch(market("upbit"), "1h", NOW - 9 * HOUR, NOW)
    assert until.isoformat() in str(caught.value)
    assert served.requests == []


@every_venue
def test_an_unknown_market_names_the_nearest(served: Sandbox, hands: Hands, venue: str) -> None:
    wrong = market(venue).symbol.replace("SOL", "SOLE").replace("BTC", "BTCC")
    unknown = Instrument(name=wrong if "-" in wrong else "BTCC-USDT", symbol=wrong)
    with pytest.raises(ConfigError, match=f"did you mean {SYMBOLS[spoken(venue)]}"):
        adapter(venue, served, hands.machine).fetch(unknown, "1h", NOW - 9 * HOUR, NOW)


@pytest.fixture
def hourly(files: Path, hands: Hands, tmp_path: Path) -> Iterator[Sandbox]:
    """Venues that began with the hourly candles: no coarser ones reach back further."""
    for symbol in ("KRW-SOL", "BTCUSDT"):
        (tmp_path / f"{symbol}-60m.parquet").symlink_to(files / f"{symbol}-60m.parquet")
    with start_sandbox(World(folder=tmp_path), None, hands.now, limited=False) as made:
        yield made


def test_where_the_venue_says_its_first_candle_it_is_told(hourly: Sandbox, hands: Hands) -> None:
    binance = adapter("binance", hourly, hands.machine)
    first = truth(hourly, "binance", "1h", NOW - 1000 * HOUR).index[0]
    assert binance.first_candle(market("binance"), "1h") == first
    assert adapter("bingx", hourly, hands.machine).first_candle(market("bingx"), "1h") is None


@every_venue
@pytest.mark.usefixtures("short_pages")
def test_a_series_begins_where_the_venue_begins(hourly: Sandbox, hands: Hands, venue: str) -> None:
    expected = truth(hourly, venue, "1h", NOW - 1000 * HOUR)
    first, exchange = expected.index[0], adapter(venue, hourly, hands.machine)
    stop = first + 30 * HOUR
    got = exchange.fetch(market(venue), "1h", first - 40 * HOUR, stop)
    wanted = expected[expected.index < stop]
    pd.testing.assert_frame_equal(got, wanted, check_exact=True, check_freq=False)
    assert exchange.fetch(market(venue), "1h", first - 40 * HOUR, first).empty


@every_venue
def test_a_venue_that_serves_its_newest_candles_only_is_not_believed(
    hourly: Sandbox, hands: Hands, venue: str
) -> None:
    """It has 450 hours, serves 100 of them, and all of the weeks."""
    hourly.play(FaultScript.read("newest_only@1x*"))
    exchange, first = adapter(venue, hourly, hands.machine), NOW.ceil("h") - 100 * HOUR
    for stop in (first + 30 * HOUR, NOW):
        with pytest.raises(RetryLater, match=r"does not give the beginning.*a later start"):
            exchange.fetch(market(venue), "1h", first - 40 * HOUR, stop)
    with pytest.raises(RetryLater, match="a span in which it had some"):
        exchange.fetch(market(venue), "1h", first - 40 * HOUR, first)
    told = exchange.first_candle(market(venue), "1h")
    assert told is None or told < first, "what it begins with is not its beginning"
    assert len(exchange.fetch(market(venue), "1h", first, first + 30 * HOUR)) >= 25


def test_two_ways_to_one_host_share_its_budget(hands: Hands) -> None:
    """ccxt counts twice for a page of candles what Upbit counts once, of twice the number."""
    with start_sandbox(World(), None, hands.now, limited=False) as sandbox:
        url = sandbox.url("upbit")
        ways = [Online(venue="upbit", base_url=url), Online(venue="ccxt", id="upbit", base_url=url)]
        for way in [made.on(hands.machine) for made in ways] * 2:
            way.fetch(market("upbit"), "1h", NOW - 700 * HOUR, NOW)
        moments = sorted(request.at for request in sandbox.requests)
    assert len(moments) >= 18
    spaces = [(later - sooner).total_seconds() for sooner, later in pairwise(moments)]
    assert min(spaces) >= 1 / 7.5 - 1e-4, "three quarters of ten in a second"


def test_ccxt_asks_for_the_markets_once_in_a_sync(hands: Hands) -> None:
    with start_sandbox(World(), None, hands.now, limited=False) as sandbox:
        made = Online(venue="ccxt", id="upbit", base_url=sandbox.url("upbit")).on(hands.machine)
        for way, times in ((made.for_one_sync(), 1), (made, 3)):
            sandbox.play(FaultScript())
            for days in (1, 2, 3):
                way.fetch(market("upbit"), "1h", NOW - days * 24 * HOUR, NOW)
            paths = [request.path for request in sandbox.requests]
            assert paths.count("v1/market/all") == times


def test_a_sync_ends_by_its_deadline(served: Sandbox, hands: Hands) -> None:
    url = served.url("upbit")
    made = Online(venue="upbit", base_url=url, sync_seconds=60).on(hands.machine).for_one_sync()
    made.fetch(market("upbit"), "1h", NOW - 9 * HOUR, NOW)
    served.play(FaultScript.read("html@1x*"))
    with pytest.raises(RetryLater, match="is missing"):
        made.fetch(market("upbit"), "1h", NOW - 9 * HOUR, NOW)
    assert hands.passed <= 60, "the deadline of a fetch, 600 s, is not waited for"
    served.play(FaultScript())
    hands.sleep(60)
    with pytest.raises(RetryLater, match=r"exchange\.sync_seconds have passed; .* is missing"):
        made.fetch(market("upbit"), "1h", NOW - 9 * HOUR, NOW)
    assert served.requests == []


def test_four_processes_keep_one_budget(tmp_path: Path) -> None:
    """15 requests each, in real time; what the venue allows is 10 in any second."""
    code = (
        "import sys, pandas as pd\n"
        "from pipeline.market.exchanges import rate_bucket\n"
        "from pipeline.market.exchanges.base import Instrument\n"
        "from pipeline.market.exchanges.online import Online\n"
        "kept, permits = rate_bucket.RateBucket._write, []\n"
        "def write(self, state):\n"
        "    permits.append(state.seen) if state.next == state.seen + self.spacing else None\n"
        "    kept(self, state)\n"
        "rate_bucket.RateBucket._write = write\n"
        "now, hour = pd.Timestamp.now('UTC'), pd.Timedelta(hours=1)\n"
        "sol = Instrument(name='KRW-SOL', symbol='KRW-SOL')\n"
        "Online(venue='upbit', base_url=sys.argv[1]).fetch(sol, '1h', now - 2600 * hour, now)\n"
        "print(*permits)\n"
    )
    with start_sandbox(World(), None, lambda: pd.Timestamp.now("UTC")) as sandbox:
        words = [sys.executable, "-c", code, sandbox.url("upbit")]
        env = child_env(tmp_path, VINTAGE_RATE_FOLDER=str(tmp_path), PYTHONPATH=str(CHECKOUT))
        running = [
            subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env) for _ in range(4)
        ]
        told = [process.communicate(timeout=100)[0] for process in running]
        arrived = [request.monotonic for request in sandbox.requests]
        assert {request.status for request in sandbox.requests} == {200}
    permits = [float(word) for text in told for word in text.split()]
    assert len(permits) == len(arrived) >= 56
    assert most_in_a_second(permits) <= 8, "80 % of what is allowed"
    assert most_in_a_second(arrived) <= 10, "as the venue counts"


def most_in_a_second(moments: list[float]) -> int:
    return max(sum(first <= moment < first + 1 for moment in moments) for first in moments)


RECORDED = {
    "upbit": ("upbit/KRW-SOL-60m.parquet", "1h", 1600),
    "upbit_pyupbit": ("upbit/KRW-SOL-1d.parquet", "1d", 400),
    "bingx": ("bingx_or_binance/bingx_swap/BTCUSDT-15m.parquet", "15m", 5000),
    "binance": ("bingx_or_binance/binance_futures/BTCUSDT-5m.parquet", "5m", 5000),
}


@every_venue
@pytest.mark.real
def test_recorded_candles_come_back_as_they_are(real_data: Path, hands: Hands, venue: str) -> None:
    name, timeframe, rows = RECORDED[venue]
    path = real_data / name
    table = pd.read_parquet(path).set_index("timestamp").rename_axis(TIME).tail(rows)
    stop = table.index[-1] + duration(timeframe)
    hands.started = stop + HOUR
    with start_sandbox(World(folder=path.parent), None, hands.now, limited=False) as sandbox:
        exchange = adapter(venue, sandbox, hands.machine)
        got = exchange.fetch(market(venue), timeframe, table.index[0], stop)
    shared = [column for column in got.columns if column in table]
    assert set(shared) >= {"open", "high", "low", "close", "volume"}
    pd.testing.assert_frame_equal(
        got[shared], table[shared], check_exact=True, check_freq=False, check_index_type=False
    )
