"""A challenger beside the champion: asked, logged, given a share, and never in the way."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.__main__ import main
from pipeline.configuration.plan import write_plan
from pipeline.errors import DataError
from pipeline.live import first_load
from pipeline.live.log import Logged, SignalLog
from pipeline.live.said import is_challengers
from pipeline.live.signals import CLASSES
from pipeline.operations.places import Places
from pipeline.operations.retraining import challenger
from pipeline.operations.retraining import retrain as retrains
from pipeline.operations.retraining.build_run import BuildReport
from pipeline.operations.retraining.challenger import challenge
from pipeline.operations.retraining.retrain import retrain
from pipeline.operations.target import resolve
from pipeline.operations.versions import serve
from pipeline.operations.workspace import Workspace
from pipeline.runner import STAGES, run_stage
from registry.evidence import Evidence
from registry.marks import mark, marked
from registry.pointers import move
from registry.slots import Slot
from registry.versions import Registry
from tests.conftest import AS_OF, CHECKOUT

Capture = pytest.CaptureFixture[str]
Ask = Callable[..., dict[str, Any]]
SLOT = Slot.parse("demo/SIM-BTC")
WORDS = ("recipe=demo", "model=majority", "recipe.history_days=12")
VERSIONS = ("v0001", "v0002")
AT = "2026-01-01T00:00:00+00:00"
HOURS = 80


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with two versions, the first of them champion."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VINTAGE_HOME", str(home))
        patch.chdir(home)
        (home / "params.yaml").write_bytes((CHECKOUT / "params.yaml").read_bytes())
        patch.setattr(first_load, "_load_in_child", lambda *_: None)
        _retrain(home, patch)
        _register_again(places(home))
        move(places(home).root, SLOT, "v0001", "trade", reason="x", who="test", at=AS_OF)
        yield home


@pytest.fixture
def home(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home without challenger and log."""
    monkeypatch.setenv("VINTAGE_HOME", str(made))
    monkeypatch.chdir(made)
    monkeypatch.setattr(first_load, "_load_in_child", lambda *_: None)
    for path in (SLOT.folder(made / "logs/signals"), made / "logs"):
        for file in path.glob("*.jsonl"):
            file.unlink()
    (SLOT.folder(places(made).root) / "marks.jsonl").unlink(missing_ok=True)
    return made


@pytest.fixture
def ask(home: Path, capsys: Capture) -> Ask:
    def predict(hours: int = 0, *words: str) -> dict[str, Any]:
        as_of = pd.Timestamp(AS_OF) + pd.Timedelta(hours=hours)
        assert main(["predict", *WORDS, *words, f"as_of={as_of.isoformat()}", "--json"]) == 0
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    return predict


def places(home: Path) -> Registry:
    return Places(home, CHECKOUT).registry


def _register_again(registry: Registry) -> None:
    """The same version under another card, as the next one."""
    first = registry.open(SLOT, "v0001")
    files = {name: first.read(name) for name in first.names}
    card = json.dumps({**first.card(), "notes": ["again"]}).encode()
    assert registry.add(SLOT, {**files, "card.json": card}, AT).version == "v0002"


def _retrain(home: Path, patch: pytest.MonkeyPatch) -> None:
    now = pd.Timestamp(AS_OF)
    target = resolve([*WORDS, f"as_of={AS_OF}"], CHECKOUT / "conf", home, now)

    def build(workspace: Workspace, *_: object) -> BuildReport:
        with pytest.MonkeyPatch.context() as inside:
            inside.chdir(workspace.folder)
            write_plan(target.plan)
            for stage in STAGES:
                run_stage(stage)
        return BuildReport(STAGES)

    patch.setattr(retrains, "reproduce", build)
    retrain(target, Places(home, CHECKOUT), now, lambda _: None)


def challenged(home: Path, version: str | None = "v0002", who: str = "a person") -> None:
    mark(places(home).root, SLOT, "challenger", version, reason="x", who=who, at=AS_OF)


def logged(home: Path) -> list[Logged]:
    return SignalLog.below(home).read(SLOT)[0]


def events(home: Path) -> list[str]:
    lines = (home / "logs/vintage.jsonl").read_text().splitlines()
    return [json.loads(line)["event"] for line in lines]


def test_without_a_challenger_the_champion_is_logged_once(home: Path, ask: Ask) -> None:
    told = ask()
    assert ask(0)["version"] == told["version"] == "v0001"
    assert (told["role"], told["challenger_share"], "shadow" in told) == ("champion", 0.0, False)
    (line,) = logged(home)
    assert (line.version, line.role, line.mode) == ("v0001", "champion", "trade")
    assert line.candle == told["candle"]
    assert line.heads["direction"]["buy"] == told["buy_probability"]


def test_a_challenger_is_asked_in_shadow(home: Path, ask: Ask, capsys: Capture) -> None:
    alone = ask()
    challenged(home)
    told = ask(0, "recipe.challenger_share=0")
    beside = told.pop("shadow")
    assert {**told, "age_hours": 0} == {**alone, "age_hours": 0}, "the answer is the champion's"
    assert (beside["version"], beside["mode"]) == ("v0002", "observe")
    assert [(line.version, line.role) for line in logged(home)] == [
        ("v0001", "champion"),
        ("v0002", "shadow"),
    ]
    assert main(["predict", *WORDS, f"as_of={AS_OF}"]) == 0
    assert "Shadow: the challenger v0002 says" in capsys.readouterr().out


def test_a_share_of_the_candles_is_answered_by_the_challenger(home: Path, ask: Ask) -> None:
    challenged(home)
    seen = set()
    for hour in range(4):
        told = ask(hour, "recipe.challenger_share=0.5")
        its_turn = is_challengers("SIM-BTC", told["candle"], 0.5)
        seen.add(its_turn)
        version, role, other = (
            ("v0002", "challenger", "v0001") if its_turn else ("v0001", "champion", "v0002")
        )
        assert (told["version"], told["role"], told["shadow"]["version"]) == (version, role, other)
        assert told["mode"] == ("observe" if its_turn else "trade"), "in its verdict's mode"
        assert told["challenger_share"] == 0.5
        assert [(line.version, line.role) for line in logged(home)[-2:]] == [
            (version, role),
            (other, "shadow"),
        ]
    assert seen == {True, False}


def test_a_challenger_trades_only_beside_a_champion_that_trades(home: Path, ask: Ask) -> None:
    challenged(home)
    registry = places(home)
    registry.note(SLOT, "v0002", "judged", AS_OF, outcome="promote")
    assert ask(0, "recipe.challenger_share=1")["mode"] == "trade"
    move(registry.root, SLOT, "v0001", "observe", reason="x", who="test", at=AS_OF)
    assert ask(0, "recipe.challenger_share=1")["mode"] == "observe"
    move(registry.root, SLOT, "v0001", "trade", reason="x", who="test", at=AS_OF)
    registry.note(SLOT, "v0002", "judged", AS_OF, outcome="refuse")
    assert ask(0, "recipe.challenger_share=1")["mode"] == "observe"


def test_what_answers_another_question_stays_a_shadow(
    home: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    challenged(home)
    monkeypatch.setattr(challenger, "task_changes", lambda *_: iter(["a change"]))
    told = ask(0, "recipe.challenger_share=1")
    assert (told["version"], told["role"], told["shadow"]["version"]) == (
        "v0001",
        "champion",
        "v0002",
    )


@pytest.mark.parametrize(
    "error", [DataError("no"), ValueError(), RuntimeError("torn"), KeyError("x")]
)
def test_a_challenger_that_fails_disturbs_nobody(
    home: Path, ask: Ask, error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    alone = ask()
    challenged(home)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(challenger, "answer_of", fail)
    told = ask(0, "recipe.challenger_share=1")
    assert (told["version"], told["role"]) == ("v0001", "champion")
    assert told["buy_probability"] == alone["buy_probability"]
    assert told["challenger_silent"]
    assert events(home).count("challenger_silent") == 1
    assert len(logged(home)) == 1
    assert main(["predict", *WORDS, f"as_of={AS_OF}"]) == 0
    assert "the challenger of demo/SIM-BTC said nothing" in capsys.readouterr().err


@contextlib.contextmanager
def broken(home: Path) -> Iterator[None]:
    """A file of v0002 is cut off for a while."""
    path = next((SLOT.folder(places(home).root) / "v0002/heads").rglob("*.json"))
    content, mode = path.read_bytes(), path.stat().st_mode
    path.chmod(0o644)
    path.write_bytes(content[:-1])
    try:
        yield
    finally:
        path.write_bytes(content)
        path.chmod(mode)


def test_who_stands_in_is_logged_as_that_and_gives_no_share_away(home: Path, ask: Ask) -> None:
    root = places(home).root
    challenged(home, "v0001")
    move(root, SLOT, "v0002", "trade", reason="x", who="test", at=AS_OF)
    try:
        with broken(home):
            told = ask(0, "recipe.challenger_share=1")
    finally:
        move(root, SLOT, "v0001", "trade", reason="x", who="test", at=AS_OF)
    assert (told["version"], told["role"], told["stands_in_for"]) == ("v0001", "stand_in", "v0002")
    assert "shadow" not in told, "it is the challenger itself"
    assert [(line.version, line.role) for line in logged(home)] == [("v0001", "stand_in")]


def test_a_damaged_challenger_or_mark_disturbs_nobody(home: Path, ask: Ask) -> None:
    challenged(home)
    with broken(home):
        assert ".json" in ask()["challenger_silent"]
    marks = SLOT.folder(places(home).root) / "marks.jsonl"
    marks.write_bytes(marks.read_bytes() + b"no move\n")
    told = ask(1)
    assert (told["version"], told["role"]) == ("v0001", "champion")
    assert "damaged" in told["challenger_silent"]


def test_the_log_is_no_condition_of_an_answer(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(serve.SignalLog, "keep", _full)
    assert main(["predict", *WORDS, f"as_of={AS_OF}", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["version"] == "v0001"
    assert "the answer is not in the signal log: [Errno 28]" in err


def _full(*_: object) -> int:
    raise OSError(28, "No space left on device")


EVIDENCE: dict[str, Any] = {
    "finite": True, "effective_rows": 50.0, "brier_skill": 0.1, "brier_skill_low": 0.0,
    "balanced_accuracy": 0.4, "classes": 3,
    "champion": {"version": "v0001", "mode": "trade", "comparable": False, "why_not": "x"},
}  # fmt: skip


def _challenge(home: Path, **changed: Any) -> str | None:
    target = resolve([*WORDS, f"as_of={AS_OF}"], CHECKOUT / "conf", home, pd.Timestamp(AS_OF))
    told = {**EVIDENCE, **changed}
    challenge(target, places(home), "v0002", Evidence.model_validate(told), AS_OF)
    made = marked(places(home).root, SLOT, "challenger")
    return made.version if made else None


def test_a_sound_candidate_that_was_refused_becomes_the_challenger(home: Path) -> None:
    champion = EVIDENCE["champion"]
    assert _challenge(home, finite=False) is None
    assert _challenge(home, champion=None) is None
    assert _challenge(home, champion={**champion, "mode": "observe"}) is None
    assert _challenge(home, champion={**champion, "is_newer": True}) is None
    assert _challenge(home) == "v0002"
    assert "challenger_marked" in events(home)


def test_what_a_person_marked_stays(home: Path) -> None:
    challenged(home, "v0001")
    assert _challenge(home) == "v0001"
    challenged(home, None)
    assert _challenge(home) == "v0002", "nothing is marked"


def test_a_candidate_that_cannot_be_loaded_is_not_marked(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise challenger.RegistryError("it does not load")

    monkeypatch.setattr(challenger, "require_loadable", fail)
    assert _challenge(home) is None
    assert "challenger_not_marked" in events(home)


def spoken(shares: list[float]) -> Iterator[Logged]:
    """The class shares by the champion, and a guess by the challenger, of each hour."""
    rng = np.random.default_rng(5)
    for hour in range(-3, HOURS - 2):
        candle = pd.Timestamp(AS_OF) + pd.Timedelta(hours=hour)
        guess = rng.dirichlet([0.3, 0.3, 0.3])
        for version, chances in zip(VERSIONS, (shares, guess), strict=True):
            yield Logged(
                slot=str(SLOT),
                market="SIM-BTC",
                candle=candle.isoformat(),
                version=version,
                role="champion" if version == "v0001" else "shadow",
                known_at=(candle + pd.Timedelta("1h")).isoformat(),
                mode="observe",
                in_sample=hour < -1,
                heads={"direction": dict(zip(CLASSES, map(float, chances), strict=True))},
                action="HOLD",
                share=0.0,
                at=AT,
            )


def test_versions_are_compared_by_what_came_true(home: Path, ask: Ask, capsys: Capture) -> None:
    challenged(home)
    assert main(["registry", "compare", str(SLOT), "--live"]) == 0
    assert "They cannot be compared yet" in capsys.readouterr().out
    ask(HOURS - 1)  # brings the candles
    shares = places(home).card(SLOT, "v0001")["heads"]["direction"]["class_shares"]
    SignalLog.below(home).keep([*spoken([shares[name] for name in CLASSES])])
    assert main(["registry", "compare", str(SLOT), "--live", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["against"]) == ("v0002", "v0001")
    for version in VERSIONS:
        rows = told["rows"][version]["direction"]
        assert rows["said"] == HOURS + 2
        assert rows["in_sample"] == 3, "candles that opened before as_of"
        assert rows["undecided"] == 24
        assert rows["scored"] == rows["late"] == HOURS - 1 - 24
        assert rows["lost"] == 0
    scores = told["scores"]["direction"]
    assert {*scores} >= {"log_loss", "brier"}
    loss = scores["log_loss"]
    assert loss["rows"] == HOURS - 25
    gap = loss["difference"]
    assert gap["value"] == pytest.approx(loss["ours"] - loss["theirs"])
    assert gap["value"] == pytest.approx(told["together"]["log_loss_difference"])
    assert gap["low"] == pytest.approx(told["together"]["low"])
    assert gap["low"] <= gap["value"] <= gap["high"]
    assert gap["verdict"] in {"worse", "undecidable"}, "v0002 guessed"
    assert loss["theirs_to_usual"]["value"] == pytest.approx(0)
    assert loss["theirs"] == pytest.approx(loss["usual"]), "v0001 said the class shares"
    assert main(["registry", "compare", str(SLOT), "v0002", "v0001", "--live"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("demo/SIM-BTC in service: v0002 against v0001\n")
    assert "by money" in " ".join(shown.split())
    late = (pd.Timestamp(AS_OF) + pd.Timedelta(hours=60)).isoformat()
    assert main(["registry", "compare", str(SLOT), "--live", "--since", late, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"]["v0002"]["direction"]["said"] == HOURS - 61
    assert told["together"]["why_not"] == "no candle that both spoke of has an outcome yet"


def test_what_cannot_be_compared_in_service_is_told(home: Path, capsys: Capture) -> None:
    compare = ["registry", "compare", str(SLOT)]
    assert main([*compare, "--live"]) == 6
    assert "no challenger" in capsys.readouterr().err
    assert main([*compare, "v0001", "--live"]) == 6
    assert "v0001 and champion of demo/SIM-BTC are both v0001" in capsys.readouterr().err
    assert main([*compare, "v0002", "--live", "--against-slot", str(SLOT)]) == 2
    assert main([*compare, "v0002", "--since", AS_OF]) == 2
    assert "--since is for --live" in capsys.readouterr().err
