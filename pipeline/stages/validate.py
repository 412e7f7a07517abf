"""Check the candles; stop on a breach, never invent data."""

from __future__ import annotations

import json

from pipeline.config import Node, Record
from pipeline.frames import key_by_market, of_market, read_frame, write_frame
from pipeline.market.candles import moment
from pipeline.market.checks.cut import Asked
from pipeline.market.holes import Hole
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
    """Pass on the candles that keep every rule, set the others aside, and tell how many."""
    rules: Validation = context.build(config.validation, "validation")
    raw, manifest = read_frame(paths.RAW), json.loads(paths.RAW_MANIFEST.read_text())
    candles = of_market(raw, config.market)
    asked = _asked(config.market, manifest)
    checked = rules.sift(candles, config.timeframe, moment(config.as_of), asked)
    _save(config.market, checked)
    facts = checked.quality.to_dict() | _sources(manifest)
    write_atomic(paths.QUALITY, json.dumps(facts, indent=1, sort_keys=True).encode() + b"\n")
    return facts


def _asked(market: str, manifest: Node) -> Asked:
    holes = tuple(
        Hole(moment(hole["first"]), moment(hole["last"]), hole["candles"], hole["kind"])
        for hole in manifest["holes"]
    )
    revised = tuple(moment(time) for time in manifest["revised"])
    reference = read_frame(paths.REFERENCE) if paths.REFERENCE.is_file() else None
    known = None if reference is None else of_market(reference, market)
    return Asked(market, moment(manifest["asked_from"]), holes, revised, known)


def _save(market: str, checked: Checked) -> None:
    write_frame(paths.CLEAN, key_by_market(checked.candles, market))
    write_frame(paths.QUARANTINE, key_by_market(checked.quarantined, market))


def _sources(manifest: Node) -> Facts:
    rows: dict[str, int] = manifest["sources"]
    mixed = rows if len(rows) > 1 else {}
    return {
        "feed": manifest["feed"],
        **{f"rows_from_{source}": count for source, count in mixed.items()},
    }
