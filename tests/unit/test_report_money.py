"""What the report page says of trading."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.backtest import Setup
from pipeline.evaluation.report import ReportFacts, render
from pipeline.evaluation.report.dealt import MOST_DRAWN
from pipeline.evaluation.trading import trade
from pipeline.frames import key_by_market
from tests.oracles.walks import random_walk
from tests.report_facts import facts_of, lede_of, page_of, section_of
from tests.unit.test_backtest import market, profile
from tests.unit.test_trading import direction

GAP = "\N{NO-BREAK SPACE}"


def traded(**changes: object) -> ReportFacts:
    candles = random_walk(np.random.default_rng(5), 1500)
    setup = Setup(profile("upbit_spot", **changes), market(), "1h")
    trading = trade({"direction": direction(candles)}, candles, setup)
    return replace(facts_of(), candles=key_by_market(candles, "SIM-BTC"), trading=trading)


@pytest.fixture(scope="module")
def facts() -> ReportFacts:
    return traded()


def test_what_it_came_to_is_said_first(facts: ReportFacts) -> None:
    page = page_of(facts)
    told = facts.trading.facts()
    one, two = (told["costs"][name] for name in ("1x", "2x"))
    said = lede_of(page, "money").replace(GAP, " ")
    assert said.startswith(f"Trading it earned {100 * one['total_return']:.1f} % after costs (")
    assert f"{100 * abs(two['total_return']):.1f} % at costs 2x" in said
    assert f"in {one['trades']} trades. Buying and holding " in said
    links = [each.attributes["href"] for each in page.all("nav")[0].all("a")]
    assert links[:3] == ["#money", "#trades", "#scores"]
    money = section_of(page, "money")
    assert len(money.all("path", "curve")) == 4
    rows = money.all("table")[0].all("tr")
    cells = [[each.text.replace(GAP, " ") for each in row.inside] for row in rows]
    assert cells[0] == ["Figure", "Costs 1x", "Costs 2x", "Held", "Flat"]
    assert cells[1][4] == "0.00 %"
    fees = next(row for row in cells if row[0].startswith("Fees"))
    assert fees[1:3] == [f"{100 * each['fee']:.2f} %" for each in (one, two)]
    titles = [each.all("th")[0].text for each in money.all("table")[1:]]
    *groups, windows = titles
    assert groups == ["Side", "Closed by", "Market over 20 candles", "Hour, UTC"]
    assert windows == "Means of windows"
    (_, mean, *_) = money.all("table")[-1].all("tr")
    five_days = one["five_days"]
    said = [each.text.replace(GAP, " ") for each in mean.inside]
    assert said[:2] == ["Costs 1x", str(five_days["windows"])]
    assert said[2] == f"{100 * five_days['return']:+.2f} %"
    assert render(facts) == render(facts)


def test_every_trade_stands_on_the_candles(facts: ReportFacts) -> None:
    trades = facts.trading.trades()
    section = section_of(page_of(facts), "trades")
    drawn = [each for each in section.all("g") if {"won", "lost"} & {*each.kinds}]
    assert len(drawn) == len(trades) < MOST_DRAWN
    assert sum("won" in each.kinds for each in drawn) == (trades["pnl"] > 0).sum()
    listed = section.all("tbody")[0].all("tr")
    assert len(listed) == 50
    newest = pd.Timestamp(listed[0].inside[1].text, tz="UTC")
    assert newest == trades["exit_time"].max()


def test_warnings_stand_above_the_figures() -> None:
    page = page_of(traded(fill="same_close", max_holding="2h"))
    (flags,) = section_of(page, "money").all("ul", "flags")
    said = flags.text
    assert "optimistic" in said
    assert "held 2 h at most" in said
    said = section_of(page, "money").text.replace(GAP, " ")
    assert "filled at the same close that decided (optimistic)" in said
    assert "stop 2 % of the price" in said


def test_what_is_paid_to_hold_a_swap_is_said() -> None:
    candles = random_walk(np.random.default_rng(5), 600)
    setup = Setup(profile("bingx_futures"), market(funding={"hours": 8, "bps": 0.7}), "1h")
    trading = trade({"direction": direction(candles)}, candles, setup)
    facts = replace(facts_of(), candles=key_by_market(candles, "SIM-BTC"), trading=trading)
    said = section_of(page_of(facts), "money").text.replace(GAP, " ")
    assert "Funding is assumed: 0.7 bp of the position every 8 h" in said
    assert "stop 1 % of the margin (0.25 % of the price)" in said


def test_no_trade_draws_no_trades() -> None:
    page = page_of(traded(long_threshold=1.0))
    said = lede_of(page, "money")
    assert said.startswith("No probability reached its threshold")
    assert not [each for each in page.all("section") if "trades" in each.attributes.values()]
    assert "#trades" not in [each.attributes["href"] for each in page.all("nav")[0].all("a")]


def test_what_cannot_be_traded_says_why() -> None:
    assert lede_of(page_of(facts_of()), "money") == (
        "Nothing was traded: no head says when to enter."
    )
