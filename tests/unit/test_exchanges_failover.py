"""Another source stands in only after it agreed with the first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.errors import ConfigError, DataError, RetryLater
from pipeline.exchange_sources import with_sources
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.failover import Failover
from pipeline.market.exchanges.simulated import Simulated
from pipeline.sandbox import FaultScript, Sandbox, World, start_sandbox
from tests.machine import Hands
from tests.spine import CONF, planned

NOW = pd.Timestamp("2025-12-20T00:20:30Z")
HOUR = pd.Timedelta(hours=1)
SOL = Instrument(name="KRW-SOL", symbol="KRW-SOL")
ONLINE = "pipeline.market.exchanges.online.Online"
FAILING = FaultScript.read("html@3x8")  # as often as one page is asked for
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

        def start(factor: float = 1.0, lost: int = 0, script: FaultScript | None = None) -> Sandbox:
            folder = tmp_path / f"{factor}-{lost}"
            folder.mkdir(exist_ok=True)
            table = source.assign(high=source["high"] * factor)
            table = table.drop(table.index[len(table) - 20 : len(table) - 20 + lost])
            table = table.reset_index(names="timestamp")
            table.to_parquet(folder / "KRW-SOL-60m.parquet")
            world = World(folder=folder)
            return running.enter_context(start_sandbox(world, script, hands.now, limited=False))

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


def test_another_that_agrees_stands_in_and_is_named(serve: Serve, hands: Hands) -> None:
    first, second = serve(script=FAILING), serve()
    exchange = made(hands, first, second)
    got = fetch(exchange)
    assert set(got.pop("source")) == {exchange._built[1].feed}
    pd.testing.assert_frame_equal(got, truth(second), check_exact=True, check_freq=False)
    assert exchange.feed == exchange._built[0].feed != exchange._built[1].feed


def test_another_that_disagrees_is_refused(serve: Serve, hands: Hands) -> None:
    exchange = made(hands, serve(script=FAILING), serve(factor=1.0001))
    with pytest.raises(DataError, match=r"may not stand in.* column high"):
        fetch(exchange)


def test_a_declared_difference_is_no_disagreement(serve: Serve, hands: Hands) -> None:
    first, second = serve(script=FAILING), serve(factor=1.0001)
    got = fetch(made(hands, first, second, price_tolerance=0.001))
    assert (got.drop(columns="source").to_numpy() == truth(second).to_numpy()).all()


def test_another_that_lacks_candles_is_refused(serve: Serve, hands: Hands) -> None:
    exchange = made(hands, serve(script=FaultScript.read("html@3x16")), serve(lost=2))
    with pytest.raises(DataError, match="only one of them has 2025-12-19T04:00"):
        fetch(exchange)


def test_nothing_is_taken_where_nothing_can_be_compared(serve: Serve, hands: Hands) -> None:
    first, second = serve(script=FaultScript.read("html@1x*")), serve()
    with pytest.raises(RetryLater, match="no other source could be compared"):
        fetch(made(hands, first, second))
    newest = made(hands, first, second).newest(SOL, "1h", NOW)
    assert newest == truth(second).index[-1], "which candle is newest needs no comparison"


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
