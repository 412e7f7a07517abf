"""Two versions of a slot held against each other on rows that neither was fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pandas as pd

from pipeline.config import Node
from pipeline.errors import ConfigError, DataError, VintageError
from pipeline.evaluation.backtest import Profile, Setup
from pipeline.evaluation.comparison import NO_ROWS, Difference, OutOfFold, compare
from pipeline.evaluation.money_comparison import common_moments, compare_money, spoken
from pipeline.evaluation.side_by_side import Scored, side_by_side
from pipeline.market.candles import duration
from pipeline.market.exchanges.base import Market
from pipeline.market.store import CandleStore, Series
from pipeline.operations.retraining.candidate import out_of_fold_of
from registry.evidence import MoneyEvidence
from registry.manifest import VerifiedBundle
from registry.slots import Slot
from registry.versions import Registry

EPOCH = pd.Timestamp(0, tz="UTC")
LOOKED_BACK = pd.Timedelta(days=90)  # sizes and regimes look at candles before the first signal
NO_PROFILE = "no profile tells how it is traded"
POOLED = (
    "the money of a pool is not compared; that of a member is, when the version of the member's "
    "own slot is held against the pool's"
)


@dataclass(frozen=True, slots=True)
class Side:
    """What a version predicted out of fold, the candles that it saw, and how it is traded."""

    feed: str
    timeframe: str
    heads: Mapping[str, OutOfFold]
    setup: Setup | None = None

    @classmethod
    def of(cls, verified: VerifiedBundle) -> Side:
        """Read a registered version."""
        card = verified.card()
        return cls(card["feed"], card["timeframe"], out_of_fold_of(verified), _setup(card))


@dataclass(frozen=True, slots=True)
class Compared:
    """One version against another: all rows of all heads together, each head alone, and money.

    `scored` are both, the version first, on the rows that they have in common, by head, where they
    are of two slots.
    """

    version: str
    against: str
    together: Difference
    heads: Mapping[str, Difference]
    money: MoneyEvidence
    scored: Mapping[str, tuple[Scored, Scored]] = field(default_factory=dict)


def difference(ours: Side, theirs: Side) -> Difference:
    """Hold a candidate against a champion; what another feed sent is no common ground."""
    if why_not := _apart(ours, theirs):
        return Difference(False, why_not)
    return compare(ours.heads, theirs.heads, ours.timeframe)


def money(ours: Side, theirs: Side, store: CandleStore) -> MoneyEvidence:
    """Trade both by the candidate's profile and costs, on candles of the store.

    A head that one of them has no row of is asked of neither: later than its ``as_of`` a version
    says nothing of trades.
    """
    if why_not := _apart(ours, theirs):
        return MoneyEvidence(comparable=False, why_not=why_not)
    both = spoken(ours.heads, theirs.heads)
    if not all(both):
        return MoneyEvidence(comparable=False, why_not=NO_ROWS)
    if ours.setup is None:
        why_not = POOLED if _has_many_markets(ours) else NO_PROFILE
        return MoneyEvidence(comparable=False, why_not=why_not)
    try:
        candles = _candles(ours, theirs, ours.setup, store)
        return compare_money(*both, candles, ours.setup)
    except VintageError as error:
        return MoneyEvidence(comparable=False, why_not=error.what)


class Named(NamedTuple):
    """A version of a slot, or the pointer that names it."""

    slot: Slot
    version: str


def compare_versions(
    registry: Registry, ours: Named, theirs: Named, store: CandleStore
) -> Compared:
    """Hold a version against another one as a candidate is held against the champion.

    Parameters
    ----------
    theirs
        Of the same slot, or of another one: a pool and one of its members have rows in common.
    store
        Candles that the signals of both are traded on.

    Raises
    ------
    RegistryError
        When there is no such version, or it is damaged.
    """
    opened = [registry.open(*named) for named in (ours, theirs)]
    first, second = (Side.of(verified) for verified in opened)
    shared = [name for name in first.heads if name in second.heads]
    alone = {name: difference(_alone(first, name), _alone(second, name)) for name in shared}
    apart = ours.slot != theirs.slot
    names = [
        f"{named.slot} {found.version}" if apart else found.version
        for named, found in zip((ours, theirs), opened, strict=True)
    ]
    scored = {
        name: found
        for name in shared
        if apart
        and alone[name].comparable
        and (found := side_by_side(first.heads[name], second.heads[name]))
    }
    return Compared(
        version=names[0],
        against=names[1],
        together=difference(first, second),
        heads=alone,
        money=money(first, second, store),
        scored=scored,
    )


def _alone(side: Side, head: str) -> Side:
    return replace(side, heads={head: side.heads[head]})


def _has_many_markets(side: Side) -> bool:
    heads = side.heads.values()
    return len({name for head in heads for name in head.frame.index.unique("market")}) > 1


def _apart(ours: Side, theirs: Side) -> str:
    for kind in ("feed", "timeframe"):
        if getattr(ours, kind) != getattr(theirs, kind):
            return f"the champion saw another {kind}, {getattr(theirs, kind)}"
    return ""


def _setup(card: Node) -> Setup | None:
    """What a version was traded by when it was evaluated; None where that says nothing any more."""
    told = card["config"]["evaluate"]
    if not {"backtest", "traded"} <= {*told}:
        return None
    where = "card.json: config.evaluate"
    try:
        profile = Profile.parse(told["backtest"], f"{where}.backtest")
        return Setup(profile, Market.parse(told["traded"], f"{where}.traded"), card["timeframe"])
    except ConfigError:
        return None


def _candles(ours: Side, theirs: Side, setup: Setup, store: CandleStore) -> pd.DataFrame:
    """Execution candles from before the first common signal to the one that fills the last."""
    times = common_moments(ours.heads, theirs.heads, setup.market.name)
    timeframe = setup.profile.execution(setup.timeframe)
    series = Series(ours.feed, setup.market.name, timeframe)
    if not len(times):
        return store.read(series, end=EPOCH)
    step = duration(setup.timeframe)
    first, last = times[0] + step, times[-1] + step
    candles = store.read(series, times[0] - LOOKED_BACK, last + duration(timeframe))
    if candles.empty or candles.index[0] > first or candles.index[-1] + duration(timeframe) < last:
        raise DataError(
            f"the store does not hold the candles of {timeframe} that orders are filled on",
            where=str(series),
            expected=f"{first.isoformat()} to {last.isoformat()}",
            fix="vintage data sync or import",
        )
    return candles
