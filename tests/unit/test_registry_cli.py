"""``python -m registry``: what it prints, what it returns, how light it starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from registry import pointers
from registry.__main__ import main
from registry.errors import RegistryError
from registry.slots import Slot
from registry.tables import table
from registry.versions import Registry

AT = "2025-12-20T03:00:00+00:00"
SOL, ETH = Slot.parse("upbit_hourly@replay/KRW-SOL"), Slot.parse("upbit_hourly/KRW-ETH")


def card(as_of: str, **more: Any) -> bytes:
    shares = {"sell": 0.2, "hold": 0.8, "buy": 0.0}
    head = {"classes": list(shares), "class_shares": shares, "columns": ["a", "b"], "rows": 7}
    metrics = {"balanced_accuracy": 0.41}
    return json.dumps({"as_of": as_of, "metrics": metrics, "heads": {"d": head}, **more}).encode()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    registry = Registry(tmp_path)
    for day in (20, 21):
        registry.add(SOL, {"card.json": card(f"2025-12-{day}T00:00Z")}, AT)
    registry.add(ETH, {"model": b"x"}, AT)
    registry.note(SOL, "v0001", "gate", AT, outcome="promote")
    return tmp_path


def run(root: Path, *given: str) -> int:
    return main([*given, "--root", str(root)])


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def told_json(capsys: pytest.CaptureFixture[str], root: Path, *given: str) -> Any:
    assert run(root, *given, "--json") == 0
    return json.loads(told(capsys))


def test_promote_says_what_happened_and_how_to_undo_it(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, "promote", str(SOL), "v0001") == 0
    assert told(capsys) == (
        f"v0001 is champion of {SOL} now, mode observe: signals, no decisions; there was none "
        "before.\nThere is no earlier champion to go back to.\n"
    )
    assert run(root, "promote", str(SOL), "v0001", "--trade") == 0
    undo = f"To undo: vintage registry promote {SOL} v0001 --mode observe\n"
    assert told(capsys).endswith(f"before it was v0001 (observe).\n{undo}")
    Registry(root).note(SOL, "v0002", "judged", AT, outcome="promote")
    assert run(root, "promote", str(SOL), "v0002", "--reason", "newer") == 0
    assert told(capsys) == (
        f"v0002 is champion of {SOL} now, mode trade: signals and decisions; before it was v0001 "
        f"(trade).\nTo undo: vintage registry rollback {SOL}\n"
    )
    assert run(root, "promote", str(SOL), "v0002") == 0
    assert "already (mode trade)" in told(capsys)
    last = pointers.history(root, SOL)[-1]
    assert (last.why, bool(last.who), last.at.endswith("+00:00")) == ("newer", True, True)


def test_rollback_says_how_to_undo_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for version in ("v0001", "v0002"):
        run(root, "promote", str(SOL), version, "--trade")
    assert run(root, "rollback", str(SOL)) == 0
    undo = f"To undo: vintage registry promote {SOL} v0002 --trade\n"
    assert told(capsys).endswith(undo)
    moved = told_json(capsys, root, "promote", str(SOL), "v0002", "--trade")
    assert moved == {
        "slot": str(SOL),
        "before": {"version": "v0001", "generation": 3, "mode": "trade"},
        "after": {"version": "v0002", "generation": 4, "mode": "trade"},
    }


@pytest.mark.parametrize(
    ("judged", "given", "mode"),
    [
        (None, (), "observe"),
        ("refuse", (), "observe"),
        ("observe", (), "observe"),
        ("promote", (), "trade"),
        ("promote", ("--mode", "observe"), "observe"),
        ("promote", ("--mode", "trade"), "trade"),
        ("refuse", ("--trade",), "trade"),
        ("refuse", ("--mode", "trade"), None),
    ],
)
def test_only_what_the_gate_promoted_inherits_trade(
    root: Path, judged: str | None, given: tuple[str, ...], mode: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run(root, "promote", str(SOL), "v0001", "--trade")
    if judged:
        for outcome in ("promote", "refuse", judged):
            Registry(root).note(SOL, "v0002", "judged", AT, outcome=outcome)
    told(capsys)
    code = run(root, "promote", str(SOL), "v0002", *given)
    pointer = pointers.champion(root, SOL)
    assert pointer is not None
    if mode is None:
        assert (code, pointer.version) == (6, "v0001")
        assert "the gate did not say" in capsys.readouterr().err
        return
    assert (code, pointer.version, pointer.mode) == (0, "v0002", mode)
    why = "v0002 is observed, for the gate did not promote it"
    assert (why in told(capsys)) == (mode == "observe" and not given)


def test_a_version_that_cannot_be_loaded_is_not_promoted(root: Path) -> None:
    def refuse(*_: object) -> None:
        raise RegistryError("it cannot be loaded.")

    given = ["promote", str(SOL), "v0001", "--root", str(root)]
    assert main(given, check=refuse) == 6
    assert pointers.champion(root, SOL) is None


def test_pin_tag_and_gc_tell_what_they_did(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "pin", str(SOL), "v0001") == 0
    undo = f"To undo: vintage registry pin {SOL} none --as pinned\n"
    assert told(capsys) == f"v0001 is pinned of {SOL} now; gc keeps it.\n{undo}"
    assert run(root, "tag", str(SOL), "v0001", "good") == 0
    assert told(capsys) == f"tags of {SOL} v0001: good\n"
    shown = told_json(capsys, root, "show", str(SOL), "v0001")
    assert (shown["points_here"], shown["tags"]) == (["pinned"], ["good"])
    (moved,) = told_json(capsys, root, "history", str(SOL), "--as", "pinned")
    assert (moved["to"], moved["generation"]) == ("v0001", 1)
    nothing = told_json(capsys, root, "gc", "--keep", "1")
    assert nothing["versions"] == []
    stays = [(each["version"], each["stays"]) for each in nothing["kept"]]
    assert ("v0001", "pinned") in stays
    assert run(root, "gc", "--keep", "1") == 0
    assert "pinned" in told(capsys)
    assert told_json(capsys, root, "pin", str(SOL), "none")["before"] == "v0001"
    assert told_json(capsys, root, "tag", str(SOL), "v0001", "good", "--remove")["tags"] == []
    assert run(root, "gc", "--keep", "1") == 0
    assert "Nothing is deleted yet: 1 versions" in told(capsys)
    assert len(Registry(root).versions(SOL)) == 2
    gone = told_json(capsys, root, "gc", str(SOL), "--keep", "1", "--yes")
    assert (gone["deleted"], [each["version"] for each in gone["versions"]]) == (True, ["v0001"])
    assert [info.version for info in Registry(root).versions(SOL)] == ["v0002"]


def test_versions_go_out_and_come_back(
    root: Path, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path_factory.mktemp("elsewhere")
    assert run(root, "export", str(SOL), "v0001", str(folder / "out")) == 0
    assert run(folder / "new", "add", str(SOL), str(folder / "out")) == 0
    assert "v0001: registered." in told(capsys)
    again = told_json(capsys, folder / "new", "add", str(SOL), str(folder / "out"))
    assert again == {"slot": str(SOL), "version": "v0001", "created": False}
    packed = told_json(capsys, root, "backup", str(folder / "b.zip"))
    assert (packed["slots"], packed["versions"]) == ([str(ETH), str(SOL)], 3)
    assert run(folder / "new", "restore", str(folder / "b.zip")) == 6
    back = told_json(capsys, folder / "new", "restore", str(folder / "b.zip"), "--yes")
    assert len(back["aside"]) == 1
    assert run(folder / "new", "verify") == 0
    assert told(capsys) == "Intact: 3 versions in 2 slots.\n"


def test_list_shows_accuracy_beside_its_majority(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(root, "promote", str(SOL), "v0002")
    told(capsys)
    assert run(root, "list") == 0
    header, eth, sol, *_ = told(capsys).splitlines()
    columns = "slot champion mode as_of versions trials balanced_accuracy majority"
    assert header.split() == columns.split()
    assert eth.split() == [str(ETH), "-", "-", "-", "1", "0", "-", "-"]
    assert sol.split()[:4] == [str(SOL), "v0002", "observe", "2025-12-21T00:00Z"]
    assert sol.split()[4:] == ["2", "0", "0.41", "0.5"]
    assert told_json(capsys, root, "list")[1] == {
        "slot": str(SOL),
        "champion": "v0002",
        "mode": "observe",
        "pending": None,
        "as_of": "2025-12-21T00:00Z",
        "versions": 2,
        "trials": 0,
        "balanced_accuracy": 0.41,
        "majority": 0.5,
        "problem": None,
    }


def test_list_goes_on_over_a_damaged_slot(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(root, "promote", str(SOL), "v0002")
    (SOL.folder(root) / "champion.json").write_bytes(b"{")
    told(capsys)
    assert run(root, "list") == 0
    assert f"\n{SOL}: the champion pointer is not to be trusted" in told(capsys)


def test_an_empty_registry_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none", "list") == 0
    assert told(capsys) == f"No slots yet under {tmp_path / 'none'}.\n"
    assert told_json(capsys, tmp_path / "none", "list") == []


def test_show_tells_the_card_the_files_and_the_events(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(root, "show", str(SOL), "v0001") == 0
    shown = told(capsys)
    for part in (
        "2025-12-20T00:00Z",
        "sell 20%, hold 80%, buy 0%",
        "card.json",
        "\n2025-12-20 03:00  gate        outcome promote\n",
    ):
        assert part in shown
    whole = told_json(capsys, root, "show", str(SOL))
    assert (whole["version"], whole["card"]["as_of"]) == ("v0002", "2025-12-21T00:00Z")
    assert run(root, "show", str(ETH)) == 0
    assert "The card tells no metrics." in told(capsys)


def test_events_are_told_for_people(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry = Registry(root)
    costs = {"seconds": {"train": 12.25, "evaluate": 3.0}, "cpu_seconds": {"train": 11.0}}
    registry.note(SOL, "v0001", "built", AT, **costs, peak_mb={"train": 592, "evaluate": 234})
    conditions = [{"name": "brier_skill", "passed": False, "value": -0.2}]
    facts = {"outcome": "observe", "conditions": conditions, "trials": 17}
    sentence = "Observe: its Brier skill is " + "far " * 20 + "below 0."
    registry.note(SOL, "v0001", "judged", AT, sentence=sentence, **facts)
    registry.note(SOL, "v0001", "odd", AT, a=None, b_c={"d": [1, 2], "e": "\x1b[2J"})
    assert run(root, "show", str(SOL), "v0001") == 0
    shown = told(capsys)
    assert "{" not in shown
    assert "\x1b" not in shown
    assert shown.index("\nthe gate's last word\nObserve: its Brier") < shown.index("\nheads\n")
    lines = shown.partition("\nevents\n")[2].splitlines()
    assert {len(line) <= 96 for line in lines} == {True}
    whole = [" ".join(text.split()) for text in "\n".join(lines).split("\n2025-12-20 03:00")[1:]]
    assert whole[1:] == [
        "built 2 stages (train, evaluate) in 15.2 s; 11.0 CPU s; at most 592 MiB",
        f"judged {sentence[:-1]}; trials 17",
        "odd d 2; e ?[2J",
    ]
    events = told_json(capsys, root, "show", str(SOL), "v0001")["events"]
    assert events[-2] == {"event": "judged", "at": AT, "sentence": sentence, **facts}


def test_history_tells_every_move(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "history", str(SOL)) == 0
    assert "never moved" in told(capsys)
    run(root, "promote", str(SOL), "v0001", "--reason", "한글 \x1b[2J")
    told(capsys)
    assert run(root, "history", str(SOL)) == 0
    shown = told(capsys)
    assert "한글 ?[2J" in shown
    assert "\x1b" not in shown
    (move,) = told_json(capsys, root, "history", str(SOL))
    assert (move["generation"], move["from"], move["to"], move["done"]) == (1, None, "v0001", True)


def test_verify_names_the_damage_and_fails(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(root, "verify") == 0
    assert told(capsys) == "Intact: 3 versions in 2 slots.\n"
    (ETH.folder(root) / "v0001/extra").write_bytes(b"")
    assert run(root, "verify") == 6
    assert "v0001/extra" in told(capsys)
    assert run(root, "verify", str(SOL)) == 0
    told(capsys)
    assert run(root, "verify", str(ETH), "--json") == 6
    assert json.loads(told(capsys))[0]["version"] == "v0001"


@pytest.mark.parametrize(
    ("given", "code", "told_part"),
    [
        (["show", "../etc"], 6, "is not a slot"),
        (["show", str(SOL), "v0009"], 6, "no such version"),
        (["rollback", str(SOL)], 6, "no earlier champion"),
        (["promote", "upbit_hourly/KRW-XRP", "v0001"], 6, "no such slot"),
        (["verify", "upbit_hourly/KRW-XRP"], 6, "no such slot"),
        (["promote", str(SOL), "v0001", "--mode", "live"], 2, "invalid choice"),
        (["list", "--all"], 2, "unrecognized arguments"),
        (["add"], 2, "are required"),
        (["promote", str(SOL), "v0001", "--mode", "trade"], 6, "--trade"),
        (["promote", str(SOL), "v0001", "--mode", "observe", "--trade"], 6, "contradict"),
        (["tag", str(SOL), "v0001", "a b"], 6, "is not a tag"),
        (["sign", str(SOL), "v0001"], 6, "no key"),
        (["gc", str(SOL), "--keep", "0"], 6, "newest version is kept"),
        (["pin", str(SOL), "v0009"], 6, "no such version"),
        (["restore", "nowhere"], 6, "no intact backup"),
        (["add", str(SOL), "nowhere"], 6, "not a folder"),
        ([], 2, "required"),
        (["--help"], 0, ""),
    ],
)
def test_exit_codes(
    root: Path, capsys: pytest.CaptureFixture[str], given: list[str], code: int, told_part: str
) -> None:
    assert main(["--root", str(root), *given]) == code
    error = capsys.readouterr().err
    assert told_part in error
    assert code != 6 or error.count("\n") == 1


def test_the_root_is_found_from_the_checkout(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    home = tmp_path_factory.mktemp("checkout")
    (home / "models").mkdir()
    root.rename(home / "models/registry")
    for name in ("VINTAGE_HOME", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(home / "models")
    assert main(["list"]) == 6
    assert "no params.yaml" in capsys.readouterr().err
    (home / "params.yaml").touch()
    assert main(["verify"]) == 0
    monkeypatch.chdir("/")
    for name in ("DVC_ROOT", "VINTAGE_HOME"):
        monkeypatch.setenv(name, str(home))
        assert main(["verify"]) == 0
        monkeypatch.setenv(name, str(home / "elsewhere"))
    assert capsys.readouterr().out == "Intact: 3 versions in 2 slots.\n" * 3


def test_listing_starts_without_pydantic_and_without_the_pipeline(root: Path) -> None:
    look = (
        "import sys\nfrom registry.__main__ import main\n"
        f"assert main(['list', '--root', {str(root)!r}]) == 0\n"
        "heavy = [n for n in sys.modules if n.split('.')[0] in ('pydantic', 'pipeline', 'yaml')]\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(SOL) in done.stdout


def test_a_table_aligns_wide_letters() -> None:
    shown = table([{"why": "한글", "n": 1}, {"why": "abcd", "n": 20}])
    assert shown.splitlines() == ["why    n", "한글   1", "abcd  20"]
