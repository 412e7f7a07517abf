"""Try settings of a slot's models and score each on the same out-of-fold rows.

A trial is a run like any other up to the refit: its folds are purged, everything fitted is
fitted inside the fold. Its configuration stands in the slot's trial ledger before it is fitted,
also when it is cut short: whoever looks at the best of many must know how many there were.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError, DataError
from pipeline.experiments import study as studies
from pipeline.experiments.overfitting import Overfitting, overfitting
from pipeline.experiments.scoring import (
    Frames,
    HeadRows,
    block_rows,
    class_share_loss,
    head_rows,
    running_losses,
)
from pipeline.experiments.search_space import Settings
from pipeline.experiments.searched_keys import inside, known, starting_values
from pipeline.experiments.study import COMPLETE, FAILED, PRUNED, ScoredOn, Tried
from pipeline.experiments.subject import Tuning, check_tuning, models_of
from pipeline.fitting.trial import REGISTRY, TrialFacts
from registry.files import read_if_there, write_atomic
from registry.trials import count_trials

if TYPE_CHECKING:
    import optuna

SOURCE = "tune"
DIGITS = 5  # decimals of a log loss that are shown; smaller differences are none


@dataclass(frozen=True, slots=True)
class Tuned:
    """What a study holds: every trial in order, and what they were scored on.

    `counted` of its configurations were new to the slot's ledger, which holds `ledger` now.
    """

    tuning: Tuning
    file: Path
    trials: list[Tried]
    known_before: int
    scored: ScoredOn
    counted: int
    ledger: int

    @property
    def base(self) -> Tried:
        """The configuration as it was."""
        return self.trials[0]

    @property
    def ranked(self) -> list[Tried]:
        """Trials scored on every fold, the best first."""
        whole = [trial for trial in self.trials if trial.state == COMPLETE]
        return sorted(whole, key=lambda trial: (trial.log_loss or 0.0, trial.number))

    @property
    def overfitting(self) -> Overfitting:
        """What the best score says of time that did not choose it."""
        return overfitting(self.trials, self.scored)

    @property
    def learned(self) -> bool:
        """Whether the best trial beats always giving the class shares, as far as `DIGITS` show."""
        best = self.ranked[0].log_loss
        return best is not None and round(best, DIGITS) < round(self.scored.class_shares, DIGITS)

    @property
    def gained(self) -> bool:
        """Whether there are settings to keep: better ones than before, that learned something."""
        return self.learned and self.ranked[0] != self.base

    def count(self, state: str) -> int:
        """How many trials ended so."""
        return sum(trial.state == state for trial in self.trials)


def tune(
    tuning: Tuning, read: Callable[[], Frames], home: Path, show: Callable[[str], None]
) -> Tuned:
    """Try until there are as many trials as asked for; a finished study is only looked up.

    Parameters
    ----------
    read
        Gives features and labels; called when there is something left to try.
    show
        Told which trial begins.

    Raises
    ------
    ConfigError
        When the space does not fit the models.
    DataError
        When there are too few rows to score anything, or every trial failed.
    RetryLater
        When another tuner has this study open.
    """
    start = check_tuning(tuning)
    file = tuning.file(home)
    with studies.opened(file, tuning.name) as study:
        before = len(studies.tried(study, tuning.search, known(start)))
        if before < tuning.trials:
            task = _readied(study, tuning, read, home)
            _mark_unfinished(tuning, home)
            _fill(study, task, show)
            _unmark(tuning, home)
        trials = studies.tried(study, tuning.search, known(start))
        scored, counted = studies.scored_on(study), studies.counted(study)
    _require_a_score(trials, file)
    held = count_trials(home / REGISTRY, tuning.subject.plan.run.slot)
    return Tuned(tuning, file, trials, before, scored, counted, held)


def unfinished(tuning: Tuning, home: Path) -> str | None:
    """The moment of the newest study of the same family that was begun and not finished."""
    content = read_if_there(_mark(tuning, home))
    if content is None:
        return None
    told = json.loads(content)
    begun = (tuning.folder(home) / told["file"]).is_file()
    return str(told["as_of"]) if begun else None


@dataclass(frozen=True, slots=True)
class _Task:
    tuning: Tuning
    start: Settings
    rows: Mapping[str, HeadRows]
    registry: Path

    @property
    def own_values(self) -> Settings | None:
        """The configuration's own values where they could have been drawn."""
        return self.start if inside(self.tuning.search, self.start) else None


def _readied(study: optuna.Study, tuning: Tuning, read: Callable[[], Frames], home: Path) -> _Task:
    try:
        return _task(study, tuning, read(), home)
    except DataError:
        _unmark(tuning, home)  # a moment that cannot be read must not draw later calls to it
        raise


def _task(study: optuna.Study, tuning: Tuning, frames: Frames, home: Path) -> _Task:
    rows = head_rows(tuning.subject.plan, frames)
    timeframe = tuning.subject.plan.run.timeframe
    scored = ScoredOn(
        digest=frames.digest,
        rows={head: own.scored for head, own in rows.items()},
        independent={head: own.independent(timeframe) for head, own in rows.items()},
        folds=max(len(own.folds) for own in rows.values()),
        class_shares=class_share_loss(rows),
        block_rows=block_rows(rows),
    )
    studies.require_same(study, scored, tuning.file(home))
    start = starting_values(tuning.search, models_of(tuning.subject.plan))
    return _Task(tuning, start, rows, home / REGISTRY)


def _fill(study: optuna.Study, task: _Task, show: Callable[[str], None]) -> None:
    search, wanted = task.tuning.search, task.tuning.trials
    while len(done := studies.tried(study, search, known(task.start))) < wanted:
        scores = [trial.log_loss for trial in done if trial.log_loss is not None]
        best = f", best {min(scores):.4f}" if scores else ""
        show(f"trial {len(done) + 1} of {wanted}{best}")
        _try(study, studies.ask(study, search, task.own_values), task)


def _try(study: optuna.Study, trial: optuna.Trial, task: _Task) -> None:
    outcome, loss = FAILED, None
    try:
        outcome, loss = _scored(trial, task)
    except (ConfigError, DataError) as error:
        trial.set_user_attr(studies.REASON, str(error))
    except _library_errors() as error:
        words = " ".join(str(error).split())
        trial.set_user_attr(studies.REASON, f"{type(error).__name__}: {words}")
    finally:
        studies.end(study, trial, outcome, loss)


def _scored(trial: optuna.Trial, task: _Task) -> tuple[str, float | None]:
    """How a trial ends, with its score where it was scored on every fold."""
    plan = task.tuning.subject.planned(studies.settings_of(trial, task.tuning.search))
    news = TrialFacts.of_local(plan.local, "plan").count(task.registry, SOURCE)
    trial.set_user_attr(studies.NEW, news)
    trial.set_user_attr(studies.DIGEST, plan.trial)
    last = max(len(own.folds) for own in task.rows.values()) - 1
    for fold, score in enumerate(running_losses(plan, task.rows)):
        trial.report(score.loss, fold)
        if fold < last and trial.should_prune():
            return PRUNED, None
    trial.set_user_attr(studies.BLOCK_LOSSES, score.blocks)
    return COMPLETE, score.loss


def _library_errors() -> tuple[type[Exception], ...]:
    """What libraries raise where a setting does not suit the data; LightGBM has its own."""
    lightgbm = sys.modules.get("lightgbm.basic")
    own = (lightgbm.LightGBMError,) if lightgbm else ()
    return (ValueError, RuntimeError, ArithmeticError, *own)


def _require_a_score(trials: list[Tried], file: Path) -> None:
    if all(trial.state == FAILED for trial in trials):
        raise DataError(
            f"every one of {len(trials)} trials failed",
            where=str(file),
            found=trials[0].reason,
            fix="see what each needs, give more history (recipe.history_days) or search nearer",
        )


def _mark(tuning: Tuning, home: Path) -> Path:
    return tuning.folder(home) / f"{tuning.family}.unfinished.json"


def _mark_unfinished(tuning: Tuning, home: Path) -> None:
    told = {"as_of": tuning.subject.plan.run.as_of, "file": tuning.file(home).name}
    write_atomic(_mark(tuning, home), json.dumps(told).encode())


def _unmark(tuning: Tuning, home: Path) -> None:
    content = read_if_there(_mark(tuning, home))
    if content and json.loads(content)["file"] == tuning.file(home).name:
        _mark(tuning, home).unlink(missing_ok=True)
