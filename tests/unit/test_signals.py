from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.labels.three_class import ThreeClass
from pipeline.live.signals import CLASSES, Signal, read_probabilities


def told(sell: float, hold: float, buy: float, threshold: float = 0.55) -> dict[str, float]:
    return read_probabilities({"sell": sell, "hold": hold, "buy": buy}, threshold)


@st.composite
def probabilities(draw: st.DrawFn) -> tuple[float, float, float]:
    parts = [draw(st.integers(0, 1000)) for _ in CLASSES]
    total = sum(parts) or 1
    return parts[0] / total, 1 - (parts[0] + parts[2]) / total, parts[2] / total


@given(probabilities(), st.floats(0, 1))
def test_every_field_follows_its_rule(chances: tuple[float, float, float], limit: float) -> None:
    sell, hold, buy = chances
    found = told(sell, hold, buy, limit)
    top, second, _ = sorted(chances, reverse=True)
    assert found["confidence"] == pytest.approx(top - second)
    assert found["strength"] == max(buy, sell)
    assert found["emergency_score"] == pytest.approx(sell * (top - second))
    assert (found["sell_probability"], found["hold_probability"], found["buy_probability"]) == (
        sell,
        hold,
        buy,
    )
    if buy > sell and buy > limit:
        assert found["action"] == "BUY"
    elif sell > buy and sell > limit:
        assert found["action"] == "SELL"
    else:
        assert found["action"] == "HOLD"


@given(probabilities(), st.floats(0, 1))
def test_buy_and_sell_mirror_each_other(chances: tuple[float, float, float], limit: float) -> None:
    sell, hold, buy = chances
    mirror = {"BUY": "SELL", "SELL": "BUY", "HOLD": "HOLD"}
    found, turned = told(sell, hold, buy, limit), told(buy, hold, sell, limit)
    assert turned["action"] == mirror[found["action"]]
    assert turned["confidence"] == found["confidence"]
    assert turned["strength"] == found["strength"]


@pytest.mark.parametrize(
    ("sell", "hold", "buy", "action"),
    [
        (0.10, 0.30, 0.60, "BUY"),
        (0.60, 0.30, 0.10, "SELL"),
        (0.10, 0.35, 0.55, "HOLD"),
        (0.10, 0.3499, 0.5501, "BUY"),
        (0.5501, 0.3499, 0.10, "SELL"),
        (0.20, 0.60, 0.20, "HOLD"),
        (0.45, 0.05, 0.50, "HOLD"),
        (1 / 3, 1 / 3, 1 / 3, "HOLD"),
        (0.0, 1.0, 0.0, "HOLD"),
        (1.0, 0.0, 0.0, "SELL"),
    ],
)
def test_the_action_needs_the_larger_side_above_the_threshold(
    sell: float, hold: float, buy: float, action: str
) -> None:
    assert told(sell, hold, buy)["action"] == action


def test_a_tie_is_hold_even_above_the_threshold() -> None:
    assert told(0.5, 0.0, 0.5, threshold=0.4)["action"] == "HOLD"
    assert told(0.5, 0.0, 0.5)["confidence"] == 0


def test_a_low_threshold_lets_a_side_below_hold_act() -> None:
    assert told(0.1, 0.5, 0.4, threshold=0.3)["action"] == "BUY"


def test_hold_can_be_the_confident_one() -> None:
    found = told(0.1, 0.8, 0.1)
    assert found["confidence"] == pytest.approx(0.7)
    assert found["strength"] == 0.1
    assert found["emergency_score"] == pytest.approx(0.07)


def test_only_a_sure_sell_is_an_emergency() -> None:
    assert told(0.9, 0.05, 0.05)["emergency_score"] == pytest.approx(0.765)
    assert told(0.05, 0.05, 0.9)["emergency_score"] == pytest.approx(0.0425)


def test_classes_are_those_of_the_label() -> None:
    assert ThreeClass.classes == CLASSES


def test_a_signal_goes_into_json_as_it_is() -> None:
    signal = Signal(
        slot="demo/SIM-BTC",
        market="SIM-BTC",
        candle="2025-12-19T23:00:00+00:00",
        known_at="2025-12-20T00:00:00+00:00",
        **told(0.1, 0.3, 0.6),
        action_threshold=0.55,
        version="v0001",
        trained_until="2025-12-20T00:00:00+00:00",
        mode="observe",
    )
    read = json.loads(json.dumps(signal.to_dict()))
    assert read == signal.to_dict()
    assert read["action"] == "BUY"
    assert read["mode"] == "observe"
    assert read["in_sample"] is False
    later = dataclasses.replace(signal, trained_until="2025-12-20T01:00:00+00:00")
    assert later.is_in_sample
