"""Tune one slot: find its study, build its features and labels, hand them to the search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from pipeline import log
from pipeline.configuration.choices import LAST, choose
from pipeline.configuration.compose import read_root
from pipeline.configuration.conf_groups import parse_words
from pipeline.configuration.plan import Plan
from pipeline.errors import ConfigError, RetryLater
from pipeline.experiments.scoring import Frames
from pipeline.experiments.search_space import read_search
from pipeline.experiments.study import FAILED, PRUNED
from pipeline.experiments.subject import Subject, Tuning
from pipeline.experiments.tune import Tuned, tune, unfinished
from pipeline.frames import read_frame
from pipeline.operations.places import Places
from pipeline.operations.retraining.build_run import How, reproduce
from pipeline.operations.target import Target, resolve
from pipeline.operations.trials.adoption import write_tune
from pipeline.operations.workspace import Workspace, lock_path, prepare
from pipeline.stages import paths

NEEDED = ("features", "labels")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command asked for: words, how many trials, and which search if it said so."""

    words: tuple[str, ...]
    trials: int
    search: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one tune did; `went_on` where ``as_of=last`` gave way to an unfinished study's."""

    target: Target
    tuned: Tuned
    went_on: bool


def tune_slot(
    asked: Asked, places: Places, now: pd.Timestamp, show: Callable[[str], None]
) -> Outcome:
    """Search around a slot's configuration; nothing is registered and nothing promoted.

    Raises
    ------
    ConfigError
        When a word or a key of the space names nothing.
    RetryLater
        When the slot is being built, or the study tuned, by another process.
    """
    conf = places.checkout / "conf"
    target, tuning, went_on = _found(asked, places, conf, now)
    facts = {"slot": str(target.slot), "study": tuning.name}
    if went_on:
        show(f"goes on with the unfinished study of {target.plan.run.as_of}")
    log.event("tune_started", **facts, as_of=target.plan.run.as_of, search=tuning.search.name)
    tuned = tune(tuning, lambda: _build(target, places, show), places.home, show)
    counts: dict[str, Any] = {state: tuned.count(state) for state in (PRUNED, FAILED)}
    log.event("tune_finished", **facts, trials=len(tuned.trials), **counts)
    return Outcome(target, tuned, went_on)


def adopt_best(outcome: Outcome, conf: Path) -> Path | None:
    """Write the best trial's settings to ``conf/tune/``; nothing where there is no gain."""
    tuned, run = outcome.tuned, outcome.target.plan.run
    if not tuned.gained:
        return None
    best = tuned.ranked[0]
    own = "it failed" if tuned.base.log_loss is None else f"{tuned.base.log_loss:.6g}"
    comment = (
        f"From vintage tune of {outcome.target.slot} at {run.as_of}: the best of "
        f"{len(tuned.trials)} trials by its mean out-of-fold log loss, {best.log_loss:.6g}; the "
        f"configuration before: {own}; the class shares alone: {tuned.scored.class_shares:.6g}. It "
        "was chosen by that score, which is no evidence for it."
    )
    subject = tuned.tuning.subject
    return write_tune(conf, subject.with_settings(best.settings), comment)


def _found(
    asked: Asked, places: Places, conf: Path, now: pd.Timestamp
) -> tuple[Target, Tuning, bool]:
    target = resolve(asked.words, conf, places.home, now)
    tuning = _tuning(target, conf, asked)
    if choose(read_root(conf).choices, parse_words(asked.words)).as_of != LAST:
        return target, tuning, False
    begun = unfinished(tuning, places.home)
    if begun is None or begun == target.plan.run.as_of:
        return target, tuning, False
    target = resolve([*asked.words, f"as_of='{begun}'"], conf, places.home, now)
    return target, _tuning(target, conf, asked), True


def _tuning(target: Target, conf: Path, asked: Asked) -> Tuning:
    subject = Subject.of(target.choices, conf)
    models = subject.composed.model.split(",")
    if asked.search is None and len(models) > 1:
        raise ConfigError(
            "the heads have different models, so there is no one search for them",
            where=f"recipe={target.slot.recipe}",
            found=", ".join(models),
            fix="say --search NAME, or choose one model for all with model=",
        )
    return Tuning(subject, read_search(conf, asked.search or models[0]), asked.trials)


def _build(target: Target, places: Places, show: Callable[[str], None]) -> Frames:
    path = lock_path(places.home, target.slot)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path).acquire(timeout=0):
            workspace = prepare(places.home, places.checkout, target.slot, target.choices)
            reproduce(workspace, places.home, show, How(targets=NEEDED))
            return _frames(workspace, target.plan)
    except Timeout:
        raise RetryLater(
            "this slot is being built by another process",
            where=str(target.slot),
            fix="wait for it to end and repeat",
        ) from None


def _frames(workspace: Workspace, plan: Plan) -> Frames:
    features, labels = workspace.path(paths.FEATURES), workspace.path(paths.LABELS)
    sets, heads = plan.stages["features"]["sets"], plan.stages["labels"]["heads"]
    return Frames(
        features={name: read_frame(features / f"{name}.parquet") for name in sets},
        labels={head: read_frame(labels / f"{head}.parquet") for head in heads},
    )
