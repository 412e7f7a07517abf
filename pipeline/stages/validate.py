"""Check the candles; stop on a breach, never invent data."""

from __future__ import annotations

import json

from pipeline.config import Node, Record
from pipeline.frames import of_market, read_frame, write_frame
from pipeline.market.candles import moment
from pipeline.market.validation import Asked, Validation
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
    """Pass the raw cut on unchanged when every rule holds."""
    rules: Validation = context.build(config.validation, "validation")
    raw = read_frame(paths.RAW)
    asked_from = moment(json.loads(paths.RAW_MANIFEST.read_text())["asked_from"])
    candles = of_market(raw, config.market)
    asked = Asked(config.market, asked_from)
    quality = rules.check(candles, config.timeframe, moment(config.as_of), asked)
    told = quality.to_dict()
    write_frame(paths.CLEAN, raw)
    write_atomic(paths.QUALITY, json.dumps(told, indent=1, sort_keys=True).encode() + b"\n")
    return told
