"""Experiments as DVC keeps them: what each chose, what came out, and whether it was measured."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config import Node, read_yaml
from pipeline.configuration.choices import FILE, Choices, read_choices
from pipeline.configuration.compose import compose_run
from pipeline.configuration.planning import plan_run
from pipeline.errors import ConfigError, StageError, nearest
from pipeline.fitting.trial import REGISTRY, TrialFacts
from pipeline.operations.workspace import child_environment
from pipeline.runner import LOCAL
from registry.errors import RegistryError
from registry.slots import Slot
from registry.trials import count_trials

METRICS = "reports/metrics.json"
SHORTEST = 4  # letters of a revision that may name it
WORKSPACE = "workspace"
PLACING = ("recipe", "exchange", "market")  # choices, and keys of set, that say which slot it is
DONE, CHANGED, FAILED, RUNNING = "done", "changed", "failed", "running"
ADVICE = {
    CHANGED: "bring the workspace up to date with dvc repro and repeat",
    FAILED: "see why with dvc queue logs NAME, or run it again",
    RUNNING: "wait for it to end and repeat",
}


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment, commit, or the workspace; `metrics` are empty unless it was measured."""

    name: str
    revision: str
    state: str
    params: Node
    metrics: Node

    @property
    def choices(self) -> Choices:
        """What it chose.

        Raises
        ------
        ConfigError
            When its params.yaml does not read as choices.
        """
        return Choices.parse(self.params, f"params.yaml of {self.name}")


def experiments(home: Path) -> list[Experiment]:
    """Everything that ``dvc exp show`` lists, in its order.

    Raises
    ------
    StageError
        When dvc fails.
    """
    return list(_experiments(_show(home), home))


def slots_of(found: Sequence[Experiment], home: Path) -> list[Slot | None]:
    """Slots of experiments, one each.

    What does not compose with today's ``conf/`` names no slot.
    """
    known: dict[str, Slot | None] = {}
    places = [_place(experiment) for experiment in found]
    for where, experiment in zip(places, found, strict=True):
        known[where] = known.get(where) or _slot(experiment, home / "conf")
    return [known[where] for where in places]


def tried(slots: Iterable[Slot | None], home: Path) -> dict[str, int]:
    """How many configurations the trial ledgers hold, by slot."""
    known = sorted({slot for slot in slots if slot}, key=str)
    return {str(slot): count_trials(home / REGISTRY, slot) for slot in known}


def measured(name: str, found: Sequence[Experiment]) -> Experiment:
    """The one of this name, or whose revision begins so.

    Raises
    ------
    ConfigError
        When there is none, or more than one, or it was not measured.
    """
    one = _named(name, found)
    if one.state != DONE or not one.metrics:
        raise ConfigError(
            "the experiment was not measured, so nothing is known of its configuration",
            where=one.name,
            found=one.state if one.state != DONE else f"no {METRICS}",
            fix=ADVICE.get(one.state, "run it (dvc queue start) and repeat").replace("NAME", name),
        )
    return one


def _named(name: str, found: Sequence[Experiment]) -> Experiment:
    named = [each for each in found if name in (each.name, each.revision)]
    if not named and len(name) >= SHORTEST:
        named = [each for each in found if each.revision.startswith(name)]
    if not named:
        raise ConfigError(
            f"there is no experiment '{name}'",
            where="vintage experiments",
            fix=nearest(name, {each.name for each in found}),
        )
    if len(named) > 1:
        raise ConfigError(
            f"'{name}' names more than one experiment",
            found=", ".join(each.revision for each in named),
            fix="give the revision of one",
        )
    return named[0]


def _place(experiment: Experiment) -> str:
    deeper = experiment.params.get("set") or {}
    told = [experiment.params.get(key) for key in PLACING]
    return str([*told, *(deeper.get(key) for key in PLACING)])


def _slot(experiment: Experiment, conf: Path) -> Slot | None:
    try:
        return plan_run(compose_run(experiment.choices, conf)).run.slot
    except (ConfigError, RegistryError):
        return None


def _show(home: Path) -> list[Any]:
    command = [sys.executable, "-m", "dvc", "exp", "show", "--json"]
    environment = child_environment(home, Path(sys.executable))
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise StageError("dvc exp show failed", found=lines[-1] if lines else "no message")
    shown: list[Any] = json.loads(done.stdout)
    return shown


def _experiments(shown: list[Any], home: Path) -> Iterator[Experiment]:
    for commit in shown:
        yield _experiment(commit, _workspace_state(home) if commit["rev"] == WORKSPACE else DONE)
        for run in commit.get("experiments") or []:
            state = ((run.get("executor") or {}).get("state") or DONE).lower()
            for revision in run.get("revs") or []:
                yield _experiment(revision, DONE if state == "success" else state)


def _workspace_state(home: Path) -> str:
    """``changed`` when params.yaml or the figures are not dvc.lock's, or compose says another."""
    lock = home / "dvc.lock"
    known = lock.read_text() if lock.is_file() else ""
    files = [home / FILE, home / METRICS]
    same = all(file.is_file() and _md5(file) in known for file in files)
    return DONE if same and _composes_the_same(home) else CHANGED


def _composes_the_same(home: Path) -> bool:
    try:
        told = TrialFacts.of_local(read_yaml(home / LOCAL), str(LOCAL))
        plan = plan_run(compose_run(read_choices(home / FILE), home / "conf"))
    except ConfigError:
        return False
    return told.digest == plan.trial


def _md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def _experiment(revision: Any, state: str) -> Experiment:
    data = revision.get("data") or {}
    state = FAILED if revision.get("error") else state
    rev = str(revision["rev"])
    return Experiment(
        name=revision.get("name") or (rev if rev == WORKSPACE else rev[:7]),
        revision=rev,
        state=state,
        params=_values(data.get("params"), str(FILE)),
        metrics=_values(data.get("metrics"), METRICS) if state == DONE else {},
    )


def _values(files: Any, path: str) -> Node:
    found: Node = (((files or {}).get(path)) or {}).get("data") or {}
    return found
