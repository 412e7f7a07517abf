"""The yearly error budget of a slot, and where a candidate stands among its predecessors."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.budget import Asked, Budget, Fleet, Offer, level_of, offer
from registry.conditions import NEVER, GateConfig
from registry.draws import BUDGET, YEAR, Draw, Kind, record_draw
from registry.evidence import ChampionEvidence, Evidence, keep_evidence
from registry.gate import Verdict, judge
from registry.lineage import chain, kinship
from registry.pointers import move
from registry.slots import Slot, version_name
from registry.standing import fleet, spend, standing
from registry.trials import Trial, record_trial
from registry.versions import Registry
from tests.volume import volume

CONFIG = GateConfig()
PORTION = CONFIG.yearly_error / CONFIG.portions
SLOT, OTHER = Slot.parse("demo/SIM-BTC"), Slot.parse("demo/SIM-ETH")
AT = "2026-01-01T00:00:00+00:00"
BASIS: dict[str, Any] = {
    "finite": True, "effective_rows": 80, "brier_skill": 0.03, "brier_skill_low": 0.01,
    "brier_skill_p": 0.001, "direction_skill": 0.02, "direction_skill_low": 0.01,
    "direction_skill_p": 0.001, "balanced_accuracy": 0.4, "classes": 3,
}  # fmt: skip


def day(number: int) -> str:
    """A moment so many days after the first of January 2026."""
    return (datetime.fromisoformat(AT) + timedelta(days=number)).isoformat()


def draw(number: int, as_of: str, **told: Any) -> Draw:
    facts: dict[str, Any] = {
        "kind": "refresh",
        "level": PORTION,
        "batch": 1,
        "trials": 1,
        "admitted": False,
    }
    return Draw(version_name(number), as_of, at=AT, **{**facts, **told})


def asked(kind: Kind, as_of: str, number: int = 99) -> Asked:
    return Asked(version_name(number), kind, as_of)


def offered(
    kind: Kind, as_of: str, *made: Draw, trials: int = 1, damaged: int = 0, number: int = 99
) -> Offer:
    return offer(Budget(made, damaged, trials), asked(kind, as_of, number), Fleet(), CONFIG)


def test_a_refresh_waits_for_its_turn_and_a_change_does_not() -> None:
    first = draw(1, "2026-01-01T00:00:00+00:00")
    early = offered("refresh", "2026-01-20T00:00:00+00:00", first)
    assert (early.due, early.portions_left) == ("2026-01-31", 11)
    assert offered("change", "2026-01-20T00:00:00+00:00", first).due is None
    assert offered("refresh", "2026-01-31T09:59:00+00:00", first).due == "2026-01-31"
    assert offered("refresh", "2026-01-31T10:00:00+00:00", first).due is None


def test_twelve_draws_a_year_and_the_oldest_comes_free() -> None:
    made = [draw(1 + k, f"2026-01-{1 + k:02d}T00:00:00+00:00") for k in range(12)]
    kinds: tuple[Kind, ...] = ("change", "refresh")
    for kind in kinds:
        full = offered(kind, "2026-06-01T00:00:00+00:00", *made)
        assert (full.due, full.portions_left) == ("2027-01-01", 0)
        free = offered(kind, "2027-01-01T00:00:00+00:00", *made)
        assert (free.due, free.portions_left) == (None, 1)


def test_a_damaged_line_is_a_portion_of_every_year() -> None:
    told = offered("change", "2030-01-01T00:00:00+00:00", damaged=11)
    assert (told.portions_left, told.due) == (1, None)
    assert offered("change", "2030-01-01T00:00:00+00:00", damaged=12).due == NEVER
    some = [draw(1, "2030-01-01T00:00:00+00:00")]
    assert offered("change", "2030-02-01T00:00:00+00:00", *some, damaged=11).due == "2031-01-01"
    assert offered("change", "2030-02-01T00:00:00+00:00", *some, damaged=12).due == NEVER


def test_the_level_is_shared_among_what_was_tried_and_among_slots() -> None:
    now = "2026-06-01T00:00:00+00:00"
    assert offered("first", now).level == PORTION
    assert offered("first", now, trials=30).level == PORTION / 30
    tuned = draw(1, "2026-05-01T00:00:00+00:00", kind="change", batch=30, trials=30)
    assert offered("refresh", now, tuned, trials=30).batch == 30, "it was the best of thirty"
    assert offered("change", now, tuned, trials=31).batch == 1, "only it was tried since"
    assert offered("change", now, tuned, trials=30).batch == 30, "one of those tried before"
    assert offered("refresh", now, tuned, trials=70).batch == 40
    assert level_of(CONFIG, Fleet(50, 0), 1) == pytest.approx(PORTION / 50)
    assert level_of(CONFIG, Fleet(50, 9), 1) == pytest.approx(PORTION / 5)
    assert level_of(CONFIG, Fleet(3, 3), 1) == PORTION


def test_a_version_is_tested_once() -> None:
    made = draw(7, "2026-01-01T00:00:00+00:00", level=0.001, batch=5)
    again = offered("refresh", "2026-01-01T00:00:00+00:00", made, number=7)
    assert (again.level, again.batch, again.due, again.repeated) == (0.001, 5, None, True)


@settings(deadline=None, max_examples=volume(20))
@given(st.lists(st.tuples(st.integers(0, 900), st.booleans()), max_size=60))
def test_no_year_has_more_draws_than_portions(nights: list[tuple[int, bool]]) -> None:
    made: list[Draw] = []
    for number, (night, changes) in enumerate(sorted(nights), 1):
        told = offered("change" if changes else "refresh", day(night), *made, number=number)
        if told.due is None:
            assert told.portions_left > 0
            made.append(draw(number, day(night)))
        else:
            assert told.due >= day(night)[:10]
    drawn = [datetime.fromisoformat(each.as_of) for each in made]
    for first in drawn:
        assert sum(first <= other < first + YEAR for other in drawn) <= CONFIG.portions


def test_draws_are_kept_and_damage_is_reported(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.add(SLOT, {"model": b"x"}, AT)
    assert record_draw(tmp_path, SLOT, draw(1, AT))
    assert not record_draw(tmp_path, SLOT, draw(1, AT)), "a version draws once"
    assert record_draw(tmp_path, SLOT, draw(2, AT))
    assert [each.version for each in Budget.read(tmp_path, SLOT).draws] == ["v0001", "v0002"]
    assert registry.verify() == []
    path = SLOT.folder(tmp_path) / BUDGET
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0].replace("refresh", "change"), lines[1]]) + "\n")
    (found,) = registry.verify()
    assert found.what == f"{BUDGET}: line 1 is damaged"
    read = Budget.read(tmp_path, SLOT)
    assert (len(read.draws), read.damaged) == (1, 1)
    broken: list[dict[str, Any]] = [
        {"as_of": "2026-01-01"}, {"as_of": "yesterday"}, {"as_of": 5}, {"batch": "1"},
        {"admitted": 1}, {"level": None}, {"more": 1},
    ]  # fmt: skip
    good = {name: value for name, value in json.loads(lines[1]).items() if name != "check"}
    path.write_text("".join(json.dumps({**good, **each}) + "\n" for each in broken))
    assert Budget.read(tmp_path, SLOT).damaged == len(broken)


def registered(root: Path, slot: Slot, count: int = 1, mode: Any = "observe") -> Registry:
    """A registry in which a slot has so many versions, each of which was champion."""
    registry = Registry(root)
    for number in range(count):
        added = registry.add(slot, {"model": str(number).encode()}, AT)
        move(root, slot, added.version, mode, reason="a test", who="test", at=AT)
    return registry


def test_a_portion_is_spent_with_the_verdict(tmp_path: Path) -> None:
    registry = registered(tmp_path, OTHER)
    registry.add(SLOT, {"model": b"x"}, AT)
    for number in range(3):
        record_trial(tmp_path, SLOT, Trial(f"{number:064x}", "m", {}, "tune"))
    stood = standing(registry, SLOT, Asked("v0001", "first", AT), CONFIG)
    assert stood.offer.level == pytest.approx(PORTION / 2 / 3), "two slots, three configurations"
    verdict = judge(Evidence(**{**BASIS, "brier_skill_p": 0.0001, "direction_skill_p": 0.0001}),
                    CONFIG, stood)  # fmt: skip
    assert (verdict.outcome, verdict.drawn, verdict.portions_left) == ("promote", True, 11)
    assert spend(registry, SLOT, stood, verdict, AT)
    (made,) = Budget.read(tmp_path, SLOT).draws
    assert (made.kind, made.admitted, made.batch, made.level) == ("first", True, 3, verdict.level)
    move(tmp_path, SLOT, "v0001", "trade", reason="a test", who="test", at=AT)
    assert fleet(registry, SLOT, AT) == (2, 1)
    assert fleet(registry, SLOT, "2027-01-01T00:00:00+00:00") == (2, 0), "a year later"
    again = standing(registry, SLOT, Asked("v0001", "first", AT), CONFIG)
    assert again.offer.repeated
    few = judge(Evidence(**{**BASIS, "effective_rows": 3}), CONFIG, stood)
    assert not spend(registry, SLOT, stood, few, AT)


def against(version: str, difference: float, *, comparable: bool = True) -> Evidence:
    told = {"comparable": comparable, "common_rows": 100, "log_loss_difference": difference}
    champion = ChampionEvidence(
        version=version, mode="observe", low=difference, high=difference, **told
    )
    return Evidence(**BASIS, champion=champion)


def test_the_chain_finds_the_best_champion_ever(tmp_path: Path) -> None:
    registered(tmp_path, SLOT, 5)
    steps = {2: ("v0001", -0.03), 3: ("v0002", 0.01), 4: ("v0003", -0.002), 5: ("v0004", 0.02)}
    for number, step in steps.items():
        keep_evidence(tmp_path, SLOT, version_name(number), against(*step))
    told = {n: chain(tmp_path, SLOT, version_name(n)) for n in range(1, 6)}
    assert [(c.best, round(c.loss, 6)) for c in told.values()] == [
        ("v0001", 0.0), ("v0002", 0.0), ("v0002", 0.01), ("v0002", 0.008), ("v0002", 0.028),
    ]  # fmt: skip
    keep_evidence(tmp_path, SLOT, "v0004", against("v0003", 0.5, comparable=False))
    cut = chain(tmp_path, SLOT, "v0005")
    assert (cut.best, cut.loss) == ("v0004", 0.02)
    keep_evidence(tmp_path, SLOT, "v0004", against("v0005", 0.5))
    assert chain(tmp_path, SLOT, "v0005").best == "v0004", "a circle is not followed"


@pytest.mark.parametrize("step", [0.004, 0.011, 0.0199])
def test_a_little_worse_each_time_ends_within_the_limit(tmp_path: Path, step: float) -> None:
    registry = registered(tmp_path, SLOT)
    keep_evidence(tmp_path, SLOT, "v0001", Evidence(**BASIS))
    champion, lost, verdict = "v0001", 0.0, None
    for number in range(2, 20):
        version = registry.add(SLOT, {"model": f"{step} {number}".encode()}, AT).version
        evidence = against(champion, step)
        stood = standing(registry, SLOT, Asked(version, "refresh", AT, champion), CONFIG)
        verdict = judge(evidence, CONFIG, stood)
        if verdict.outcome == "refuse":
            break
        keep_evidence(tmp_path, SLOT, version, evidence)
        move(tmp_path, SLOT, version, "observe", reason="a test", who="test", at=AT)
        champion, lost = version, lost + step
    assert verdict is not None
    assert isinstance(verdict, Verdict)
    assert verdict.outcome == "refuse"
    assert "v0001, the best champion ever" in verdict.sentence
    assert lost <= CONFIG.max_cumulative_loss < lost + step


CARD: dict[str, Any] = {
    "recipe": "demo", "exchange": "simulated", "feed": "simulated", "market": "SIM-BTC",
    "timeframe": "1h", "as_of": "2026-01-01T00:00+00:00", "libraries": {"numpy": "2.0"},
    "data": {"sha256": "a" * 64}, "code": {"train": "x", "labels": "y"},
    "config": {
        "download": {"as_of": "2026-01-01T00:00+00:00", "history_days": 90},
        "train": {"seed": 7, "heads": {"a": {"model": {"depth": 6}}}, "kept": {}},
        "signal": {"action_threshold": 0.5},
    },
}  # fmt: skip


def changed(*path: str, to: Any) -> dict[str, Any]:
    card = json.loads(json.dumps(CARD))
    node = card
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = to
    return dict(card)


@pytest.mark.parametrize(
    "card",
    [
        CARD,
        changed("as_of", to="2026-01-02T00:00+00:00"),
        changed("config", "download", "as_of", to="2026-01-02T00:00+00:00"),
        changed("data", to={"sha256": "b" * 64}),
        changed("libraries", to={"numpy": "3.0"}),
    ],
)
def test_newer_candles_and_libraries_make_a_refresh(card: dict[str, Any]) -> None:
    assert kinship(card, CARD) == ("refresh", "")


@pytest.mark.parametrize(
    ("card", "differs"),
    [
        (changed("feed", to="upbit"), "feed was simulated and is upbit"),
        (changed("code", "train", to="z"), "the code of train differs"),
        (changed("code", to={"train": "x"}), "the code of labels differs"),
        (changed("config", "train", "seed", to=8), "train.seed was 7 and is 8"),
        (changed("config", "download", "history_days", to=91),
         "download.history_days was 90 and is 91"),
        (changed("config", "train", "heads", "a", "model", "depth", to=7),
         "train.heads.a.model.depth was 6 and is 7"),
        (changed("config", "train", "heads", "b", to={}), "train.heads.b is new"),
        (changed("config", "train", "heads", to={}), "train.heads.a is gone"),
        (changed("config", "signal", "action_threshold", to=0.6),
         "signal.action_threshold was 0.5 and is 0.6"),
        (changed("config", "train", "kept", to={"a": {"sha256": "c", "version": "v1"}}),
         "train.kept.a is new"),
    ],
)  # fmt: skip
def test_whatever_else_differs_makes_a_change(card: dict[str, Any], differs: str) -> None:
    assert kinship(card, CARD) == ("change", differs)


def test_a_kept_head_is_its_bytes() -> None:
    kept = changed("config", "train", "kept", to={"a": {"sha256": "c", "version": "v0001"}})
    later = changed("config", "train", "kept", to={"a": {"sha256": "c", "version": "v0002"}})
    other = changed("config", "train", "kept", to={"a": {"sha256": "d", "version": "v0001"}})
    assert kinship(later, kept).kind == "refresh"
    assert kinship(other, kept).differs == "train.kept.a.sha256 was c and is d"
