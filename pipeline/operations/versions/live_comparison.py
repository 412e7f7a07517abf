"""Two versions held against each other by what they said in service and what came of it.

What was said stands in the signal log, what came of it in the store: labels are computed by the
version's own label over stored candles, and only rows whose outcome is known count. A version may
know candles before its ``as_of``: what it says of these is no evidence and is left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd

from pipeline.build import build
from pipeline.config import Node
from pipeline.evaluation.comparison import NO_ROWS, Difference, OutOfFold, after
from pipeline.evaluation.paired_scores import PairedScore, paired_scores
from pipeline.frames import key_by_market
from pipeline.labels.base import Label
from pipeline.live.log import Logged, SignalLog
from pipeline.market.candles import moment
from pipeline.market.store import CandleStore, Series
from pipeline.models.bundle import FILE
from pipeline.operations.retraining.challenger import CHALLENGER
from pipeline.operations.versions.comparing import LOOKED_BACK, Side, difference, money
from registry.errors import RegistryError
from registry.evidence import MoneyEvidence
from registry.manifest import VerifiedBundle
from registry.marks import marked
from registry.slots import Slot
from registry.versions import Registry

NOTHING_DECIDED = "no candle that both spoke of has an outcome yet"
UNTRADED = MoneyEvidence(comparable=False, why_not=NOTHING_DECIDED)
OF_TRADES = "it speaks of an open trade, and none was given"
LEARNED = "its label learns where a class begins, so what happened is not the same for both"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where versions, candles and what was said are read; `plugins` may name labels."""

    registry: Registry
    store: CandleStore
    signals: SignalLog
    plugins: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class LiveRows:
    """How many candles a head of a version spoke of, and what became of them.

    `in_sample` opened before the version's ``as_of``; of the others `undecided` have no outcome
    yet, `lost` will never have one (candles are missing), and `scored` have one, of which `late`
    were said only when it was known.
    """

    said: int = 0
    in_sample: int = 0
    undecided: int = 0
    lost: int = 0
    scored: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True)
class LiveCompared:
    """One version against another on what both said of the same candles.

    `rows` are by version and head, `scores` by head and figure; `together` is the log loss of
    all heads; `left_out` says why a head is not compared, `damaged` names lines of the log.
    """

    version: str
    against: str
    rows: Mapping[str, Mapping[str, LiveRows]]
    together: Difference
    scores: Mapping[str, Mapping[str, PairedScore]]
    money: MoneyEvidence
    left_out: Mapping[str, str] = field(default_factory=dict)
    damaged: tuple[str, ...] = ()


def compare_live(
    sources: Sources, slot: Slot, version: str, against: str, since: pd.Timestamp | None = None
) -> LiveCompared:
    """Hold two versions of a slot against each other on the candles that both spoke of.

    Parameters
    ----------
    version, against
        A version, ``champion`` or ``challenger``.
    since
        Candles that opened earlier are left out.

    Raises
    ------
    RegistryError
        When there is no such version or pointer, or the log cannot be read.
    DataError
        When stored candles are damaged.
    """
    opened = _opened(sources.registry, slot, version, against)
    lines, damaged = sources.signals.read(slot, since)
    lived = [_lived(each, lines, sources) for each in opened]
    first, second = (each.side for each in lived)
    together, earned = difference(first, second), UNTRADED
    if together.why_not == NO_ROWS:
        together = Difference(False, NOTHING_DECIDED)
    else:
        earned = money(first, second, sources.store)
    return LiveCompared(
        version=opened[0].version,
        against=opened[1].version,
        rows={bundle.version: each.rows for bundle, each in zip(opened, lived, strict=True)},
        together=together,
        scores=_scored(first, second, opened[1].card()) if together.comparable else {},
        money=earned,
        left_out=lived[0].left_out | lived[1].left_out,
        damaged=damaged,
    )


@dataclass(frozen=True, slots=True)
class _Lived:
    side: Side
    rows: dict[str, LiveRows]
    left_out: dict[str, str]


def _opened(registry: Registry, slot: Slot, *names: str) -> list[VerifiedBundle]:
    opened = [registry.open(slot, _named(registry, slot, each)) for each in names]
    if opened[0].version == opened[1].version:
        raise RegistryError(
            f"{' and '.join(names)} of {slot} are both {opened[0].version}. To do: name another "
            "version; vintage registry show tells of each."
        )
    return opened


def _named(registry: Registry, slot: Slot, name: str) -> str:
    if name != CHALLENGER:
        return name
    made = marked(registry.root, slot, CHALLENGER)
    if made is None or made.version is None:
        raise RegistryError(
            f"the slot has no challenger ({slot}). To do: name two versions, or mark one: vintage "
            f"registry pin {slot} VERSION --as {CHALLENGER}."
        )
    return made.version


def _lived(verified: VerifiedBundle, lines: Sequence[Logged], sources: Sources) -> _Lived:
    card, told = verified.card(), json.loads(verified.read(FILE))["heads"]
    as_of = moment(card["as_of"])
    heads, rows, left_out = {}, {}, {}
    for name, declared in told.items():
        classes = tuple(declared["classes"])
        said = _said(lines, verified.version, name, classes)
        label: Label = build(declared["label"], f"label of {name}", sources.plugins)
        outcomes = _outcomes(card, label, said, sources.store)
        trades = getattr(label, "trades", None)
        if trades is not None or "label" not in outcomes:
            left_out[name] = LEARNED if trades is None else OF_TRADES
            continue
        fresh = after(OutOfFold(said, classes, declared["label"]), as_of).frame
        known = fresh.join(outcomes, how="inner")
        rows[name] = _counted(said, fresh, known, outcomes)
        heads[name] = OutOfFold(known, classes, declared["label"], as_of)
    side = Side(card["feed"], card["timeframe"], heads, Side.of(verified).setup)
    return _Lived(side, rows, left_out)


def _said(
    lines: Sequence[Logged], version: str, head: str, classes: tuple[str, ...]
) -> pd.DataFrame:
    """What a head said first of each candle, keyed (market, time)."""
    rows: dict[tuple[str, pd.Timestamp], list[object]] = {}
    for line in lines:
        chances = line.heads.get(head, {})
        if line.version == version and {*chances} == {*classes}:
            key = (line.market, pd.Timestamp(line.candle).as_unit("ms"))
            rows.setdefault(key, [*(chances[name] for name in classes), pd.Timestamp(line.at)])
    markets = [market for market, _ in rows]
    times = pd.DatetimeIndex([time for _, time in rows], dtype="datetime64[ms, UTC]")
    index = pd.MultiIndex.from_arrays([markets, times], names=["market", "time"])
    columns = [f"p_{name}" for name in classes]
    frame = pd.DataFrame(list(rows.values()), index, [*columns, "at"])
    return frame.astype(dict.fromkeys(columns, "float64"))


def _outcomes(card: Node, label: Label, said: pd.DataFrame, store: CandleStore) -> pd.DataFrame:
    """What happened at stored candles of the markets spoken of; nothing where none is known."""
    found = [pd.DataFrame({"label": [], "ends_at": []}, said.index[:0])]
    for market in said.index.unique("market"):
        first = said.loc[market].index.min() - LOOKED_BACK
        candles = store.read(Series(card["feed"], market, card["timeframe"]), first)
        if len(candles):
            found.append(key_by_market(label.compute(candles, card["timeframe"]), market))
    told = pd.concat(found[1:] or found)
    return told[["label", "ends_at"]] if "label" in told else told


def _counted(
    said: pd.DataFrame, fresh: pd.DataFrame, known: pd.DataFrame, outcomes: pd.DataFrame
) -> LiveRows:
    waiting = fresh.index.difference(known.index).to_frame(index=False)
    newest = outcomes.index.to_frame(index=False).groupby("market")["time"].max()
    lost = int((waiting["time"] <= waiting["market"].map(newest)).sum()) if len(newest) else 0
    return LiveRows(
        said=len(said),
        in_sample=len(said) - len(fresh),
        undecided=len(waiting) - lost,
        lost=lost,
        scored=len(known),
        late=int((known["at"] >= known["ends_at"]).sum()) if len(known) else 0,
    )


def _scored(ours: Side, theirs: Side, card: Node) -> dict[str, dict[str, PairedScore]]:
    """Each head beside the class shares that the version of `card` was trained on."""
    found = {}
    for name, own in theirs.heads.items():
        shares = card["heads"][name]["class_shares"]
        base = {f"base_{each}": shares[each] for each in own.classes}
        usual = replace(own, frame=own.frame.assign(**base))
        found[name] = paired_scores(ours.heads[name], usual, ours.timeframe)
    return {name: scores for name, scores in found.items() if scores}
