"""One slot, from candles to champion: build, register, judge, promote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from pipeline import log
from pipeline.errors import RetryLater
from pipeline.fitting.trial import TrialFacts
from pipeline.live.first_load import require_loadable
from pipeline.live.task import task_digest
from pipeline.operations.places import Places
from pipeline.operations.retraining import candidate as candidates
from pipeline.operations.retraining.build_run import reproduce
from pipeline.operations.retraining.candidate import Candidate
from pipeline.operations.retraining.challenger import RETRAIN, challenge
from pipeline.operations.retraining.judging import Judgement, judgement, write_down
from pipeline.operations.retraining.keeping import keeping, kept_heads, lay_out
from pipeline.operations.retraining.outcome import REFUSED, Outcome
from pipeline.operations.retraining.revisions import KNOWN, mark_revised
from pipeline.operations.retraining.slot_task import Switch, require_same_service
from pipeline.operations.retraining.waiting import Served, Wanted, serve_pending, serve_when_flat
from pipeline.operations.target import Target
from pipeline.operations.versions.processor import CPU, cpu_family
from pipeline.operations.workspace import FOLDER, lock_path, prepare
from pipeline.stages.paths import QUALITY, REPORT
from registry.gate import Verdict
from registry.history import Pointer
from registry.pointers import Because, champion, move
from registry.slots import Slot
from registry.versions import Added, Registry

UNSWITCHED = Switch()


def retrain(
    target: Target,
    places: Places,
    now: pd.Timestamp,
    progress: Callable[[str], None],
    switch: Switch = UNSWITCHED,
) -> Outcome:
    """Build the slot's candidate and put it into service if the gate lets it.

    Parameters
    ----------
    switch
        Let the candidate take the place of a champion that learnt from another feed or answers
        another question; the two are not held against each other then.

    Raises
    ------
    ConfigError
        When the slot's champion serves another feed, other heads, labels or another timeframe, or a
        head that the target skips cannot be kept.
    RetryLater
        When another retrain of the same slot is running.
    VintageError
        When a stage fails; the champion stays.
    """
    path = lock_path(places.home, target.slot)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path).acquire(timeout=0):
            require_same_service(target, places.registry, switch)
            stood = champion(places.registry.root, target.slot)
            waited = _serve_pending(target, places, now)
            target, built, ran = _built(target, places, now, progress)
            outcome = _after(stood, waited, _decide(target, places, built, now, ran))
    except Timeout:
        raise RetryLater(
            "another retrain of this slot is running",
            where=str(target.slot),
            fix="wait for it to end and repeat",
        ) from None
    _log(outcome)
    return outcome


def _built(
    target: Target, places: Places, now: pd.Timestamp, progress: Callable[[str], None]
) -> tuple[Target, Candidate, tuple[str, ...]]:
    """Build the candidate in the slot's workspace; tell also what it keeps and which stages ran."""
    kept = kept_heads(target, places.registry)
    target = keeping(target, kept, places.registry, places.checkout / "conf")
    workspace = prepare(places.home, places.checkout, target.slot, target.choices)
    lay_out(workspace, kept)
    log.event("retrain_started", slot=str(target.slot), as_of=target.plan.run.as_of)
    ran = reproduce(workspace, places.home, progress, target.build).ran
    for market in target.market.members:
        mark_revised(places.registry, target.store, target.series_of(market), now)
    return target, candidates.collect(workspace, target.slot, target.plan.run), ran


def _serve_pending(target: Target, places: Places, now: pd.Timestamp) -> str:
    return serve_pending(places.registry, target.slot, target.waiting, RETRAIN, now.isoformat())


def _after(stood: Pointer | None, waited: str, outcome: Outcome) -> Outcome:
    """Tell beside an outcome what waited before; `stood` was champion before that."""
    already = stood is not None and stood.version == outcome.version
    came = bool(waited) and not already and outcome.before == outcome.version
    return replace(outcome, waited=waited, came=came)


def _decide(
    target: Target, places: Places, built: Candidate, now: pd.Timestamp, ran: tuple[str, ...]
) -> Outcome:
    registry, at = places.registry, now.isoformat()
    before = champion(registry.root, target.slot)
    added = _registered(target, registry, built, before, at)
    if costs := _costs(built, ran):
        registry.note(target.slot, added.version, "built", at, **costs)
    made = judgement(built, target, places, added.version, before)
    served = Served(before)
    if made.counts:
        write_down(made, target, registry, at)
        served = _followed(made, target, registry, before, at)
    return Outcome(
        target=target,
        ran=ran,
        candidate=built,
        version=added.version,
        created=added.created,
        verdict=made.verdict,
        pointer=served.pointer,
        before=before.version if before else None,
        report=target.slot.folder(registry.root) / added.version / REPORT.name,
        checks=places.home / FOLDER / str(target.slot) / QUALITY,
        evidence=made.evidence,
        served=served,
        anew=made.anew,
    )


def _registered(
    target: Target, registry: Registry, built: Candidate, before: Pointer | None, at: str
) -> Added:
    """Add the candidate to the registry, with what is known only now, and count its trial."""
    TrialFacts.of_local(target.plan.local, "compose").count(registry.root, RETRAIN)
    note: dict[str, Any] = {KNOWN: list(built.revisions_known)}
    note |= {"words": f"{target.chosen} as_of={target.plan.run.as_of}"}
    note |= {"task": task_digest(target.plan.stages["labels"]), CPU: cpu_family()}
    note |= {"parent": before.version} if before else {}
    return registry.add(target.slot, built.files, registered_at=at, note=note)


def _followed(
    made: Judgement, target: Target, registry: Registry, before: Pointer | None, at: str
) -> Served:
    """Do what a verdict says; a version that is observed already moves only to trade."""
    verdict, promoted = made.verdict, made.verdict.outcome == "promote"
    if made.anew and not promoted:
        return Served(before)
    generation = _demoted(registry.root, target.slot, before, verdict, at)
    if verdict.outcome == REFUSED:
        if verdict.demotes:
            return Served(champion(registry.root, target.slot))
        if made.audit is None or made.audit.passed:
            challenge(target, registry, made.version, made.evidence, at)
        return Served(before)
    _require_loadable(registry, target, made.version)
    wanted = Wanted(
        slot=target.slot,
        version=made.version,
        mode="trade" if promoted else "observe",
        reason=verdict.sentence,
        who=RETRAIN,
        generation=generation,
    )
    return serve_when_flat(registry, wanted, target.waiting, at)


def _demoted(root: Path, slot: Slot, before: Pointer | None, verdict: Verdict, at: str) -> int:
    """Let a champion that lost what it was admitted for observe, and tell the pointer's generation.

    It is observed at once and for good, however long its successor waits.
    """
    if before is None:
        return 0
    if not verdict.demotes:
        return before.generation
    because: Because = {"reason": verdict.sentence, "who": RETRAIN, "at": at}
    because["expected_generation"] = before.generation
    return move(root, slot, before.version, "observe", **because).generation


def _require_loadable(registry: Registry, target: Target, version: str) -> None:
    verified = registry.open(target.slot, version)
    require_loadable(registry, target.slot, verified, lambda: target.plan.plugins)


def _costs(built: Candidate, ran: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Seconds, CPU seconds and peak MiB of the stages that ran, each by stage."""
    costs: dict[str, dict[str, float]] = {}
    for stage in ran:
        if stage in built.timings:
            for name, value in asdict(built.timings[stage]).items():
                costs.setdefault(name, {})[stage] = value
    return costs


def _log(outcome: Outcome) -> None:
    facts: dict[str, Any] = {
        "slot": str(outcome.target.slot),
        "version": outcome.version,
        "created": outcome.created,
        "verdict": outcome.verdict.outcome,
        "champion": outcome.pointer.version if outcome.pointer else None,
        "pending_until": outcome.served.until or None,
        **outcome.candidate.metrics,
    }
    log.event("retrain_finished", **facts)
