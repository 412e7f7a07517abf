"""Real retrains, with DVC and its stages, killed at the start of a stage or at any moment.

Who is killed is drawn, too: the command alone, which leaves a DVC that goes on; the command and
DVC, which leaves a stage; or all of them at once, as when the machine loses its power.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pipeline.operations.retraining.build_run import BUSY, DVC_LOCK
from pipeline.operations.workspace import FOLDER
from tests.conftest import CHECKOUT, child_env
from tests.crash.retrained import NOW, SLOT, WORDS, Scene, digests, ended, scene

STEPS = ("compose", "download", "validate", "features", "labels", "train", "evaluate")
WHO = ("command", "builder", "all")
LONGEST_SECONDS = 240
SELF = "tests.crash.killed_builds"


@dataclass
class Battery:
    """Kills in one home; `longest` is how long the retrains that were not killed took."""

    scene: Scene
    expected: dict[str, str]
    chance: random.Random
    longest: float = 10.0
    lock: bytes = b""
    wrong: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)

    def strike(self, step: str | None) -> None:
        """Kill a retrain at the start of a step, or at some moment, and look."""
        who = self.chance.choice(WHO)
        where = f"{who} killed at {step or 'some moment'}"
        with started(self.scene, step or "") as process:
            if step is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(self.chance.uniform(0, self.longest))
            else:
                process.wait(LONGEST_SECONDS)
            if step is None and process.poll() is not None:
                where = f"not {where}: it had ended"
            else:
                self.killed.append(where)
            end(process, self.scene, who)
        self.wrong += [f"{where}: {told}" for told in self.seen()]

    def seen(self) -> Iterator[str]:
        """What is wrong for who asks for a signal now."""
        done = vintage(self.scene, "predict", *WORDS, f"as_of={NOW}", "--json")
        if done.returncode != 0:
            yield f"no answer: {done.stdout[-200:]}{done.stderr[-500:]}"
        elif (version := json.loads(done.stdout)["version"]) not in ("v0001", "v0002"):
            yield f"{version} answers"

    def converge(self) -> None:
        """Retrain as somebody would who saw that it had died; and go back to before."""
        began = time.monotonic()
        done = vintage(self.scene, "retrain", *WORDS, f"as_of={NOW}")
        self.longest = time.monotonic() - began
        last = self.killed[-1] if self.killed else "never"
        if done.returncode != 0:
            self.wrong.append(f"{last}: exit {done.returncode} {done.stderr[-500:]}")
        else:
            self.wrong += [f"{last}, then: {told}" for told in self.ended()]
        self.scene.again()

    def ended(self) -> Iterator[str]:
        workspace = self.scene.home / FOLDER / str(SLOT)
        yield from ended(self.scene, self.expected)
        yield from (f"still running: {left.cmdline()}" for left in running(self.scene))
        if (busy := workspace / BUSY).exists() and json.loads(busy.read_text() or "{}"):
            yield f"DVC's lock is left: {busy.read_text()[:200]}"
        lock = (workspace / DVC_LOCK).read_bytes()
        self.lock = self.lock or lock
        if lock != self.lock:
            yield "the stages left other bytes"


def battery(scene: Scene, count: int, seed: int) -> Battery:
    """Kill so many retrains, at each start of a step first, and let some of them end."""
    made = Battery(scene, digests(scene.registry), random.Random(seed))
    scene.again()
    if count > 1:
        made.converge()
    steps: list[str | None] = [*STEPS, *([None] * count)]
    if count < len(STEPS):
        made.chance.shuffle(steps)
    for number, step in enumerate(steps[:count], 1):
        made.strike(step)
        if number == count or made.chance.random() < 0.5:
            made.converge()
            print(f"{number}: {made.longest:.0f} s, {made.wrong}", file=sys.stderr, flush=True)
    return made


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
    from pipeline.operations.retraining.step_watch import Watch

    real = Watch.step

    def watched(self: Watch, name: str) -> None:
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)
        real(self, name)

    Watch.step = watched  # type: ignore[method-assign]
    return command(["retrain", *words])


def main(first: str, *rest: str) -> int:
    """Kill so many retrains in a folder, or be one that is killed."""
    if not first.isdecimal():
        return retrain(first, *rest)
    made = battery(scene(Path(rest[0]).resolve()), int(first), seed=int(first))
    print(json.dumps({"wrong": made.wrong, "killed": made.killed}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
