"""What a re-enactment yields: figures, and for each of them whether a leak earned it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from pipeline.stage_configs import Plan

Standing = Literal["claimed", "leaked", "flattered", "honest"]
Kind = Literal["change", "share", "count", "mean"]
Tell = Callable[[str], None]
STANDINGS: dict[Standing, str] = {
    "claimed": "claimed",
    "leaked": "earned by a leak",
    "flattered": "flattered by its rules",
    "honest": "honest",
}
BEST_FIRST: tuple[Standing, ...] = ("honest", "flattered", "leaked")
REACHED = 0.9


@dataclass(frozen=True, slots=True)
class Column:
    """One number of every figure: its key, its name, and how it is written.

    A ``change`` is a share with its sign; a ``mean`` has a decimal.
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
class Reenacted:
    """The figures of one predecessor beside what was claimed for it.

    `told` says what the figures were made of, `differs` where the re-enactment is not the
    original; the first column is the one that was claimed.
    """

    name: str
    title: str
    claim: str
    told: Mapping[str, str]
    columns: tuple[Column, ...]
    figures: tuple[Figure, ...]
    differs: tuple[str, ...] = ()

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
        key = self.columns[0].key
        aim = REACHED * (self.figure("claimed").values[key] or 0.0)
        return tuple(
            each
            for each in self.figures
            if each.standing != "claimed" and (each.values[key] or 0.0) >= aim
        )

    @property
    def earned_by(self) -> Standing | None:
        """The best standing by which as much as the claim was reached; None where it was not."""
        standings = {each.standing for each in self.reached}
        return next((standing for standing in BEST_FIRST if standing in standings), None)

    @property
    def earned(self) -> str:
        """The same in words."""
        return "not reached" if self.earned_by is None else STANDINGS[self.earned_by]

    def facts(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        figures = [asdict(each) | {"verdict": each.verdict} for each in self.figures]
        return {**asdict(self), "figures": figures, "earned_by": self.earned_by}


@dataclass(frozen=True, slots=True)
class Given:
    """What a re-enactment is made of: checked candles of one market, and a resolved recipe."""

    candles: pd.DataFrame
    plan: Plan
    feed: str
    tell: Tell


@dataclass(frozen=True, slots=True)
class Reenactment:
    """One predecessor: the recipe whose features, labels and models stand for its own."""

    name: str
    summary: str
    recipe: str
    run: Callable[[Given], Reenacted]
