from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import read_yaml
from pipeline.configuration.choices import (
    GROUPS,
    Choices,
    choose,
    merge,
    read_choices,
    write_choices,
)
from pipeline.errors import ConfigError
from tests.conftest import AS_OF, CHECKOUT

START = Choices(**dict.fromkeys(GROUPS, "recipe"), as_of="last")


def test_the_committed_params_are_an_explicit_offline_demo() -> None:
    told = read_choices(CHECKOUT / "params.yaml")
    assert (told.recipe, told.exchange, told.as_of) == ("demo", "simulated", AS_OF)
    assert told.set == {}
    assert set(read_yaml(CHECKOUT / "params.yaml")) == {*GROUPS, "as_of", "set"}


def test_groups_are_replaced_and_deeper_keys_collected() -> None:
    words = {
        "model": "majority",
        "as_of": AS_OF,
        "model.n_estimators": 50,
        "set.exchange.root": "/data",
        "heads.direction.model.max_depth": 3,
        "seed": 8,
        "set.device": "cpu",
    }
    made = choose(START, words)
    assert (made.model, made.as_of, made.label) == ("majority", AS_OF, "recipe")
    assert made.set == {
        "model": {"n_estimators": 50},
        "exchange": {"root": "/data"},
        "heads": {"direction": {"model": {"max_depth": 3}}},
        "seed": 8,
        "device": "cpu",
    }
    assert START.set == {}


def test_a_later_layer_adds_to_the_deeper_keys() -> None:
    first = choose(START, {"model.max_depth": 3, "model.n_estimators": 5})
    second = choose(first, {"model.max_depth": 4})
    assert second.set == {"model": {"max_depth": 4, "n_estimators": 5}}
    assert first.set == {"model": {"max_depth": 3, "n_estimators": 5}}


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("modle", "did you mean model?"),
        ("MARKET", "did you mean market?"),
        ("seeds", "did you mean seed?"),
        ("asof", "did you mean as_of?"),
        ("set.modle", "did you mean model?"),
        ("set", "Valid: as_of"),
        ("", "Valid: as_of"),
    ],
)
def test_an_unknown_word_names_the_nearest(key: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match="unknown key") as caught:
        choose(START, {key: "x"})
    assert f"'{key}'" in str(caught.value)
    assert nearest in str(caught.value)
    assert "deeper keys have a dot" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "'recipe' is missing"),
        ("recipe: demo\n", "'exchange' is missing"),
        ("- recipe\n", "is not a mapping"),
    ],
)
def test_a_file_that_chooses_too_little_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        read_choices(path)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("model: null", "'model' is None"),
        ("model: 5", "'model' is 5"),
        ("model: [lightgbm, majority]", "'model' is ['lightgbm', 'majority']"),
        ("as_of: 20251220", "'as_of' is 20251220"),
        ("set: null", "'set' is None"),
        ("set: [1]", "'set' is [1]"),
        ("set: {1: 2}", "'set.1' is 1, expected text"),
        ("modle: recipe", "unknown key 'modle': did you mean model?"),
    ],
)
def test_a_wrong_line_is_told(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "params.yaml"
    key = line.partition(":")[0]
    lines = (CHECKOUT / "params.yaml").read_text().splitlines()
    kept = [found for found in lines if not found.startswith(f"{key}:")]
    path.write_text("\n".join([*kept, line]))
    with pytest.raises(ConfigError) as caught:
        read_choices(path)
    assert told in str(caught.value)
    assert "params.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ["2025-12-20", "2025-12-20T00:00Z", "2025-12-20 00:00:00+09:00"])
def test_a_date_is_text_whether_read_or_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    written = choose(START, {"as_of": text, "exchange.start": text})
    write_choices(path, written)
    assert read_choices(path) == written
    assert read_choices(path).as_of == text


@pytest.mark.parametrize("value", ["on", "1e3", "null", "a: b", "# x", "", 1e-9, 10**20, [1, "1"]])
def test_what_was_chosen_is_read_back(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "params.yaml"
    written = choose(START, {"model.x": value, "label": "0123"})
    write_choices(path, written)
    assert read_choices(path) == written
    before = path.read_bytes()
    write_choices(path, read_choices(path))
    assert path.read_bytes() == before


LEAVES = st.integers() | st.text(max_size=2)
TREES = st.recursive(
    st.dictionaries(st.sampled_from("abc"), LEAVES, max_size=3),
    lambda below: st.dictionaries(st.sampled_from("abc"), below | LEAVES, max_size=3),
    max_leaves=8,
)


@given(one=TREES, other=TREES)
def test_merge_keeps_what_is_above(one: dict[str, Any], other: dict[str, Any]) -> None:
    before = copy.deepcopy((one, other))
    merged = merge(one, other)
    assert (one, other) == before
    assert merge(one, {}) == one
    assert merge({}, other) == other
    assert merge(merged, other) == merged
    assert set(merged) == {*one, *other}
    for key, value in merged.items():
        if key not in other:
            assert value == one[key]
        elif not (isinstance(one.get(key), dict) and isinstance(other[key], dict)):
            assert value == other[key]
