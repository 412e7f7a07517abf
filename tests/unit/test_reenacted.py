"""Old figures earned anew, on candles of a market in which nothing can be known."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.commands.reenact import story
from pipeline.configuration.plan import Plan
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.backtest import Profile, Setup, backtest
from pipeline.experiments.reenacted.dual import DUAL
from pipeline.experiments.reenacted.dual_rules import (
    at_closes,
    cheap,
    honest_profile,
    old_profile,
    trade_as_then,
)
from pipeline.experiments.reenacted.figures import (
    STANDINGS,
    Column,
    Figure,
    Given,
    Reenacted,
    Standing,
)
from pipeline.experiments.reenacted.page import render
from pipeline.experiments.reenacted.published_label import PublishedShort
from pipeline.experiments.reenacted.registry import REENACTMENTS, reenactment
from pipeline.labels.entry import Entry
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.simulated import Simulated
from tests.pages import Element, parse
from tests.spine import one_paragraph, planned

Capture = pytest.CaptureFixture[str]
DAYS, AS_OF = 21, "2025-12-20T00:00Z"
WORDS = (
    *("exchange=simulated", "market=SIM-BTC"),
    *("model.n_estimators=30", "model.learning_rate=0.2", "model.max_depth=5"),
)


@functools.cache
def five_minutes(days: int) -> pd.DataFrame:
    end = pd.Timestamp(AS_OF)
    sim = Instrument(name="SIM-BTC", symbol="SIM-BTC")
    return Simulated().fetch(sim, "5m", end - pd.Timedelta(days=days), end)


def plan_of(*words: str) -> Plan:
    return planned("recipe=bingx_dual", f"as_of={AS_OF}", *WORDS, *words)


def acted(days: int, *words: str) -> Reenacted:
    (found,) = DUAL.run(Given(five_minutes(days), plan_of(*words), "simulated", lambda _: None))
    return found


@pytest.fixture(scope="module")
def dual() -> Reenacted:
    return acted(DAYS)


def candles(close: list[float], low: dict[int, float] | None = None) -> pd.DataFrame:
    time = pd.date_range("2025-01-01", periods=len(close), freq="5min", tz="UTC", unit="ms")
    frame = pd.DataFrame({"close": close}, time.rename("time"))
    frame["open"] = frame["close"].shift(1, fill_value=close[0])
    frame["high"], frame["low"] = frame.max(axis=1), frame.min(axis=1)
    for row, value in (low or {}).items():
        frame.iloc[row, frame.columns.get_loc("low")] = value  # type: ignore[index]
    return frame.assign(volume=1.0)


def bought_at(frame: pd.DataFrame, row: int, **p_short: float) -> pd.DataFrame:
    said = pd.DataFrame({"p_long": 0.0, "p_short": 0.0}, frame.index)
    said.iloc[row] = (0.8, p_short.get("p_short", 0.0))
    return said


@pytest.fixture(scope="module")
def setup() -> Setup:
    facts = plan_of().run
    return Setup(facts.backtest, facts.market, facts.timeframe)


def test_a_leak_makes_money_where_nothing_can_be_known(dual: Reenacted) -> None:
    leaked, fair = (dual.figure(name).values["return"] for name in ("in_sample", "real_costs"))
    assert leaked is not None
    assert fair is not None
    assert leaked > 0.05
    assert fair < leaked - 0.05  # few windows: luck may leave it a little above 0


def test_every_figure_says_what_earned_it(dual: Reenacted) -> None:
    standings = {each.name: each.standing for each in dual.figures}
    assert standings == {
        "claimed": "claimed",
        "in_sample": "leaked",
        "out_of_sample": "flattered",
        "real_costs": "flattered",
        "honest_stated": "honest",
        "honest": "honest",
        "in_sample_published": "leaked",
        "out_of_sample_published": "flattered",
        "real_costs_published": "flattered",
    }
    assert dual.figure("in_sample").verdict == "earned by a leak"
    assert "Fitted on the very rows it trades" in dual.figure("in_sample").why


def test_the_claim_is_written_as_it_was_made(dual: Reenacted) -> None:
    claimed = dual.figure("claimed").values
    told = [claimed[name] for name in ("return", "win_rate", "long_share", "short_share")]
    assert told == [0.1498, 0.662, 0.876, 0.124]
    assert claimed["long_share"] == pytest.approx(903 / (903 + 128), abs=5e-4)


def told_of(*figures: tuple[Standing, float]) -> Reenacted:
    each = [Figure("claimed", "Claimed", "claimed", "", {"return": 0.15})]
    each += [Figure(f"f{k}", "F", of, "", {"return": x}) for k, (of, x) in enumerate(figures)]
    return Reenacted("a", "A", "", {}, (Column("return", "per 5 days", "change"),), tuple(each))


def test_who_reached_the_claim_is_told_by_the_best_standing() -> None:
    leak: tuple[Standing, float] = ("leaked", 1.2)
    fair: tuple[Standing, float] = ("flattered", 0.1)
    assert told_of(leak, fair, ("honest", -0.1)).earned_by == "leaked"
    assert told_of(leak, ("flattered", 0.14)).earned_by == "flattered"
    assert told_of(leak, ("honest", 0.136)).earned_by == "honest"
    assert told_of(("empty", 0.14), ("honest", 0.14)).earned_by == "empty"
    missed = told_of(("leaked", 0.134), fair)
    assert (missed.earned_by, missed.earned) == (None, "not reached")
    assert "Nothing here comes to as much" in parse(render(missed)).all("p", "plain")[0].text


def test_costs_only_cost(dual: Reenacted) -> None:
    for suffix in ("", "_published"):
        cheap_one, dear = (dual.figure(f"{n}{suffix}") for n in ("out_of_sample", "real_costs"))
        assert cheap_one.values["trades"] == dear.values["trades"]
        assert (dear.values["return"] or 0) < (cheap_one.values["return"] or 0)


def test_too_few_days_have_no_window() -> None:
    with pytest.raises(DataError, match="no window"):
        acted(9)


def test_a_split_that_knows_the_future_is_never_honest() -> None:
    with pytest.raises(ConfigError, match="trained on newer ones"):
        acted(DAYS, "split=purged_kfold", "model.n_estimators=2")


def test_heads_that_say_nothing_of_entering_are_refused() -> None:
    plan = planned("recipe=demo", "exchange=simulated")
    with pytest.raises(ConfigError, match="when to enter long and short"):
        DUAL.run(Given(five_minutes(1), plan, "simulated", lambda _: None))
    with pytest.raises(ConfigError, match="classes no and enter"):
        acted(1, "recipe.heads.long_entry.label=three_class")


# the rules of then


def test_positions_were_left_at_closes(setup: Setup) -> None:
    frame = candles([100.0] * 22 + [100.0, 99.9, 99.5, 100.0, 100.0], low={23: 99.0})
    said = bought_at(frame, 22)
    (then,) = trade_as_then(frame, said, setup).first.trades.table().to_dict("records")
    assert (then["entry_price"], then["exit_price"], then["reason"]) == (100.0, 99.5, "stop")
    own = backtest(frame, said, Setup(honest_profile(setup.profile, "stated"), setup.market, "5m"))
    (now,) = own.first.trades.table().to_dict("records")
    assert now["exit_price"] == pytest.approx(99.75)
    assert now["exit_time"] < then["exit_time"]


def test_long_went_first(setup: Setup) -> None:
    frame = candles([100.0] * 30)
    said = bought_at(frame, 22, p_short=0.99)
    assert trade_as_then(frame, said, setup).first.trades.table()["side"].tolist() == ["long"]


def test_the_old_profile_sees_no_exit_head(setup: Setup) -> None:
    profile: Profile = old_profile(setup.profile)
    assert (profile.fill, profile.exit_threshold, profile.cost_multiples) == (
        "same_close",
        None,
        (1.0,),
    )
    assert profile.stop_loss == setup.profile.stop_loss
    market = cheap(setup.market)
    assert (market.fee_bps, market.slippage_bps, market.funding) == (2.0, 0.0, None)


def test_a_candle_at_its_close_has_no_range() -> None:
    flat = at_closes(candles([100.0, 101.0, 99.0], low={1: 90.0}))
    assert flat.index.size == 3
    assert (flat[["open", "high", "low"]].sub(flat["close"], axis=0) == 0.0).all(axis=None)


# the label of then


def test_the_published_label_is_known_when_it_is_asked() -> None:
    frame = candles([100.0, 100.4, 100.4, 100.4, 100.4])
    old = PublishedShort(threshold=0.003).compute(frame, "5m")["label"]
    sane = Entry(side="short", horizon_candles=3, threshold=0.003).compute(frame, "5m")["label"]
    assert old.tolist() == [1, 0, 0]
    assert sane.tolist() == [0, 0]


def test_the_published_label_waits_for_one_close() -> None:
    frame = candles([100.0, 100.0, 99.6, 99.6, 99.6]).drop(index=pd.Timestamp("2025-01-01T00:15Z"))
    told = PublishedShort(threshold=0.003).compute(frame, "5m")
    assert told["label"].tolist() == [1]
    assert (told["ends_at"] - told.index).tolist() == [pd.Timedelta("10min")]


# telling


def row_of(page: Element, title: str) -> Element:
    rows = [row for table in page.all("table") for row in table.all("tr")]
    return next(row for row in rows if any(each.text == title for each in row.all("span", "score")))


def test_the_page_labels_the_leak_beside_the_figure(dual: Reenacted) -> None:
    page = parse(render(dual))
    assert row_of(page, "In sample").all("span", "standing leaked")[0].text == STANDINGS["leaked"]
    assert [each.text for each in page.all("h2")] == [
        "Claimed, leaked, honest",
        "What each figure is",
        "How it was re-enacted",
    ]
    assert not page.all("script")
    assert len(page.all("svg", "beams")) == len(dual.figures)
    assert render(dual) == render(dual)


def test_people_read_a_table(dual: Reenacted) -> None:
    lines = "\n".join(story(dual)).splitlines()
    assert max(map(len, lines)) <= 120
    leaks = [line for line in lines if line.startswith("  In sample  ")]
    assert len(leaks) == 2
    assert all(line.endswith("earned by a leak") for line in leaks)
    (claim,) = (line for line in lines if line.startswith("  Claimed  "))
    assert [*claim.split()[1:9:2], *claim.split()[-4:]] == [
        *("+14.98", "66.2", "87.6", "12.4"),
        *("18.7", "55", "-", "claimed"),
    ]


def test_the_command_tells_programs_and_writes_a_page(home: Path, capsys: Capture) -> None:
    words = [*WORDS, "recipe.history_days=19", f"as_of={AS_OF}", "model.n_estimators=3"]
    assert main(["reenact", "dual", *words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    standings = {each["name"]: each["verdict"] for each in told["figures"]}
    assert standings["in_sample"] == "earned by a leak"
    page = parse((home / "reports/reenacted/dual.html").read_text())
    assert page.all("h1")[0].text.startswith("Dual-model bot")


def test_the_command_lists_what_there_is(capsys: Capture) -> None:
    assert main(["reenact"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in REENACTMENTS)
    assert list(REENACTMENTS) == ["dual", "heads", "hourly"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["duall"], "did you mean dual?"),
        (["exchange=simulated"], "what is to be re-enacted"),
        (["dual", "exchange=replay"], "exchange.root=FOLDER"),
        (["dual", "--pge=x"], "unknown flag"),
    ],
)
@pytest.mark.usefixtures("home")
def test_what_cannot_be_reenacted_is_one_paragraph(
    words: list[str], said: str, capsys: Capture
) -> None:
    assert main(["reenact", *words]) != 0
    assert said in one_paragraph(capsys)


def test_every_reenactment_keeps_its_promises() -> None:
    for name, each in REENACTMENTS.items():
        assert each.name == name
        assert reenactment(name) is each
        assert planned(f"recipe={each.recipe}", "exchange=simulated").run.recipe == each.recipe


def test_facts_are_json(dual: Reenacted) -> None:
    facts = json.loads(json.dumps(dual.facts(), allow_nan=False))
    assert facts["earned_by"] == dual.earned_by
    assert np.isfinite([each["values"]["return"] for each in facts["figures"]]).all()
