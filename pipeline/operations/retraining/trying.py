"""A run of a slot that nobody is served: built, evaluated, counted as a trial, not registered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from filelock import FileLock, Timeout

from pipeline.errors import RetryLater
from pipeline.fitting.trial import TrialFacts
from pipeline.operations.places import Places
from pipeline.operations.retraining import candidate as candidates
from pipeline.operations.retraining.build_run import reproduce
from pipeline.operations.retraining.keeping import keeping, kept_heads, lay_out
from pipeline.operations.target import Target
from pipeline.operations.workspace import lock_path, prepare
from pipeline.runner import Timing
from registry.pointers import champion
from registry.trials import count_trials

SOURCE = "experiment"


@dataclass(frozen=True, slots=True)
class Tried:
    """Figures of a run that registered nothing; `trials` is how many the slot's ledger has now."""

    ran: tuple[str, ...]
    metrics: Mapping[str, float]
    timings: Mapping[str, Timing]
    champion: str | None
    trials: int


def try_slot(target: Target, places: Places, progress: Callable[[str], None]) -> Tried:
    """Build and evaluate in the slot's workspace; the registry gains a trial and nothing else.

    Raises
    ------
    RetryLater
        When the slot is being built by another process, or a stage took too long.
    VintageError
        When a stage fails.
    """
    path = lock_path(places.home, target.slot)
    path.parent.mkdir(parents=True, exist_ok=True)
    registry = places.registry
    try:
        with FileLock(path).acquire(timeout=0):
            kept = kept_heads(target, registry)
            target = keeping(target, kept, registry, places.checkout / "conf")
            workspace = prepare(places.home, places.checkout, target.slot, target.choices)
            lay_out(workspace, kept)
            ran = reproduce(workspace, places.home, progress, target.build).ran
            built = candidates.collect(workspace, target.slot, target.plan.run)
    except Timeout:
        raise RetryLater(
            "this slot is being built by another process",
            where=str(target.slot),
            fix="wait for it to end and repeat",
        ) from None
    TrialFacts.of_local(target.plan.local, "compose").count(registry.root, SOURCE)
    before = champion(registry.root, target.slot)
    return Tried(
        ran=ran,
        metrics=built.metrics,
        timings={stage: built.timings[stage] for stage in ran if stage in built.timings},
        champion=before.version if before else None,
        trials=count_trials(registry.root, target.slot),
    )
