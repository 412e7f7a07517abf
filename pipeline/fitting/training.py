"""Fit over folds for out-of-fold predictions, then refit on everything that is labelled."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.errors import DataError
from pipeline.evaluation.effective import independent_rows
from pipeline.fitting.certification import Certification
from pipeline.fitting.fold_fits import (
    REFIT,
    UNCALIBRATED,
    Fit,
    HeadFits,
    HeadTask,
    JudgedFold,
    PredictedFold,
    Refit,
    certified,
    predict_fold,
    probability_columns,
)
from pipeline.fitting.importance import Importance, ranked
from pipeline.labels.learned import Classes, LearnedLabel, LearnedRule
from pipeline.models.base import (
    UNLEARNED,
    FeatureTable,
    Fitted,
    Floats,
    Model,
    Outcomes,
    Report,
    Rows,
    Samples,
)
from pipeline.models.calibration import Calibration
from pipeline.models.class_weight import class_weights
from pipeline.models.nested_calibration import (
    CalibrationFit,
    OutOfFoldRows,
    calibrated_fold,
    calibrated_on,
    served,
)
from pipeline.models.probabilities import check_probabilities
from pipeline.models.windows import step_of
from pipeline.splits.fold import Fold, Split, check_folds
from pipeline.workers import spread


@dataclass(frozen=True, slots=True)
class TrainedHead:
    """What training one head yields.

    ``predictions`` is keyed like the features: ``fold``, one ``p_<class>`` per class
    (out-of-fold probabilities, calibrated inside the folds) and one ``base_<class>`` per class
    (`pipeline.models.member_shares.training_shares` of that fold); with a learned label also
    ``label``, by what that fold's training rows taught.
    ``reports``, ``rules`` and ``calibrations`` have one entry for each fold and the refit's last;
    ``importance`` is that of the folds' models, uncalibrated, on out-of-fold rows;
    ``certification`` holds the refit against the last of them, both calibrated.
    """

    predictions: pd.DataFrame
    fitted: Fitted
    folds: list[Fold]
    reports: list[Report]
    importance: list[Importance]
    rules: list[LearnedRule | None]
    calibrations: list[CalibrationFit]
    certification: Certification | None = None


@dataclass(frozen=True, slots=True)
class TrainedHeads:
    """Heads by name, and what their training took beside this process.

    `workers` were started beside it; `peak_mb` is the sum of their peaks, MiB.
    """

    heads: dict[str, TrainedHead]
    workers: int
    peak_mb: int


def labelled_samples(
    features: pd.DataFrame,
    labels: pd.DataFrame,
    classes: tuple[str, ...],
    label: LearnedLabel | None = None,
) -> Samples:
    """Join features and labels on their keys; rows without either are left out.

    Features of candles serve the rows of trades too: each row gets those of its candle.

    Parameters
    ----------
    features
        Keyed (market, time), or (market, trade, time).
    labels
        Keyed likewise, with ``label`` or, where that is learned, ``outcome``.
    label
        What computed them, where it learns.

    Raises
    ------
    DataError
        When no row has both, or only the features are those of trades.
    """
    table, rows = _rows_of(features, labels)
    known = rows >= 0
    if not known.any():
        raise DataError(
            "no candle has both features and a label",
            found=f"{len(features)} feature rows, {len(labels)} labels",
            fix="give more history (recipe.history_days) or a shorter horizon",
        )
    kept = labels[known]
    samples = Samples(
        table=table,
        rows=rows[known].astype(np.intp),
        label=kept["label"].to_numpy("int8") if "label" in kept else _unlearned(kept),
        weight=kept["weight"].to_numpy("float64"),
        ends_at=pd.DatetimeIndex(kept["ends_at"]),
        classes=classes,
        outcomes=_outcomes(kept, label),
    )
    return (
        _keyed_by_trade(samples, kept) if samples.index.nlevels < labels.index.nlevels else samples
    )


def train_head(
    samples: Samples,
    model: Model,
    split: Split,
    seed: int,
    calibration: Calibration = UNCALIBRATED,
) -> TrainedHead:
    """Fit `model` on every fold's training rows, predict its test rows, refit on all rows.

    Everything fitted is fitted inside the fold; each fit draws from its own generator, so
    that a fold's result does not depend on how many folds there are.
    """
    task = HeadTask(samples, model, checked_folds(samples, split), seed, calibration)
    return train_heads({"": task}).heads[""]


def train_heads(tasks: Mapping[str, HeadTask], workers: int = 1) -> TrainedHeads:
    """Train every head, all fits in as many processes as there are and it is worth.

    The bytes are those of one process; see `pipeline.workers.spread` for when it starts others.

    Parameters
    ----------
    workers
        Processes that may fit at once, this one included.
    """
    fits = [
        Fit(name, number)
        for name, task in tasks.items()
        for number in (*range(len(task.folds)), REFIT)
    ]
    with tempfile.TemporaryDirectory(prefix="vintage-") as folder:
        made = spread(HeadFits(tasks, Path(folder)), fits, workers)
    found = dict(zip(fits, made.results, strict=True))
    heads = {name: _trained(name, task, found) for name, task in tasks.items()}
    return TrainedHeads(heads, made.workers, made.peak_mb)


def checked_folds(samples: Samples, split: Split) -> list[Fold]:
    """Cut the samples into folds; refuse any whose training labels touch its test.

    Raises
    ------
    DataError
        Naming the fold; see `pipeline.splits.fold.check_folds`.
    """
    folds = split.folds(samples.time, samples.ends_at)
    check_folds(folds, samples.time, samples.ends_at)
    return folds


def predict_folds(
    samples: Samples,
    model: Model,
    folds: Sequence[Fold],
    seed: int,
    calibration: Calibration = UNCALIBRATED,
) -> Iterator[PredictedFold]:
    """Fit, predict and calibrate one fold after the other, each when it is asked for."""
    task = HeadTask(samples, model, list(folds), seed, calibration)
    earlier: list[OutOfFoldRows] = []
    for number in range(len(folds)):
        part = predict_fold(task, number)
        probability, learnt = calibrated_fold(earlier, part.raw, samples, calibration)
        earlier.append(part.raw)
        predictions = _calibrated(part.predictions, probability, learnt, samples.classes)
        yield replace(part, predictions=predictions, calibration=learnt)
        del part  # the fold's model goes before the next is fitted


def _rows_of(features: pd.DataFrame, labels: pd.DataFrame) -> tuple[FeatureTable, Rows]:
    """The feature table, and where in it each label's row stands; -1 where nowhere."""
    table, keys = FeatureTable.from_frame(features), labels.index
    own, others = list(map(str, table.index.names)), list(map(str, keys.names))
    if not {*own} <= {*others}:
        raise DataError(
            "features and labels have other keys",
            found=f"features by {', '.join(own)}",
            expected=f"by {', '.join(others)}, or fewer of these",
            fix="choose a label of trades, or features without columns of trades",
        )
    assert isinstance(keys, pd.MultiIndex)
    keys = keys.droplevel([name for name in others if name not in own])
    return table, table.index.get_indexer(keys)


def _keyed_by_trade(samples: Samples, labels: pd.DataFrame) -> Samples:
    """The same samples over a table of their own, which has a row for each of them."""
    assert isinstance(labels.index, pd.MultiIndex)
    table = FeatureTable(samples.table.columns, samples.values, labels.index)
    return replace(samples, table=table, rows=np.arange(len(samples.rows), dtype=np.intp))


def _unlearned(labels: pd.DataFrame) -> Classes:
    return np.full(len(labels), UNLEARNED, "int8")


def _outcomes(labels: pd.DataFrame, label: LearnedLabel | None) -> Outcomes | None:
    if "outcome" not in labels:
        return None
    assert label is not None
    return Outcomes(labels["outcome"].to_numpy("float64"), label)


def _trained(name: str, task: HeadTask, found: Mapping[Fit, JudgedFold | Refit]) -> TrainedHead:
    """Calibrate the folds one after the other, and gather what they and the refit came to."""
    refit = found[Fit(name, REFIT)]
    parts = [found[Fit(name, number)] for number in range(len(task.folds))]
    judged = [part for part in parts if isinstance(part, JudgedFold)]
    assert isinstance(refit, Refit)
    samples, raw = task.samples, [part.raw for part in judged]
    folded = [
        calibrated_fold(raw[:number], own, samples, task.calibration)
        for number, own in enumerate(raw)
    ]
    frames = [
        _calibrated(part.predictions, probability, fit, samples.classes)
        for part, (probability, fit) in zip(judged, folded, strict=True)
    ]
    learnt = [fit for _, fit in folded]
    weights = class_weights(task.model, samples.judged(refit.rule))
    last = calibrated_on(raw, samples, task.calibration, class_weights=weights)
    serving, newest = served(learnt, last), task.last_fold
    return TrainedHead(
        predictions=pd.concat(frames).sort_index(),
        fitted=refit.fitted,
        folds=task.folds,
        reports=[*(part.report for part in judged), refit.fitted.report()],
        importance=_importance(samples, task.folds, [part.increases for part in judged]),
        rules=[*(part.rule for part in judged), refit.rule],
        calibrations=[*learnt, serving],
        certification=certified(task, judged[newest], refit.fitted, (serving, learnt[newest])),
    )


def _importance(samples: Samples, folds: list[Fold], increases: list[Floats]) -> list[Importance]:
    every = np.concatenate(increases)
    tested = np.concatenate([fold.test for fold in folds])
    labelled = pd.DataFrame({"ends_at": samples.ends_at[tested]}, samples.index[tested])
    independent = independent_rows(labelled, pd.Timedelta(milliseconds=step_of(samples.table)))
    return ranked(samples.table.columns, every, min(independent, len(every)))


def _calibrated(
    predictions: pd.DataFrame, probability: Floats, learnt: CalibrationFit, classes: tuple[str, ...]
) -> pd.DataFrame:
    if learnt.calibrator is None:
        return predictions
    check_probabilities(probability)
    return predictions.assign(**probability_columns(classes, probability))
