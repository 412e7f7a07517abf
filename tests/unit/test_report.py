"""The report page."""

from __future__ import annotations

import copy
import itertools
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.report import ReportFacts, render
from pipeline.evaluation.report.charts import (
    Scale,
    columns,
    levels,
    thinned,
    ticks,
    time_ticks,
)
from pipeline.evaluation.report.style import DARK, LIGHT, STYLE
from pipeline.evaluation.report.verdict import PLAIN
from pipeline.labels.exit import Exit
from pipeline.market.trades import TradeRule
from tests.pages import Element
from tests.report_facts import (
    HOSTILE,
    Told,
    candles_of,
    facts_of,
    lede_of,
    page_of,
    predictions,
    section_of,
    stress,
)


@pytest.mark.parametrize("make", [facts_of, stress])
def test_a_page_asks_for_nothing_and_runs_nothing(make: Callable[[], ReportFacts]) -> None:
    page = page_of(make())
    names = Counter(each.name for each in page.walk())
    loading = {"script", "img", "iframe", "object", "embed", "base", "audio", "video", "use"}
    assert not loading & names.keys()
    attributes = [pair for each in page.walk() for pair in each.attributes.items()]
    assert {
        key for key, _ in attributes if key.startswith("on") or key in {"src", "srcset"}
    } == set()
    links = {value for key, value in attributes if key in {"href", "xlink:href"}}
    assert {value for value in links if not value.startswith("#")} == {"data:,"}
    (style,) = page.all("style")
    assert not re.search(r"url\(|@import|//|expression", style.text)
    (policy,) = (each for each in page.all("meta") if "http-equiv" in each.attributes)
    assert policy.attributes["content"].startswith("default-src 'none'; style-src")


def test_hostile_names_stay_text() -> None:
    facts = stress()
    text = render(facts)
    text.encode()
    for control in ("\u202e", "\ud800", "\x07"):
        assert control not in text
    shown = HOSTILE.translate(
        dict.fromkeys(map(ord, "\u202e\ud800\x07"), "\N{REPLACEMENT CHARACTER}")
    )
    page = page_of(facts)
    assert page.all("h1")[0].text == shown
    names = Counter(each.text for each in page.all("bdi"))
    assert names[shown] >= 6, "head, classes, column, quality"
    assert "alert(1)" not in re.sub(r"&lt;script&gt;alert\(1\)", "", text)


@pytest.mark.parametrize("make", [facts_of, stress])
def test_a_page_can_be_read_without_seeing_it(make: Callable[[], ReportFacts]) -> None:
    page = page_of(make())
    ids = Counter(each.attributes["id"] for each in page.walk() if "id" in each.attributes)
    assert max(ids.values()) == 1
    anchors = {each.attributes["href"][1:] for each in page.all("a")}
    assert anchors <= ids.keys()
    ranks = [int(each.name[1]) for each in page.walk() if re.fullmatch(r"h\d", each.name)]
    assert ranks[0] == 1
    assert ranks.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(ranks))
    assert len(page.all("main")) == len(page.all("nav")) == 1
    assert page.all("html")[0].attributes["lang"] == "en"
    nested = {id(inner) for svg in page.all("svg") for inner in svg.walk()[1:]}
    drawn = [svg for svg in page.all("svg") if id(svg) not in nested]
    assert len(drawn) > 20
    for svg in drawn:
        assert svg.attributes["role"] == "img"
        assert svg.attributes["aria-label"].strip()
        assert svg.inside[0].name == "title"
    for table in page.all("table"):
        heads = table.all("th")
        assert {each.attributes["scope"] for each in heads} == {"col", "row"}


def test_equal_facts_give_an_equal_page_and_stay_as_they_were() -> None:
    facts = stress()
    before = copy.deepcopy(facts)
    assert render(facts) == render(before)
    pd.testing.assert_frame_equal(facts.out_of_fold["other"], before.out_of_fold["other"])
    assert facts.training == before.training


@pytest.mark.parametrize("verdict", ["promote", "observe", "undecidable", "refuse", "postponed"])
def test_the_verdict_is_the_first_thing_said(verdict: str) -> None:
    page = page_of(facts_of(verdict=verdict, sentence="The gate said so."))
    (card,) = page.all("div", "verdict")
    assert card.all("p", "badge")[0].text == verdict
    assert card.all("p", "plain")[0].text.endswith(PLAIN.get(verdict, "The gate said so."))
    assert ("unknown" in card.kinds) == (verdict == "postponed")
    assert "The gate said so." in card.text
    head = page.all("header")[0].text
    for said in ("2025-12-20 00:00 UTC", "4,000", "19 Dec 2025", "6 Oct 2025"):
        assert said in head


def test_what_is_predicted_is_said_under_the_verdict() -> None:
    told = page_of(facts_of()).all("header")[0]
    (block,) = told.all("div", "meanings")
    assert [each.text for each in block.all("li")] == [
        f"{name}: a day later {name} was right" for name in ("sell", "hold", "buy")
    ]
    assert told.text.index("The gate says") < told.text.index("What is predicted")
    binary = Told(predictions(0.2, classes=("no", "yes")), ("no", "yes"))
    blocks = page_of(facts_of({"entry": binary, "exit": Told()})).all("div", "meanings")
    assert [each.all("p")[0].text for each in blocks] == [
        "What is predicted by entry",
        "What is predicted by exit",
    ]


def test_a_class_that_is_never_named() -> None:
    joined = predictions(0.2)
    joined[["p_sell", "p_hold", "p_buy"]] = [0.5, 0.2, 0.3]
    page = page_of(facts_of({"direction": Told(joined)}))
    section = section_of(page, "mistakes")
    assert "hold is never named" in lede_of(page, "mistakes")
    matrix, classes = section.all("table")
    shares = [float(cell.attributes["style"].removeprefix("--part:")) for cell in matrix.all("div")]
    assert np.reshape(shares, (3, 3)).tolist() == [[1, 0, 0]] * 3
    assert [len(row.all("div", "right")) for row in matrix.all("tr")[1:]] == [1, 1, 1]
    assert "never" in classes.all("tr")[2].text
    counts = [int(cell.all("span", "note")[0].text) for cell in matrix.all("div")]
    assert sum(counts) == 600


def test_each_fold_is_drawn_where_it_lies() -> None:
    page = page_of(facts_of())
    section = section_of(page, "folds")
    assert "72 training rows whose label reaches into a test were left out" in section.text
    (chart,) = section.all("svg", "map")
    groups = [each for each in chart.inside if each.name == "g"]
    assert [each.all("text")[0].text.split(":")[0] for each in groups] == [
        "fold 0",
        "fold 1",
        "fold 2",
        "refit",
    ]
    ends = []
    for group in groups[:3]:
        train, purge, test = (group.all("rect", kind)[0] for kind in ("train", "purge", "test"))
        assert "24 purged" in group.text
        assert len(group.all("line", "purge")) == 1, "a stroke that does not get thinner"
        assert right_of(train) <= left_of(purge) < right_of(purge) <= left_of(test)
        ends.append(right_of(test))
    assert ends == sorted(ends)
    assert not groups[3].all("rect", "test")
    months = [each.text for each in chart.all("text", "under")]
    assert months == ["Jul 25", "Aug", "Sep", "Oct", "Nov", "Dec"]
    (price,) = chart.all("path", "price")
    assert 200 < price.attributes["d"].count("L") <= 600


def left_of(rect: Element) -> float:
    return float(rect.attributes["x"].removesuffix("%"))


def right_of(rect: Element) -> float:
    return left_of(rect) + float(rect.attributes["width"].removesuffix("%"))


def test_one_fold_without_a_purge() -> None:
    joined = predictions(0.0)
    joined["fold"] = 0
    facts = facts_of({"direction": Told(joined)})
    for key in [key for key in facts.training["heads"]["direction"]["fits"][0] if "purged" in key]:
        del facts.training["heads"]["direction"]["fits"][0][key]
    page = page_of(facts)
    assert "1 test, on candles later" in lede_of(page, "folds")
    assert not section_of(page, "folds").all("line", "purge")
    assert lede_of(page, "over-time").startswith("There is one fold only")


def test_curves_stop_where_they_have_no_loss_and_show_the_best_epoch() -> None:
    page = page_of(facts_of({"direction": Told(curves=True)}))
    section = section_of(page, "learning")
    assert len(section.all("svg", "plot")) == 4
    training, validation = section.all("path", "curve")[:2]
    assert training.attributes["d"].count("L") == 2
    assert validation.attributes["d"].count("L") == 1
    best = section.all("g", "best")[0].all("circle")[0]
    assert best.attributes["cx"] == "50%"
    height = int(training.attributes["d"].split("L")[1].split()[1]) / 10
    assert float(best.attributes["cy"].removesuffix("%")) == pytest.approx(height, abs=0.1)
    assert "3 epochs; kept epoch 2, loss 1.000" in section.text
    assert "no loss curves" in lede_of(page_of(facts_of()), "learning")


def test_what_learned_nothing_is_said_wherever_it_looks_otherwise() -> None:
    facts = facts_of({"direction": Told(curves=True)})
    for fit, kind in zip(facts.training["heads"]["direction"]["fits"], "abcd", strict=True):
        lstm = {"training_losses": [1.0, 0.9, 0.5], "validation_losses": [1.0, 0.9, 1.2]}
        lstm |= {"validation_losses": [1.0, 0.9, 0.9]} if kind == "b" else {}
        lstm |= {"training_losses": []} if kind == "c" else {}
        fit["parts"] = {"lstm": {**lstm, "best_epoch": 2}, "lightgbm": {"rounds": 1}}
    learned = page_of(facts)
    section = section_of(learned, "learning").text
    assert "curves of lstm; lightgbm has no epochs" in section
    assert "In 2 of 4 fits the training loss went on falling" in section
    assert "Nothing of it reached" not in section
    assert "learned nothing" not in learned.text
    facts.heads["direction"]["constant"] = True
    page = page_of(facts)
    assert "Nothing of it reached the predictions" in section_of(page, "learning").text
    assert "columns differ as the folds do" in lede_of(page, "mistakes")
    said = "It learned nothing: whatever the candle, each fold's model gives the same prob"
    assert said in page.all("div", "verdict")[0].text


def columns_of(*figures: tuple[float, float]) -> list[dict[str, Any]]:
    return [
        {"column": f"c{k}", "increase": increase, "error": error}
        for k, (increase, error) in enumerate(figures)
    ]


@pytest.mark.parametrize(
    ("importance", "finding"),
    [
        ([], "was not measured"),
        (columns_of((0.0, 0.0)), "No column changes what the model says"),
        (columns_of((0.03, 0.02), (-0.5, 0.1)), "No column matters measurably"),
        (columns_of((0.3, 0.02), (0.03, 0.02)), "1 of 2 columns matters measurably"),
    ],
)
def test_importance_says_when_nothing_matters(
    importance: list[dict[str, Any]], finding: str
) -> None:
    page = page_of(facts_of({"direction": Told(importance=importance)}))
    assert finding in lede_of(page, "columns")
    strong = section_of(page, "columns").all("svg", "strong")
    assert len(strong) == finding.startswith("1 of")


def test_columns_beyond_the_first_are_folded_away() -> None:
    section = section_of(page_of(facts_of()), "columns")
    shown, more = section.all("table")
    assert [len(table.all("svg", "bars")) for table in (shown, more)] == [15, 5]
    assert section.all("summary")[0].text == "5 more columns"
    bar, whisker = shown.all("rect")[0], shown.all("line", "error")[0]
    middle = (float(whisker.attributes[end].removesuffix("%")) for end in ("x1", "x2"))
    assert sum(middle) / 2 == pytest.approx(right_of(bar), abs=0.02)


def test_quality_shows_what_it_does_not_know() -> None:
    quality = {"candles": 100, "missing": 3, "holes": 1, "feed": "upbit", "gaps": [1, 2], "a": None}
    section = section_of(page_of(facts_of(quality=quality)), "data")
    pairs = dict(
        zip([e.text for e in section.all("dt")], [e.text for e in section.all("dd")], strict=True)
    )
    assert pairs["Feed"] == "upbit"
    assert pairs["Gaps"] == "[1, 2]"
    assert pairs["A"] == "\N{EN DASH}"
    assert "3 are missing in 1 hole" in section.text


def test_no_raw_key_stands_among_the_candles() -> None:
    quality = {
        "candles": 100,
        "missing_no_trade": 0,
        "longest_no_trade": 2,
        "broken": "short_history: the cut starts later than asked, from 2025-08-28T11:00:00+00:00",
    }
    said = section_of(page_of(facts_of(quality=quality)), "data").text
    assert "Longest time without a trade2 candles" in said
    assert "What checks foundthe cut starts later than asked, from 2025-08-28 11:00 UTC" in said
    assert "short_history" not in said
    clean = section_of(page_of(facts_of(quality={"candles": 9, "broken": ""})), "data").text
    assert "What checks foundnothing" in clean


def test_columns_that_were_never_used_are_counted() -> None:
    told = Told(importance=columns_of((0.3, 0.02), (0.0, 0.0), (0.0, 0.0)))
    assert (
        "2 columns were never used"
        in section_of(page_of(facts_of({"direction": told})), "columns").text
    )
    assert "never used" not in section_of(page_of(facts_of()), "columns").text


def test_the_warm_up_is_counted() -> None:
    facts = facts_of()
    assert "warm-up" not in lede_of(page_of(facts), "folds"), "no candle lies before"
    longer = candles_of(rows=4500)
    early = int((longer.index.get_level_values("time") < "2025-07-01").sum())
    said = lede_of(page_of(replace(facts, candles=longer)), "folds")
    assert f"Before the first training row lie {early:,} candles: the warm-up" in said
    for number, fit in enumerate(facts.training["heads"]["direction"]["fits"]):
        fit["train_from"] = f"2025-07-{number + 1:02}T00:00:00+00:00"
    moving = page_of(replace(facts, candles=longer))
    assert "warm-up" not in lede_of(moving, "folds"), "a window that moves tells no warm-up"


def test_labels_beside_a_chart_have_room() -> None:
    values = [149_500_000.0, 150_000_000.0]
    drawn = levels(Scale(149e6, 151e6), values, ["149,500,000", "150,000,000"])
    assert "149.5\N{NO-BREAK SPACE}M" in drawn
    assert not is_broad(drawn)
    close = [149_990_000.0, 149_990_500.0]
    assert is_broad(levels(Scale(149.9e6, 150e6), close, ["149,990,000", "149,990,500"]))
    assert not is_broad(levels(Scale(0, 1), [0.5], ["0.5"]))
    assert ".plot:has(>.broad)" in STYLE
    ends = columns([0.5, 0.99, 0.99], ["Nov 25", "Nov 25", "Dec"])
    assert ends.count("inwards") == 1
    assert 'text-anchor="end" class="under inwards"' in ends


def is_broad(drawn: str) -> bool:
    return 'class="broad"' in drawn


def test_when_to_leave_is_said_as_a_person_would() -> None:
    label = Exit(trades=TradeRule(side="long"), share=0.8, horizon_candles=12)
    stay, leave = label.meanings("5m")
    assert leave == (
        "leaving now is best: the trade has gained at least 80 % of the most it will ever gain, "
        "and 12 candles from now (at its end, if that comes first) it will stand lower"
    )
    assert stay.startswith("holding on is better: the trade has gained less than 80 % of")
    assert stay.endswith("it will stand as high or higher")


def test_every_hard_word_is_explained() -> None:
    words = [each.text for each in section_of(page_of(facts_of()), "words").all("dt")]
    hard = ("Sharpe", "Sortino", "Calmar", "ECE", "Information coefficient", "AUC", "Regime")
    assert {*hard, "Average precision"} <= {*words}
    assert len(words) == len({*words})


def test_two_heads_stand_one_after_the_other() -> None:
    binary = Told(predictions(0.2, classes=("no", "yes")), ("no", "yes"))
    page = page_of(facts_of({"long entry": binary, "exit": Told()}))
    assert [each.text for each in page.all("h2")] == [
        "After costs",
        "Head long entry",
        "Head exit",
        "The candles",
        "Words",
    ]
    first, second = section_of(page, "trust-0"), section_of(page, "trust-1")
    assert len(first.all("svg", "plot")) == 1, "the other class is its mirror image"
    assert len(second.all("svg", "plot")) == 3
    header = page.all("header")[0]
    assert not header.all("div", "tile"), "no mean of unlike heads"
    assert "mean of" not in header.text
    first_figures = header.all("tbody")[0].all("tr")
    assert [row.all("th")[0].text for row in first_figures] == ["long entry", "exit"]
    assert all("with 90" in row.all("td")[0].text for row in first_figures)
    assert first_figures[1].all("td")[3].text.endswith(" of 600")


def test_a_page_of_nine_thousand_candles_is_small() -> None:
    facts = facts_of({"direction": Told(predictions(0.1, 6000), curves=True)})
    assert len(render(replace(facts, candles=candles_of(rows=9000))).encode()) < 250_000


def test_thinning_keeps_the_extremes() -> None:
    ys = np.random.default_rng(3).standard_normal(5000)
    xs = np.linspace(0, 1, 5000)
    thin_xs, thin_ys = thinned(xs, ys, 100)
    assert len(thin_xs) <= 200
    assert {ys.min(), ys.max()} <= set(thin_ys)
    assert (np.diff(thin_xs) > 0).all()
    for few in (thinned(xs[:150], ys[:150], 100)[1], thinned(xs[:1], ys[:1], 100)[1]):
        assert few.tolist() == ys[: len(few)].tolist()


@given(low=st.floats(-1e6, 1e6), spread=st.floats(1e-3, 1e6), most=st.integers(3, 12))
def test_ticks_are_round_and_inside(low: float, spread: float, most: int) -> None:
    scale = Scale(low, low + spread)
    found = ticks(scale, most)
    assert 1 <= len(found) <= most
    slack = 1e-6 * (spread + abs(low))
    assert scale.low - slack <= found[0] <= found[-1] <= scale.high + slack
    steps = np.diff(found)
    if len(steps):
        leading = f"{steps[0]:.2e}"[0:3]
        assert leading in {"1.0", "2.0", "5.0"}


@pytest.mark.parametrize("days", [1, 9, 45, 100, 400, 3000])
def test_moments_are_marked_inside_the_span(days: int) -> None:
    first = pd.Timestamp("2024-02-11T05:00Z")
    last = first + pd.Timedelta(days=days)
    marks = time_ticks(first, last)
    assert 1 <= len(marks) <= 12
    assert all(first <= moment <= last for moment, _ in marks)
    assert len({name for _, name in marks}) > len(marks) // 2


def luminance(colour: str) -> float:
    channels = (int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def blended(over: str, under: str, part: float) -> str:
    pairs = [(int(over[k : k + 2], 16), int(under[k : k + 2], 16)) for k in (1, 3, 5)]
    return "#" + "".join(f"{round(part * a + (1 - part) * b):02x}" for a, b in pairs)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read(colours: dict[str, str]) -> None:
    for text in ("ink", "quiet", "blue", "orange", "grey"):
        for under in ("page", "card"):
            assert contrast(colours[text], colours[under]) >= 4.5, (text, under)
    (part,) = re.findall(r"opacity:calc\(var\(--part\)\*([.\d]+)\)", STYLE)
    fullest = blended(colours["blue"], colours["wash"], float(part))
    assert contrast(colours["ink"], fullest) >= 4.5, "a count in a full cell"
    assert contrast(colours["blue"], colours["card"]) >= 3
    assert contrast(colours["card"], colours["grey"]) >= 4.5, "a badge"
