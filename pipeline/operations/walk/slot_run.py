"""One slot of a walk, in whichever process it comes to: it travels there, its result back."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from pipeline import log
from pipeline.cores import VARIABLE, cpu_seconds
from pipeline.market.exchanges.machine import Machine, silent
from pipeline.operations.caught import Caught, told
from pipeline.operations.places import Places
from pipeline.operations.retraining.build_run import How
from pipeline.operations.retraining.keeping import without_skip
from pipeline.operations.retraining.orphans import end_leftovers
from pipeline.operations.retraining.retrain import retrain
from pipeline.operations.retraining.slot_task import Switch
from pipeline.operations.retraining.step_watch import Limits
from pipeline.operations.retraining.trying import try_slot
from pipeline.operations.retraining.waiting import waiting_for
from pipeline.operations.target import Target, resolve
from pipeline.operations.walk import unchanged
from pipeline.operations.walk.fetching import fetch, is_short, mark_short
from pipeline.operations.walk.slot_result import SlotResult, of_outcome
from pipeline.stages.download import NO_DOWNLOAD
from registry.slots import Slot

Mode = Literal["retrain", "experiment", "download"]


@dataclass(frozen=True, slots=True)
class SlotTask:
    """What is to be done with one slot; all of it travels.

    `words` name the slot, `as_of` is a moment; without `fetch` the store is used as it is; `cores`
    are the processes it may have. `positions` are the words that say who knows what is held, and
    `wait` says how long it is waited for a flat market.
    """

    slot: str
    words: tuple[str, ...]
    as_of: str
    run: str
    home: Path
    checkout: Path
    mode: Mode = "retrain"
    fetch: bool = True
    force: bool = False
    limits: Limits = field(default_factory=Limits)
    switch: Switch = field(default_factory=Switch)
    positions: tuple[str, ...] = ()
    wait: str | None = None
    cores: int = 1

    @property
    def told_words(self) -> str:
        """The words as a person would type them."""
        return " ".join(self.words)


def run_slot(task: SlotTask, progress: Callable[[str], None] = silent) -> SlotResult:
    """Do it, and tell what came of it: an error ends this slot, and no other.

    It raises nothing but an interruption.
    """
    started, worked = time.perf_counter(), cpu_seconds()
    with log.environment(_environment(task)), log.tagged(run=task.run, slot=task.slot):
        caught = Caught()
        with caught:
            end_leftovers(task.home, Slot.parse(task.slot))
            result = MODES[task.mode](task, progress)
        if caught.error is not None:
            result = failed(task, caught.error)
        result = dataclasses.replace(
            result,
            seconds=round(time.perf_counter() - started, 3),
            cpu_seconds=round(cpu_seconds() - worked, 3),
        )
        tell(result)
    return result


def failed(task: SlotTask, error: BaseException) -> SlotResult:
    """The result of a slot that an error ended."""
    text, code = told(error)
    words, as_of = task.told_words, task.as_of
    return SlotResult(task.slot, words, as_of, "failed", error=text, exit_code=code)


def tell(result: SlotResult) -> None:
    """Write what came of a slot into the log."""
    level = log.ERROR if result.state == "failed" else log.INFO
    level = log.WARNING if result.state == "refused" else level
    facts = dataclasses.asdict(result)
    del facts["metrics"]
    log.event("slot_finished", level, **facts)


def _retrain(task: SlotTask, progress: Callable[[str], None]) -> SlotResult:
    target, places = _target(task), Places(task.home, task.checkout)
    before = unchanged.inputs(target, places)
    outcome = retrain(target, places, _now(), progress, task.switch)
    result = of_outcome(outcome, task.told_words)
    mark_short(target, places, task.fetch)
    if not target.skip and task.fetch and not outcome.served.pending:
        unchanged.remember(target, places, before, result)
    return result


def _experiment(task: SlotTask, progress: Callable[[str], None]) -> SlotResult:
    target, places = _target(task), Places(task.home, task.checkout)
    tried = try_slot(target, places, progress)
    mark_short(target, places, task.fetch)
    tries = "1 configuration" if tried.trials == 1 else f"{tried.trials} configurations"
    count = f"the slot's ledger counts {tries}"
    return SlotResult(
        slot=task.slot,
        words=task.told_words,
        as_of=task.as_of,
        state="tried",
        stages=tried.ran,
        peak_mb=max((tried.timings[stage].peak_mb for stage in tried.timings), default=0),
        champion=tried.champion,
        sentence=f"evaluated and not registered; {count}",
        metrics=dict(tried.metrics),
    )


def _download(task: SlotTask, progress: Callable[[str], None]) -> SlotResult:
    target = _target(task)
    progress("download")
    fetched = fetch(target, Places(task.home, task.checkout), _now())
    state: Literal["downloaded", "unchanged"] = "downloaded" if fetched.new else "unchanged"
    words, as_of = task.told_words, target.plan.run.as_of
    return SlotResult(task.slot, words, as_of, state, ("download",), sentence=fetched.sentence)


MODES: dict[Mode, Callable[[SlotTask, Callable[[str], None]], SlotResult]] = {
    "retrain": _retrain,
    "experiment": _experiment,
    "download": _download,
}


def _target(task: SlotTask) -> Target:
    words, skip = without_skip(task.words)
    words, conf = [*words, f"as_of='{task.as_of}'"], task.checkout / "conf"
    target = resolve(words, conf, task.home, _now())
    waiting = waiting_for(task.positions, conf, task.wait, Machine())
    waiting = waiting.of([market.name for market in target.market.members])
    anew = task.force or (task.fetch and is_short(target, Places(task.home, task.checkout)))
    build = How(anew, (), task.limits)
    return dataclasses.replace(target, skip=skip, build=build, waiting=waiting)


def _environment(task: SlotTask) -> dict[str, str]:
    told = {VARIABLE: str(task.cores), "VINTAGE_HOME": str(task.home)}
    return told if task.fetch else {**told, NO_DOWNLOAD: "1"}


def _now() -> pd.Timestamp:
    return pd.Timestamp.now(tz="UTC")
