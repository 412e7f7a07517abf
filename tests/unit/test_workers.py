from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline import log, workers
from pipeline.configuration.choices import choose
from pipeline.configuration.compose import compose_run, read_root
from pipeline.configuration.planning import plan_run
from pipeline.cores import THREADS, VARIABLE, WorkersFact, worker_count
from pipeline.errors import ConfigError, DataError
from pipeline.fitting.fold_fits import HeadTask
from pipeline.fitting.training import TrainedHead, checked_folds, train_heads
from pipeline.fitting.training_facts import head_facts
from pipeline.frames import encode_frame
from pipeline.models.calibration import Sigmoid
from pipeline.models.lightgbm import LightGBM
from pipeline.models.majority import Majority
from pipeline.models.xgboost import XGBoost
from pipeline.runner import to_json
from pipeline.splits.walk_forward import WalkForward
from pipeline.workers import spread
from registry.files import sha256
from tests.conftest import CHECKOUT
from tests.runs import CONF
from tests.spine import planned
from tests.spread_works import KilledInWorker, Refused, Squares, Threads, always_worth
from tests.unit.test_training import TREES, joined_rows

TASKS = [5, -2, 7, 1, -4, 6]
PATIENCE = 60  # seconds that a process may take to start or to end on a busy machine


@pytest.fixture
def worth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "WORTH_SECONDS", workers.WORTH_SECONDS)
    monkeypatch.setattr(workers, "IMPORT_SECONDS", workers.IMPORT_SECONDS)
    always_worth()


def test_results_stand_in_the_order_of_their_tasks(worth: None) -> None:
    done = spread(Squares(), TASKS, workers=2)
    assert [value for value, _ in done.results] == [task * task for task in TASKS]
    assert done.workers == 1
    assert not any(there for task, (_, there) in zip(TASKS, done.results, strict=True) if task < 0)


def test_small_work_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ProcessPoolExecutor", None)
    assert spread(Squares(), TASKS, workers=8).workers == 0
    assert spread(Squares(), [], workers=8).results == []


def test_many_tasks_are_spread_before_the_first_is_measured() -> None:
    many = list(range(2 * workers.MANY_TASKS))
    done = spread(Squares(), many, workers=2)
    assert [value for value, _ in done.results] == [task * task for task in many]
    assert done.workers == 1
    assert spread(Squares(), many[1:], workers=2).workers == 0


def test_one_worker_is_this_process(worth: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "ProcessPoolExecutor", None)
    assert [value for value, _ in spread(Squares(), TASKS).results][:2] == [25, 4]


def test_a_worker_has_one_thread_and_tells_its_memory(worth: None) -> None:
    before = {name: os.environ.get(name) for name in THREADS}
    done = spread(Threads(), list(range(40)), workers=2)
    there = [threads for threads, in_worker in done.results if in_worker]
    assert there
    assert all(threads and set(threads) == {1} for threads in there)
    assert done.peak_mb > 10
    assert {name: os.environ.get(name) for name in THREADS} == before


def test_a_killed_worker_is_done_without(
    worth: None, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = spread(KilledInWorker(), list(range(40)), workers=3)
    assert done.results == [(task * task, False) for task in range(40)]
    assert "ended from outside" in capsys.readouterr().err
    (event,) = map(json.loads, (home / "logs" / log.FILE).read_text().splitlines())
    assert event["event"] == "worker_lost"
    assert event["left"] > 0


def test_what_a_worker_refuses_is_told_whole(worth: None) -> None:
    with pytest.raises(DataError) as told:
        spread(Refused(), [1, 3, 5, 7], workers=2)
    words = "three is odd (here). Found: 3; expected: 2. To do: say 2."
    assert str(told.value) == words
    assert told.value.fix == "say 2"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_who_started_them(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "tests.spread_works", str(tmp_path)]
    with subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.DEVNULL) as parent:
        try:
            (pid,) = _first(tmp_path, parent)
            worker = psutil.Process(pid)
            parent.send_signal(number)
            assert parent.wait(PATIENCE) != 0
            _, alive = psutil.wait_procs([worker], timeout=PATIENCE)
            assert not alive
        finally:
            parent.kill()


def _first(folder: Path, parent: subprocess.Popen[bytes]) -> list[int]:
    """Processes that told themselves; waits until one has, or the parent ended."""
    while not (found := list(folder.glob("*.pid"))):
        try:
            parent.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError("it ended before a worker began")
    return [int(path.stem) for path in found]


def test_trained_bytes_are_the_same_in_one_process_and_in_three(worth: None) -> None:
    one, three = (train_heads(tasks(), count) for count in (1, 3))
    assert (one.workers, three.workers) == (0, 2)
    assert three.peak_mb > one.peak_mb == 0
    for name, task in tasks().items():
        assert written(three.heads[name], task) == written(one.heads[name], task)


def tasks() -> dict[str, HeadTask]:
    models = {
        "calm": Majority(),
        "trees": TREES,
        "boosted": XGBoost(n_estimators=20, learning_rate=0.1, max_depth=3, subsample=0.8),
    }
    split, calibration = WalkForward(fold_count=3, test_share=0.2), Sigmoid(least_effective_rows=3)
    found = {}
    for number, (name, model) in enumerate(models.items()):
        rows = joined_rows(seed=number)
        found[name] = HeadTask(rows, model, checked_folds(rows, split), 7, calibration)
    return found


def written(head: TrainedHead, task: HeadTask) -> list[bytes]:
    files = [content for _, content in sorted(head.fitted.save().items())]
    facts = head_facts(task.samples, head, "own", 1)
    return [*files, encode_frame(head.predictions), to_json(facts)]


def test_trees_learn_the_same_in_another_process_and_without_sklearn() -> None:
    told = "import sys; from tests.unit.test_workers import *; "
    told += "print(learned(), 'sklearn' in sys.modules)"
    command = [sys.executable, "-W", "ignore", "-c", told]
    done = subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [learned(), "False"]


BOTH: tuple[LightGBM | XGBoost, ...] = (
    TREES,
    XGBoost(n_estimators=5, learning_rate=0.1, max_depth=3),
)


def learned() -> str:
    """Digest of what both libraries learn from the same rows."""
    rows = joined_rows()
    files = [model.fit(rows, np.random.default_rng(1)).save() for model in BOTH]
    return sha256(b"".join(each[name] for each in files for name in sorted(each)))


def test_the_setting_is_told_beside_the_stages_and_changes_none() -> None:
    plain, chosen = planned(), planned("workers=3")
    assert (plain.local["workers"], chosen.local["workers"]) == (None, 3)
    assert chosen.stages == plain.stages
    assert chosen.trial == plain.trial
    assert WorkersFact.of_local(chosen.local).workers == 3
    assert WorkersFact.of_local({}).workers is None


@pytest.mark.parametrize("word", [0, -1, 1.5, "many", True])
def test_a_setting_that_is_no_number_of_processes_is_refused(word: object) -> None:
    words = {"recipe": "demo", "as_of": "2025-12-20T00:00Z", "workers": word}
    with pytest.raises(ConfigError, match="workers"):
        plan_run(compose_run(choose(read_root(CONF).choices, words), CONF))


def test_the_environment_comes_before_the_setting() -> None:
    assert worker_count(None, {}) == len(os.sched_getaffinity(0))
    assert worker_count(4, {VARIABLE: ""}) == 4
    assert worker_count(4, {VARIABLE: "2"}) == 2
    for wrong in ("0", "-1", "two", "1.5"):
        with pytest.raises(ConfigError, match=VARIABLE):
            worker_count(4, {VARIABLE: wrong})
