"""What a re-enactment yields: figures, and for each of them whether a leak earned it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pandas as pd

from pipeline.configuration.plan import Plan

Standing = Literal["claimed", "leaked", "flattered", "empty", "honest"]
Kind = Literal["change", "share", "count", "mean", "loss"]
Tell = Callable[[str], None]
STANDINGS: dict[Standing, str] = {
    "claimed": "claimed",
    "leaked": "earned by a leak",
    "flattered": "flattered by its rules",
    "empty": "earned by always saying the same",
    "honest": "honest",
}
CHEAPEST_FIRST: tuple[Standing, ...] = ("empty", "honest", "flattered", "leaked")
REACHED = 0.9


@dataclass(frozen=True, slots=True)
class Column:
    """One number of every figure: its key, its name, and how it is written.

    A ``change`` is a share with its sign; a ``mean`` has a decimal, a ``loss`` four.
    """

    key: str
    title: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of a re-enactment: numbers by the keys of its columns, and what they are worth.

    `why` says in a sentence what the standing rests on; None among `values` is unknown. Figures of
    one `group` stand together.
    """

    name: str
    title: str
    standing: Standing
    why: str
    values: Mapping[str, float | None]
    group: str = ""

    @property
    def verdict(self) -> str:
        """The standing in words."""
        return STANDINGS[self.standing]

    @property
    def whole_title(self) -> str:
        """The title with its group."""
        return f"{self.title}; {self.group.lower()}" if self.group else self.title


@dataclass(frozen=True, slots=True)
class Beside:
    """Names of three figures that say one thing: claimed, by the old procedure, and honestly."""

    claimed: str
    then: str
    honest: str


@dataclass(frozen=True, slots=True)
class Reenacted:
    """The figures of one predecessor beside what was claimed for it.

    `told` says what the figures were made of, `differs` where the re-enactment is not the
    original, `unknown` what could not be run again and why; the first column is the one that was
    claimed. `pictures` are SVG by name.
    """

    name: str
    title: str
    claim: str
    told: Mapping[str, str]
    columns: tuple[Column, ...]
    figures: tuple[Figure, ...]
    differs: tuple[str, ...] = ()
    beside: tuple[Beside, ...] = ()
    unknown: tuple[str, ...] = ()
    pictures: Mapping[str, str] = field(default_factory=dict)

    def figure(self, name: str) -> Figure:
        """The figure of that name."""
        return next(each for each in self.figures if each.name == name)

    @property
    def groups(self) -> dict[str, list[Figure]]:
        """The figures by group, in their order."""
        found: dict[str, list[Figure]] = {}
        for each in self.figures:
            found.setdefault(each.group, []).append(each)
        return found

    @property
    def reached(self) -> tuple[Figure, ...]:
        """The measured figures whose first number comes to nine tenths of the claimed, or more."""
        claimed = [each for each in self.figures if each.standing == "claimed"]
        if not claimed:
            return ()
        key = self.columns[0].key
        aim = REACHED * (claimed[0].values[key] or 0.0)
        measured = (each for each in self.figures if each.standing != "claimed")
        return tuple(each for each in measured if (each.values[key] or 0.0) >= aim)

    @property
    def earned_by(self) -> Standing | None:
        """The cheapest way in which as much as the claim was reached; None where it was not."""
        standings = {each.standing for each in self.reached}
        return next((standing for standing in CHEAPEST_FIRST if standing in standings), None)

    @property
    def earned(self) -> str:
        """The same in words."""
        return "not reached" if self.earned_by is None else STANDINGS[self.earned_by]

    def facts(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        figures = [asdict(each) | {"verdict": each.verdict} for each in self.figures]
        own = {key: value for key, value in asdict(self).items() if key != "pictures"}
        return {**own, "figures": figures, "earned_by": self.earned_by}


@dataclass(frozen=True, slots=True)
class Given:
    """What a re-enactment is made of: checked candles of one market, and a resolved recipe."""

    candles: pd.DataFrame
    plan: Plan
    feed: str
    tell: Tell


@dataclass(frozen=True, slots=True)
class Reenactment:
    """One predecessor: the recipe whose features, labels and models stand for its own.

    `run` gives one `Reenacted` for each of its claims; it is run once for each of `markets`, or
    for the recipe's own market where there are none. The words of a market hold where no other
    word of the same key is given.
    """

    name: str
    summary: str
    recipe: str
    run: Callable[[Given], tuple[Reenacted, ...]]
    markets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
