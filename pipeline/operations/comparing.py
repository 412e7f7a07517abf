"""Two versions of a slot held against each other on rows that neither was fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.evaluation.comparison import Difference, OutOfFold, compare
from pipeline.operations.candidate import out_of_fold_of
from registry.manifest import VerifiedBundle
from registry.slots import Slot
from registry.versions import Registry


@dataclass(frozen=True, slots=True)
class Side:
    """What a version predicted out of fold, and the candles that it saw."""

    feed: str
    timeframe: str
    heads: Mapping[str, OutOfFold]

    @classmethod
    def of(cls, verified: VerifiedBundle) -> Side:
        """Read a registered version."""
        card = verified.card()
        return cls(card["feed"], card["timeframe"], out_of_fold_of(verified))


@dataclass(frozen=True, slots=True)
class Compared:
    """One version against another: all rows of all heads together, and each head alone."""

    version: str
    against: str
    together: Difference
    heads: Mapping[str, Difference]


def difference(ours: Side, theirs: Side) -> Difference:
    """Hold a candidate against a champion; what another feed sent is no common ground."""
    for kind in ("feed", "timeframe"):
        if getattr(ours, kind) != getattr(theirs, kind):
            return Difference(False, f"the champion saw another {kind}, {getattr(theirs, kind)}")
    return compare(ours.heads, theirs.heads, ours.timeframe)


def compare_versions(registry: Registry, slot: Slot, version: str, against: str) -> Compared:
    """Hold a version against another one as a candidate is held against the champion.

    Raises
    ------
    RegistryError
        When there is no such version, or it is damaged.
    """
    opened = [registry.open(slot, name) for name in (version, against)]
    ours, theirs = (Side.of(verified) for verified in opened)
    shared = [name for name in ours.heads if name in theirs.heads]
    alone = {name: difference(*(_alone(side, name) for side in (ours, theirs))) for name in shared}
    return Compared(opened[0].version, opened[1].version, difference(ours, theirs), alone)


def _alone(side: Side, head: str) -> Side:
    return Side(side.feed, side.timeframe, {head: side.heads[head]})
