"""What came of one slot of a walk, as plain values, and what a walk's exit code is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.errors import (
    ConfigError,
    DataError,
    GateError,
    RetryLater,
    StageError,
)
from pipeline.operations.caught import INTERRUPTED, UNEXPECTED
from pipeline.operations.retraining.outcome import REFUSED, Outcome
from pipeline.operations.retraining.step_watch import START
from registry.errors import RegistryError

State = Literal[
    "planned",
    "retrained",
    "judged anew",
    "unchanged",
    "refused",
    "pending",
    "tried",
    "downloaded",
    "failed",
]
NOTHING_TO_DO = 8
EXIT_CODES = {"refused": GateError.exit_code, "pending": RetryLater.exit_code}
BADNESS = (
    0,
    GateError.exit_code,
    RetryLater.exit_code,
    DataError.exit_code,
    StageError.exit_code,
    RegistryError.exit_code,
    ConfigError.exit_code,
    UNEXPECTED,
    INTERRUPTED,
)


@dataclass(frozen=True, slots=True)
class SlotResult:
    """One slot of a walk.

    `stages` ran, or would run; `cpu_seconds` and `peak_mb` count the processes that it started,
    the peak is the highest of a stage. `sentence` is the gate's, or what was done instead.
    """

    slot: str
    words: str
    as_of: str
    state: State
    stages: tuple[str, ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: int = 0
    version: str | None = None
    champion: str | None = None
    verdict: str | None = None
    sentence: str = ""
    error: str = ""
    exit_code: int = 0
    metrics: dict[str, Any] = field(default_factory=dict)


def of_outcome(outcome: Outcome, words: str) -> SlotResult:
    """What a retrain did."""
    target, verdict = outcome.target, outcome.verdict
    champion = outcome.pointer.version if outcome.pointer else None
    refused = verdict.outcome == REFUSED and outcome.before != outcome.version
    made = {*outcome.ran} - {START} or outcome.created
    still = not made and champion == outcome.before
    state: State = "unchanged" if still else "refused" if refused else "retrained"
    state = "judged anew" if outcome.anew else state
    state = "pending" if outcome.served.pending else state
    timings = [outcome.candidate.timings.get(stage) for stage in outcome.ran]
    return SlotResult(
        slot=str(target.slot),
        words=words,
        as_of=target.plan.run.as_of,
        state=state,
        stages=outcome.ran,
        peak_mb=max((timing.peak_mb for timing in timings if timing), default=0),
        version=outcome.version,
        champion=champion,
        verdict=verdict.outcome,
        sentence=" ".join([outcome.sentence, *_waits(outcome)]),
        exit_code=EXIT_CODES.get(state, 0),
        metrics=dict(outcome.candidate.metrics),
    )


def _waits(outcome: Outcome) -> list[str]:
    pending = outcome.served.pending
    return [f"It stays pending: {pending.rstrip('.')}."] if pending else []


def exit_code_of(results: Iterable[SlotResult]) -> int:
    """The worst exit code of a walk; `NOTHING_TO_DO` where every slot is unchanged.

    Examples
    --------
    >>> one = SlotResult("demo/SIM-BTC", "recipe=demo", "", "unchanged")
    >>> exit_code_of([one, one]), exit_code_of([one, SlotResult("", "", "", "retrained")])
    (8, 0)
    """
    told = list(results)
    if told and all(result.state == "unchanged" for result in told):
        return NOTHING_TO_DO
    codes = [result.exit_code for result in told]
    return max(codes, key=lambda code: BADNESS.index(code) if code in BADNESS else 7, default=0)
