"""What may be searched, and how what may not is told before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.experiments.search_space import Options, Range, read_search
from pipeline.experiments.subject import check_tuning
from tests.tuning import PENALTY, conf, search_file, shared_conf, tuning

__all__ = ["conf", "shared_conf"]


def test_the_ends_of_a_range_are_kept() -> None:
    whole, share = Range(low=2, high=8), Range(low=0.1, high=0.29999)
    assert whole.is_whole
    assert whole.as_typed(3.0) == 3
    assert isinstance(whole.as_typed(3.0), int)
    assert not share.is_whole
    assert share.as_typed(0.29999) == 0.29999
    assert share.as_typed(0.123456) == 0.1235
    assert not Range(low=0, high=1.0).is_whole


@pytest.mark.parametrize(
    ("domain", "held", "strange"),
    [
        (Range(low=2, high=8), [2, 5, 8], [1, 9, 2.5, True, None, "2"]),
        (Range(low=0.1, high=1.0), [0.1, 1, 1.0], [0.09, 1.1, True]),
        (Options(choices=(32, "a", None)), [32, "a", None], [33, 32.0, "32", True]),
    ],
)
def test_what_could_have_been_drawn(
    domain: Range | Options, held: list[Any], strange: list[Any]
) -> None:
    assert all(domain.holds(value) for value in held)
    assert not any(domain.holds(value) for value in strange)


@pytest.mark.parametrize(
    ("domain", "told"),
    [
        ({"low": 5, "high": 5}, "low lies below high"),
        ({"low": 0.0, "high": 1.0, "log": True}, "starts above 0"),
        ({"low": 1, "high": 9, "log": True, "step": 2}, "has no step"),
        ({"low": 1, "high": 10, "step": 2}, "past 10"),
        ({"low": 1, "high": 9, "step": 0}, "above 0"),
        ({"low": 1, "hihg": 9}, "did you mean high?"),
        ({"low": True, "high": 9}, "no number"),
        ({"low": 1}, "'high' is missing"),
        ({"choices": []}, "at least 1"),
        ({"choices": [1, 1]}, "twice"),
        ({"choices": [1], "low": 1}, "unknown key 'low'"),
        (5, "is not a range"),
    ],
)
def test_what_is_no_range_is_told(conf: Path, domain: Any, told: str) -> None:
    search_file(conf, {"model.penalty": domain})
    with pytest.raises(ConfigError, match=r"conf/search/small\.yaml, model\.penalty") as caught:
        read_search(conf, "small")
    assert told in str(caught.value)


def test_a_file_needs_a_space(conf: Path) -> None:
    search_file(conf, {})
    with pytest.raises(ConfigError, match="'space'"):
        read_search(conf, "small")
    search_file(conf, PENALTY, startup=0)
    with pytest.raises(ConfigError, match="'startup_trials' is 0"):
        read_search(conf, "small")


def test_another_search_is_told_by_name(conf: Path) -> None:
    with pytest.raises(ConfigError, match=r"no search 'logistik'.*did you mean logistic\?"):
        read_search(conf, "logistik")


NUMBER = {"low": 1, "high": 3}


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"label.horizon_hours": NUMBER}, "changes what is scored"),
        ({"features.name": {"choices": ["a"]}}, "changes what is scored"),
        ({"split.fold_count": NUMBER}, "changes what is scored"),
        ({"heads.direction.label.horizon_hours": NUMBER}, "changes what is scored"),
        ({"seed": NUMBER}, "changes what is scored"),
        ({"model": NUMBER}, "changes what is scored"),
        ({"model.penalti": NUMBER}, "did you mean penalty?"),
        ({"model.penalty.deep": NUMBER}, "unknown key 'model.penalty.deep'"),
        ({"model._target_": {"choices": ["a"]}}, "Valid: max_iter, penalty"),
        ({"heads.dirction.model.penalty": NUMBER}, "did you mean direction?"),
        ({"model.penalty": {"low": -1.0, "high": 1.0}}, "expected more than 0"),
        ({"model.max_iter": {"low": 0, "high": 9}}, "expected at least 1"),
        ({"model.max_iter": {"choices": [5, 6, "seven"]}}, "a whole number"),
        (
            {"model.penalty": NUMBER, "heads.direction.model.penalty": NUMBER},
            "set the same value of head direction",
        ),
    ],
)
def test_what_cannot_be_searched_is_told_before_anything_runs(
    conf: Path, space: dict[str, Any], told: str
) -> None:
    search_file(conf, space)
    with pytest.raises(ConfigError) as caught:
        check_tuning(tuning(conf, 5))
    assert told in str(caught.value)


def test_a_nested_key_is_told_by_its_neighbours(conf: Path) -> None:
    search_file(conf, {"model.trees.num_leavs": NUMBER})
    deep = tuning(conf, 5).subject
    from pipeline.experiments.searched_keys import starting_values

    trees = {"_target_": "x", "trees": {"num_leaves": 3, "max_depth": 2}}
    with pytest.raises(ConfigError, match=r"did you mean num_leaves\?"):
        starting_values(read_search(conf, "small"), {"direction": trees})
    search_file(conf, {"model.trees": NUMBER})
    with pytest.raises(ConfigError, match=r"holds keys.*num_leaves"):
        starting_values(read_search(deep.conf, "small"), {"direction": trees})


def test_a_key_that_your_own_words_fix_is_told(conf: Path) -> None:
    search_file(conf, PENALTY)
    fixed = tuning(conf, 5, "heads.direction.model.penalty=2.0")
    with pytest.raises(ConfigError, match=r"your own words fix it.*heads\.direction\.model\.pen"):
        check_tuning(fixed)
    assert check_tuning(tuning(conf, 5, "model.penalty=2.0")) == {"model.penalty": 2.0}


def test_the_study_is_named_by_all_that_its_scores_follow_from(conf: Path) -> None:
    search_file(conf, PENALTY)
    one = tuning(conf, 5)
    assert one.name == tuning(conf, 9).name
    later = tuning(conf, 5, "as_of=2025-12-21T00:00Z")
    assert (later.family == one.family, later.name == one.name) == (True, False)
    others = [tuning(conf, 5, word) for word in ("model.penalty=2.0", "seed=8", "split=holdout")]
    search_file(conf, PENALTY, startup=4)
    others.append(tuning(conf, 5))
    search_file(conf, {"model.penalty": {"low": 0.01, "high": 1000.0, "log": True}})
    others.append(tuning(conf, 5))
    families = {other.family for other in others} | {one.family}
    assert len(families) == 6
