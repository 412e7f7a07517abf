"""What a training run says of itself: its fits, its data and what its columns were worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from pipeline.labels.learned import LearnedRule
from pipeline.models.base import Report, Rows, Samples
from pipeline.splits.fold import Fold
from pipeline.training import TrainedHead

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
        table, ``classes`` in order of the label's index, ``class_shares``, ``fits`` (one for
        each fold, then the refit; moments are open times) and ``importance``.
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
        "fits": [
            _fit(name, samples, fold, report) | _learned(samples, fold, rule)
            for (name, fold), report, rule in zip(cuts, trained.reports, trained.rules, strict=True)
        ],
        "importance": [asdict(column) for column in trained.importance],
    }


def _class_shares(samples: Samples) -> dict[str, float]:
    counts = np.bincount(samples.label, minlength=len(samples.classes))
    return dict(zip(samples.classes, (counts / counts.sum()).tolist(), strict=True))


def _fit(name: str, samples: Samples, fold: Fold, report: Report) -> Facts:
    spans: Mapping[str, Rows] = {
        "train": fold.train,
        "purged": _purged(samples, fold),
        "test": fold.test,
    }
    facts: Facts = {"fit": name}
    for kind, rows in spans.items():
        facts |= _span(kind, samples.time[rows]) if len(rows) else {}
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


def _purged(samples: Samples, fold: Fold) -> Rows:
    """Rows before the test whose label reaches into it; `check_folds` lets none into training."""
    if len(fold.test) == 0:
        return fold.test
    opens = samples.time[fold.test].min()
    return np.flatnonzero((samples.time < opens) & (samples.ends_at > opens))


def _span(kind: str, time: pd.DatetimeIndex) -> Facts:
    return {
        f"{kind}_rows": len(time),
        f"{kind}_from": time.min().isoformat(),
        f"{kind}_to": time.max().isoformat(),
    }
