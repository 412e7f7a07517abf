"""What a training run says of itself: its fits, its data and what its columns were worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from pipeline.fitting.training import TrainedHead
from pipeline.labels.learned import LearnedRule
from pipeline.models.base import Report, Rows, Samples
from pipeline.models.nested_calibration import CalibrationFit
from pipeline.splits.fold import Fold, blocks_of

REFIT = "refit"
Facts = dict[str, Any]


def head_facts(samples: Samples, trained: TrainedHead, model: str, lookback: int) -> Facts:
    """Facts of one trained head as JSON values; equal trainings give equal facts.

    Parameters
    ----------
    samples
        The labelled rows that it was trained on.
    model
        Dotted name of the model.
    lookback
        Rows, the newest included, that one prediction sees.

    Returns
    -------
    dict
        ``model``, ``lookback``, ``columns``, ``rows``, ``shape`` and ``bytes`` of the feature
        table, ``classes`` in order of the label's index, ``class_shares``, ``paths`` (how often
        a tested row is predicted), ``fits`` (one for each fold, then the refit; moments are open
        times, blocks are unbroken spans of rows; ``calibration`` says on how many out-of-fold rows,
        or why not), ``importance`` and ``certification`` (`pipeline.fitting.certification`).
    """
    table, rows = samples.table, len(samples.rows)
    width = len(table.columns)
    everything = Fold(np.arange(rows), np.empty(0, np.intp))
    cuts = [(f"fold {number}", fold) for number, fold in enumerate(trained.folds)]
    cuts.append((REFIT, everything))
    return {
        "model": model,
        "lookback": lookback,
        "columns": list(table.columns),
        "rows": rows,
        "shape": [rows, lookback, width] if lookback > 1 else [rows, width],
        "bytes": table.values.nbytes,
        "classes": list(samples.classes),
        "class_shares": _class_shares(samples.judged(trained.rules[-1])),
        "paths": _most_predictions(trained.folds),
        "fits": [
            _fit(name, samples, fold, report) | _learned(samples, fold, rule) | _calibrated(learnt)
            for (name, fold), report, rule, learnt in zip(
                cuts, trained.reports, trained.rules, trained.calibrations, strict=True
            )
        ],
        "importance": [asdict(column) for column in trained.importance],
        **({"certification": asdict(agreed)} if (agreed := trained.certification) else {}),
    }


def _class_shares(samples: Samples) -> dict[str, float]:
    counts = np.bincount(samples.label, minlength=len(samples.classes))
    return dict(zip(samples.classes, (counts / counts.sum()).tolist(), strict=True))


def _most_predictions(folds: Sequence[Fold]) -> int:
    return int(np.bincount(np.concatenate([fold.test for fold in folds])).max())


def _fit(name: str, samples: Samples, fold: Fold, report: Report) -> Facts:
    spans: Mapping[str, Rows] = {
        "train": fold.train,
        "purged": fold.purged,
        "test": fold.test,
    }
    facts: Facts = {"fit": name}
    for kind, rows in spans.items():
        facts |= _span(kind, samples.time, rows) if len(rows) else {}
    return {**facts, "parts": report}


def _learned(samples: Samples, fold: Fold, rule: LearnedRule | None) -> Facts:
    """What a fit's training rows taught the label, and the class shares that follow."""
    if rule is None:
        return {}
    spans = {"train": fold.train, "test": fold.test}
    shares = {
        f"{kind}_shares": _class_shares(samples.take(rows).judged(rule))
        for kind, rows in spans.items()
        if len(rows)
    }
    return {"learned": rule.model_dump(), **shares}


def _calibrated(learnt: CalibrationFit) -> Facts:
    facts = learnt.facts()
    return {"calibration": facts} if facts else {}


def _span(kind: str, time: pd.DatetimeIndex, rows: Rows) -> Facts:
    blocks = [_ends(time[block]) for block in blocks_of(rows, time)]
    return {
        f"{kind}_rows": len(rows),
        f"{kind}_from": blocks[0][0],
        f"{kind}_to": blocks[-1][1],
        f"{kind}_blocks": blocks,
    }


def _ends(time: pd.DatetimeIndex) -> list[str]:
    return [time.min().isoformat(), time.max().isoformat()]
