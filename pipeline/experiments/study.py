"""A study on disk: what was tried, what came out, and how a killed one goes on.

One SQLite file per study, written by Optuna after every fold. The sampler is seeded anew before
each trial from the search and the number of trials before it, so what is drawn next follows from
the history alone: a study that was killed and continued tries what an undisturbed one tries.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from pipeline.errors import DataError, RetryLater
from pipeline.experiments.blocks import Sums
from pipeline.experiments.search_space import Options, Range, Search, Settings

if TYPE_CHECKING:
    import optuna

BASE, REASON, DIGEST, SCORED, NEW = "base", "reason", "digest", "scored", "new"
BLOCK_LOSSES = "block_losses"
COMPLETE, PRUNED, FAILED = "complete", "pruned", "failed"
BUSY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial; `number` counts from 0, which is the configuration as it was.

    One that was scored on every fold has its log losses summed by head and block of time.
    """

    number: int
    state: str
    log_loss: float | None
    settings: Settings
    digest: str
    reason: str
    block_losses: Sums = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoredOn:
    """What every trial of a study is scored on, and what knows nothing of the features scores.

    `digest` is that of features and labels; out-of-fold `rows`, and how many `independent` ones
    they are worth, stand by head; `class_shares` is the log loss of always giving the class
    shares of the training rows; `block_rows` are the rows of each head by block of time.
    """

    digest: str
    rows: dict[str, int]
    independent: dict[str, float]
    folds: int
    class_shares: float
    block_rows: Sums = field(default_factory=dict)


@contextlib.contextmanager
def opened(path: Path, name: str) -> Iterator[optuna.Study]:
    """Open or create a study, as its only tuner.

    Raises
    ------
    RetryLater
        When another tuner has it open, or its file cannot be read or written.
    """
    import optuna
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    path.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with FileLock(path.with_suffix(".lock")).acquire(timeout=0), _storage(path) as storage:
            study = optuna.create_study(study_name=name, storage=storage, load_if_exists=True)
            _fail_interrupted(study)
            yield study
    except Timeout:
        raise RetryLater(
            "this study is being tuned by another process",
            where=str(path),
            fix="wait for it to end and repeat; finished trials are not repeated",
        ) from None
    except (SQLAlchemyError, StorageInternalError) as error:
        raise RetryLater(
            f"the study cannot be read or written: {' '.join(str(error).split())}",
            where=str(path),
            fix="free space on that disk and repeat; a damaged file is to be moved away, and the "
            "study begins again",
        ) from error


def require_same(study: optuna.Study, scored: ScoredOn, path: Path) -> None:
    """Refuse to mix scores on different candles in one study.

    Raises
    ------
    DataError
        When the study was begun on other features or labels.
    """
    if SCORED not in study.user_attrs:
        study.set_user_attr(SCORED, asdict(scored))
    elif (begun := scored_on(study)).digest != scored.digest:
        raise DataError(
            "this study began on other candles: they were revised since",
            where=str(path),
            found=scored.digest[:12],
            expected=begun.digest[:12],
            fix="move that file away and repeat; the study begins again",
        )


def scored_on(study: optuna.Study) -> ScoredOn:
    """What the trials of a study are scored on."""
    return ScoredOn(**study.user_attrs[SCORED])


def ask(study: optuna.Study, search: Search, start: Settings | None) -> optuna.Trial:
    """Begin the next trial; the first is the configuration as it is.

    Parameters
    ----------
    start
        The configuration's own values where they lie in the space, else None.
    """
    import optuna

    done = _finished(study)
    seed = np.random.SeedSequence([search.seed, len(done)]).generate_state(1)[0]
    study.sampler = optuna.samplers.TPESampler(
        n_startup_trials=search.startup_trials,
        multivariate=False,
        constant_liar=False,
        seed=int(seed),
    )
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=search.startup_trials)
    waiting = study.get_trials(states=(optuna.trial.TrialState.WAITING,))
    if not done and not any(BASE in trial.user_attrs for trial in waiting):
        study.enqueue_trial(start or {}, user_attrs={BASE: True})
    trial = study.ask()
    if BASE not in trial.user_attrs or start is not None:
        for key, domain in search.space.items():
            _suggest(trial, key, domain)
    return trial


def end(study: optuna.Study, trial: optuna.Trial, outcome: str, value: float | None = None) -> None:
    """Write down how a trial ended: `COMPLETE` with its value, `PRUNED` or `FAILED`."""
    import optuna

    states = {
        COMPLETE: optuna.trial.TrialState.COMPLETE,
        PRUNED: optuna.trial.TrialState.PRUNED,
        FAILED: optuna.trial.TrialState.FAIL,
    }
    study.tell(trial, value, state=states[outcome])


def tried(study: optuna.Study, search: Search, start: Settings) -> list[Tried]:
    """Every trial that came to an end by itself, in order."""
    return [_tried(k, trial, search, start) for k, trial in enumerate(_finished(study))]


def counted(study: optuna.Study) -> int:
    """How many configurations this study brought to the slot's ledger, interrupted ones too."""
    return sum(bool(trial.user_attrs.get(NEW)) for trial in study.get_trials(deepcopy=False))


def settings_of(trial: optuna.Trial | optuna.trial.FrozenTrial, search: Search) -> Settings:
    """What a trial sets: nothing for the configuration as it is."""
    return {} if BASE in trial.user_attrs else search.as_typed(trial.params)


@contextlib.contextmanager
def _storage(path: Path) -> Iterator[optuna.storages.RDBStorage]:
    import optuna

    timeout = {"connect_args": {"timeout": BUSY_SECONDS}}
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}", engine_kwargs=timeout)
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _fail_interrupted(study: optuna.Study) -> None:
    """Trials that a killed process left, perhaps between two draws: each is asked for again."""
    import optuna

    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)


def _finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Trials that ended by themselves: a failed one says why, an interrupted one does not."""
    import optuna

    failed = optuna.trial.TrialState.FAIL
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.is_finished() and (trial.state != failed or REASON in trial.user_attrs)
    ]


def _suggest(trial: optuna.Trial, key: str, domain: Range | Options) -> None:
    if isinstance(domain, Options):
        trial.suggest_categorical(key, domain.choices)
    elif domain.is_whole:
        low, high = int(domain.low), int(domain.high)
        trial.suggest_int(key, low, high, step=int(domain.step or 1), log=domain.log)
    else:
        step = None if domain.step is None else float(domain.step)
        trial.suggest_float(key, float(domain.low), float(domain.high), step=step, log=domain.log)


def _tried(
    number: int, trial: optuna.trial.FrozenTrial, search: Search, start: Mapping[str, Any]
) -> Tried:
    import optuna

    names = {
        optuna.trial.TrialState.COMPLETE: COMPLETE,
        optuna.trial.TrialState.PRUNED: PRUNED,
        optuna.trial.TrialState.FAIL: FAILED,
    }
    return Tried(
        number=number,
        state=names[trial.state],
        log_loss=trial.value if trial.state == optuna.trial.TrialState.COMPLETE else None,
        settings=settings_of(trial, search) or dict(start),
        digest=str(trial.user_attrs.get(DIGEST, "")),
        reason=str(trial.user_attrs.get(REASON, "")),
        block_losses=trial.user_attrs.get(BLOCK_LOSSES, {}),
    )
