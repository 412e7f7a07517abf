from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.build import TARGET, build
from pipeline.commands.predict import story
from pipeline.config import Node
from pipeline.fitting.training import labelled_samples
from pipeline.frames import key_by_market
from pipeline.labels.entry import Entry
from pipeline.labels.exit import Exit
from pipeline.labels.high_vol import HighVol
from pipeline.live.answers import NO_TRADE, Answer, HeadAnswer, Moment, entered
from pipeline.live.predictor import Predictor, Serving
from pipeline.models.base import FeatureTable, Fitted
from pipeline.models.bundle import HeadDeclaration, pack
from pipeline.operations.versions.answering import _thresholds
from registry.manifest import VerifiedBundle
from tests.spine import chosen, planned
from tests.unit.test_predictor import (
    CANDLES,
    FEATURES,
    LABEL,
    MARKET,
    SET,
    SLOT,
    TREES,
    UNTIL,
    fitted_on,
)

SHARES = {"no": 0.75, "enter": 0.25}
AT = Moment(
    slot="pair/SIM-BTC",
    market="SIM-BTC",
    candle="2025-12-19T23:55:00+00:00",
    known_at="2025-12-20T00:00:00+00:00",
    version="v0002",
    trained_until="2025-12-20T00:00:00+00:00",
    mode="trade",
    in_sample=False,
)


def fitted_entry(side: str) -> Fitted:
    label = Entry(side=side, horizon_candles=3, threshold=0.006)
    rows = labelled_samples(
        key_by_market(SET.compute(CANDLES), MARKET),
        key_by_market(label.compute(CANDLES, "1h"), MARKET),
        label.classes,
    )
    fitted: Fitted = build(TREES, "model").fit(rows, np.random.default_rng(1))
    return fitted


def declared(label: Node, classes: tuple[str, ...], columns: Any = ()) -> HeadDeclaration:
    features = {**FEATURES, "columns": [*FEATURES["columns"], *columns]}
    return HeadDeclaration(features=features, label=label, model=TREES, classes=classes)


ENTRY: Node = {TARGET: "pipeline.labels.entry.Entry", "side": "long", "horizon_candles": 3}
LEAVE: Node = {
    TARGET: "pipeline.labels.exit.Exit",
    "share": 0.8,
    "horizon_candles": 3,
    "trades": {"side": "long", "hold": 30},
}
GAIN: Node = {"name": "gain", "indicator": "gain", "part": "now"}


def loaded(heads: Mapping[str, tuple[HeadDeclaration, Fitted]], **thresholds: float) -> Predictor:
    files = pack(
        "1h",
        {name: head for name, (head, _) in heads.items()},
        {name: fitted for name, (_, fitted) in heads.items()},
    )
    serving = Serving("trade", 0.55, UNTIL, thresholds)
    return Predictor.load(SLOT, VerifiedBundle("v0002", "digest", files), serving, ())


@pytest.fixture(scope="module")
def long_entry() -> tuple[HeadDeclaration, Fitted]:
    return declared(ENTRY, Entry.classes), fitted_entry("long")


@pytest.fixture(scope="module")
def four(long_entry: tuple[HeadDeclaration, Fitted]) -> dict[str, tuple[HeadDeclaration, Fitted]]:
    leave = declared(LEAVE, Exit.classes, [GAIN])
    short = declared(ENTRY, Entry.classes), fitted_entry("short")
    return {
        "long_entry": long_entry,
        "short_entry": short,
        "long_exit": (leave, short[1]),
        "short_exit": (leave, short[1]),
    }


def test_entries_are_answered_and_exits_ask_for_a_trade(
    four: dict[str, tuple[HeadDeclaration, Fitted]],
) -> None:
    answer = loaded(four, long_entry=0.7, short_entry=0.7, long_exit=0.7).answer(CANDLES)
    told = json.loads(json.dumps(answer.to_dict()))
    for side in ("long", "short"):
        entry, leave = told["heads"][f"{side}_entry"], told["heads"][f"{side}_exit"]
        assert list(entry["probability"]) == ["no", "enter"]
        assert sum(entry["probability"].values()) == pytest.approx(1)
        assert entry["strength"] == entry["probability"]["enter"]
        assert entry["reached"] is (entry["strength"] >= 0.7)
        assert (leave["probability"], leave["why_not"]) == (None, NO_TRADE)
    strengths = [told["heads"][f"{side}_entry"]["strength"] for side in ("long", "short")]
    assert told["strength"] == max(strengths)
    assert strengths[0] != strengths[1]
    assert (told["version"], told["mode"], told["in_sample"]) == ("v0002", "trade", True)
    assert answer.signal is None


def test_an_entry_is_what_its_model_says_at_the_newest_candle(
    long_entry: tuple[HeadDeclaration, Fitted],
) -> None:
    predictor, seen = loaded({"long_entry": long_entry}, long_entry=0.7), set()
    for end in (300, 400, 500):
        given_now = predictor.answer(CANDLES.iloc[:end]).heads["long_entry"].probability
        frame = key_by_market(SET.compute(CANDLES.iloc[:end]), MARKET)
        model = build(TREES, "model").load(long_entry[1].save())
        table = FeatureTable.from_frame(frame)
        expected = model.predict_proba(table, np.array([len(frame) - 1]))[0]
        np.testing.assert_allclose(list(given_now.values()), expected, rtol=1e-12)
        seen.add(given_now["enter"])
    assert len(seen) == 3


def test_an_exit_head_of_candles_alone_needs_no_trade(
    long_entry: tuple[HeadDeclaration, Fitted],
) -> None:
    heads = {"long_exit": (declared(LEAVE, Exit.classes), long_entry[1])}
    head = loaded(heads, long_exit=0.7).answer(CANDLES).heads["long_exit"]
    assert list(head.probability) == ["stay", "exit"]
    assert head.threshold == 0.7


def test_a_head_of_risk_has_no_action(long_entry: tuple[HeadDeclaration, Fitted]) -> None:
    label = {TARGET: "pipeline.labels.high_vol.HighVol", "measure": "range"}
    heads = {"high_vol": (declared(label, HighVol.classes), long_entry[1])}
    answer = loaded(heads, long_entry=0.7).answer(CANDLES)
    assert list(answer.heads["high_vol"].probability) == ["calm", "high"]
    assert answer.heads["high_vol"].strength == answer.heads["high_vol"].probability["high"]
    assert (answer.action, answer.strength) == (None, None)
    text = story(answer, 1.0)
    assert "high_vol  calm" in text
    assert "HOLD" not in text


def test_a_signal_alone_is_the_same_bytes_as_ever() -> None:
    fitted = fitted_on(CANDLES)
    direction = declared(LABEL, ("sell", "hold", "buy")), fitted
    alone = loaded({"direction": direction})
    assert alone.answer(CANDLES).to_dict() == alone.predict(CANDLES).to_dict()
    assert list(alone.answer(CANDLES).to_dict()) == [
        "slot",
        "market",
        "candle",
        "known_at",
        "buy_probability",
        "hold_probability",
        "sell_probability",
        "confidence",
        "strength",
        "emergency_score",
        "action",
        "action_threshold",
        "version",
        "trained_until",
        "mode",
        "stands_in_for",
        "in_sample",
    ]
    both = loaded({"direction": direction, "risk": direction}).answer(CANDLES).to_dict()
    assert list(both.pop("heads")) == ["direction", "risk"]
    assert both == alone.predict(CANDLES).to_dict()


def test_in_sample_is_told_of_any_version(long_entry: tuple[HeadDeclaration, Fitted]) -> None:
    predictor = loaded({"long_entry": long_entry})
    serving = dataclasses.replace(predictor.serving, trained_until="2099-01-01T00:00:00+00:00")
    answer = dataclasses.replace(predictor, serving=serving).answer(CANDLES)
    assert answer.to_dict()["in_sample"] is True
    assert "In sample: v0002 knows candles up to 2099-01-01" in story(answer, 0.0)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_entry_further_above_its_threshold_goes_first(
    long: float, short: float, long_limit: float, short_limit: float
) -> None:
    heads = {
        "long_entry": HeadAnswer({"no": 1 - long, "enter": long}, long_limit),
        "short_entry": HeadAnswer({"no": 1 - short, "enter": short}, short_limit),
    }
    above, below = long - long_limit, short - short_limit
    expected = "HOLD"
    if max(above, below) >= 0:
        expected = "BUY" if above >= below else "SELL"
    assert entered(heads) == expected


def test_what_has_no_threshold_enters_nothing() -> None:
    assert entered({"long_entry": HeadAnswer(SHARES)}) is None
    assert entered({"short_entry": HeadAnswer(SHARES, 0.25)}) == "SELL"
    assert entered({"long_entry": HeadAnswer({"stay": 0.0, "exit": 1.0}, 0.5)}) is None


def test_the_strength_of_other_classes_is_not_made_up() -> None:
    assert HeadAnswer({"low": 0.2, "middle": 0.3, "high": 0.5}).strength is None
    assert HeadAnswer({"low": 0.2, "middle": 0.3, "high": 0.5}).confidence == pytest.approx(0.2)
    assert HeadAnswer({}, 0.5, NO_TRADE).to_dict() == {
        "probability": None,
        "confidence": None,
        "strength": None,
        "threshold": 0.5,
        "reached": None,
        "why_not": NO_TRADE,
    }


def test_the_story_says_what_is_reached() -> None:
    heads = {
        "long_entry": HeadAnswer({"no": 0.2, "enter": 0.8}, 0.7),
        "long_exit": HeadAnswer({}, 0.7, NO_TRADE),
        "short_entry": HeadAnswer(SHARES, 0.7),
    }
    lines = story(Answer(AT, heads), 1.0).splitlines()
    assert lines == [
        "SIM-BTC  BUY   (candle 2025-12-19 23:55 UTC, pair/SIM-BTC v0002)",
        "",
        "  long_entry   no  20.0%   enter  80.0%   acts from 70%: reached",
        f"  long_exit    {NO_TRADE}",
        "  short_entry  no  75.0%   enter  25.0%   acts from 70%: not reached",
        "",
        "  Model: v0002 knows candles up to 2025-12-20 00:00 UTC, this one the newest of them.",
    ]
    quiet = Answer(dataclasses.replace(AT, mode="observe"), {"short_entry": heads["short_entry"]})
    told = story(quiet, 99.0)
    assert "HOLD: no entry reaches the probability from which the profile enters." in told
    assert "Old: this candle closed 4 days ago." in told
    assert "Observed only: signals, no decisions; vintage registry show pair/SIM-BTC" in told


@pytest.mark.parametrize(
    ("until", "told"), [("2025-12-18T01:00", "47 hours"), ("2025-11-20T00:00", "30 days")]
)
def test_the_story_says_how_old_the_model_is(until: str, told: str) -> None:
    at = dataclasses.replace(AT, trained_until=f"{until}:00+00:00")
    assert f"UTC, {told} before this one closed." in story(Answer(at, {}), 1.0)


def test_thresholds_are_the_cards_unless_words_name_others() -> None:
    target = planned_target("recipe=demo")
    card = {"config": {"evaluate": {"backtest": {"long_threshold": 0.6, "exit_threshold": None}}}}
    assert _thresholds(card, target) == {"long_entry": 0.6}
    assert _thresholds({"config": {"evaluate": {}}}, target) == {}
    named = planned_target("recipe=demo", "backtest.long_threshold=0.9")
    assert _thresholds(card, named)["long_entry"] == 0.9


def planned_target(*words: str) -> Any:
    return SimpleNamespace(choices=chosen(*words), plan=planned(*words))
