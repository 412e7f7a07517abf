"""``vintage registry compare SLOT --live``: versions by what they said in service."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd

from pipeline.commands.arguments import checkout
from pipeline.commands.console import told
from pipeline.configuration.compose import read_root
from pipeline.evaluation.paired_scores import PairedScore
from pipeline.live.log import SignalLog
from pipeline.market.candles import moment
from pipeline.market.store import CandleStore
from pipeline.operations.retraining.challenger import CHALLENGER
from pipeline.operations.versions.live_comparison import LiveCompared, Sources, compare_live
from registry.slots import Slot
from registry.tables import table
from registry.versions import Registry

COUNTED = (
    "said: candles that the version spoke of. in_sample: before its as_of, left out. undecided: "
    "no outcome yet. lost: none to come, candles are missing. late: scored, and said only when "
    "the outcome was known."
)
SCORED = (
    "log_loss, brier, direction (sell against buy on the rows that moved): losses, lower is "
    "better. usual: of the class shares that {against} was trained on. difference: {version} less "
    "{against}; low, high: its 90 % interval."
)


def tell_live(asked: argparse.Namespace, registry: Registry) -> int:
    """Compare two versions of a slot on the signal log and print it."""
    slot, home = Slot.parse(asked.slot), registry.root.parent.parent
    sources = Sources(
        registry=registry,
        store=CandleStore(home / "data" / "store"),
        signals=SignalLog.below(home),
        plugins=read_root(checkout() / "conf").plugins,
    )
    since = moment(asked.since) if asked.since else None
    found = compare_live(sources, slot, asked.version or CHALLENGER, asked.against, since)
    print(json.dumps(_facts(slot, found, since)) if asked.json else _story(slot, found, since))
    return 0


def _facts(slot: Slot, found: LiveCompared, since: pd.Timestamp | None) -> dict[str, Any]:
    scores = {
        head: {name: _score(one) for name, one in scored.items()}
        for head, scored in found.scores.items()
    }
    return {
        "slot": str(slot),
        "since": since.isoformat() if since is not None else None,
        **asdict(found),
        "together": {**asdict(found.together), "verdict": found.together.word},
        "scores": scores,
        "money": found.money.model_dump(),
        "money_verdict": found.money.word,
    }


def _score(one: PairedScore) -> dict[str, Any]:
    gaps = ("difference", "ours_to_usual", "theirs_to_usual")
    words = {
        name: {**asdict(getattr(one, name)), "verdict": getattr(one, name).word} for name in gaps
    }
    return {**asdict(one), **words}


def _story(slot: Slot, found: LiveCompared, since: pd.Timestamp | None) -> str:
    from_when = f", candles since {since:%Y-%m-%d %H:%M} UTC" if since is not None else ""
    title = f"{slot} in service: {found.version} against {found.against}{from_when}"
    counted = [
        {"version": version, "head": head, **asdict(rows)}
        for version, heads in found.rows.items()
        for head, rows in heads.items()
    ]
    parts = [title, *([table(counted), told("rows", COUNTED)] if counted else [])]
    if found.damaged:
        parts.append(told("damaged", f"left out of the log: {', '.join(found.damaged)}."))
    if found.left_out:
        why_not = "; ".join(f"{head}: {why}" for head, why in found.left_out.items())
        parts.append(told("left out", f"{why_not.rstrip('.')}."))
    if not found.together.comparable:
        why_not = found.together.why_not.rstrip(".")
        return "\n\n".join([*parts, f"They cannot be compared yet: {why_not}."])
    names = {"version": found.version, "against": found.against}
    scores = [table(list(_scores(found))), told("columns", SCORED.format(**names))]
    verdicts = [told("verdict", _verdict(found))]
    money = told("money", found.money.sentence(found.version, found.against))
    return "\n\n".join([*parts, *scores, *verdicts, money])


def _scores(found: LiveCompared) -> Iterator[dict[str, Any]]:
    for head, scored in found.scores.items():
        for name, one in scored.items():
            yield {
                "head": head,
                "score": name,
                "rows": one.rows,
                found.version: one.ours,
                found.against: one.theirs,
                "usual": one.usual,
                "difference": one.difference.value,
                "low": one.difference.low,
                "high": one.difference.high,
                "verdict": one.difference.word,
            }


def _verdict(found: LiveCompared) -> str:
    """Both versions against each other and against the class shares, figure by figure."""
    said = []
    for head, scored in found.scores.items():
        pairs = (
            (found.version, found.against, {name: one.difference for name, one in scored.items()}),
            (found.version, "usual", {name: one.ours_to_usual for name, one in scored.items()}),
            (found.against, "usual", {name: one.theirs_to_usual for name, one in scored.items()}),
        )
        for one, other, gaps in pairs:
            words = ", ".join(f"{name} {gap.word}" for name, gap in gaps.items())
            said.append(f"{head}, {one} beside {other}: {words}.")
    return " ".join(said)
