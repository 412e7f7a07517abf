"""Real retrains, with DVC and its stages, killed at the start of a stage or at any moment.

Who is killed is drawn, too: the command alone, which leaves a DVC that goes on; the command and
DVC, which leaves a stage; or all of them at once, as when the machine loses its power.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from pipeline.operations.retraining.build_run import BUSY, DVC_LOCK
from pipeline.operations.workspace import FOLDER
from tests.conftest import CHECKOUT, child_env
from tests.crash.retrained import NOW, SLOT, WORDS, Scene, digests, ended, scene

BUILT = "built"
STEPS = ("compose", "download", "validate", "features", "labels", "train", "evaluate", BUILT)
WHO = ("command", "builder", "all")
LONGEST_SECONDS = 240
SELF, REACHED = "tests.crash.killed_builds", "reached"


@dataclass
class Battery:
    """Kills in one home; `longest` is how long a retrain that ran every stage took."""

    scene: Scene
    expected: dict[str, str]
    chance: random.Random
    longest: float = 10.0
    lock: bytes = b""
    wrong: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    missed: int = 0

    def strike(self, step: str | None) -> bool:
        """Kill a retrain at the start of a step, or at some moment, and look; whether it died."""
        who = self.chance.choice(WHO)
        self.reached.unlink(missing_ok=True)
        with started(self.scene, step or "") as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                wait = LONGEST_SECONDS if step else self.chance.uniform(0, self.longest)
                process.wait(wait)
            end(process, self.scene, who)
        died = process.returncode == -signal.SIGKILL
        if died:
            last = self.reached.read_text() if self.reached.is_file() else "nothing"
            self.killed.append(f"{who} at {step}" if step else f"{who} at some moment of {last}")
        elif step:
            self.wrong.append(f"exit {process.returncode} where it was to die at {step}")
        else:
            self.missed += 1
        self.wrong += [f"{self.last}: {told}" for told in self.seen()]
        return died

    @property
    def last(self) -> str:
        return self.killed[-1] if self.killed else "never killed"

    @property
    def reached(self) -> Path:
        return self.scene.home / REACHED

    def seen(self) -> Iterator[str]:
        """What is wrong for who asks for a signal now."""
        done = vintage(self.scene, "predict", *WORDS, f"as_of={NOW}", "--json")
        if done.returncode != 0:
            yield f"no answer: {done.stdout[-200:]}{done.stderr[-500:]}"
        elif (version := json.loads(done.stdout)["version"]) not in ("v0001", "v0002"):
            yield f"{version} answers"

    def converge(self) -> None:
        """Retrain as somebody would who saw that it had died; and go back to before."""
        done = vintage(self.scene, "retrain", *WORDS, f"as_of={NOW}")
        if done.returncode != 0:
            self.wrong.append(f"{self.last}: exit {done.returncode} {done.stderr[-500:]}")
        else:
            self.wrong += [f"{self.last}, then: {told}" for told in self.ended()]
        self.again()

    def again(self) -> None:
        """As before the retrain: nothing registered, and every stage has to run."""
        self.scene.again()
        self.workspace.joinpath(DVC_LOCK).unlink(missing_ok=True)
        shutil.rmtree(self.scene.home / ".dvc/cache", ignore_errors=True)

    @property
    def workspace(self) -> Path:
        return self.scene.home / FOLDER / str(SLOT)

    def ended(self) -> Iterator[str]:
        yield from ended(self.scene, self.expected)
        yield from (f"still running: {left.cmdline()}" for left in running(self.scene))
        if (busy := self.workspace / BUSY).exists() and json.loads(busy.read_text() or "{}"):
            yield f"DVC's lock is left: {busy.read_text()[:200]}"
        lock = (self.workspace / DVC_LOCK).read_bytes()
        self.lock = self.lock or lock
        if lock != self.lock:
            yield "the stages left other bytes"


def battery(scene: Scene, moments: int, seed: int) -> Battery:
    """Kill a retrain at each start of a step, and so many more at random moments; some may end.

    Without random moments one step is drawn.
    """
    made = Battery(scene, digests(scene.registry), random.Random(seed))
    made.again()
    if not moments:
        made.strike(made.chance.choice(STEPS))
        made.converge()
        return made
    began = time.monotonic()
    made.converge()
    made.longest = time.monotonic() - began
    for step in STEPS:
        made.strike(step)
        made.converge()
        tell(made)
    while len(made.killed) < len(STEPS) + moments and not made.wrong:
        if not made.strike(None) or made.chance.random() < 0.3:
            made.converge()
        tell(made)
    made.converge()
    return made


def tell(made: Battery) -> None:
    told = f"{len(made.killed)} killed, {made.missed} had ended; {made.last}; {made.wrong}"
    print(told, file=sys.stderr, flush=True)


def vintage(scene: Scene, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline", *words]
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment(scene), capture_output=True, text=True, check=False
    )


def environment(scene: Scene) -> dict[str, str]:
    return child_env(scene.home, VINTAGE_HOME=str(scene.home), PYTHONPATH=str(CHECKOUT))


@contextlib.contextmanager
def started(scene: Scene, step: str) -> Iterator[subprocess.Popen[bytes]]:
    """A retrain that kills itself when the step starts."""
    with (scene.home / "started.log").open("ab") as told:
        command = [sys.executable, "-m", SELF, step, *WORDS, f"as_of={NOW}"]
        with subprocess.Popen(
            command, cwd=CHECKOUT, env=environment(scene), stdout=told, stderr=told
        ) as process:
            yield process


def end(process: subprocess.Popen[bytes], scene: Scene, who: str) -> None:
    if who == "command":
        process.kill()
        return
    left = list(running(scene))
    process.kill()
    for other in left:
        with contextlib.suppress(psutil.Error):
            if who == "all" or other.cmdline()[1:3] == ["-m", "dvc"]:
                other.kill()


def running(scene: Scene) -> Iterator[psutil.Process]:
    """What works in the home's workspaces."""
    workspaces = str(scene.home / FOLDER)
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.cwd().startswith(workspaces) and process.is_running():
                yield process


def retrain(step: str, *words: str) -> int:
    """Retrain, and die when the step starts."""
    from pipeline.__main__ import main as command
    from pipeline.operations.retraining import candidate
    from pipeline.operations.retraining.step_watch import Watch

    real = Watch.step

    def watched(self: Watch, name: str) -> None:
        reach(name)
        real(self, name)

    def reach(name: str) -> None:
        Path(os.environ["VINTAGE_HOME"], REACHED).write_text(name)
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def collect(*given: Any) -> Any:
        reach(BUILT)
        return gathered(*given)

    gathered, candidate.collect = candidate.collect, collect
    Watch.step = watched  # type: ignore[method-assign]
    return command(["retrain", *words])


def main(first: str, *rest: str) -> int:
    """Kill retrains in a folder, so many at random moments, or be one that is killed."""
    if not first.isdecimal():
        return retrain(first, *rest)
    made = battery(scene(Path(rest[0]).resolve()), int(first), seed=int(first))
    print(json.dumps({"wrong": made.wrong, "killed": made.killed, "missed": made.missed}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
