"""Fit over folds for out-of-fold predictions, then refit on everything that is labelled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from pipeline.errors import DataError
from pipeline.evaluation.effective import independent_rows
from pipeline.importance import Importance, loss_increases, ranked, sampled_rows
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
from pipeline.models.calibration import Calibration, NoCalibration
from pipeline.models.member_shares import training_shares
from pipeline.models.nested_calibration import CalibrationFit, OutOfFoldRows, calibrated_on
from pipeline.models.probabilities import check_probabilities
from pipeline.models.windows import step_of
from pipeline.splits.fold import Fold, Split, check_folds

UNCALIBRATED = NoCalibration()
IMPORTANCE = 1  # tells the generator of the importance from that of the fit


@dataclass(frozen=True, slots=True)
class TrainedHead:
    """What training one head yields.

    ``predictions`` is keyed like the features: ``fold``, one ``p_<class>`` per class
    (out-of-fold probabilities, calibrated inside the folds) and one ``base_<class>`` per class
    (`pipeline.models.member_shares.training_shares` of that fold); with a learned label also
    ``label``, by what that fold's training rows taught.
    ``reports``, ``rules`` and ``calibrations`` have one entry for each fold and the refit's last;
    ``importance`` is that of the folds' models, uncalibrated, on out-of-fold rows.
    """

    predictions: pd.DataFrame
    fitted: Fitted
    folds: list[Fold]
    reports: list[Report]
    importance: list[Importance]
    rules: list[LearnedRule | None]
    calibrations: list[CalibrationFit]


@dataclass(frozen=True, slots=True)
class PredictedFold:
    """One fold's out-of-fold predictions, rows in the order of its test, and who made them.

    ``label`` is what they are judged by, `rule` what the training rows taught of it; `raw` are
    the rows before they were calibrated.
    """

    predictions: pd.DataFrame
    fitted: Fitted
    label: Classes
    rule: LearnedRule | None
    raw: OutOfFoldRows
    calibration: CalibrationFit = field(default_factory=CalibrationFit)


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
    folds = checked_folds(samples, split)
    asked, judged = sampled_rows(folds), list[_Judged]()
    for part in predict_folds(samples, model, folds, seed, calibration):
        number = len(judged)
        chance = _generator(seed, number + 1, IMPORTANCE)
        tested = samples.take(asked[number]).judged(part.rule)
        increases = loss_increases(part.fitted, tested, model.lookback, chance)
        told = part.fitted.report()
        judged.append(
            _Judged(part.predictions, told, increases, part.rule, part.raw, part.calibration)
        )
        del part  # the fold's model goes before the next is fitted
    rule = samples.learned()
    refitted = model.fit(samples.judged(rule), _generator(seed, 0))
    return TrainedHead(
        predictions=pd.concat([each.predictions for each in judged]).sort_index(),
        fitted=refitted,
        folds=folds,
        reports=[*(each.report for each in judged), refitted.report()],
        importance=_importance(samples, folds, [each.increases for each in judged]),
        rules=[*(each.rule for each in judged), rule],
        calibrations=[
            *(each.calibration for each in judged),
            calibrated_on([each.raw for each in judged], samples, calibration),
        ],
    )


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
    earlier: list[OutOfFoldRows] = []
    for number, fold in enumerate(folds):
        part = _predict_fold(samples, model, fold, number, _generator(seed, number + 1))
        learnt = calibrated_on(earlier, samples, calibration, fold.test)
        earlier.append(part.raw)
        yield _calibrated(part, learnt, samples.classes)
        del part  # the fold's model goes before the next is fitted


@dataclass(frozen=True, slots=True)
class _Judged:
    """What is kept of a fold when its model is gone."""

    predictions: pd.DataFrame
    report: Report
    increases: Floats
    rule: LearnedRule | None
    raw: OutOfFoldRows
    calibration: CalibrationFit


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


def _generator(seed: int, fit: int, purpose: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, fit, purpose] if purpose else [seed, fit])


def _importance(samples: Samples, folds: list[Fold], increases: list[Floats]) -> list[Importance]:
    every = np.concatenate(increases)
    tested = np.concatenate([fold.test for fold in folds])
    labelled = pd.DataFrame({"ends_at": samples.ends_at[tested]}, samples.index[tested])
    independent = independent_rows(labelled, pd.Timedelta(milliseconds=step_of(samples.table)))
    return ranked(samples.table.columns, every, min(independent, len(every)))


def _predict_fold(
    samples: Samples, model: Model, fold: Fold, number: int, rng: np.random.Generator
) -> PredictedFold:
    rule = samples.take(fold.train).learned()
    train, test = (samples.take(rows).judged(rule) for rows in (fold.train, fold.test))
    fitted = model.fit(train, rng)
    probability = fitted.predict_proba(test.table, test.rows)
    base = training_shares(train, test)
    check_probabilities(probability)
    columns = _columns(train.classes, probability)
    columns |= {f"base_{name}": base[:, k] for k, name in enumerate(train.classes)}
    fold_number = np.full(len(test.rows), number, "int16")
    own = {} if rule is None else {"label": test.label}
    frame = pd.DataFrame({"fold": fold_number, **columns, **own}, index=samples.index[fold.test])
    raw = OutOfFoldRows(fold.test, probability, test.label)
    return PredictedFold(frame, fitted, test.label, rule, raw)


def _calibrated(
    part: PredictedFold, learnt: CalibrationFit, classes: Sequence[str]
) -> PredictedFold:
    if learnt.calibrator is None:
        return replace(part, calibration=learnt)
    probability = learnt.calibrator.apply(part.raw.probability)
    check_probabilities(probability)
    predictions = part.predictions.assign(**_columns(classes, probability))
    return replace(part, predictions=predictions, calibration=learnt)


def _columns(classes: Sequence[str], probability: Floats) -> dict[str, Floats]:
    return {f"p_{name}": probability[:, k] for k, name in enumerate(classes)}
