"""A retrain whose candidate is built already, struck at every file operation that is left.

Run as a script it forks: the child registers, judges and promotes, and dies or is refused at the
n-th operation; the parent looks at what is served, and retrains again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.configuration.plan import write_plan
from pipeline.errors import VintageError
from pipeline.live import first_load
from pipeline.live.loading import unpack
from pipeline.live.served import served
from pipeline.operations.caught import told as told_of
from pipeline.operations.places import Places
from pipeline.operations.retraining import retrain as retrains
from pipeline.operations.retraining.build_run import BuildReport
from pipeline.operations.retraining.outcome import Outcome
from pipeline.operations.retraining.retrain import retrain
from pipeline.operations.target import Target, resolve
from pipeline.operations.workspace import Workspace
from pipeline.runner import STAGES, run_stage
from registry import pointers
from registry.draws import read_draws
from registry.errors import RegistryError
from registry.manifest import version_folders
from registry.slots import Slot
from registry.versions import Registry
from tests.conftest import CHECKOUT
from tests.faults import CLEAN, COUNTED, ESCAPED, REFUSED, Fault
from tests.spine import keep_audit

SLOT = Slot.parse("demo/SIM-BTC")
WORDS = ("recipe=demo", "model=majority", "recipe.history_days=20", "gate.min_effective_rows=1")
BEFORE, NOW = "2025-12-20T00:00Z", "2025-12-21T00:00Z"
KINDS = ("kill", "full", "locked", "error")
MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Scene:
    """A home with a champion, its workspace built for the next version; its registry's copy."""

    home: Path
    target: Target
    template: Path

    @property
    def registry(self) -> Registry:
        return Places(self.home, CHECKOUT).registry

    def again(self) -> None:
        """Put the registry back to before the retrain."""
        shutil.rmtree(self.registry.root)
        shutil.copytree(self.template, self.registry.root)

    def retrain(self) -> Outcome:
        places, now = Places(self.home, CHECKOUT), pd.Timestamp(NOW)
        return retrain(self.target, places, now, lambda _: None)


def scene(folder: Path) -> Scene:
    home = folder / "home"
    home.mkdir()
    shutil.copy(CHECKOUT / "params.yaml", home)
    os.environ["VINTAGE_HOME"] = str(home)
    first_load._load_in_child = lambda *_: None  # a process for each of hundreds of retrains
    made = Scene(home, target_of(home, BEFORE), folder / "template")
    keep_audit(home, made.target.plan)
    retrains.reproduce = building(made.target)
    made.retrain()
    shutil.copytree(made.registry.root, made.template)
    made = Scene(home, target_of(home, NOW), made.template)
    retrains.reproduce = building(made.target)
    made.retrain()
    retrains.reproduce = lambda *_: BuildReport(())
    return made


def target_of(home: Path, as_of: str) -> Target:
    words = [*WORDS, f"as_of={as_of}"]
    return resolve(words, CHECKOUT / "conf", home, pd.Timestamp(as_of))


def building(target: Target) -> Any:
    def build(workspace: Workspace, *_: object) -> BuildReport:
        here = Path.cwd()
        os.chdir(workspace.folder)
        write_plan(target.plan)
        for stage in STAGES:
            run_stage(stage)
        os.chdir(here)
        return BuildReport(STAGES)

    return build


def attempt(made: Scene, at: int, kind: str) -> tuple[int, str]:
    """Retrain in a child that is struck; its exit, and what it told."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code, told = ESCAPED, ""
        try:
            fault = Fault(at, kind)
            made.retrain()
            code = COUNTED if fault.struck else CLEAN
        except (RegistryError, VintageError, OSError) as error:
            code, told = REFUSED, told_of(error)[0]
        finally:
            Fault.lift()
            os.write(writer, told.encode())
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = pipe.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told


def seen(made: Scene) -> Iterator[str]:
    """What is wrong for who asks right now."""
    registry = made.registry
    found = served(registry, SLOT, ())
    if found is None or found.stands_in_for or not unpack(found.verified.contents).heads:
        yield f"the champion does not answer: {found and found.why}"
    yield from (f"{finding.version}: {finding.what}" for finding in registry.verify())


def ended(made: Scene, expected: dict[str, str]) -> Iterator[str]:
    """What is wrong once the next retrain has done its work."""
    yield from seen(made)
    registry, place = made.registry, SLOT.folder(made.registry.root)
    pointer = pointers.champion(registry.root, SLOT)
    if pointer is None or pointer.version != "v0002":
        yield f"champion {pointer}"
    if (found := digests(registry)) != expected:
        yield f"other versions: {found}"
    if (drawn := len(read_draws(registry.root, SLOT)[0])) != 1:
        yield f"{drawn} portions are spent"
    yield from (f"left: {path.name}" for path in place.glob(".*") if path.name != ".lock")


def digests(registry: Registry) -> dict[str, str]:
    place = SLOT.folder(registry.root)
    return {version: registry.digest(SLOT, version) for version in version_folders(place)}


def sweep(made: Scene, expected: dict[str, str], kind: str, moments: range) -> dict[str, Any]:
    """Strike at operations until there are none left: how many, what went wrong, what was told."""
    wrong, words = list[str](), set[str]()
    for at in moments:
        made.again()
        code, told = attempt(made, at, kind)
        where = f"{kind} at {at}: exit {code} {told}"
        if code == ESCAPED:
            wrong.append(f"{where}: another error than ours")
        words |= {told.split(" (")[0]} if told else set()
        wrong += [f"{where}, seen: {each}" for each in seen(made)]
        if code == CLEAN:
            return {"struck": at, "wrong": wrong, "words": sorted(words)}
        made.retrain()
        wrong += [f"{where}, after: {each}" for each in ended(made, expected)]
    return {"struck": 0, "wrong": [f"{kind} never ends"], "words": sorted(words)}


def main(every: str) -> None:
    os.fsync = lambda descriptor: None  # a killed process loses nothing that it wrote
    report, step = {}, int(every)
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        made = scene(Path(folder).resolve())
        expected = digests(made.registry)
        for number, kind in enumerate(KINDS):
            moments = range(1 + number * step // len(KINDS), 1000, step)
            report[kind] = sweep(made, expected, kind, moments)
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
