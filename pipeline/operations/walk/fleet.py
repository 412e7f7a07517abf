"""A fleet: the slots that one walk retrains, as ``conf/fleet/`` lists them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from pipeline.config import Record, read_yaml
from pipeline.configuration.choices import RECIPE
from pipeline.configuration.conf_options import require_option
from pipeline.errors import ConfigError, nearest
from pipeline.operations.periods import Period, seconds_of
from pipeline.operations.retraining.step_watch import START, Limits
from pipeline.runner import STAGES

FLEET, AS_OF = "fleet", "as_of"
Words = tuple[str, ...]


def _split(words: Any) -> Any:
    if isinstance(words, str):
        return tuple(shlex.split(words))
    if isinstance(words, Mapping):
        text = " ".join(f"{key}={value}" for key, value in words.items())
        told = f"a slot is one text, not a mapping; write it as - {text}"
        raise ValueError(told)  # noqa: TRY004
    return words


class Fleet(Record):
    """One file of ``conf/fleet/``.

    `slots` are the words that each slot would be retrained by alone; the slots of the fleets that
    it includes come first. `time_limit` is what a stage may take, `time_limits` of single stages.
    """

    include: tuple[str, ...] = ()
    slots: tuple[Annotated[Words, BeforeValidator(_split)], ...] = ()
    time_limit: Period | None = None
    time_limits: dict[str, Period] = Field(default_factory=dict)

    @field_validator("slots")
    @classmethod
    def _say_what(cls, slots: tuple[Words, ...]) -> tuple[Words, ...]:
        for number, words in enumerate(slots):
            keys = [word.partition("=")[0] for word in words]
            told = " ".join(words)
            if RECIPE not in keys:
                raise ValueError(f"'{told}' names no recipe, such as recipe=demo market=SIM-BTC")
            if words in slots[:number]:
                raise ValueError(f"'{told}' stands there twice; take one of them out")
            if AS_OF in keys:
                raise ValueError(f"'{told}' has an as_of; say it to the walk: fleet=… as_of=…")
        return slots

    @field_validator("time_limits")
    @classmethod
    def _know_the_stages(cls, limits: dict[str, str]) -> dict[str, str]:
        for stage in limits:
            if stage not in (START, *STAGES):
                raise ValueError(f"unknown stage '{stage}': {nearest(stage, (START, *STAGES))}")
        return limits

    @property
    def limits(self) -> Limits:
        """The same in seconds."""
        stages = {stage: seconds_of(limit) for stage, limit in self.time_limits.items()}
        return Limits(None if self.time_limit is None else seconds_of(self.time_limit), stages)


@dataclass(frozen=True, slots=True)
class Listed:
    """Every slot of a fleet by its words, each once, and what a stage may take."""

    slots: tuple[Words, ...]
    limits: Limits


def read_fleet(conf: Path, name: str) -> Listed:
    """Read a fleet with all that it includes.

    Raises
    ------
    ConfigError
        When there is no such fleet, a key is wrong, it includes itself, or it lists no slot.
    """
    slots = tuple(dict.fromkeys(_slots(conf, name, ())))
    if not slots:
        raise ConfigError(
            "the fleet has no slot", where=_place(name), fix="list one below slots: recipe=demo"
        )
    return Listed(slots, _read(conf, name).limits)


def _slots(conf: Path, name: str, above: Sequence[str]) -> Iterator[Words]:
    if name in above:
        raise ConfigError(
            "a fleet includes itself",
            where=_place(name),
            found=" → ".join([*above, name]),
            fix="take one of them out of include",
        )
    fleet = _read(conf, name)
    for other in fleet.include:
        yield from _slots(conf, other, (*above, name))
    yield from fleet.slots


def _read(conf: Path, name: str) -> Fleet:
    require_option(conf, FLEET, name)
    return Fleet.parse(read_yaml(conf / FLEET / f"{name}.yaml"), _place(name))


def _place(name: str) -> str:
    return f"conf/{FLEET}/{name}.yaml"
