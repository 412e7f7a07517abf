"""The ledger: one line for each configuration, whoever writes, whatever was cut off."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry.__main__ import main
from registry.errors import RegistryError
from registry.slots import Slot
from registry.trials import LEDGER, Trial, count_trials, damaged_trials, record_trial, trials
from registry.versions import Registry
from tests.conftest import CHECKOUT
from tests.volume import volume

SLOT, AT = Slot.parse("demo/SIM-BTC"), "2025-12-20T00:00Z"
Capture = pytest.CaptureFixture[str]


def trial(number: int, source: str = "train") -> Trial:
    return Trial(f"{number:064x}", "lightgbm", {"set": {"model": {"x": number}}}, source)


def ledger(root: Path) -> Path:
    return SLOT.folder(root) / LEDGER


def test_a_configuration_is_counted_once(tmp_path: Path) -> None:
    assert trials(tmp_path, SLOT) == []
    assert record_trial(tmp_path, SLOT, trial(2))
    assert record_trial(tmp_path, SLOT, trial(1, "tune"))
    assert not record_trial(tmp_path, SLOT, trial(2, "retrain"))
    assert trials(tmp_path, SLOT) == [trial(2), trial(1, "tune")]
    assert len(ledger(tmp_path).read_text().splitlines()) == 2
    other = Slot.parse("demo@replay/SIM-BTC")
    assert trials(tmp_path, other) == []
    assert record_trial(tmp_path, other, trial(2))


def test_a_line_is_json_that_tells_the_choices(tmp_path: Path) -> None:
    choices = {"model": "한글 \ud800", "set": {"a": [1, None, 0.1, True]}}
    told = Trial("a" * 64, "lstm,lightgbm", choices, "train")
    record_trial(tmp_path, SLOT, told)
    assert trials(tmp_path, SLOT) == [told]
    line = json.loads(ledger(tmp_path).read_text())
    assert set(line) == {"digest", "model", "choices", "source", "origin"}


def test_a_cut_off_last_line_was_never_written(tmp_path: Path) -> None:
    record_trial(tmp_path, SLOT, trial(1))
    with ledger(tmp_path).open("a") as file:
        file.write('{"digest": "' + f"{2:064x}")
    assert trials(tmp_path, SLOT) == [trial(1)]
    assert not record_trial(tmp_path, SLOT, trial(1))
    assert record_trial(tmp_path, SLOT, trial(2))
    assert trials(tmp_path, SLOT) == [trial(1), trial(2)]
    assert damaged_trials(tmp_path, SLOT) == ()


DAMAGED = [
    b"x",
    b"[]",
    b"{}",
    b"\xff",
    b'{"digest": 5, "model": "m", "choices": {}, "source": "train"}',
    json.dumps({"digest": "a" * 64, "model": None, "choices": {}, "source": "train"}).encode(),
    json.dumps({"digest": "a" * 64, "model": "m", "choices": [], "source": "train"}).encode(),
]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_line_still_counts_and_is_found(
    tmp_path: Path, capsys: Capture, line: bytes
) -> None:
    record_trial(tmp_path, SLOT, trial(1))
    ledger(tmp_path).write_bytes(ledger(tmp_path).read_bytes() + line + b"\n")
    record_trial(tmp_path, SLOT, trial(2))
    assert trials(tmp_path, SLOT) == [trial(1), trial(2)]
    assert (damaged_trials(tmp_path, SLOT), count_trials(tmp_path, SLOT)) == ((2,), 3)
    assert main(["verify", "--root", str(tmp_path)]) == 6
    assert f"{LEDGER}: line 2 is damaged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("digest", "source"),
    [("a", "train"), ("A" * 64, "train"), ("a" * 65, "train"), ("a" * 64, ""), ("a" * 64, "a b")],
)
def test_a_trial_has_a_digest_and_a_source(digest: str, source: str) -> None:
    with pytest.raises(RegistryError, match="of a trial"):
        Trial(digest, "lightgbm", {}, source)


def test_what_cannot_be_written_is_not_counted(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="cannot be written as JSON"):
        record_trial(tmp_path, SLOT, Trial("a" * 64, "m", {"x": float("nan")}, "train"))
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError):
        record_trial(tmp_path / "file", SLOT, trial(1))
    (SLOT.folder(tmp_path) / ".lock").mkdir(parents=True)
    with pytest.raises(RegistryError, match="cannot be locked"):
        record_trial(tmp_path, SLOT, trial(1))
    assert not ledger(tmp_path).exists()


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, line: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("registry.trials.append_whole_line", full)
    with pytest.raises(RegistryError, match=r"cannot be counted.*No space left"):
        record_trial(tmp_path, SLOT, trial(1))


def test_what_is_counted_already_needs_no_right_to_write(tmp_path: Path) -> None:
    record_trial(tmp_path, SLOT, trial(1))
    lock = SLOT.folder(tmp_path) / ".lock"
    lock.unlink()
    lock.mkdir()
    assert not record_trial(tmp_path, SLOT, trial(1))


def test_the_registry_shows_how_many_were_tried(tmp_path: Path, capsys: Capture) -> None:
    for number in range(3):
        record_trial(tmp_path, SLOT, trial(number))
    assert main(["list", "--root", str(tmp_path), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["slot"], row["versions"], row["trials"], row["champion"]) == (
        str(SLOT),
        0,
        3,
        None,
    )
    Registry(tmp_path).add(SLOT, {"model": b"x"}, AT)
    assert main(["show", str(SLOT), "--root", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trials"] == 3
    assert main(["show", str(SLOT), "--root", str(tmp_path)]) == 0
    assert "trials   3\n" in capsys.readouterr().out
    assert main(["verify", "--root", str(tmp_path)]) == 0


WORKER = """
import json, sys
from pathlib import Path
from registry.slots import Slot
from registry.trials import Trial, record_trial
for line in sys.stdin:
    root, numbers = json.loads(line)
    told = [Trial(f"{n:064x}", "m", {}, "train") for n in numbers]
    print(sum(record_trial(Path(root), Slot.parse("demo/SIM-BTC"), each) for each in told))
    sys.stdout.flush()
"""
Child = subprocess.Popen[str]


@pytest.fixture(scope="module")
def workers() -> Iterator[list[Child]]:
    command = [sys.executable, "-c", WORKER]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    found = [subprocess.Popen(command, cwd=CHECKOUT, **pipes) for _ in range(3)]
    yield found
    for child in found:
        child.communicate()
        assert child.returncode == 0


NUMBERS = st.lists(st.integers(0, 6), min_size=1, max_size=12)


@given(calls=st.tuples(NUMBERS, NUMBERS, NUMBERS), before=NUMBERS, cut=st.integers(1, 120))
@settings(
    max_examples=volume(25),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_writers_at_once_leave_one_line_each(
    workers: list[Child],
    tmp_path_factory: pytest.TempPathFactory,
    calls: tuple[list[int], ...],
    before: list[int],
    cut: int,
) -> None:
    root = tmp_path_factory.mktemp("registry")
    for number in before:
        record_trial(root, SLOT, trial(number))
    whole = ledger(root).read_bytes()
    torn = whole.splitlines(keepends=True)[0][:cut].rstrip(b"\n")
    ledger(root).write_bytes(whole + torn)
    for child, numbers in zip(workers, calls, strict=True):
        assert child.stdin is not None
        child.stdin.write(json.dumps([str(root), numbers]) + "\n")
        child.stdin.flush()
    made = 0
    for child in workers:
        assert child.stdout is not None
        made += int(child.stdout.readline())
    wanted = {number for numbers in (before, *calls) for number in numbers}
    lines = ledger(root).read_bytes().split(b"\n")[:-1]
    assert len(lines) == len(wanted) == len(trials(root, SLOT))
    assert {int(told.digest, 16) for told in trials(root, SLOT)} == wanted
    assert made == len(wanted - set(before))
    assert damaged_trials(root, SLOT) == ()
    assert ledger(root).read_bytes().startswith(whole)


def test_settings_chosen_among_another_slots_trials_bring_its_ledger(
    tmp_path: Path, capsys: Capture
) -> None:
    other, third = Slot.parse("demo@replay/SIM-BTC"), Slot.parse("demo/SIM-ETH")
    for number in range(3):
        record_trial(tmp_path, other, trial(number))
    record_trial(tmp_path, other, replace(trial(7), origin=str(SLOT)))
    record_trial(tmp_path, SLOT, trial(2))
    assert count_trials(tmp_path, SLOT) == 1
    assert record_trial(tmp_path, SLOT, replace(trial(2), origin=str(other)))
    assert not record_trial(tmp_path, SLOT, replace(trial(2), origin=str(other)))
    assert not record_trial(tmp_path, SLOT, trial(2))
    assert (len(trials(tmp_path, SLOT)), count_trials(tmp_path, SLOT)) == (1, 4)
    record_trial(tmp_path, third, replace(trial(9), origin=str(SLOT)))
    assert count_trials(tmp_path, third) == 5, "and what the other took over"
    assert main(["list", "--root", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["slot"]: row["trials"] for row in rows} == {
        str(SLOT): 4,
        str(other): 4,
        str(third): 5,
    }


def test_lines_of_before_have_no_origin_and_a_strange_one_is_damage(tmp_path: Path) -> None:
    ledger(tmp_path).parent.mkdir(parents=True)
    told = {"digest": "a" * 64, "model": "m", "choices": {}, "source": "train"}
    ledger(tmp_path).write_text(json.dumps(told) + "\n")
    assert [each.origin for each in trials(tmp_path, SLOT)] == [""]
    with ledger(tmp_path).open("a") as file:
        file.write(json.dumps({**told, "origin": "../.."}) + "\n")
        file.write(json.dumps({**told, "origin": 5}) + "\n")
    assert damaged_trials(tmp_path, SLOT) == (2, 3)
