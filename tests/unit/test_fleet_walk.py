"""A walk over a fleet: no slot stops another, and it does not matter who works at which."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.errors import ConfigError, DataError, GateError, RetryLater, StageError
from pipeline.market.exchanges.simulated import Simulated
from pipeline.operations.log_events import LogFile
from pipeline.operations.places import Places
from pipeline.operations.walk import fleet_walk, slot_run, unchanged
from pipeline.operations.walk.executors.base import Room
from pipeline.operations.walk.executors.local import Local
from pipeline.operations.walk.fleet_walk import walk
from pipeline.operations.walk.slot_result import BADNESS, SlotResult, State, exit_code_of
from pipeline.operations.walk.slot_run import SlotTask, run_slot
from pipeline.operations.walk.walk_slots import Asked
from registry.errors import RegistryError
from tests.conftest import AS_OF, CHECKOUT
from tests.fleet_slots import build, without_dvc
from tests.spine import files_below

Capture = pytest.CaptureFixture[str]
NOW = pd.Timestamp("2025-12-20T10:20Z")
TINY = (
    *("recipe=demo", "recipe.history_days=10"),
    *("model.n_estimators=5", "model.min_data_in_leaf=20"),
)
TWO = ((*TINY, "market=SIM-BTC"), (*TINY, "market=SIM-ETH"))


def result(state: State = "retrained", code: int = 0, **facts: Any) -> SlotResult:
    return SlotResult("demo/SIM-BTC", "recipe=demo", AS_OF, state, exit_code=code, **facts)


def asked(*slots: Sequence[str], **told: Any) -> Asked:
    return Asked(slots=tuple(map(tuple, slots or TWO)), run="r1", **{"as_of": AS_OF, **told})


def walked(home: Path, wanted: Asked, executor: Any = None) -> list[SlotResult]:
    return walk(wanted, Places(home, CHECKOUT), executor or Local(processes=1), NOW, print)


@dataclasses.dataclass
class Executor:
    """Works here, and remembers what it was given."""

    work: Callable[[SlotTask], SlotResult | None]
    tasks: list[SlotTask] = dataclasses.field(default_factory=list)
    cores: int = 0

    def room(self, slots: int, cores: int) -> Room:
        self.cores = cores
        return Room(slots, cores)

    def run(self, _: object, tasks: Sequence[SlotTask], __: Room) -> Any:
        self.tasks = list(tasks)
        for number, task in reversed(list(enumerate(tasks))):
            yield number, self.work(task)


def done(task: SlotTask) -> SlotResult:
    return dataclasses.replace(result(), slot=task.slot, as_of=task.as_of)


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([result()], 0),
        ([result("unchanged"), result("unchanged")], 8),
        ([result("unchanged"), result()], 0),
        ([result("unchanged"), result("refused", 3)], 3),
        ([result("refused", 3), result("failed", 5)], 5),
        ([result("failed", 4), result("failed", 5)], 4),
        ([result("failed", 2), result("failed", 7), result("failed", 6)], 2),
        ([result("failed", 70), result("failed", 2)], 70),
        ([result("failed", 99), result()], 99),
        ([], 0),
    ],
)
def test_the_exit_code_is_the_worst(results: list[SlotResult], code: int) -> None:
    assert exit_code_of(results) == exit_code_of(results[::-1]) == code


def test_every_kind_of_error_has_its_badness() -> None:
    kinds = (ConfigError, GateError, DataError, RetryLater, StageError, RegistryError)
    assert {0, 70, 130} | {kind.exit_code for kind in kinds} == set(BADNESS)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("no candles"), 4),
        (RegistryError("damaged"), 6),
        (OSError(28, "No space left"), 5),
        (KeyError("x"), 70),
    ],
)
def test_a_failing_slot_stops_no_other(
    home: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def retrain(task: SlotTask, _: object) -> SlotResult:
        if "SIM-BTC" in task.slot:
            raise error
        return done(task)

    monkeypatch.setitem(slot_run.MODES, "retrain", retrain)
    first, second = walked(home, asked())
    assert (first.state, first.exit_code, second.state) == ("failed", code, "retrained")
    assert first.error
    assert "\n" not in first.error
    events = list(LogFile(home / "logs/vintage.jsonl").read())
    assert [event["event"] for event in events] == [
        *("walk_started", "slot_finished", "slot_finished", "walk_finished"),
    ]
    assert {event["run"] for event in events} == {"r1"}
    assert [event["level"] for event in events] == ["info", "error", "info", "warning"]
    assert [event.get("slot") for event in events[1:3]] == ["demo/SIM-BTC", "demo/SIM-ETH"]


def test_a_slot_that_cannot_be_found_stops_no_other(home: Path) -> None:
    executor = Executor(done)
    found = walked(home, asked([*TINY, "market=SIM-BTX"], TWO[1]), executor)
    assert [one.state for one in found] == ["failed", "retrained"]
    assert "did you mean SIM-BTC?" in found[0].error
    assert found[0].slot == "recipe=demo market=SIM-BTX"
    assert [task.slot for task in executor.tasks] == ["demo/SIM-ETH"]


def test_a_mistake_of_every_slot_is_the_walks(home: Path) -> None:
    wrong = [[*words, "model=majorty"] for words in TWO]
    with pytest.raises(ConfigError, match="did you mean majority"):
        walked(home, asked(*wrong), Executor(done))
    assert not (home / "logs").exists()


def test_two_entries_of_one_slot_are_refused(home: Path) -> None:
    with pytest.raises(ConfigError, match="two entries of the fleet are one slot"):
        walked(home, asked(TWO[0], TINY), Executor(done))


def test_a_slot_whose_process_is_lost_has_failed(home: Path) -> None:
    found = walked(home, asked(), Executor(lambda task: None if "BTC" in task.slot else done(task)))
    assert [(one.state, one.exit_code) for one in found] == [("failed", 5), ("retrained", 0)]
    assert "ended from outside" in found[0].error


def test_an_executor_that_goes_away_fails_what_is_left(home: Path) -> None:
    def gone(task: SlotTask) -> SlotResult:
        if "BTC" in task.slot:
            raise RetryLater("the scheduler went away")
        return done(task)

    found = walked(home, asked(), Executor(gone))
    assert [(one.state, one.exit_code) for one in found] == [("failed", 5), ("retrained", 0)]
    assert found[0].error == "the scheduler went away."


def test_what_a_walk_is_asked_reaches_every_slot(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VINTAGE_WORKERS", "3")
    executor = Executor(done)
    wanted = asked(mode="experiment", force=True, fetch=False)
    assert [one.as_of for one in walked(home, wanted, executor)] == [AS_OF, AS_OF]
    assert executor.cores == 3
    for task in executor.tasks:
        told = (task.mode, task.force, task.fetch, task.run, task.cores)
        assert told == ("experiment", True, False, "r1", 3)
        assert not [word for word in task.words if word.startswith("as_of")]


# the moment


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Markets whose newest candle was asked for."""
    asked_for: list[str] = []
    real = Simulated.newest

    def newest(self: Simulated, market: Any, timeframe: str, now: pd.Timestamp) -> Any:
        asked_for.append(market.name)
        return real(self, market, timeframe, now)

    monkeypatch.setattr(Simulated, "newest", newest)
    return asked_for


def test_last_is_asked_of_one_market_for_all(home: Path, questions: list[str]) -> None:
    found = walked(home, asked(as_of="last"), Executor(done))
    assert {one.as_of for one in found} == {"2025-12-20T10:00:00+00:00"}
    assert questions == ["SIM-BTC"]


def test_last_is_each_markets_own_where_none_is_up_to_date(
    home: Path, questions: list[str]
) -> None:
    ends = ("2025-11-01T00:00Z", "2025-12-01T00:00Z")
    slots = [[*words, f"exchange.end='{end}'"] for words, end in zip(TWO, ends, strict=True)]
    found = walked(home, asked(*slots, as_of="last"), Executor(done))
    assert [one.as_of[:10] for one in found] == [end[:10] for end in ends]
    assert questions == ["SIM-BTC", "SIM-ETH"]


def test_now_is_the_clock_on_the_grid_and_nobody_is_asked(home: Path, questions: list[str]) -> None:
    found = walked(home, asked(as_of="now"), Executor(done))
    assert {one.as_of for one in found} == {"2025-12-20T10:00:00+00:00"}
    assert questions == []


def test_an_exchange_that_does_not_answer_is_asked_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        asked_for.append(1)
        raise RetryLater("no answer")

    asked_for: list[int] = []
    monkeypatch.setattr(Simulated, "newest", silent)
    found = walked(home, asked(as_of="last"), Executor(done))
    assert [(one.state, one.exit_code) for one in found] == [("failed", 5)] * 2
    assert asked_for == [1]


def test_without_download_the_store_says_which_candle_is_last(
    home: Path, questions: list[str]
) -> None:
    for code in (0, 8):
        words = ["retrain", TINY[0], TINY[1], "market=SIM-BTC", f"as_of={AS_OF}"]
        assert main([*words, "--download-only", "--json"]) == code
    found = walked(home, asked(as_of="last", fetch=False), Executor(done))
    assert (found[0].state, found[0].as_of) == ("retrained", "2025-12-20T00:00:00+00:00")
    assert (found[1].state, found[1].exit_code) == ("failed", 4)
    assert questions == []


# real runs, their stages in these processes


@pytest.fixture
def one_by_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> list[SlotResult]:
    """Both slots, one after the other in this process."""
    monkeypatch.setattr("pipeline.operations.retraining.retrain.reproduce", build)
    return walked(home, asked())


def bundles(home: Path) -> dict[str, bytes]:
    root = home / "models" / "registry"
    files = [path for path in root.glob("*/*/v*/**/*") if path.is_file()]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def test_a_fleet_from_one_process_and_from_two_is_the_same_bytes(
    home: Path, tmp_path: Path, one_by_one: list[SlotResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [one.state for one in one_by_one] == ["retrained", "retrained"]
    assert all(one.cpu_seconds > 0 and one.seconds > 0 for one in one_by_one)
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr(fleet_walk, "run_slot", without_dvc)
    monkeypatch.setenv("VINTAGE_WORKERS", "2")
    both = walked(other, asked(), Local())
    assert [one.slot for one in both] == [one.slot for one in one_by_one]
    assert [one.metrics for one in both] == [one.metrics for one in one_by_one]
    assert bundles(other) == bundles(home)
    assert len(bundles(home)) > 10
    _nothing_is_done_twice(home, monkeypatch)


def _nothing_is_done_twice(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("pipeline.operations.retraining.retrain.reproduce", never)
    monkeypatch.setattr(fleet_walk, "run_slot", run_slot)
    before = files_below(home / "models")
    again = walked(home, asked())
    assert [one.state for one in again] == ["unchanged", "unchanged"]
    assert [one.version for one in again] == ["v0001", "v0001"]
    assert exit_code_of(again) == 8
    assert files_below(home / "models") == before
    planned = walked(home, asked(dry=True))
    assert [(one.state, one.stages) for one in planned] == [("planned", ())] * 2
    _whatever_changes_is_seen(home)


def _whatever_changes_is_seen(home: Path) -> None:
    target = _target(home)
    places = Places(home, CHECKOUT)
    assert unchanged.still(target, places) is not None
    touched = (
        "build/workspaces/demo/SIM-BTC/reports/metrics.json",
        "build/workspaces/demo/SIM-BTC/params.yaml",
        "models/registry/demo/SIM-BTC/champion.json",
        "models/registry/demo/SIM-BTC/v0001/bundle.json",
        "data/store/simulated/SIM-BTC/1h/2025-12.parquet",
    )
    for name in touched:
        kept = (home / name).stat()
        (home / name).touch()
        assert unchanged.still(target, places) is None, name
        os.utime(home / name, ns=(kept.st_atime_ns, kept.st_mtime_ns))
        assert unchanged.still(target, places) is not None
    for word in ("as_of='2025-12-20T01:00Z'", "model.n_estimators=6"):
        assert unchanged.still(_target(home, word), places) is None, word
    done_file = home / "build/workspaces/demo/SIM-BTC.done.json"
    told = json.loads(done_file.read_text())
    for damaged in ("", "[]", json.dumps({**told, "result": {"slot": 1}})):
        done_file.write_text(damaged)
        assert unchanged.still(target, places) is None


def _target(home: Path, *words: str) -> Any:
    from pipeline.operations.target import resolve

    given = [*TWO[0], f"as_of='{AS_OF}'", *words]
    return resolve(given, CHECKOUT / "conf", home, pd.Timestamp("2025-12-21T00:00Z"))


def test_the_force_of_a_walk_asks_for_every_stage(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    def begun(*given: Any) -> None:
        told.append(given[3].force)
        raise StageError("stop here")

    monkeypatch.setattr("pipeline.operations.retraining.retrain.reproduce", begun)
    for force in (True, False):
        walked(home, asked(TWO[0], force=force))
    assert told == [True, False]
