"""When a fault is played: at the k-th page or request, once, n times or always."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from pipeline.errors import ConfigError, nearest
from pipeline.sandbox.faults import FAULTS
from pipeline.sandbox.messages import Ask, require_venue

_WORD = re.compile(
    r"^(?:(?P<venue>\w+):)?(?P<name>\w+)"
    r"(?:@(?P<unit>request)?(?P<at>\d+)(?:x(?P<times>\d+|\*))?)?$"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what, from where on, how often.

    Parameters
    ----------
    name
        A name of `FAULTS`.
    at
        The page (or request) from which on it is played, counted from 1.
    times
        How many answers it spoils; None: all from there on.
    unit
        ``page`` counts the pages of each series, where a page asked for again keeps its number;
        ``request`` counts every request.
    venue
        Only there; None: everywhere.
    """

    name: str
    at: int = 1
    times: int | None = 1
    unit: Literal["page", "request"] = "page"
    venue: str | None = None

    def __post_init__(self) -> None:
        if self.name not in FAULTS:
            raise ConfigError(f"unknown fault '{self.name}'", fix=nearest(self.name, FAULTS))
        if self.venue is not None:
            require_venue(self.venue, where=f"fault {self.name}")
        if self.at < 1 or (self.times is not None and self.times < 1):
            raise ConfigError(f"fault {self.name} is played at 1 or later, once or more often")

    def meets(self, ask: Ask) -> bool:
        """Whether this request is where it is played."""
        if self.venue not in (None, ask.venue) or ask.venue not in FAULTS[self.name].venues:
            return False
        place = ask.page if self.unit == "page" else ask.turn
        return place is not None and place >= self.at


@dataclass(frozen=True, slots=True)
class FaultScript:
    """Faults in the order in which they are looked at; the first that meets a request is played."""

    faults: tuple[Fault, ...] = ()

    @classmethod
    def read(cls, *words: str) -> FaultScript:
        """Read words such as ``rate_limited@3``, ``html@2x4``, ``upbit:hang@1x*``.

        ``NAME@K`` is once from page K, ``xN`` N times, ``x*`` always; ``NAME@requestK`` counts
        requests of every kind; ``VENUE:`` before it keeps it to one venue.

        Raises
        ------
        ConfigError
            When a word is none, naming the nearest fault.

        Examples
        --------
        >>> FaultScript.read("html@2x4").faults[0]
        Fault(name='html', at=2, times=4, unit='page', venue=None)
        """
        return cls(tuple(_read(word) for word in words))


@dataclass
class Performance:
    """A script being played: how often each fault was."""

    script: FaultScript
    played: Counter[int] = field(default_factory=Counter)

    def next(self, ask: Ask) -> str | None:
        """Name the fault of a request, and count it as played."""
        for number, fault in enumerate(self.script.faults):
            left = fault.times is None or self.played[number] < fault.times
            if left and fault.meets(ask):
                self.played[number] += 1
                return fault.name
        return None


def _read(word: str) -> Fault:
    read = _WORD.match(word)
    if read is None:
        raise ConfigError(
            "is no fault",
            where="--fault",
            found=word,
            expected="NAME@PAGE, such as rate_limited@3, html@2x4 or upbit:hang@1x*",
        )
    times = read["times"] or "1"
    return Fault(
        name=read["name"],
        at=int(read["at"] or 1),
        times=None if times == "*" else int(times),
        unit="request" if read["unit"] else "page",
        venue=read["venue"],
    )
