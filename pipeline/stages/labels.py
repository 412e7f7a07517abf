"""Label every candle whose outcome is known, head by head."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.config import Node, Record
from pipeline.errors import DataError
from pipeline.frames import key_by_market, of_market, read_frame, write_frame
from pipeline.labels.base import Label
from pipeline.runner import Context, Facts
from pipeline.stages import paths


class Config(Record):
    """A label per head."""

    heads: dict[str, Node]
    timeframe: str


def run(config: Config, context: Context) -> Facts:
    """One file per head: label or outcome, ends_at, weight."""
    candles = read_frame(paths.CLEAN)
    facts: Facts = {}
    for head, node in sorted(config.heads.items()):
        label: Label = context.build(node, f"label of {head}")
        frame = compute(candles, label, config.timeframe)
        _check(head, frame)
        write_frame(paths.LABELS / f"{head}.parquet", frame)
        facts[head] = _shares(frame, label.classes)
    return facts


def compute(candles: pd.DataFrame, label: Label, timeframe: str) -> pd.DataFrame:
    """Label candles keyed (market, time), each market on its own; keyed alike, or by trade too."""
    markets = candles.index.unique("market")
    return pd.concat(
        [
            key_by_market(label.compute(of_market(candles, market), timeframe), market)
            for market in markets
        ]
    )


def _check(head: str, frame: pd.DataFrame) -> None:
    if frame.empty:
        raise DataError(
            "no candle has a known label",
            where=f"head {head}",
            fix="give more history (recipe.history_days) or a shorter horizon",
        )


def _shares(frame: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, float | int]:
    """Class shares; where training has yet to learn the classes, quartiles of the outcome."""
    if "label" not in frame:
        quartiles = frame["outcome"].quantile([0.25, 0.5, 0.75])
        return {f"outcome_{share:.0%}": float(f"{value:.4g}") for share, value in quartiles.items()}
    counts = np.bincount(frame["label"], minlength=len(classes))
    return {
        name: round(float(count / len(frame)), 4)
        for name, count in zip(classes, counts, strict=True)
    }
