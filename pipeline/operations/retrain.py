"""One slot, from candles to champion: build, register, judge, promote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from pipeline import log
from pipeline.errors import RetryLater
from pipeline.evaluation.comparison import compare
from pipeline.evaluation.evidence import evidence_of
from pipeline.market.candles import moment
from pipeline.operations import candidate as candidates
from pipeline.operations.build_run import reproduce
from pipeline.operations.candidate import Candidate
from pipeline.operations.revisions import KNOWN, mark_revised
from pipeline.operations.target import Target
from pipeline.operations.workspace import lock_path, prepare
from pipeline.stages.paths import REPORT
from pipeline.trial import TrialFacts
from registry.errors import RegistryError
from registry.gate import ChampionEvidence, Evidence, Verdict, judge
from registry.history import Mode, Pointer
from registry.pointers import champion, history, move
from registry.trials import count_trials
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
    """What one retrain did; `report` is the version's page."""

    target: Target
    ran: tuple[str, ...]
    candidate: Candidate
    version: str
    created: bool
    verdict: Verdict
    pointer: Pointer | None
    before: str | None
    report: Path


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
    path = lock_path(places.home, target.slot)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path).acquire(timeout=0):
            workspace = prepare(places.home, places.checkout, target.slot, target.choices)
            log.event("retrain_started", slot=str(target.slot), as_of=target.plan.run.as_of)
            ran = reproduce(workspace, places.home, progress).ran
            mark_revised(places.registry, target.store, target.series, now)
            built = candidates.collect(workspace, target.slot, target.plan.run)
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
    TrialFacts.of_local(target.plan.local, "compose").count(registry.root, "retrain")
    note = {KNOWN: list(built.revisions_known)}
    added = registry.add(target.slot, built.files, registered_at=at, note=note)
    if costs := _costs(built, ran):
        registry.note(target.slot, added.version, "built", at, **costs)
    verdict = judge(_evidence(built, registry, target, before), target.plan.run.gate)
    pointer = before
    if not _served_before(registry, target, added.version):
        judged, trials = verdict.model_dump(mode="json"), count_trials(registry.root, target.slot)
        registry.note(target.slot, added.version, "judged", at, **judged, trials=trials)
        if verdict.outcome != REFUSED:
            mode: Mode = "trade" if verdict.outcome == "promote" else "observe"
            pointer = move(
                registry.root,
                target.slot,
                added.version,
                mode=mode,
                reason=verdict.sentence,
                who="retrain",
                at=at,
                expected_generation=before.generation if before else 0,
            )
    return Outcome(
        target=target,
        ran=ran,
        candidate=built,
        version=added.version,
        created=added.created,
        verdict=verdict,
        pointer=pointer,
        before=before.version if before else None,
        report=target.slot.folder(registry.root) / added.version / REPORT.name,
    )


def _costs(built: Candidate, ran: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Seconds, CPU seconds and peak MiB of the stages that ran, each by stage."""
    costs: dict[str, dict[str, float]] = {}
    for stage in ran:
        if stage in built.timings:
            for name, value in asdict(built.timings[stage]).items():
                costs.setdefault(name, {})[stage] = value
    return costs


def _served_before(registry: Registry, target: Target, version: str) -> bool:
    """Whether this version was champion once; a rollback from it is not undone by a rerun."""
    moves = history(registry.root, target.slot)
    return any(made.done and made.to == version for made in moves)


def _evidence(
    built: Candidate, registry: Registry, target: Target, before: Pointer | None
) -> Evidence:
    against = _against(built, registry, target, before) if before else None
    classes = [len(head.classes) for head in built.out_of_fold.values()]
    return evidence_of(built.scores, built.metrics, classes, against)


def _against(
    built: Candidate, registry: Registry, target: Target, before: Pointer
) -> ChampionEvidence | None:
    """Nothing when the champion is damaged: what cannot be served protects nobody."""
    try:
        incumbent = registry.open(target.slot, before.version)
    except RegistryError as error:
        log.event("champion_damaged", slot=str(target.slot), version=before.version, why=str(error))
        return None
    card, run = incumbent.card(), target.plan.run
    found = compare(built.out_of_fold, candidates.out_of_fold_of(incumbent))
    same_feed = card["feed"] == run.feed
    return ChampionEvidence(
        version=before.version,
        mode=before.mode,
        comparable=found.comparable and same_feed,
        why_not=found.why_not if same_feed else f"the champion saw another feed, {card['feed']}",
        common_rows=found.common_rows,
        log_loss_difference=found.log_loss_difference,
        is_newer=moment(card["as_of"]) > moment(run.as_of),
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
