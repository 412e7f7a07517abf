"""One slot, from candles to champion: build, register, judge, promote."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from pipeline import log
from pipeline.errors import RetryLater
from pipeline.evaluation.comparison import compare
from pipeline.operations import candidate as candidates
from pipeline.operations.build_run import reproduce
from pipeline.operations.candidate import Candidate
from pipeline.operations.target import Target
from pipeline.operations.workspace import prepare
from registry.errors import RegistryError
from registry.gate import ChampionEvidence, Evidence, Verdict, judge
from registry.history import Mode, Pointer
from registry.pointers import champion, move
from registry.versions import Registry

REFUSED = "refuse"


@dataclass(frozen=True, slots=True)
class Places:
    """Where a retrain reads code and writes results."""

    home: Path
    checkout: Path

    @property
    def registry(self) -> Registry:
        """The registry below the home folder."""
        return Registry(self.home / "models" / "registry")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one retrain did."""

    target: Target
    ran: tuple[str, ...]
    candidate: Candidate
    version: str
    created: bool
    verdict: Verdict
    pointer: Pointer | None
    before: str | None


def retrain(
    target: Target, places: Places, now: pd.Timestamp, progress: Callable[[str], None]
) -> Outcome:
    """Build the slot's candidate and put it into service if the gate lets it.

    Raises
    ------
    RetryLater
        When another retrain of the same slot is running.
    VintageError
        When a stage fails; the champion stays.
    """
    workspace = prepare(places.home, places.checkout, target.slot, target.choices)
    lock = FileLock(workspace.path(Path(".retrain.lock")))
    try:
        with lock.acquire(timeout=0):
            log.event("retrain_started", slot=str(target.slot), as_of=target.plan.run.as_of)
            ran = reproduce(workspace, places.home, progress).ran
            chosen = target.plan.run.model_dump(mode="json")
            built = candidates.collect(workspace, target.slot, chosen)
            outcome = _decide(target, places, built, now, ran)
    except Timeout:
        raise RetryLater(
            "another retrain of this slot is running",
            where=str(target.slot),
            fix="wait for it to end and repeat",
        ) from None
    _log(outcome)
    return outcome


def _decide(
    target: Target, places: Places, built: Candidate, now: pd.Timestamp, ran: tuple[str, ...]
) -> Outcome:
    registry, at = places.registry, now.isoformat()
    before = champion(registry.root, target.slot)
    added = registry.add(target.slot, built.files, registered_at=at)
    verdict = judge(_evidence(built, registry, target, before), target.plan.run.gate)
    pointer = before
    again = before is not None and before.version == added.version
    if not again:
        registry.note(target.slot, added.version, "judged", at, **verdict.model_dump(mode="json"))
        if verdict.outcome != REFUSED:
            pointer = _promote(target, registry, added.version, verdict, at)
    return Outcome(
        target=target,
        ran=ran,
        candidate=built,
        version=added.version,
        created=added.created,
        verdict=verdict,
        pointer=pointer,
        before=before.version if before else None,
    )


def _promote(
    target: Target, registry: Registry, version: str, verdict: Verdict, at: str
) -> Pointer:
    mode: Mode = "trade" if verdict.outcome == "promote" else "observe"
    return move(
        registry.root,
        target.slot,
        version,
        mode=mode,
        reason=verdict.sentence,
        who="retrain",
        at=at,
    )


def _evidence(
    built: Candidate, registry: Registry, target: Target, before: Pointer | None
) -> Evidence:
    scores = built.scores.values()
    return Evidence(
        quality_ok=True,
        finite=all(math.isfinite(value) for head in scores for value in head.values()),
        effective_rows=min(head["effective_rows"] for head in scores),
        brier_skill=min(head["brier_skill"] for head in scores),
        brier_skill_low=min(head["brier_skill_low"] for head in scores),
        classes=max(len(head.classes) for head in built.out_of_fold.values()),
        balanced_accuracy=built.metrics["balanced_accuracy"],
        champion=_against(built, registry, target, before) if before else None,
    )


def _against(
    built: Candidate, registry: Registry, target: Target, before: Pointer
) -> ChampionEvidence:
    try:
        incumbent = registry.open(target.slot, before.version)
    except RegistryError as error:
        told = f"the champion is damaged: {error}"
        return _champion_evidence(before, False, told, 0, 0.0)
    feed = incumbent.card()["feed"]
    if feed != target.plan.run.feed:
        return _champion_evidence(before, False, f"the champion saw another feed, {feed}", 0, 0.0)
    difference = compare(built.out_of_fold, candidates.out_of_fold_of(incumbent))
    return _champion_evidence(
        before,
        difference.comparable,
        difference.why_not,
        difference.common_rows,
        difference.log_loss_difference,
    )


def _champion_evidence(
    before: Pointer, comparable: bool, why_not: str, rows: int, difference: float
) -> ChampionEvidence:
    return ChampionEvidence(
        version=before.version,
        mode=before.mode,
        comparable=comparable,
        why_not=why_not,
        common_rows=rows,
        log_loss_difference=difference,
    )


def _log(outcome: Outcome) -> None:
    facts: dict[str, Any] = {
        "slot": str(outcome.target.slot),
        "version": outcome.version,
        "created": outcome.created,
        "verdict": outcome.verdict.outcome,
        "champion": outcome.pointer.version if outcome.pointer else None,
        **outcome.candidate.metrics,
    }
    log.event("retrain_finished", **facts)
