"""Train every head: out-of-fold predictions and the bundle of the final refit."""

from __future__ import annotations

from typing import Annotated, Literal

import pandas as pd
from pydantic import Field

from pipeline.build import TARGET
from pipeline.config import Node, Record, home
from pipeline.configuration.choices import KeptFrom
from pipeline.cores import WorkersFact, worker_count
from pipeline.errors import DataError
from pipeline.fitting.fold_fits import HeadTask
from pipeline.fitting.training import (
    TrainedHead,
    checked_folds,
    labelled_samples,
    train_heads,
)
from pipeline.fitting.training_facts import head_facts
from pipeline.fitting.trial import REGISTRY, TrialFacts
from pipeline.frames import read_frame, write_frame
from pipeline.models.base import Model, Samples
from pipeline.models.bundle import HeadDeclaration, pack
from pipeline.models.calibration import Calibration, calibrator_node
from pipeline.models.kept_head import KeptHead, made_of
from pipeline.models.windows import rows_of_whole_windows, with_whole_windows
from pipeline.runner import LOCAL, WORKERS_PEAK, Context, Facts, to_json
from pipeline.splits.fold import Split
from pipeline.stages import paths
from registry.files import write_atomic


class Head(Record):
    """A head's triple; `feature_set` names its file among the features."""

    feature_set: str
    features: Node
    label: Node
    classes: tuple[str, ...]
    model: Node


class Config(Record):
    """Heads, split and everything else that changes the bytes."""

    heads: dict[str, Head]
    split: Node
    calibration: Node
    timeframe: str
    lookback: Annotated[int, Field(ge=1, description="unbroken candles that a row ends")]
    seed: Annotated[int, Field(ge=0)]
    device: Literal["cpu"]
    kept: dict[str, KeptFrom] = Field(default_factory=dict)


def run(config: Config, context: Context) -> Facts:
    """Count the trial, load, train, save; heads are independent of each other.

    A kept head is not trained: its files and its out-of-fold rows are those of a version.
    """
    TrialFacts.of_local(context.local, str(LOCAL)).count(home() / REGISTRY, "train")
    workers = worker_count(WorkersFact.of_local(context.local).workers)
    trained, heads, spent = _trained(config, context, workers)
    declared = {
        name: declaration_of(config.heads[name], result) for name, result in trained.items()
    }
    kept = {name: _kept(config, name) for name in config.kept}
    declared |= {name: head.declaration(config.kept[name]) for name, head in kept.items()}
    heads |= {name: head.training for name, head in kept.items()}
    fitted = {name: result.fitted for name, result in trained.items()}
    for path, content in pack(config.timeframe, declared, {**fitted, **kept}).items():
        write_atomic(paths.BUNDLE / path, content)
    for name, result in trained.items():
        write_frame(paths.PREDICTIONS / f"{name}.parquet", result.predictions)
    for name, own in kept.items():
        write_frame(paths.PREDICTIONS / f"{name}.parquet", own.predictions())
    told = {"libraries": context.libraries, "heads": dict(sorted(heads.items()))}
    write_atomic(paths.TRAINING, to_json(told))
    facts: Facts = {name: _facts(result) for name, result in trained.items()}
    return {**facts, **{name: config.kept[name].model_dump() for name in kept}, **spent}


def head_samples(
    config: Config, context: Context, name: str, features: pd.DataFrame, labels: pd.DataFrame
) -> Samples:
    """The labelled rows of a head that end a whole window of candles.

    The rows of a feature table of trades do so by themselves: the features stage saw to it.
    """
    head = config.heads[name]
    learns = "outcome" in labels
    label = context.build(head.label, f"label of {name}") if learns else None
    if "trade" not in labels.index.names:
        samples = labelled_samples(features, labels, head.classes, label)
        return with_whole_windows(samples, config.lookback)
    if "trade" not in features.index.names:
        features = rows_of_whole_windows(features, config.lookback)
    return labelled_samples(features, labels, head.classes, label)


def declaration_of(head: Head, result: TrainedHead) -> HeadDeclaration:
    """What a bundle says of a trained head."""
    rule, calibrator = result.rules[-1], result.calibrations[-1].calibrator
    return HeadDeclaration(
        features=head.features,
        label=head.label,
        model=head.model,
        classes=head.classes,
        learned=rule.model_dump() if rule else None,
        calibrator=calibrator_node(calibrator) if calibrator else None,
    )


def _trained(
    config: Config, context: Context, workers: int
) -> tuple[dict[str, TrainedHead], dict[str, Facts], Facts]:
    """All heads at once where there are workers, else one after the other, to hold less."""
    names = sorted({*config.heads} - {*config.kept})
    groups = [names] if workers > 1 else [[name] for name in names]
    trained: dict[str, TrainedHead] = {}
    facts: dict[str, Facts] = {}
    started = peak = 0
    for group in groups:
        tasks = {name: _task(config, context, name) for name in group}
        made = train_heads(tasks, workers)
        trained |= made.heads
        started, peak = max(started, made.workers), max(peak, made.peak_mb)
        for name, task in tasks.items():
            model = str(config.heads[name].model[TARGET])
            facts[name] = head_facts(task.samples, trained[name], model, task.model.lookback)
    return trained, facts, {"workers": started, WORKERS_PEAK: peak}


def _task(config: Config, context: Context, name: str) -> HeadTask:
    head = config.heads[name]
    model: Model = context.build(head.model, f"model of {name}")
    split: Split = context.build(config.split, "split")
    calibration: Calibration = context.build(config.calibration, "calibration")
    table = read_frame(paths.FEATURES / f"{head.feature_set}.parquet")
    labels = read_frame(paths.LABELS / f"{name}.parquet")
    samples = head_samples(config, context, name, table, labels)
    return HeadTask(samples, model, checked_folds(samples, split), config.seed, calibration)


def _kept(config: Config, name: str) -> KeptHead:
    head = KeptHead.read(paths.KEPT, config.kept[name].sha256)
    if head.made_of != made_of(config.heads[name].model_dump()):
        raise DataError(
            "the kept head is made of other columns, another label or other classes than the run",
            where=f"head {name} of {config.kept[name].version}",
            fix="leave it out of skip",
        )
    return head


def _facts(result: TrainedHead) -> dict[str, list[int]]:
    return {
        "train_rows": [len(fold.train) for fold in result.folds],
        "test_rows": [len(fold.test) for fold in result.folds],
    }
