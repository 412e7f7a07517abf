"""Fleets: what they list, what they refuse, and that every committed one can be walked."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

from pipeline.configuration.conf_options import options
from pipeline.errors import ConfigError
from pipeline.operations.retraining.step_watch import Limits
from pipeline.operations.walk.fleet import read_fleet
from tests.conftest import CHECKOUT
from tests.spine import planned

CONF = CHECKOUT / "conf"


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "fleet").mkdir()
    return tmp_path


def put(conf: Path, **fleets: str) -> None:
    for name, text in fleets.items():
        (conf / "fleet" / f"{name}.yaml").write_text(text)


@functools.cache
def slot_of(*words: str) -> str:
    return str(planned(*words).run.slot)


@pytest.mark.parametrize("name", options(CONF, "fleet"))
def test_every_slot_of_a_fleet_can_be_planned(name: str) -> None:
    listed = read_fleet(CONF, name)
    slots = [slot_of(*words) for words in listed.slots]
    assert len(slots) == len(set(slots)) >= 1
    assert listed.limits.of("train")


def test_a_fleet_lists_words_and_includes_others(conf: Path) -> None:
    put(
        conf,
        one="slots: ['recipe=a market=X-Y', [recipe=b, \"set='1 2'\"]]\ntime_limit: 1m",
        two="include: [one]\nslots: [recipe=c, recipe=a market=X-Y]\n"
        "time_limit: 2h\ntime_limits: {train: 30s}",
    )
    listed = read_fleet(conf, "two")
    assert listed.slots == (("recipe=a", "market=X-Y"), ("recipe=b", "set='1 2'"), ("recipe=c",))
    assert listed.limits == Limits(7200, {"train": 30})
    assert (listed.limits.of("train"), listed.limits.of("labels")) == (30, 7200)
    assert read_fleet(conf, "one").limits.of("train") == 60


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("slot: [recipe=a]", "did you mean slots?"),
        ("slots: [market=X-Y]", "names no recipe"),
        ("slots: [recipe=a as_of=last]", "has an as_of"),
        ("slots: []", "the fleet has no slot"),
        ("slots: [recipe=a]\ntime_limit: 2", "'time_limit' is 2, expected text"),
        ("slots: [recipe=a]\ntime_limit: 2w", "90s, 30m, 2h or 7d"),
        ("slots: [recipe=a]\ntime_limits: {trian: 2h}", "did you mean train?"),
        ("slots: [recipe=a]\ninclude: [ohter]", "there is no fleet 'ohter'"),
        ("slots: [recipe=a]\ninclude: [mine]", "mine → mine"),
        ("slots: [[recipe=a], 3]", "a list"),
        ("slots: [recipe=a, recipe=b, [recipe=a]]", "'recipe=a' stands there twice"),
        ("slots: [{recipe: a, market: X-Y}]", "write it as - recipe=a market=X-Y"),
    ],
)
def test_a_broken_fleet_is_one_paragraph(conf: Path, text: str, told: str) -> None:
    put(conf, mine=text)
    with pytest.raises(ConfigError, match=re.escape(told)) as caught:
        read_fleet(conf, "mine")
    assert "\n" not in str(caught.value)
