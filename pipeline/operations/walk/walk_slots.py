"""The slots of a walk before anything is done with them: found, told apart, given a moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from pipeline.configuration.choices import LAST
from pipeline.errors import ConfigError
from pipeline.operations.caught import Caught
from pipeline.operations.places import Places
from pipeline.operations.retraining.build_run import How
from pipeline.operations.retraining.keeping import without_skip
from pipeline.operations.retraining.slot_task import Switch
from pipeline.operations.retraining.step_watch import Limits
from pipeline.operations.target import Opened, Target, open_target
from pipeline.operations.walk.fetching import is_short
from pipeline.operations.walk.fleet import Words
from pipeline.operations.walk.moments import Found, moments
from pipeline.operations.walk.slot_result import SlotResult
from pipeline.operations.walk.slot_run import Mode, SlotTask, failed

NAMING = ("recipe=", "market=", "exchange=")  # words that tell one slot from another


@dataclass(frozen=True, slots=True)
class Asked:
    """What a walk is asked to do with its slots.

    Parameters
    ----------
    slots
        The words of each, those of the walk among them, but for ``as_of``.
    as_of
        A moment, ``last`` or ``now``; found once for what shares an exchange.
    dry
        Only tell what would be done.
    fetch
        Whether the exchange may be asked for candles.
    workers
        Processes that the walk may have in all; None: as many as the cores allow.
    positions, wait
        Words that say who knows what is held, and how long a flat market is waited for.
    """

    slots: tuple[Words, ...]
    run: str
    as_of: str = LAST
    mode: Mode = "retrain"
    dry: bool = False
    fetch: bool = True
    force: bool = False
    limits: Limits = field(default_factory=Limits)
    switch: Switch = field(default_factory=Switch)
    workers: int | None = None
    positions: Words = ()
    wait: str | None = None


@dataclass(slots=True)
class Slots:
    """Slots under way: what each is to do, its target, and what came of those that are done."""

    tasks: list[SlotTask] = field(default_factory=list)
    targets: dict[int, Target] = field(default_factory=dict)
    results: dict[int, SlotResult] = field(default_factory=dict)

    @property
    def left(self) -> list[int]:
        """Numbers of those that are not done."""
        return [number for number in range(len(self.tasks)) if number not in self.results]

    def fail(self, number: int, error: Exception) -> None:
        """An error ended a slot."""
        self.results[number] = failed(self.tasks[number], error)

    def each(self, work: Callable[[int], SlotResult | None]) -> None:
        """Do something for every slot that is left; one that raises has failed."""
        for number in self.left:
            caught = Caught()
            with caught:
                done = work(number)
                if done is not None:
                    self.results[number] = done
            if caught.error is not None:
                self.fail(number, caught.error)


def open_slots(asked: Asked, places: Places, now: pd.Timestamp) -> Slots:
    """Find every slot and its moment; those that cannot be found have failed already.

    Raises
    ------
    ConfigError
        When two entries name one slot, or every slot fails by the same word.
    """
    slots = Slots([_task(asked, places, words) for words in asked.slots])
    opened: dict[int, Opened] = {}

    def open_one(number: int) -> None:
        words, _ = without_skip([*slots.tasks[number].words, f"as_of='{asked.as_of}'"])
        made = open_target(words, places.checkout / "conf", places.home, now)
        slots.tasks[number] = dataclasses.replace(slots.tasks[number], slot=str(made.target.slot))
        opened[number] = made

    slots.each(open_one)
    _refuse_common(slots)
    _refuse_twice(slots, opened)
    found = moments(opened, now, asked.fetch)
    slots.each(lambda number: _settle(asked, slots, number, opened[number], found))
    return slots


def _settle(asked: Asked, slots: Slots, number: int, opened: Opened, found: Found) -> None:
    if isinstance(moment := found[number], Exception):
        raise moment
    _, skip = without_skip(slots.tasks[number].words)
    target = opened.at(moment)
    build = How(
        asked.force or (asked.fetch and is_short(target, _places(slots, number))), (), asked.limits
    )
    target = dataclasses.replace(target, skip=skip, build=build)
    slots.targets[number] = target
    slots.tasks[number] = dataclasses.replace(slots.tasks[number], as_of=target.choices.as_of)


def _places(slots: Slots, number: int) -> Places:
    return Places(slots.tasks[number].home, slots.tasks[number].checkout)


def _task(asked: Asked, places: Places, words: Words) -> SlotTask:
    return SlotTask(
        slot=" ".join(word for word in words if word.startswith(NAMING)) or "the slot",
        words=words,
        as_of=asked.as_of,
        run=asked.run,
        home=places.home,
        checkout=places.checkout,
        mode=asked.mode,
        fetch=asked.fetch,
        force=asked.force,
        limits=asked.limits,
        switch=asked.switch,
        positions=asked.positions,
        wait=asked.wait,
    )


def _refuse_common(slots: Slots) -> None:
    """Tell a mistake that every slot has once: then it is the walk's, and nothing has run."""
    errors = {result.error for result in slots.results.values()}
    if not slots.left and len(errors) == 1:
        codes = {result.exit_code for result in slots.results.values()}
        if codes == {ConfigError.exit_code}:
            error = ConfigError("")
            error.args = (errors.pop(),)
            raise error


def _refuse_twice(slots: Slots, opened: Mapping[int, Opened]) -> None:
    """Refuse a fleet that would retrain one slot twice, after each other or at once."""
    seen: dict[str, int] = {}
    for number, each in opened.items():
        slot = str(each.target.slot)
        if slot in seen:
            both = [" ".join(slots.tasks[one].words) for one in (seen[slot], number)]
            raise ConfigError(
                "two entries of the fleet are one slot",
                where=slot,
                found=" and ".join(both),
                fix="take one of them out; a recipe of another name makes another slot",
            )
        seen[slot] = number
