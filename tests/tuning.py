"""A small slot to tune without DVC: noise as features, true labels, a penalty to search."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import to_yaml
from pipeline.configuration import compose, conf_groups
from pipeline.experiments.scoring import Frames
from pipeline.experiments.search_space import read_search
from pipeline.experiments.subject import Subject, Tuning
from pipeline.experiments.tune import Tuned, tune
from registry.slots import Slot
from tests.spine import chosen, own_conf, put
from tests.unit.test_training import frames

SLOT = Slot("demo", "SIM-BTC")
WORDS = ("model=logistic", "recipe.lookback=1", "market=SIM-BTC", "model.max_iter=100")
PENALTY = {"model.penalty": {"low": 0.01, "high": 100000.0, "log": True}}


@pytest.fixture(scope="session")
def shared_conf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    conf = own_conf(tmp_path_factory.mktemp("tuning"))
    for recipe in ("upbit_hourly", "pair"):
        put(conf / f"recipe/{recipe}.yaml", "calibration", "none")
    return conf


@pytest.fixture(scope="session")
def whole(shared_conf: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """Seven trials that nothing disturbed."""
    search_file(shared_conf, PENALTY)
    return tuned(tuning(shared_conf, 7), tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def conf(shared_conf: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A conf folder whose groups are composed once for all tests; searches are read anew."""
    for module in (compose, conf_groups):
        monkeypatch.setattr(module, "compose_words", _composed_once)
    search_file(shared_conf, PENALTY)
    return shared_conf


_REAL = conf_groups.compose_words


def _composed_once(conf: Path, words: list[str]) -> dict[str, Any]:
    return copy.deepcopy(_memory(conf, tuple(words)))


@functools.cache
def _memory(conf: Path, words: tuple[str, ...]) -> dict[str, Any]:
    return _REAL(conf, list(words))


def search_file(conf: Path, space: dict[str, Any], startup: int = 3, name: str = "small") -> None:
    (conf / "search").mkdir(exist_ok=True)
    told = {"seed": 7, "startup_trials": startup, "space": space}
    (conf / "search" / f"{name}.yaml").write_text(to_yaml(told))


def tuning(conf: Path, trials: int, *words: str, search: str = "small") -> Tuning:
    subject = Subject.of(chosen(*WORDS, *words, conf=conf), conf)
    return Tuning(subject, read_search(conf, search), trials)


def noise(seed: int = 0, heads: tuple[str, ...] = ("direction",)) -> Frames:
    features, labels = frames(600, seed)
    return Frames({"hourly46": features}, dict.fromkeys(heads, labels))


def tuned(what: Tuning, home: Path, data: Frames | None = None) -> Tuned:
    return tune(what, lambda: data or noise(), home, lambda _: None)
