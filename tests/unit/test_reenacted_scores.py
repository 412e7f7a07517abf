"""Old scores earned anew: the hourly classifier and the four heads, where nothing can be known."""

from __future__ import annotations

import functools
import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.commands.reenact import story
from pipeline.errors import ConfigError
from pipeline.experiments.reenacted import hourly
from pipeline.experiments.reenacted.figures import Figure, Given, Reenacted
from pipeline.experiments.reenacted.four_bars import four_bars
from pipeline.experiments.reenacted.heads import HEADS, scored
from pipeline.experiments.reenacted.heads_words import CLAIMS as HEAD_CLAIMS
from pipeline.experiments.reenacted.hourly_words import CLAIMS, RETRAINED, claim
from pipeline.experiments.reenacted.hours import agreement, copied, cut_anyhow, cut_by_time
from pipeline.experiments.reenacted.old_network import OldHybrid
from pipeline.experiments.reenacted.page import render
from pipeline.experiments.reenacted.published_label import PointShort
from pipeline.experiments.reenacted.registry import REENACTMENTS
from pipeline.market.exchanges.base import Instrument
from pipeline.market.exchanges.simulated import Simulated
from pipeline.models.base import FeatureTable, Samples
from pipeline.models.lstm_network import Shape
from tests.pages import parse
from tests.spine import one_paragraph, planned

Capture = pytest.CaptureFixture[str]
AS_OF = "2025-12-20T00:00Z"
SMALL = OldHybrid(network=Shape(hidden=4, layers=1, dense=4, embedding=4), epochs=2, rounds=5)


def candles(timeframe: str, rows: int) -> pd.DataFrame:
    end, step = pd.Timestamp(AS_OF), pd.Timedelta(timeframe.replace("m", "min"))
    one = Instrument(name="KRW-BTC", symbol="KRW-BTC")
    return Simulated().fetch(one, timeframe, end - rows * step, end)


def given(recipe: str, frame: pd.DataFrame, *words: str) -> Given:
    plan = planned(f"recipe={recipe}", "exchange=simulated", f"as_of={AS_OF}", *words)
    return Given(frame, plan, "simulated", lambda _: None)


@functools.cache
def hours() -> Reenacted:
    (found,) = hourly.reenact(given("upbit_hourly", candles("1h", 900)), SMALL)
    return found


@functools.cache
def heads() -> tuple[Reenacted, ...]:
    words = ("model.n_estimators=10", "model.max_depth=3")
    return HEADS.run(given("bingx_dual", candles("5m", 1500), *words))


def labelled(label: list[int], hour: list[int] | None = None) -> Samples:
    places = hour or list(range(len(label)))
    time = pd.Timestamp("2025-01-01T00:00Z") + pd.to_timedelta(places, unit="h")
    index = pd.MultiIndex.from_product([["KRW-BTC"], time], names=["market", "time"])
    rows = np.arange(len(label), dtype=np.intp)
    return Samples(
        table=FeatureTable(("x",), rows[:, None].astype("float64"), index),
        rows=rows,
        label=np.array(label, "int8"),
        weight=np.ones(len(label)),
        ends_at=pd.DatetimeIndex(time + pd.Timedelta("25h")),
        classes=("sell", "hold", "buy"),
    )


def value(found: Reenacted, name: str, key: str = "accuracy") -> float:
    read = found.figure(name).values[key]
    assert read is not None
    return read


# the hourly classifier


def test_copying_a_neighbour_scores_where_nothing_can_be_known() -> None:
    assert value(hours(), "copied") > 0.75
    assert value(hours(), "copied") > value(hours(), "by_time") + 0.15
    assert hours().figure("copied").standing == "leaked"
    assert hours().figure("by_time").standing == "honest"


def test_every_figure_of_the_hours_has_its_standing() -> None:
    standings = {each.name: each.standing for each in hours().figures}
    assert standings == {
        "claimed": "claimed",
        "claimed_again": "claimed",
        "shuffled": "leaked",
        "copied": "leaked",
        "by_time": "honest",
        "commonest": "empty",
        "out_of_fold": "honest",
    }


def test_the_claims_are_written_as_they_were_made() -> None:
    assert {name: told[0] for name, told in CLAIMS.items()} == {
        "KRW-BTC": 0.8667,
        "KRW-ETH": 0.8105,
        "KRW-XRP": 0.8386,
        "KRW-SOL": 0.8281,
    }
    again = RETRAINED.values
    assert (again["accuracy"], again["loss"]) == (0.85, 0.3710)
    assert HEAD_CLAIMS == {
        "long_entry": (0.938, 0.096),
        "short_entry": (0.971, 0.025),
        "long_exit": (0.894, 0.956),
        "short_exit": (0.896, 0.945),
    }
    assert claim("KRW-DOGE") is None


def test_a_score_by_time_keeps_answers_out_of_the_next_part() -> None:
    samples = labelled([1] * 400)
    cut = cut_by_time(samples)
    assert samples.ends_at[cut.train].max() <= samples.time[cut.validation].min()
    assert samples.ends_at[cut.validation].max() <= samples.time[cut.test].min()
    assert cut.test.tolist() == list(range(340, 400))


def test_the_old_way_draws_any_hour_once() -> None:
    cut = cut_anyhow(labelled([1] * 400), seed=3)
    assert sorted([*cut.train, *cut.validation, *cut.test]) == list(range(400))
    assert len(cut.test) == 60
    assert cut.test.min() < 60
    assert cut.test.max() >= 340


def test_an_answer_is_copied_from_the_nearest_hour() -> None:
    samples = labelled([0, 2, 2, 0], hour=[0, 1, 4, 5])
    train, test = np.array([0, 3]), np.array([1, 2])
    assert copied(samples, train, test).tolist() == [0, 0]
    assert copied(samples, train[::-1].copy(), test).tolist() == [0, 0]


def test_agreement_counts_hours_that_both_exist() -> None:
    samples = labelled([0, 0, 1, 1], hour=[0, 1, 2, 9])
    assert agreement(samples, 1) == 0.5
    assert agreement(samples, 7) == 1.0


def test_the_old_network_scales_by_what_it_is_told_to() -> None:
    again = hourly.reenact(given("upbit_hourly", candles("1h", 900)), SMALL)[0]
    assert again == hours()
    assert again.figure("shuffled").values["loss"] != again.figure("by_time").values["loss"]


def test_hours_that_are_not_recorded_are_told() -> None:
    assert "cannot be run again" in hours().unknown[0]
    early = replace(given("upbit_hourly", candles("1h", 900)))
    moved = early.candles.set_axis(early.candles.index - pd.Timedelta(days=200))
    assert hourly.reenact(replace(early, candles=moved), SMALL)[0].unknown == ()


def test_a_market_without_a_claim_has_none_to_reach() -> None:
    plain = replace(hours(), figures=hours().figures[2:], beside=())
    assert (plain.reached, plain.earned) == ((), "not reached")


def test_a_recipe_without_three_answers_is_refused() -> None:
    with pytest.raises(ConfigError, match="sell, hold or buy"):
        hourly.reenact(given("bingx_dual", candles("5m", 10)), SMALL)
    with pytest.raises(ConfigError, match="no head long_entry"):
        HEADS.run(given("upbit_hourly", candles("1h", 10)))


def test_pictures_are_small_svg_of_the_page() -> None:
    made = {**hours().pictures, "four": four_bars([hours()])}
    assert len(made) == 3
    for text in made.values():
        root = ET.fromstring(text)
        assert root.tag.endswith("svg")
        assert root[0].text
        assert len(text) < 20_000
    shares = [f"{100 * value(hours(), name):.1f} %" for name in ("shuffled", "by_time")]
    assert all(share in made["four"] for share in shares)


# the four heads


def test_never_saying_yes_is_right_as_often() -> None:
    assert [one.name for one in heads()] == [f"heads-{name}" for name in HEAD_CLAIMS]
    for one in heads():
        never = one.figure("never")
        assert never.standing == "empty"
        assert never.values["recall"] == 0.0
        assert value(one, "never") == pytest.approx(1 - value(one, "never", "yes"))


def test_what_silence_earns_is_told_as_that() -> None:
    found = next(one for one in heads() if one.earned_by == "empty")
    silent = f"{100 * value(found, 'never'):.1f}"
    told = parse(render(found)).all("p", "plain")[0].text
    assert "Always saying the same comes to as much: " + silent in told
    assert "says nothing of a model" in "\n".join(story(found)).replace("\n            ", " ")


def test_shuffled_exits_score_above_honest_ones() -> None:
    for one in heads()[2:]:
        assert one.figure("then").standing == "leaked"
        assert value(one, "then", "ranking") > value(one, "honest", "ranking") + 0.1


def test_entries_are_also_fitted_without_weights() -> None:
    names = [{each.name for each in one.figures} for one in heads()]
    assert ["unweighted" in each for each in names] == [True, True, False, False]
    for one in heads()[:2]:
        assert value(one, "unweighted", "recall") < value(one, "then", "recall")


def test_nothing_said_has_no_precision() -> None:
    found = scored(np.array([0.1, 0.2]), np.array([0, 1], "int8"))
    assert (found["precision"], found["recall"], found["accuracy"]) == (None, 0.0, 0.5)
    assert scored(np.array([0.1]), np.array([0], "int8"))["recall"] is None


def test_a_point_label_forgets_what_came_back() -> None:
    time = pd.date_range("2025-01-01", periods=5, freq="5min", tz="UTC", unit="ms", name="time")
    frame = pd.DataFrame({"close": [100.0, 99.0, 100.0, 99.9, 99.6]}, time)
    label = PointShort(horizon_candles=3, threshold=0.003).compute(frame, "5m")
    assert label["label"].tolist() == [0, 0]
    sooner = PointShort(horizon_candles=2, threshold=0.003).compute(frame, "5m")
    assert sooner["label"].tolist() == [0, 0, 1]


# the command


def small_hourly(given: Given) -> tuple[Reenacted, ...]:
    return hourly.reenact(given, SMALL)


def test_every_market_is_run_and_set_beside_its_claim(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = {"KRW-BTC": (f"as_of={AS_OF}",), "KRW-SOL": ()}
    monkeypatch.setitem(
        REENACTMENTS, "hourly", replace(REENACTMENTS["hourly"], run=small_hourly, markets=two)
    )
    words = ["exchange=simulated", "recipe.history_days=40", "as_of=2025-12-19T00:00Z"]
    words += ["model.n_estimators=5"]
    assert main(["reenact", "hourly", *words, "--pictures", str(home / "drawn")]) == 0
    out = capsys.readouterr().out
    assert "KRW-BTC" in out
    assert "KRW-SOL" in out
    assert "86.7 %" in out.split("as then")[1]
    assert {path.name for path in (home / "drawn").iterdir()} == {
        *("which-hours.svg", "same-answer.svg", "four-markets.svg")
    }
    assert len(list((home / "reports/reenacted").glob("hourly-*.html"))) == 2
    assert main(["reenact", "hourly", "market=KRW-SOL", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "hourly-KRW-SOL"


@pytest.mark.usefixtures("home")
def test_one_page_for_several_claims_is_refused(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = Figure("claimed", "Claimed", "claimed", "", {})
    one = Reenacted("a", "A", "", {}, (), (figure,))
    several = replace(REENACTMENTS["hourly"], run=lambda given: (one, one), markets={})
    monkeypatch.setitem(REENACTMENTS, "hourly", several)
    words = ["exchange=simulated", "recipe.history_days=30", f"as_of={AS_OF}"]
    assert main(["reenact", "hourly", *words, "--page", "x.html"]) != 0
    assert "leave --page out" in one_paragraph(capsys)
