"""Score the out-of-fold predictions beside their baselines."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from pipeline.config import Record
from pipeline.evaluation.metrics import Scores, confusion, mean_over_heads, score_head
from pipeline.frames import read_frame
from pipeline.runner import Context, Facts
from pipeline.stages import paths
from registry.files import write_atomic


class Config(Record):
    """Class names per head."""

    heads: dict[str, tuple[str, ...]]
    timeframe: str


def run(config: Config, context: Context) -> Facts:  # noqa: ARG001
    """Flat figures for every recipe alike, details per head, one plot."""
    scores: dict[str, Scores] = {}
    details: dict[str, Any] = {}
    outcomes: list[pd.DataFrame] = []
    for head, classes in sorted(config.heads.items()):
        joined = _join(head)
        scores[head] = score_head(joined, classes, config.timeframe)
        details[head] = {"scores": scores[head], **_details(joined, classes)}
        outcomes.append(_outcomes(joined, classes))
    flat = mean_over_heads(scores)
    write_atomic(paths.METRICS, _json(flat))
    write_atomic(paths.HEADS, _json(details))
    write_atomic(paths.CONFUSION, pd.concat(outcomes).to_csv(index=False).encode())
    return dict(flat)


def _join(head: str) -> pd.DataFrame:
    predictions = read_frame(paths.PREDICTIONS / f"{head}.parquet")
    return predictions.join(read_frame(paths.LABELS / f"{head}.parquet"), how="inner")


def _details(joined: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, Any]:
    probability = joined[[f"p_{name}" for name in classes]].to_numpy("float64")
    counts = confusion(probability, joined["label"].to_numpy("int64"))
    time = joined.index.get_level_values("time")
    return {
        "classes": list(classes),
        "confusion": counts.tolist(),
        "class_rows": counts.sum(axis=1).tolist(),
        "test_from": time.min().isoformat(),
        "test_to": time.max().isoformat(),
    }


def _outcomes(joined: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    names = pd.Series(classes)
    predicted = joined[[f"p_{name}" for name in classes]].to_numpy().argmax(axis=1)
    happened = joined["label"].to_numpy("int64")
    return pd.DataFrame(
        {"happened": names.iloc[happened].to_numpy(), "predicted": names.iloc[predicted].to_numpy()}
    )


def _json(told: Any) -> bytes:
    return json.dumps(told, indent=1, sort_keys=True).encode() + b"\n"
