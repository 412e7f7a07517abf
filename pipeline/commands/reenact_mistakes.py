"""``vintage reenact mistakes``: whether a recipe makes one of the mistakes of old."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pandas as pd

from pipeline.commands.arguments import checkout
from pipeline.commands.console import progress, table
from pipeline.commands.reenact_candles import candles_of
from pipeline.config import home
from pipeline.experiments.caught.checks import CHECKS
from pipeline.experiments.caught.declared import declared
from pipeline.operations.target import resolve

MISTAKES = "mistakes"
NOT_FOUND, FOUND = 0, 1


def mistakes_in(words: Sequence[str], as_json: bool) -> int:
    """Ask every check about every head of the recipe that words choose; 1 where one finds any."""
    with progress("mistakes") as show:
        now = pd.Timestamp.now(tz="UTC")
        target = resolve(words, checkout() / "conf", home(), now, show)
        members = target.market.members
        candles = {each.name: candles_of(target, each, now) for each in members}
        found: list[dict[str, str]] = []
        for head in target.plan.stages["train"]["heads"]:
            parts = declared(candles, target.plan, head)
            for name, check in CHECKS.items():
                show(f"{head}: {name}")
                mistake = check(parts)
                told = "" if mistake is None else mistake.found
                found.append({"head": head, "mistake": name, "found": told})
    print(json.dumps(found) if as_json else _shown(found))
    return FOUND if any(each["found"] for each in found) else NOT_FOUND


def _shown(found: Sequence[dict[str, str]]) -> str:
    rows = [(each["head"], each["mistake"], each["found"] or "not found") for each in found]
    caught = sum(bool(each["found"]) for each in found)
    return f"{table(('head', 'mistake', 'found'), rows)}\n\n{caught} of {len(rows)} found"
