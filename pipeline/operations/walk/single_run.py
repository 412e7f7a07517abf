"""A retrain of one slot as a run of its own: its events carry the run, and it leaves a report."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Sequence

import pandas as pd

from pipeline import log
from pipeline.cores import cpu_seconds
from pipeline.operations.caught import Caught, told
from pipeline.operations.places import Places
from pipeline.operations.retraining.orphans import end_leftovers
from pipeline.operations.retraining.outcome import Outcome
from pipeline.operations.target import Target
from pipeline.operations.walk.run_report import RunFacts, RunReport, leave_report
from pipeline.operations.walk.slot_result import SlotResult, of_outcome

HERE = "none"


def new_run(began: pd.Timestamp) -> str:
    """A name for a run: when it began, and letters that no other has."""
    return f"{began:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def reported(
    target: Target, places: Places, words: Sequence[str], work: Callable[[], Outcome]
) -> Outcome:
    """Retrain, and leave a report of it, whether it went well or not.

    Raises
    ------
    VintageError
        What the retrain raised.
    """
    began, worked = pd.Timestamp.now(tz="UTC"), cpu_seconds()
    run, caught = new_run(began), Caught()
    with log.tagged(run=run, slot=str(target.slot)):
        with caught:
            end_leftovers(places.home, target.slot)
            outcome = work()
        result = _failed(target, words, caught.error) if caught.error else _done(outcome, words)
        ended = pd.Timestamp.now(tz="UTC")
        seconds = round((ended - began).total_seconds(), 3)
        cpu = round(cpu_seconds() - worked, 3)
        result = dataclasses.replace(result, seconds=seconds, cpu_seconds=cpu)
        if caught.error:
            log.event("retrain_failed", log.ERROR, error=result.error, exit_code=result.exit_code)
        asked = f"vintage retrain {' '.join(words)}"
        leave_report(RunReport(RunFacts(run, asked, HERE, began, ended), [result]), places.home)
    if caught.error:
        raise caught.error
    return outcome


def _done(outcome: Outcome, words: Sequence[str]) -> SlotResult:
    return of_outcome(outcome, " ".join(words))


def _failed(target: Target, words: Sequence[str], error: Exception) -> SlotResult:
    text, code = told(error)
    as_of, typed = target.plan.run.as_of, " ".join(words)
    return SlotResult(str(target.slot), typed, as_of, "failed", error=text, exit_code=code)
