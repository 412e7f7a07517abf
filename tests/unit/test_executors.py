"""Executors: every task once, wherever; who is killed is replaced; cores are shared out once."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.configuration.conf_options import options
from pipeline.errors import ConfigError
from pipeline.operations.walk.executors.base import Room, build_executor
from pipeline.operations.walk.executors.local import Local
from tests.conftest import CHECKOUT
from tests.fleet_works import Job, environment, wait_to_be_ended, work

CONF = CHECKOUT / "conf"
LIBRARIES = {"dask": "distributed", "ray": "ray"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parent").write_text(str(os.getpid()))
    return tmp_path


@pytest.mark.parametrize(
    ("slots", "cores", "processes", "room"),
    [
        (4, 2, None, Room(2, 1)),
        (4, 1, None, Room(1, 1, here=True)),
        (1, 8, None, Room(1, 8, here=True)),
        (2, 8, None, Room(2, 4)),
        (4, 8, 2, Room(2, 4)),
        (4, 1, 3, Room(3, 1)),
    ],
)
def test_cores_are_shared_out_once(
    slots: int, cores: int, processes: int | None, room: Room
) -> None:
    found = Local(processes=processes).room(slots, cores)
    assert found == room
    assert processes or found.slots * found.cores <= cores


def test_one_at_a_time_stays_in_this_process(folder: Path) -> None:
    jobs = [Job(number, folder) for number in (3, 1)]
    done = list(Local().run(work, jobs, Room(1, 2, here=True)))
    assert done == [(0, (30, False)), (1, (10, False))]


def test_a_process_knows_the_environment_of_now(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    jobs = [Job(number, folder) for number in range(2)]
    for told in ("first", "then"):
        monkeypatch.setenv("TOLD", told)
        done = dict(Local().run(environment, jobs, Room(2, 1)))
        assert done == {number: (number, told, None) for number in range(2)}
    assert "NUMBA_NUM_THREADS" not in os.environ


def test_who_is_killed_is_replaced_and_the_others_are_done_once(home: Path, folder: Path) -> None:
    jobs = [Job(number, folder, kills=number % 2) for number in range(3)]
    done = dict(Local().run(work, jobs, Room(2, 1)))
    assert done == {number: (10 * number, True) for number in range(3)}
    begun = [len((folder / f"{n}.begun").read_text().split()) for n in range(3)]
    assert begun == [1, 2, 1]
    assert '"slot_process_lost"' in (home / "logs/vintage.jsonl").read_text()


def test_who_is_killed_too_often_is_lost_and_no_other(home: Path, folder: Path) -> None:
    jobs = [Job(0, folder, kills=9), Job(1, folder)]
    done = dict(Local(attempts=2).run(work, jobs, Room(2, 1)))
    assert done == {0: None, 1: (10, True)}
    assert len((folder / "0.begun").read_text().split()) == 2


def test_whoever_stops_the_walk_ends_its_processes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [Job(number, folder) for number in range(2)]
    walk = Local().run(wait_to_be_ended, jobs, Room(2, 1))
    told: list[Any] = []

    def interrupt(*_: object) -> Any:
        begun, patience = multiprocessing.active_children(), time.monotonic() + 60
        while len(list(folder.glob("*.waits"))) < 2:
            assert time.monotonic() < patience, [each.exitcode for each in begun]
            time.sleep(0.01)
        told.append(begun)
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.operations.walk.executors.local.wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        next(walk)
    assert sorted(path.name for path in folder.glob("*.interrupted")) == [
        "0.interrupted",
        "1.interrupted",
    ]
    assert not [process for process in told[0] if process.is_alive()]


@pytest.mark.parametrize("name", options(CONF, "executor"))
def test_an_executor_shares_out_cores(name: str) -> None:
    room = build_executor(CONF, name, {}).room(3, 2)
    assert (room.slots, room.cores) in {(2, 1), (3, 1)}


@pytest.mark.parametrize("name", sorted(LIBRARIES))
def test_a_missing_library_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, LIBRARIES[name], None)
    executor = build_executor(CONF, name, {})
    with pytest.raises(ConfigError, match=rf"vintage\[{name}\]"):
        list(executor.run(work, [], Room(1, 1)))


def test_a_wrong_executor_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean local"):
        build_executor(CONF, "lokal", {})
    with pytest.raises(ConfigError, match="did you mean processes"):
        build_executor(CONF, "local", {"proceses": 1})
