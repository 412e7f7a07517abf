"""Walking a fleet: find every slot and its moment, work at each, tell what came of all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

import pandas as pd

from pipeline import log
from pipeline.configuration.compose import read_root
from pipeline.cores import worker_count
from pipeline.errors import ConfigError, RetryLater
from pipeline.operations.caught import Caught
from pipeline.operations.places import Places
from pipeline.operations.walk import unchanged
from pipeline.operations.walk.dry_run import planned
from pipeline.operations.walk.executors.base import Executor
from pipeline.operations.walk.fetching import is_short
from pipeline.operations.walk.slot_result import NOTHING_TO_DO, SlotResult, exit_code_of
from pipeline.operations.walk.slot_run import SlotTask, failed, run_slot, tell
from pipeline.operations.walk.walk_slots import Asked, Slots, open_slots

Show = Callable[[str], None]


def walk(
    asked: Asked, places: Places, executor: Executor, now: pd.Timestamp, show: Show
) -> list[SlotResult]:
    """Do what is asked with every slot; an error in one never stops another.

    Returns
    -------
    list of SlotResult
        In the order of the slots.

    Raises
    ------
    ConfigError
        When two entries name one slot, or every slot fails by the same word.
    """
    show("finding the slots")
    slots = open_slots(asked, places, now)
    if asked.dry:
        slots.each(lambda number: _planned(slots, number, places))
    else:
        with log.tagged(run=asked.run):
            _really(asked, slots, places, executor, show)
    return [slots.results[number] for number in range(len(slots.tasks))]


def _really(asked: Asked, slots: Slots, places: Places, executor: Executor, show: Show) -> None:
    log.event("walk_started", slots=len(slots.tasks), mode=asked.mode, as_of=asked.as_of)
    _log_failed(slots)
    if asked.mode == "retrain" and not asked.force:
        slots.each(lambda number: _still(slots, number, places))
    _work(slots, executor, worker_count(_workers(asked, places)), show)
    code = exit_code_of(slots.results.values())
    level = log.INFO if code in (0, NOTHING_TO_DO) else log.WARNING
    log.event("walk_finished", level, exit_code=code)


def _planned(slots: Slots, number: int, places: Places) -> SlotResult:
    return planned(slots.targets[number], places, slots.tasks[number].told_words)


def _still(slots: Slots, number: int, places: Places) -> SlotResult | None:
    target = slots.targets[number]
    if target.skip or is_short(target, places):
        return None
    found = unchanged.still(target, places)
    if found is not None:
        _tell(found)
    return found


def _log_failed(slots: Slots) -> None:
    for result in slots.results.values():
        _tell(result)


def _tell(result: SlotResult) -> None:
    with log.tagged(slot=result.slot):
        tell(result)


def _workers(asked: Asked, places: Places) -> int | None:
    return asked.workers or read_root(places.checkout / "conf").workers


def _work(slots: Slots, executor: Executor, cores: int, show: Show) -> None:
    """Work at what is left; the cores are shared out once, among the slots that come together."""
    left = slots.left
    if not left:
        return
    room = executor.room(len(left), cores)
    tasks = [dataclasses.replace(slots.tasks[number], cores=room.cores) for number in left]
    show(f"{len(left)} of {len(slots.tasks)} slots, {room.slots} at once")
    work = partial(run_slot, progress=show) if room.here else run_slot
    show(f"{len(left)} of {len(slots.tasks)} slots, {room.slots} at once")
    caught = Caught()
    with caught:
        for place, result in executor.run(work, tasks, room):
            slot = tasks[place]
            slots.results[left[place]] = result or _lost(slot)
            show(f"{len(slots.results)} of {len(slots.tasks)} slots done; {slot.slot}")
    if isinstance(caught.error, ConfigError):
        raise caught.error
    for number in slots.left:  # the executor itself went
        assert caught.error is not None
        slots.fail(number, caught.error)
        _tell(slots.results[number])


def _lost(task: SlotTask) -> SlotResult:
    error = RetryLater(
        "the process of this slot was ended from outside, every time it was begun",
        where=task.slot,
        fix="repeat; if memory was short, work at fewer at once: executor.processes=1",
    )
    result = failed(task, error)
    _tell(result)
    return result
