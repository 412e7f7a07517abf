"""What a retrain draws, keeps and demotes, run in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.commands.retrain import _facts
from pipeline.evaluation.evidence import certifications
from registry.budget import Budget
from registry.conditions import GateConfig
from registry.draws import BUDGET
from registry.evidence import Certification, Evidence
from registry.pointers import champion, history, move, rollback
from registry.refreshing import certified
from registry.versions import Registry
from tests.conftest import AS_OF
from tests.unit.test_comparing import SLOT, Retrain
from tests.unit.test_comparing import retrained as retrained  # noqa: PLC0414 - a fixture

NEXT, AFTER = "2025-12-21T00:00Z", "2025-12-22T00:00Z"
FEW = ("gate.min_effective_rows=1",)


def test_a_draw_is_spent_once_a_month_and_told(home: Path, retrained: Retrain) -> None:
    root = home / "models" / "registry"
    first = retrained(AS_OF, *FEW)
    assert (first.verdict.outcome, first.verdict.kind) == ("observe", "first")
    (made,) = Budget.read(root, SLOT).draws
    assert (made.version, made.as_of, made.admitted) == (
        "v0001",
        first.target.plan.run.as_of,
        False,
    )
    refresh = retrained(NEXT, *FEW)
    assert (refresh.verdict.kind, refresh.verdict.drawn) == ("refresh", False)
    assert (refresh.verdict.due, refresh.pointer and refresh.pointer.version) == (
        "2026-01-19",
        "v0002",
    )
    change = retrained(AFTER, *FEW, "seed=8")
    assert (change.verdict.kind, change.verdict.drawn) == ("change", True)
    assert change.verdict.differs == "train.seed was 7 and is 8"
    assert [draw.version for draw in Budget.read(root, SLOT).draws] == ["v0001", "v0003"]
    told = _facts(change)
    assert {name: told[name] for name in ("kind", "portions_left", "due", "demotes")} == {
        "kind": "change",
        "portions_left": 10,
        "due": None,
        "demotes": False,
    }
    assert 0 < told["level"] < told["p"] <= 1
    (judged,) = [e for e in Registry(root).events(SLOT, "v0003") if e["event"] == "judged"]
    assert {"kind", "differs", "level", "p", "portions_left"} <= {*judged}
    again = retrained(AFTER, *FEW, "seed=8")
    assert not again.created
    assert len((SLOT.folder(root) / BUDGET).read_text().splitlines()) == 2
    json.dumps(told)


def test_a_trading_champion_whose_skill_is_gone_is_observed(home: Path, retrained: Retrain) -> None:
    root = home / "models" / "registry"
    retrained(AS_OF, *FEW)
    move(root, SLOT, "v0001", "trade", reason="by hand", who="test", at=AS_OF)
    refresh = retrained(NEXT, *FEW)
    assert refresh.verdict.demotes
    assert "v0001 trades no longer" in refresh.verdict.sentence
    standing = champion(root, SLOT)
    assert standing is not None
    assert (standing.version, standing.mode) == ("v0002", "observe")
    modes = [(each.to, each.mode, each.who) for each in history(root, SLOT)]
    assert modes[1:] == [
        ("v0001", "trade", "test"),
        ("v0001", "observe", "retrain"),
        ("v0002", "observe", "retrain"),
    ]
    back = rollback(root, SLOT, at=NEXT, who="test", reason="back")
    assert (back.version, back.mode) == ("v0001", "observe"), "no way around a portion"


def test_a_change_without_proof_leaves_a_trading_champion_alone(
    home: Path, retrained: Retrain
) -> None:
    root = home / "models" / "registry"
    retrained(AS_OF, *FEW)
    move(root, SLOT, "v0001", "trade", reason="by hand", who="test", at=AS_OF)
    change = retrained(NEXT, *FEW, "seed=8")
    assert change.verdict.outcome == "refuse"
    assert change.verdict.sentence.startswith(
        "Refuse: v0001 trades and stays; a change (train.seed was 7 and is 8)"
    )
    assert "to earn more after costs" in change.verdict.sentence
    standing = champion(root, SLOT)
    assert standing is not None
    assert (standing.version, standing.mode) == ("v0001", "trade")


def test_certified_refits_are_read_where_they_are_told() -> None:
    told: Any = {"rows": 40, "rank_correlation": 0.8, "signal_rate": 0.2, "fold_signal_rate": 0.3}
    heads: dict[str, Any] = {
        "b": {"certification": {**told, "more": 1}},
        "a": {"certification": None},
        "c": {},
    }
    heads["d"] = {"certification": {"why_not": "no row is left"}}
    assert certifications(heads) == (Certification(head="b", **told),)


def test_a_refit_is_certified_on_rows_that_neither_learnt_from() -> None:
    told: Any = {"rows": 40, "rank_correlation": 0.05, "signal_rate": 0.2, "fold_signal_rate": 0.2}
    known = {"unlabelled_rows": 24, "unlabelled_rank_correlation": 0.9}
    evidence = Evidence(
        finite=True,
        effective_rows=60,
        brier_skill=0.1,
        brier_skill_low=0.02,
        balanced_accuracy=0.4,
        classes=3,
    )
    cases = [({}, True), (known, True), (known | {"unlabelled_rank_correlation": 0.2}, False)]
    cases += [({"rank_correlation": -0.05}, False), ({"rank_correlation": None}, False)]
    for more, passed in cases:
        refit = Certification(head="a", **{**told, **more})
        (found,) = certified(evidence.model_copy(update={"certified": (refit,)}), GateConfig())
        assert found.passed == passed, more
