"""Retrains whose disk is full, or a folder of it locked, from the start of a stage on.

Run as a script in a mount namespace of its own. ``stages STAGE …`` runs the stages in its own
process, ``dvc STEP …`` runs the real command.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.configuration.plan import write_plan
from pipeline.errors import VintageError
from pipeline.operations.caught import told as told_of
from pipeline.operations.retraining import retrain as retrains
from pipeline.operations.retraining.build_run import BuildReport
from pipeline.operations.workspace import CACHE, FOLDER, Workspace
from pipeline.runner import STAGES, run_stage
from registry.errors import RegistryError
from tests.conftest import CHECKOUT
from tests.crash import retrained
from tests.crash.killed_builds import Battery, environment, running
from tests.crash.retrained import NOW, WORDS, Scene, digests
from tests.crash.test_disk_full import file_system, mounted, sized

SIZE = 640 * 1024  # KiB; a build wants 256 MiB before it begins
ROOMS = (0, 1024, 6144)  # KiB
FILES = "files"  # room for so many, as if small ones had filled the disk
FEW, MANY = 40, 1_000_000
LOCKED = (str(CACHE), str(FOLDER), "data/store")
PAGES = 64  # KiB
HANGS_SECONDS = 180
SELF = "tests.crash.filled_builds"


@dataclass(frozen=True, slots=True)
class Strike:
    """What a disk did to a retrain: its exit code, what it told, and what went wrong."""

    where: str
    code: int
    told: str
    seconds: float
    wrong: list[str] = field(default_factory=list)


def in_stages(place: Path, stages: list[str]) -> Iterator[Strike]:
    """Fill the disk when a stage starts that runs in this process, twice each."""
    made = retrained.scene(place)
    expected = digests(made.registry)
    for stage in stages:
        for room in (0, PAGES):
            made.again()
            retrains.reproduce = filling(made, stage, lambda r=room: sized(place, r))
            began = time.monotonic()
            text, code = attempt(made)
            where, seconds = f"{stage}, {room} KiB", time.monotonic() - began
            wrong = [f"{where}, seen: {each}" for each in retrained.seen(made)]
            roomy(place)
            retrains.reproduce = filling(made, "", lambda: None)
            wrong += [text for text, code in [attempt(made)] if code]
            wrong += [f"{where}, after: {each}" for each in retrained.ended(made, expected)]
            yield Strike(where, code, text, seconds, wrong)


def attempt(made: Scene) -> tuple[str, int]:
    here = Path.cwd()
    try:
        made.retrain()
    except (VintageError, RegistryError, OSError) as error:
        return told_of(error)
    finally:
        os.chdir(here)
    return "", 0


def filling(made: Scene, at: str, fill: Callable[[], None]) -> Any:
    def build(workspace: Workspace, *_: object) -> BuildReport:
        os.chdir(workspace.folder)
        write_plan(made.target.plan)
        for stage in STAGES:
            if stage == at:
                fill()
            run_stage(stage)
        return BuildReport(STAGES)

    return build


def beside_dvc(place: Path, steps: list[str]) -> Iterator[Strike]:
    """Fill the disk, or lock a folder of it, when a step of a real retrain starts."""
    made = retrained.scene(place)
    battery = Battery(made, digests(made.registry), random.Random(0))
    battery.again()
    battery.converge()
    for step in steps:
        for how in (*map(str, ROOMS), FILES, *LOCKED):
            yield struck(battery, place, step, how)


def struck(battery: Battery, place: Path, step: str, how: str) -> Strike:
    where, began = f"{step}, {how}", time.monotonic()
    command = [sys.executable, "-m", SELF, "retrain", step, str(place), how]
    code, told = ended([*command, *WORDS, f"as_of={NOW}"], battery.scene)
    seconds = time.monotonic() - began
    battery.wrong += [f"{where}, seen: {each}" for each in battery.seen()]
    if how in LOCKED:
        subprocess.run(["umount", str(battery.scene.home / how)], check=True)
    roomy(place)
    battery.converge()
    wrong, battery.wrong = [f"{where}: {each}" for each in battery.wrong], []
    print(where, code, f"{seconds:.0f} s", told[-400:], wrong, file=sys.stderr, flush=True)
    return Strike(where, code, told, seconds, wrong)


def ended(command: list[str], scene: Scene) -> tuple[int, str]:
    with subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=environment(scene),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            told, _ = process.communicate(timeout=HANGS_SECONDS)
        except subprocess.TimeoutExpired:
            for left in (process, *running(scene)):
                left.kill()
            told = "it hangs"
    return process.returncode, told


def roomy(place: Path) -> None:
    mounted("-o", f"remount,rw,size={SIZE}k,nr_inodes={MANY}", str(place))


def strike(place: Path, how: str) -> None:
    """Lock a folder, or leave room for so many KiB or for a few files."""
    if how in LOCKED:
        lock(place / "home" / how)
    elif how == FILES:
        told = os.statvfs(place)
        used = told.f_files - told.f_ffree
        mounted("-o", f"remount,nr_inodes={used + FEW}", str(place))
    else:
        sized(place, int(how))


def retrain(step: str, place: str, how: str, *words: str) -> int:
    """Retrain, and take the room away when the step has started."""
    from pipeline.__main__ import main as command
    from pipeline.operations.retraining.step_watch import Watch

    real, left = Watch.step, {step}

    def watched(self: Watch, name: str) -> None:
        real(self, name)
        if name in left:
            left.clear()
            strike(Path(place), how)

    Watch.step = watched  # type: ignore[method-assign]
    return command(["retrain", *words])


def lock(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    mounted("--bind", "-o", "ro", str(folder), str(folder))


def main(kind: str, *words: str) -> int:
    if kind == "retrain":
        return retrain(*words)
    works = {"stages": in_stages, "dvc": beside_dvc}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        with file_system(place, SIZE):
            done = [asdict(strike) for strike in works[kind](place, list(words or STAGES))]
            os.chdir("/")
    print(json.dumps(done))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
