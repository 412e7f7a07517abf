"""What a fleet of simulated slots costs with one worker and with two, and where it goes.

``python -m tests.bench.fleet [SLOTS [WORD …]]``: 50 slots of ``recipe=demo`` in a checkout of its
own, `vintage retrain fleet=bench` with ``workers=1`` and then 2, each in an empty home; the words
go to every slot. The bundles of both have to be the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.operations.workspace import FOLDER, LINKED
from pipeline.runner import STAGES, TIMING
from tests.conftest import AS_OF

ROOT = Path(__file__).resolve().parents[2]
FLEET, SLOTS = "bench", 50
PROBES = {
    "an interpreter": ("-c", "pass"),
    "imports of a slot's process": ("-c", "import pipeline.operations.walk.slot_run"),
    "imports of the train stage": ("-c", "import pipeline.stages.train, lightgbm"),
    "imports of dvc": ("-c", "import dvc.cli, dvc.repo"),
}
TIMES = 3


@dataclass(frozen=True, slots=True)
class Walked:
    """A walk: seconds of the clock, CPU seconds of its slots, what it told of each.

    `bundles` are digests by path, `stages` the CPU seconds of each stage over all slots.
    """

    wall: float
    cpu: float
    slots: list[dict[str, Any]]
    bundles: dict[str, str]
    stages: dict[str, float]


def main() -> None:
    """Walk with one worker and with two, and print what it cost."""
    slots, words = int((sys.argv[1:] or [str(SLOTS)])[0]), sys.argv[2:]
    print(f"load of the last minute {os.getloadavg()[0]:.1f}, {slots} slots", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        checkout = overlaid(Path(folder).resolve() / "checkout", slots)
        walk(checkout, Path(folder) / "warm", 1, [*words, "--dry-run"])
        one, two = (walk(checkout, Path(folder) / str(n), n, words) for n in (1, 2))
        again = walk(checkout, Path(folder) / "1", 1, words)
        print(f"workers=1: {_line(one)}\nworkers=2: {_line(two)}")
        states = {slot["state"] for slot in again.slots}
        print(f"again, nothing changed: {again.wall:.1f} s, {states} of {slots} slots")
        same = "the same bytes" if one.bundles == two.bundles else "OTHER BYTES"
        print(f"{one.wall / two.wall:.2f} times as quick, {same} in {len(one.bundles)} files")
        for part, seconds in shares(one, slots).items():
            print(f"  {part}: {seconds:.2f} CPU s of a slot")
        for name, command in PROBES.items():
            print(f"  {name}: {_median(checkout, command):.2f} CPU s")


def overlaid(checkout: Path, slots: int) -> Path:
    """A checkout of links, its ``conf/`` with so many simulated markets and a fleet of them."""
    checkout.mkdir()
    for path in (*map(Path, LINKED), Path(".dvcignore"), Path("params.yaml")):
        if path.name != "conf":
            (checkout / path).symlink_to(ROOT / path)
    shutil.copytree(ROOT / "conf", checkout / "conf")
    told = (checkout / "conf/market/SIM-BTC.yaml").read_text()
    names = [f"SIM-{number:03d}" for number in range(1, slots + 1)]
    for name in names:
        (checkout / f"conf/market/{name}.yaml").write_text(told.replace("SIM-BTC", name))
    listed = "".join(f"  - recipe=demo market={name}\n" for name in names)
    (checkout / f"conf/fleet/{FLEET}.yaml").write_text(f"slots:\n{listed}")
    return checkout


def walk(checkout: Path, home: Path, workers: int, words: list[str]) -> Walked:
    """Retrain every slot in a home, which is made where there is none."""
    home.mkdir(exist_ok=True)
    shutil.copy(checkout / "params.yaml", home)
    command = [sys.executable, "-m", "pipeline", "retrain", f"fleet={FLEET}", "--json"]
    started = time.perf_counter()
    done = subprocess.run(
        [*command, f"as_of={AS_OF}", f"workers={workers}", *words],
        cwd=home,
        env=_environment(checkout, home),
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    wall, told = time.perf_counter() - started, json.loads(done.stdout)["slots"]
    if failed := [slot for slot in told if slot["state"] == "failed"]:
        sys.exit(f"{len(failed)} slots failed: {failed[0]['error']}")
    cpu = sum(slot["cpu_seconds"] for slot in told)
    return Walked(wall, cpu, told, bundles(home / "models/registry"), _stages(home))


def bundles(registry: Path) -> dict[str, str]:
    """Sha256 of every file of every version, by its path in the registry."""
    files = sorted(path for path in registry.glob("*/*/v*/**/*") if path.is_file())
    return {
        path.relative_to(registry).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def shares(walked: Walked, slots: int) -> dict[str, float]:
    """Where the CPU of a slot goes: the stages' own work, and what is beside it."""
    work, whole = sum(walked.stages.values()) / slots, walked.cpu / slots
    parts = {f"stage {name}": spent / slots for name, spent in walked.stages.items()}
    beside = {"all stages": work, "processes, imports, dvc, registry": whole - work}
    return {**parts, **beside, "all of a slot": whole}


def _stages(home: Path) -> dict[str, float]:
    spent = dict.fromkeys(STAGES, 0.0)
    for path in (home / FOLDER).glob(f"*/*/{TIMING}/*.json"):
        spent[path.stem] += json.loads(path.read_text())["cpu_seconds"]
    return spent


def _line(walked: Walked) -> str:
    return f"{walked.wall:.1f} s, {walked.cpu:.1f} CPU s of {len(walked.slots)} slots"


def _median(checkout: Path, command: tuple[str, ...]) -> float:
    spent = []
    for _ in range(TIMES):
        before = _children()
        environment = _environment(checkout, checkout)
        subprocess.run([sys.executable, *command], env=environment, cwd=checkout, check=True)
        spent.append(_children() - before)
    return statistics.median(spent)


def _environment(checkout: Path, home: Path) -> dict[str, str]:
    kept = {name: told for name, told in os.environ.items() if not name.startswith("VINTAGE")}
    return {**kept, "PYTHONPATH": str(checkout), "VINTAGE_HOME": str(home)}


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
