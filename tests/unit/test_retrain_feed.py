"""A slot serves one feed: another neither replaces its champion unasked, nor is compared."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from pipeline.commands.retrain_story import _from_others
from pipeline.errors import ConfigError
from pipeline.live.task import task_changes
from pipeline.operations.places import Places
from pipeline.operations.retraining import evidence as known
from pipeline.operations.retraining import retrain as retrains
from pipeline.operations.retraining import slot_task
from pipeline.operations.retraining.retrain import retrain
from pipeline.operations.retraining.slot_task import Switch
from pipeline.operations.target import Target, resolve
from registry.history import Pointer
from registry.versions import Registry
from tests.conftest import AS_OF, CHECKOUT

URL = "exchange.base_url=http://127.0.0.1:9/upbit"
REAL = ["recipe=upbit_hourly", "market=KRW-SOL", f"as_of={AS_OF}"]
BEFORE = Pointer("v0001", 1, "trade")


def target_of(home: Path, *words: str) -> Target:
    return resolve([*REAL, *words], CHECKOUT / "conf", home, pd.Timestamp(AS_OF))


class _Built(Exception):
    """The build has begun."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Card of the champion that every slot seems to have."""
    card: dict[str, Any] = {"feed": "upbit", "as_of": AS_OF}

    def begin(*_: object) -> None:
        raise _Built

    monkeypatch.setattr(slot_task, "champion", lambda *_: BEFORE)
    monkeypatch.setattr(Registry, "card", lambda *_: card)
    monkeypatch.setattr(retrains, "prepare", begin)
    return card


def test_another_feed_is_refused_before_anything_is_built(
    home: Path, served: dict[str, Any]
) -> None:
    places, now = Places(home, CHECKOUT), pd.Timestamp(AS_OF)
    rehearsal = target_of(home, "exchange=upbit", URL)
    with pytest.raises(ConfigError, match="VINTAGE_HOME=FOLDER") as caught:
        retrain(rehearsal, places, now, print)
    assert caught.value.found == rehearsal.plan.run.feed != "upbit"
    with pytest.raises(_Built):
        retrain(rehearsal, places, now, print, Switch(feed=True))
    with pytest.raises(_Built):
        retrain(target_of(home), places, now, print)
    served["feed"] = rehearsal.plan.run.feed
    with pytest.raises(ConfigError, match="another feed"):
        retrain(target_of(home), places, now, print)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("label.horizon_hours=12", "heads.direction.horizon_hours 12.0"),
        ("label=triple_barrier", "triple_barrier"),
        ("recipe.timeframe=30m", "timeframe 30m"),
    ],
)
def test_another_question_is_refused_before_anything_is_built(
    home: Path, served: dict[str, Any], word: str, found: str
) -> None:
    places, now = Places(home, CHECKOUT), pd.Timestamp(AS_OF)
    asked, other = target_of(home), target_of(home, word)
    served["config"] = {"labels": asked.plan.stages["labels"]}
    with pytest.raises(ConfigError, match="--switch-task") as caught:
        retrain(other, places, now, print)
    assert found in caught.value.found
    for target, switch in ((other, Switch(task=True)), (asked, Switch())):
        with pytest.raises(_Built):
            retrain(target, places, now, print, switch)


def test_other_heads_are_another_question() -> None:
    told = {"timeframe": "1h", "heads": {"entry": {}}}
    (change,) = task_changes(told, {"timeframe": "1h", "heads": {"entry": {}, "leave": {}}})
    assert (change.what, change.champion, change.candidate) == ("heads", "entry", "entry, leave")


def test_a_champion_of_another_feed_is_not_compared(home: Path, served: dict[str, Any]) -> None:
    registry: Any = SimpleNamespace(open=lambda *_: SimpleNamespace(card=lambda: served))
    rehearsal: Any = target_of(home, "exchange=upbit", URL)
    unread: Any = None
    assert known._against(unread, registry, rehearsal, BEFORE) is None


def test_the_words_of_a_target_name_the_same_slot_and_feed(home: Path) -> None:
    words = ["exchange=upbit_failover", URL, "recipe.timeframe=5m", "model=majority"]
    target = target_of(home, *words)
    assert set(shlex.split(target.words)) == {*REAL[:2], *words}
    again = resolve(
        [*shlex.split(target.words), REAL[2]], CHECKOUT / "conf", home, pd.Timestamp(AS_OF)
    )
    assert (again.slot, again.series) == (target.slot, target.series)
    assert target_of(home).words == "recipe=upbit_hourly market=KRW-SOL"


def test_candles_of_a_stand_in_are_told_beside_the_feed() -> None:
    quality = {"candles": 9, "rows_from_upbit": 5, "rows_from_upbit_pyupbit": 4}
    assert _from_others(quality, "upbit") == ", 4 from upbit_pyupbit"
    assert _from_others({"candles": 9}, "upbit") == ""
