"""The card: complete, sound, and the same bytes for the same run."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from registry.card import Card
from registry.errors import RegistryError
from registry.tables import score_rows

HEAD: dict[str, Any] = {
    "features": "hourly46",
    "feature_digest": "0" * 64,
    "columns": ["rsi", "ema"],
    "label": "three_class",
    "model": "lightgbm",
    "classes": ["sell", "hold", "buy"],
    "rows": 1800,
    "class_shares": {"sell": 0.25, "hold": 0.5, "buy": 0.25},
    "calibration": None,
}
FACTS: dict[str, Any] = {
    "slot": "upbit_hourly@replay/KRW-SOL",
    "recipe": "upbit_hourly",
    "exchange": "replay",
    "feed": "replay-upbit",
    "market": "KRW-SOL",
    "timeframe": "1h",
    "as_of": "2025-12-20T00:00:00+00:00",
    "data": {
        "first": "2025-09-01T00:00Z",
        "last": "2025-12-19T23:00Z",
        "rows": 9,
        "sha256": "a" * 64,
    },
    "heads": {"direction": HEAD},
    "metrics": {"balanced_accuracy": 0.4, "brier_skill": None},
    "heads_metrics": {"direction": {"balanced_accuracy": 0.4}},
    "quality": {"gaps": 0, "notes": ["가"]},
    "config": {"train": {"seed": 1, "heads": {"direction": {"depth": [1, 2]}}}},
    "code": {"train": "b" * 64},
    "libraries": {"lightgbm": "4.7.0"},
    "reproducible": True,
    "notes": ["simulated trees"],
}


def test_the_same_facts_in_any_order_are_the_same_bytes() -> None:
    content = Card.build(FACTS).to_bytes()
    assert content == Card.build(dict(reversed(FACTS.items()))).to_bytes()
    assert content.startswith(b'{\n "as_of": "2025-12-20T00:00:00+00:00",\n "certification": ')
    assert content.endswith(b"\n}\n")
    assert "가".encode() in content
    left_out: dict[str, Any] = {"scores": {}, "seeds": {}, "certification": None, "format": 1}
    heads = {"direction": {**HEAD, "label_digest": None}}
    assert json.loads(content) == {**FACTS, **left_out, "heads": heads}


def test_scores_stand_beside_their_interval_and_baselines() -> None:
    score = {"value": 0.4, "low": 0.3, "high": 0.5, "baselines": {"majority": 0.33, "har": None}}
    card = Card.build({**FACTS, "scores": {"direction": {"accuracy": score}}})
    assert score_rows(json.loads(card.to_bytes())) == [
        {"score": "accuracy", "value": 0.4, "low": 0.3, "high": 0.5, "majority": 0.33, "har": None}
    ]


def test_a_card_reads_back() -> None:
    card = Card.build(FACTS)
    assert Card.parse(card.to_bytes()) == card
    assert card.heads["direction"].columns == ("rsi", "ema")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"created": "2025"}, "created: Extra inputs"),
        ({"as_of": None}, "as_of: "),
        ({"format": 2}, "format: "),
        ({"metrics": {"log_loss": math.nan}}, "metrics.log_loss: "),
        ({"slot": "../KRW-SOL"}, "is not a slot"),
        ({"slot": "upbit_hourly/KRW-SOL", "market": "KRW-BTC"}, "is not that of the recipe"),
        ({"slot": "upbit_hourly@upbit/KRW-SOL"}, "is not that of the recipe"),
        ({"heads": {}}, "heads: "),
        ({"heads": {"direction": {**HEAD, "classes": ["sell"]}}}, "not one of the classes"),
        ({"heads": {"direction": {**HEAD, "class_shares": {"sell": 0.9}}}}, "do not add up to 1"),
        ({"heads": {"direction": {**HEAD, "columns": ["rsi", "rsi"]}}}, "a column twice"),
    ],
)
def test_an_unsound_card_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(RegistryError, match=told):
        Card.build({**FACTS, **change})


def test_a_card_names_at_most_three_faults() -> None:
    with pytest.raises(RegistryError, match=r"Found: slot: Field required; .* and 13 more"):
        Card.build({})
    with pytest.raises(RegistryError, match="Invalid JSON"):
        Card.parse(b"{")


@pytest.mark.parametrize("place", ["quality", "config"])
def test_a_number_that_is_none_never_gets_into_the_bytes(place: str) -> None:
    deep = {"train": {"a": [{"b": math.inf}]}}
    with pytest.raises(RegistryError):
        Card.build({**FACTS, place: deep}).to_bytes()
