"""Score one configuration fold by fold, on rows that are the same for every configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.configuration.plan import Plan
from pipeline.evaluation.effective import effective_rows
from pipeline.evaluation.metrics import Floats, log_loss
from pipeline.experiments.blocks import Sums, as_lists, block_starts, block_sums
from pipeline.fitting.fold_fits import UNCALIBRATED
from pipeline.fitting.training import checked_folds, predict_folds
from pipeline.frames import encode_frame
from pipeline.models.base import Model, Samples
from pipeline.models.calibration import Calibration
from pipeline.models.majority import Majority
from pipeline.runner import Context
from pipeline.splits.fold import Fold, Rows
from pipeline.stages import train
from registry.files import sha256

OBJECTIVE = "mean out-of-fold log loss over all scored rows, mean over heads"


@dataclass(frozen=True, slots=True)
class Frames:
    """Features by feature set and labels by head, keyed (market, time)."""

    features: Mapping[str, pd.DataFrame]
    labels: Mapping[str, pd.DataFrame]

    @property
    def digest(self) -> str:
        """Another one where any value differs."""
        told = [f"features {name} {_digest(frame)}" for name, frame in self.features.items()]
        told += [f"labels {name} {_digest(frame)}" for name, frame in self.labels.items()]
        return sha256("\n".join(sorted(told)).encode())


@dataclass(frozen=True, slots=True)
class HeadRows:
    """A head's labelled rows, and the folds that every configuration is scored on."""

    samples: Samples
    folds: list[Fold]

    @property
    def scored(self) -> int:
        """How many rows are predicted out of fold."""
        return len(self._tested)

    def independent(self, timeframe: str) -> float:
        """How many independent rows these are worth; overlapping labels repeat each other."""
        ends_at = self.samples.ends_at[self._tested]
        frame = pd.DataFrame({"ends_at": ends_at}, index=self.samples.index[self._tested])
        return effective_rows(frame, timeframe)

    @property
    def moments(self) -> pd.DatetimeIndex:
        """When the rows stand that are predicted out of fold, once for each fold that does."""
        return self.samples.time[np.concatenate([fold.test for fold in self.folds])]

    @property
    def _tested(self) -> Rows:
        return np.unique(np.concatenate([fold.test for fold in self.folds]))


def head_rows(plan: Plan, frames: Frames) -> dict[str, HeadRows]:
    """Cut the rows of every head as the train stage does.

    Raises
    ------
    DataError
        When there are too few rows, or a training label reaches into its test.
    """
    config = train.Config.parse(plan.stages["train"], "train")
    context = Context(plan.plugins)
    split = context.build(config.split, "split")
    rows = {}
    for name, head in sorted(config.heads.items()):
        features, labels = frames.features[head.feature_set], frames.labels[name]
        samples = train.head_samples(config, context, name, features, labels)
        rows[name] = HeadRows(samples, checked_folds(samples, split))
    return rows


class Score(NamedTuple):
    """Of the rows scored so far: mean log loss, mean over heads, and sums by head and block."""

    loss: float
    blocks: Sums


def block_rows(rows: Mapping[str, HeadRows]) -> Sums:
    """How many rows each head has in each block of time, as often as they are predicted."""
    moments = {name: own.moments for name, own in rows.items()}
    starts = block_starts(moments.values())
    return as_lists(
        {name: block_sums(time, np.ones(len(time)), starts) for name, time in moments.items()}
    )


def running_losses(plan: Plan, rows: Mapping[str, HeadRows]) -> Iterator[Score]:
    """Fold by fold, the mean log loss of the rows scored so far, averaged over the heads.

    The last one is the configuration's score, in nats: the ``log_loss`` that evaluation gives it.
    Each fold is fitted when it is asked for.
    """
    config = train.Config.parse(plan.stages["train"], "train")
    context = Context(plan.plugins)
    models = {
        name: context.build(head.model, f"model of {name}") for name, head in config.heads.items()
    }
    calibration: Calibration = context.build(config.calibration, "calibration")
    return _running(models, rows, config.seed, calibration)


def class_share_loss(rows: Mapping[str, HeadRows]) -> float:
    """The score of always giving the class shares of the training rows, whatever the features."""
    *_, last = _running(dict.fromkeys(rows, Majority()), rows, 0)
    return last.loss


def _running(
    models: Mapping[str, Model],
    rows: Mapping[str, HeadRows],
    seed: int,
    calibration: Calibration = UNCALIBRATED,
) -> Iterator[Score]:
    heads = {name: _losses(models[name], own, seed, calibration) for name, own in rows.items()}
    starts = block_starts(own.moments for own in rows.values())
    scored: dict[str, list[Floats]] = {name: [] for name in rows}
    sums = {name: np.zeros(len(starts) + 1) for name in rows}
    for fold in range(max(len(own.folds) for own in rows.values())):
        for name, losses in heads.items():
            if (part := next(losses, None)) is not None:
                scored[name].append(part)
                time = rows[name].samples.time[rows[name].folds[fold].test]
                sums[name] = sums[name] + block_sums(time, part, starts)
        loss = float(np.mean([np.concatenate(parts).mean() for parts in scored.values()]))
        yield Score(loss, as_lists(sums))


def _losses(model: Model, rows: HeadRows, seed: int, calibration: Calibration) -> Iterator[Floats]:
    samples = rows.samples
    columns = [f"p_{name}" for name in samples.classes]
    predicted = predict_folds(samples, model, rows.folds, seed, calibration)
    for part in predicted:
        probability = part.predictions[columns].to_numpy("float64")
        yield log_loss(probability, part.label.astype("int64"))


def _digest(frame: pd.DataFrame) -> str:
    return sha256(encode_frame(frame))
