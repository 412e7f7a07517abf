"""Another source stands in only after it agreed with what the first one gave before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.configuration.exchange_sources import with_sources
from pipeline.errors import ConfigError, DataError, RetryLater
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.failover import Failover
from pipeline.market.exchanges.simulated import Simulated
from pipeline.market.store import CandleStore, Series
from pipeline.market.sync import How, sync
from pipeline.sandbox import FaultScript, Sandbox, World, start_sandbox
from tests.machine import Hands
from tests.spine import CONF, planned

NOW = pd.Timestamp("2025-12-20T00:20:30Z")
HOUR = pd.Timedelta(hours=1)
SOL = Instrument(name="KRW-SOL", symbol="KRW-SOL")
ONLINE = "pipeline.market.exchanges.online.Online"
DEAD = "html@1x*"
Serve = Callable[..., Sandbox]


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hands:
    monkeypatch.setenv("VINTAGE_RATE_FOLDER", str(tmp_path / "rates"))
    return Hands(NOW)


@pytest.fixture
def serve(tmp_path: Path, hands: Hands) -> Iterator[Serve]:
    """Start a venue with the simulated candles, their highs times a factor."""
    source = Simulated().fetch(SOL, "1h", NOW - 900 * HOUR, NOW)
    with ExitStack() as running:

        def start(factor: float = 1.0, lost: int = 0, script: str | None = None) -> Sandbox:
            folder = tmp_path / f"{factor}-{lost}"
            folder.mkdir(exist_ok=True)
            table = source.assign(high=source["high"] * factor)
            table = table.drop(table.index[len(table) - 20 : len(table) - 20 + lost])
            table = table.reset_index(names="timestamp")
            table.to_parquet(folder / "KRW-SOL-60m.parquet")
            world = World(folder=folder)
            faults = FaultScript.read(script) if script else None
            return running.enter_context(start_sandbox(world, faults, hands.now, limited=False))

        yield start


def made(hands: Hands, first: Sandbox, second: Sandbox, **given: Any) -> Failover:
    nodes = tuple(
        {"_target_": ONLINE, "venue": venue, "base_url": sandbox.url("upbit")}
        for venue, sandbox in (("upbit", first), ("upbit_pyupbit", second))
    )
    return Failover(sources=nodes, **given).on(hands.machine)


def fetch(exchange: Failover, hours: int = 400) -> pd.DataFrame:
    return exchange.fetch(SOL, "1h", NOW.floor("h") - hours * HOUR, NOW)


def truth(sandbox: Sandbox, hours: int = 400) -> pd.DataFrame:
    start = NOW.floor("h") - hours * HOUR
    candles = sandbox.exchange.world.candles("upbit", "KRW-SOL", "1h", start, NOW)
    return candles.drop(columns="taker_volume")


def test_the_first_source_serves_alone_while_it_can(serve: Serve, hands: Hands) -> None:
    first, second = serve(), serve()
    got = fetch(made(hands, first, second))
    pd.testing.assert_frame_equal(got, truth(first), check_exact=True, check_freq=False)
    assert second.requests == []


def before(sandbox: Sandbox, hours: int, rows: int = 100) -> pd.DataFrame:
    """What is stored when the first source gave candles until some hours ago."""
    return truth(sandbox, hours + rows).iloc[:rows]


def test_another_that_agrees_with_what_is_stored_stands_in_and_is_named(
    serve: Serve, hands: Hands
) -> None:
    first, second = serve(script=DEAD), serve()
    exchange = made(hands, first, second)
    got = fetch(exchange.beside(lambda: before(second, 403)))
    own = exchange._built[0].feed
    assert got.pop("source").fillna(own).tolist() == [exchange._built[1].feed] * 400
    pd.testing.assert_frame_equal(got, truth(second), check_exact=True, check_freq=False)
    got = fetch(exchange.beside(lambda: before(second, 397)))
    assert got.pop("source").isna().sum() == 3, "what the first one gave stays its own"
    assert exchange.feed == own != exchange._built[1].feed


def test_another_that_disagrees_with_what_is_stored_is_refused(serve: Serve, hands: Hands) -> None:
    first, second = serve(script=DEAD), serve(factor=1.0001)
    stored = before(serve(), 397)
    with pytest.raises(DataError, match=r"may not stand in.* column high"):
        fetch(made(hands, first, second).beside(lambda: stored))
    got = fetch(made(hands, first, second, price_tolerance=0.001).beside(lambda: stored))
    assert got.loc[got["source"].isna(), "high"].tolist() == stored["high"].tolist()[-3:]
    lent = got["source"].notna()
    assert (got.loc[lent, "high"] == truth(second)["high"].loc[lent]).all()


def test_another_that_lacks_a_stored_candle_is_refused(serve: Serve, hands: Hands) -> None:
    exchange = made(hands, serve(script=DEAD), serve(lost=2)).beside(lambda: before(serve(), 10))
    with pytest.raises(DataError, match="it has none at 2025-12-19T04:00"):
        fetch(exchange, 13)


@pytest.mark.parametrize("rows", [0, 47, 48])
def test_nothing_is_taken_where_too_little_can_be_compared(
    serve: Serve, hands: Hands, rows: int
) -> None:
    first, second = serve(script=DEAD), serve()
    exchange = made(hands, first, second).beside(lambda: before(second, 100, rows))
    if rows < 48:
        told = rf"no other source may stand in .*{rows} stored candles of .*expected: 48 stored"
        with pytest.raises(RetryLater, match=told):
            fetch(exchange, 100)
        assert second.requests == []
    else:
        assert len(fetch(exchange, 100)) == 100
    assert exchange.newest(SOL, "1h", NOW) == truth(second).index[-1], "needs no comparison"


def test_what_lies_nearest_is_compared(serve: Serve, hands: Hands) -> None:
    """What is older than the nearest 48 candles, and what another source gave, is not looked at."""
    first, second = serve(script=DEAD), serve()
    stored = before(second, 300, 300)
    stored.iloc[:252] += 1
    exchange = made(hands, first, second)
    assert len(fetch(exchange.beside(lambda: stored), 300)) == 300
    stored.iloc[252] += 1
    with pytest.raises(DataError, match="disagrees with what is stored"):
        fetch(exchange.beside(lambda: stored), 300)
    stored = before(second, 200, 100)
    stored.iloc[48:] += 1
    candles = exchange.beside(lambda: stored).fetch(
        SOL, "1h", stored.index[0] - 50 * HOUR, stored.index[0]
    )
    assert len(candles) == 50, "further back, the first stored ones are the nearest"


def test_where_none_answers_nothing_comes(serve: Serve, hands: Hands) -> None:
    exchange = made(hands, serve(script=DEAD), serve(script=DEAD))
    with pytest.raises(RetryLater, match=r"may stand in .*no other source that answers"):
        fetch(exchange.beside(lambda: before(serve(), 400)))


def test_a_sync_goes_on_with_another_while_the_first_is_down(
    serve: Serve, hands: Hands, tmp_path: Path
) -> None:
    store, good, dead = CandleStore(tmp_path / "store"), serve(), serve(script=DEAD)

    def up_to(exchange: Failover, hours: int) -> None:
        start, end = NOW.floor("h") - 200 * HOUR, NOW.floor("h") - hours * HOUR
        sync(store, exchange, SOL, "1h", start, end, How(now=NOW))

    down = made(hands, dead, good)
    series = Series(down.feed, SOL.name, "1h")
    with pytest.raises(RetryLater, match="0 stored candles of"):
        up_to(down, 100)
    assert store.span(series) is None
    store.append(series, truth(good, 200).iloc[:80])
    for hours in (60, 10, 0):
        up_to(down, hours)
    assert store.sources(series) == {down.feed: 80, down._built[1].feed: 120}
    pd.testing.assert_frame_equal(store.read(series), truth(good, 200), check_freq=False)
    assert store.revisions(series) == []


def test_a_wrong_market_is_no_reason_to_ask_another(serve: Serve, hands: Hands) -> None:
    first, second = serve(), serve()
    with pytest.raises(ConfigError, match="no such market"):
        made(hands, first, second).fetch(
            Instrument(name="KRW-X", symbol="KRW-X"), "1h", NOW - 9 * HOUR, NOW
        )
    assert second.requests == []


def test_composing_reads_the_sources_and_hands_the_base_url_down() -> None:
    plan = planned("exchange=upbit_failover", "exchange.base_url=http://127.0.0.1:1/upbit")
    node = plan.stages["download"]["exchange"]
    assert [source["venue"] for source in node["sources"]] == ["upbit", "upbit_pyupbit"]
    assert plan.run.feed.startswith("upbit-")
    assert "pipeline.market.exchanges.online.Online" in plan.targets["download"]


def test_a_source_that_is_no_option_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean upbit"):
        with_sources({"sources": ["upbi", "bingx"]}, CONF, [])
    with pytest.raises(ConfigError, match="sources of its own"):
        with_sources({"sources": ["upbit_failover", "bingx"]}, CONF, [])
    with pytest.raises(ConfigError, match="named twice"):
        planned("exchange=upbit_failover", "exchange.sources=[upbit,upbit]")
    with pytest.raises(ConfigError, match="no online exchange"):
        planned("exchange=upbit_failover", "exchange.sources=[upbit,simulated]")
    assert with_sources({"venue": "upbit"}, CONF, []) == {"venue": "upbit"}
