"""Check the candles of each market; stop on a breach, never invent data."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pandas as pd

from pipeline.config import Node, Record
from pipeline.errors import DataError
from pipeline.frames import key_by_market, of_market, read_frame, write_frame
from pipeline.market.candles import moment
from pipeline.market.checks.cut import Asked
from pipeline.market.holes import Hole
from pipeline.market.pool import MEMBERS
from pipeline.market.pool_quality import LEFT_OUT, pooled
from pipeline.market.validation import Checked, Validation
from pipeline.runner import Context, Facts
from pipeline.stages import paths
from registry.files import write_atomic


class Config(Record):
    """What to check against."""

    as_of: str
    market: str
    timeframe: str
    validation: Node


def run(config: Config, context: Context) -> Facts:
    """Pass on the candles that keep every rule, set the others aside, and tell how many.

    Every member of a pool is checked on its own.
    """
    rules: Validation = context.build(config.validation, "validation")
    raw, manifest = read_frame(paths.RAW), json.loads(paths.RAW_MANIFEST.read_text())
    members: Mapping[str, Node] = manifest.get(MEMBERS, {})
    told: dict[str, Facts] = {}
    checked: dict[str, Checked] = {}
    for market, known in (members or {config.market: manifest}).items():
        try:
            checked[market] = _checked(config, rules, raw, _asked(market, {**manifest, **known}))
        except DataError as error:
            if not members or rules.broken_member == "stop":
                raise
            told[market] = {LEFT_OUT: f"{error.what} ({error.where})"}
        else:
            told[market] = checked[market].quality.to_dict() | _sources(known)
    _require_some(config, told, checked)
    _save(checked)
    facts = (pooled(told) if members else told[config.market]) | {"feed": manifest["feed"]}
    write_atomic(paths.QUALITY, json.dumps(facts, indent=1, sort_keys=True).encode() + b"\n")
    return facts


def _checked(config: Config, rules: Validation, raw: pd.DataFrame, asked: Asked) -> Checked:
    candles = of_market(raw, asked.market)
    return rules.sift(candles, config.timeframe, moment(config.as_of), asked)


def _asked(market: str, manifest: Node) -> Asked:
    holes = tuple(
        Hole(moment(hole["first"]), moment(hole["last"]), hole["candles"], hole["kind"])
        for hole in manifest["holes"]
    )
    revised = tuple(moment(time) for time in manifest["revised"])
    reference = read_frame(paths.REFERENCE) if paths.REFERENCE.is_file() else None
    known = None if reference is None else of_market(reference, market)
    return Asked(market, moment(manifest["asked_from"]), holes, revised, known)


def _require_some(
    config: Config, told: Mapping[str, Facts], checked: Mapping[str, Checked]
) -> None:
    if not checked:
        raise DataError(
            "every member is left out",
            where=config.market,
            found="; ".join(str(facts[LEFT_OUT]) for facts in told.values()),
            fix="correct the candles; validation.broken_member=stop ends at the first of them",
        )


def _save(checked: Mapping[str, Checked]) -> None:
    clean = [key_by_market(each.candles, market) for market, each in checked.items()]
    aside = [key_by_market(each.quarantined, market) for market, each in checked.items()]
    write_frame(paths.CLEAN, pd.concat(clean))
    write_frame(paths.QUARANTINE, pd.concat([frame for frame in aside if len(frame)] or aside[:1]))


def _sources(known: Node) -> Facts:
    rows: dict[str, int] = known["sources"]
    mixed = rows if len(rows) > 1 else {}
    return {f"rows_from_{source}": count for source, count in mixed.items()}
