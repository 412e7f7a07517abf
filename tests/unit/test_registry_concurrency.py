"""Several processes at once: adding, racing for the pointer, reading while it moves."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from registry import pointers
from registry.slots import Slot
from registry.versions import Registry

AT = "2025-12-20T03:00:00+00:00"
SLOT = Slot.parse("upbit_hourly/KRW-SOL")
WRITERS = 4

PREAMBLE = f"""
import json, sys
from pathlib import Path
from registry import pointers
from registry.errors import RegistryError
from registry.slots import Slot
from registry.versions import Registry
root, me, slot, at = Path(sys.argv[1]), int(sys.argv[2]), Slot.parse("{SLOT}"), "{AT}"
print("ready", flush=True)
sys.stdin.readline()
"""

ADDING = """
registry, told = Registry(root), []
for number in range(5):
    own = registry.add(slot, {"model": f"{me} {number}".encode()}, at)
    shared = registry.add(slot, {"model": f"shared {number}".encode()}, at)
    told.append([own.version, own.created, shared.version, shared.created])
print(json.dumps(told))
"""

RACING = """
won, version = [], f"v{me + 1:04d}"
for generation in range(12):
    while True:
        champion = pointers.champion(root, slot)
        if (champion.generation if champion else 0) > generation:
            break
        try:
            pointers.move(root, slot, version, ("observe", "trade")[generation % 2], reason="race",
                          who=str(me), at=at, expected_generation=generation)
        except RegistryError as error:
            assert "changed in the meantime" in str(error), error
            break
        won.append(generation + 1)
        break
print(json.dumps(won))
"""


MOVING = """
for number in range(12):
    version = f"v{(me + number) % 4 + 1:04d}"
    pointers.move(root, slot, version, "trade", reason="x", who=str(me), at=at)
"""


def together(root: Path, work: str) -> list[Any]:
    """Let all processes begin at the same moment; what each of them told."""
    command = [sys.executable, "-c", PREAMBLE + work, str(root)]
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([*command, str(me)], stdin=pipe, stdout=pipe, text=True)
        for me in range(WRITERS)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * WRITERS
    return [json.loads(text) for text in told]


def test_processes_that_add_at_once_never_collide(tmp_path: Path) -> None:
    told = [line for lines in together(tmp_path, ADDING) for line in lines]
    own = {version for version, *_ in told}
    assert all(created for _, created, *_ in told)
    assert len(own) == WRITERS * 5
    shared = [(version, created) for *_, version, created in told]
    assert len({version for version, _ in shared}) == 5
    assert sum(created for _, created in shared) == 5
    registry = Registry(tmp_path)
    names = [info.version for info in registry.versions(SLOT)]
    assert names == [f"v{number:04d}" for number in range(1, WRITERS * 5 + 6)]
    assert registry.verify() == []


def test_one_wins_every_race_for_a_generation(tmp_path: Path) -> None:
    for number in range(WRITERS):
        Registry(tmp_path).add(SLOT, {"model": f"{number}".encode()}, AT)
    won = sorted(generation for own in together(tmp_path, RACING) for generation in own)
    assert won == list(range(1, 13))
    moves = pointers.history(tmp_path, SLOT)
    assert [made.generation for made in moves] == won
    assert all(made.done for made in moves)
    assert all(after.origin == before.to for before, after in itertools.pairwise(moves))


def test_readers_see_a_sound_champion_while_writers_move_it(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for number in range(WRITERS):
        registry.add(SLOT, {"model": f"{number}".encode()}, AT)
    pointers.move(tmp_path, SLOT, "v0001", "trade", reason="first", who="test", at=AT)
    command = [sys.executable, "-c", PREAMBLE + MOVING, str(tmp_path)]
    generations = [1]
    with (
        subprocess.Popen([*command, "0"], stdin=subprocess.DEVNULL) as one,
        subprocess.Popen([*command, "1"], stdin=subprocess.DEVNULL) as two,
    ):
        while one.poll() is None or two.poll() is None:
            champion = pointers.champion(tmp_path, SLOT)
            assert champion is not None
            generations.append(champion.generation)
            bundle = registry.open(SLOT)
            assert bundle.read("model") == str(int(bundle.version[1:]) - 1).encode()
    assert (one.returncode, two.returncode) == (0, 0)
    assert generations == sorted(generations)
    assert len(set(generations)) > 2
    assert registry.verify() == []
