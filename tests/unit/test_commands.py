from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import log
from pipeline.__main__ import VERBS, main
from pipeline.commands.console import progress, table
from pipeline.config import read_yaml
from pipeline.configuration.choices import read_choices
from pipeline.configuration.compose import Composed
from pipeline.configuration.plan import Plan
from pipeline.configuration.planning import plan_run
from pipeline.errors import DataError
from pipeline.evaluation.metrics import FLAT
from pipeline.fitting.trial import REGISTRY
from pipeline.operations.trials import experiment_list
from pipeline.runner import STAGES
from registry.slots import Slot
from registry.trials import Trial, record_trial
from tests.conftest import AS_OF, CHECKOUT
from tests.spine import files_below, one_paragraph, own_conf, planned, put
from tests.volume import volume

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def conf(home: Path) -> Path:
    return own_conf(home)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"], ["-v"]])
def test_help_lists_every_verb(capsys: Capture, words: list[str]) -> None:
    assert main(words) == 0
    told = capsys.readouterr().out
    for verb, (_, summary) in VERBS.items():
        assert f"  {verb} " in told
        assert summary in told


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help(capsys: Capture, verb: str) -> None:
    with contextlib.suppress(SystemExit):
        assert main([verb, "--help"]) == 0
    told = capsys.readouterr()
    assert "usage:" in told.out
    assert told.err == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["retrian"], "unknown verb 'retrian'. To do: did you mean retrain?"),
        (["COMPOSE"], "did you mean compose?"),
        (["compose", "--jsno"], "unknown flag '--jsno' (vintage compose)"),
        (["predict", "--jsno"], "did you mean --json?"),
        (["data"], "the following arguments are required: action"),
        (["data", "sinc"], "invalid choice: 'sinc'"),
        (["stage"], "the following arguments are required: name"),
        (["stage", "trian"], "unknown stage 'trian'. To do: did you mean train?"),
        (["stage", "train", "extra"], "extra"),
        (["doctor", "extra"], "extra"),
        (["compose", "\x1b[31m=1"], "is not key=value"),
        (["registry", "shwo"], "unknown verb 'shwo' (vintage registry). To do: did you mean show?"),
        (["registry", "comapre"], "did you mean compare?"),
        (["retrain", "recipe=demo", "--wait", "10s"], "Found: --wait 10s. To do: add positions="),
        (["simulate", "from=2025-01-01", "evry=7d"], "did you mean every? Valid: as_of, backtest"),
        (["simulate", "form=2025-01-01"], "did you mean from?"),
        (["simulate", "from=2025-01-01", "to=2127-01-01"], "to lies in the future. Found: 2127-01"),
        (["simulate", "from=2025-01-01", "to=soon"], "to is not a moment"),
    ],
)
def test_a_wrong_command_line_is_one_paragraph(
    home: Path, capsys: Capture, words: list[str], told: str
) -> None:
    before = files_below(home)
    assert main(words) == 2
    assert told in one_paragraph(capsys)
    assert files_below(home) == before


def test_compose_prints_what_each_stage_would_be_told(
    home: Path, tmp_path: Path, capsys: Capture
) -> None:
    before = files_below(home)
    assert main(["compose", "recipe=demo", "model=majority", f"as_of={AS_OF}"]) == 0
    words, plan = capsys.readouterr().out, planned("model=majority")
    (tmp_path / "told.yaml").write_text(words)
    told = read_yaml(tmp_path / "told.yaml")
    assert set(told) == {"run", *STAGES}
    assert {stage: told[stage] for stage in STAGES} == plan.stages
    assert files_below(home) == before


def test_compose_without_words_reads_params(home: Path, capsys: Capture) -> None:
    put(home / "params.yaml", "market", "SIM-ETH")
    assert main(["compose"]) == 0
    assert "name: SIM-ETH" in capsys.readouterr().out


HOSTILE_WORDS = [
    "market=../../etc",
    "recipe=$(x)",
    "recipe='$(x)'",
    f"market={'A' * 10_000}",
    f"model.n_estimators={'9' * 10_000}",
    f"{'k' * 10_000}=1",
    f"model.{'k' * 10_000}=1",
    "market='a\nb'",
    "market=\udcff",
    "model.n_estimators=-1",
    "model=lightgbm,majority",
    "exchange.seed='${oc.env:HOME}'",
    "features.name='../../x'",
    "heads.direction.model=majority",
    "set.model=5",
    "as_of=0",
    "as_of='2025-12-20T00:00Z; rm'",
    "recipe.history_days=1e999",
    "=",
]


@pytest.mark.parametrize("word", HOSTILE_WORDS, ids=[word[:24] for word in HOSTILE_WORDS])
def test_a_hostile_word_is_told_and_nothing_written(home: Path, capsys: Capture, word: str) -> None:
    before = files_below(home)
    assert main(["compose", "recipe=demo", word]) == 2
    one_paragraph(capsys)
    assert files_below(home) == before


KEYS = ["recipe", "market", "model", "as_of", "seed", "model.max_depth", "label.threshold", "heads"]
VALUES = st.text(max_size=20) | st.sampled_from(["null", "[1]", "{a: 1}", "1e400", "${a}", "'"])


@given(key=st.sampled_from(KEYS) | st.text(max_size=10), value=VALUES)
@settings(max_examples=volume(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_word_is_a_fault_in_vintage(home: Path, capsys: Capture, key: str, value: str) -> None:
    code = main(["compose", "recipe=demo", f"+{key}={value}"])
    if code == 2:
        one_paragraph(capsys)
    assert code in (0, 2)
    capsys.readouterr()


HOSTILE_FILES = {
    "not utf-8": b"recipe: \xff\xfe\n",
    "a tab": b"recipe:\n\tdemo: 1\n",
    "a key twice": b"recipe: demo\nrecipe: demo\n",
    "empty": b"",
    "null": b"null\n",
    "a list": b"- recipe\n",
    "a number": b"5\n",
    "a tree without end": b"a: &a {b: *a}\n",
    "brackets": b"a: " + b"[" * 5000,
    "code": b"recipe: !!python/object/apply:os.system [id]\n",
}
HOSTILE_LINES = [
    ("model", "null"),
    ("model", "[lightgbm]"),
    ("model", "1"),
    ("market", "../../etc"),
    ("market", "A" * 10_000),
    ("market", "${oc.env:SECRET}"),
    ("market", '"a\\nb\\u001b[31m\\0"'),
    ("recipe", '"$(x)"'),
    ("as_of", "last"),
    ("as_of", "null"),
    ("as_of", "2025-12-20"),
    ("as_of", "${oc.env:SECRET}"),
    ("set", "null"),
    ("set", "[1]"),
    ("set", "{model: 5}"),
    ("set", "{recipe: null}"),
    ("set", "{split: null}"),
    ("set", "{heads: {direction: {model: majority}}}"),
    ("set", "{recipe: {history_days: '${oc.env:SECRET}'}}"),
    ("set", "{market: {source: '${oc.env:SECRET}'}}"),
    ("set", "{model: {_target_: os.system}}"),
]


def test_a_mistyped_key_of_params_names_the_nearest_and_the_way_back(
    conf: Path, home: Path, capsys: Capture
) -> None:
    with (home / "params.yaml").open("a") as params:
        params.write("modle: lightgbm\n")
    told = spoiled(home, capsys)
    assert told.startswith("unknown key 'modle': did you mean model?")
    assert "git checkout params.yaml" in told


def spoiled(home: Path, capsys: Capture) -> str:
    assert main(["stage", "compose"]) == 2
    assert not (home / "build/config").exists()
    assert set(files_below(home / "build")) == {"failure.json"}
    told = one_paragraph(capsys)
    failure = json.loads((home / "build/failure.json").read_text())
    assert failure == {"stage": "compose", "message": told, "exit_code": 2}
    return told


@pytest.mark.parametrize("content", HOSTILE_FILES.values(), ids=HOSTILE_FILES)
def test_a_hostile_params_file_is_told_and_nothing_written(
    conf: Path, home: Path, capsys: Capture, content: bytes
) -> None:
    (home / "params.yaml").write_bytes(content)
    assert "params.yaml" in spoiled(home, capsys)


@pytest.mark.parametrize(
    ("key", "value"), HOSTILE_LINES, ids=[f"{key}={value[:40]}" for key, value in HOSTILE_LINES]
)
def test_a_hostile_line_is_told_and_no_secret_written(
    conf: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    home = conf.parent
    monkeypatch.setenv("SECRET", "canary-2f6c")
    put(home / "params.yaml", key, value)
    assert "canary" not in spoiled(home, capsys)
    assert b"canary" not in b"".join(files_below(home).values())


def test_a_failed_compose_leaves_what_was_told_before(
    conf: Path, home: Path, capsys: Capture
) -> None:
    assert main(["stage", "compose"]) == 0
    before = files_below(home / "build/config")
    put(home / "params.yaml", "model", "lightgb")
    assert main(["stage", "compose"]) == 2
    assert files_below(home / "build/config") == before
    assert (home / "build/failure.json").is_file()
    put(home / "params.yaml", "model", "recipe")
    assert main(["stage", "compose"]) == 0
    assert not (home / "build/failure.json").exists()


def test_a_hidden_clock_is_refused(conf: Path, home: Path, capsys: Capture) -> None:
    put(home / "params.yaml", "as_of", "last")
    told = spoiled(home, capsys)
    assert "as_of: last would make this build irreproducible (params.yaml)" in told


def test_an_experiment_says_that_git_add_is_missing(
    conf: Path, home: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    own_conf(copy)
    (conf / "model/mine.yaml").write_text("_target_: pipeline.models.majority.Majority\n")
    (copy / "params.yaml").write_bytes((home / "params.yaml").read_bytes())
    put(copy / "params.yaml", "model", "mine")
    monkeypatch.chdir(copy)
    assert main(["stage", "compose"]) == 2
    assert "git add conf/model/mine.yaml" in one_paragraph(capsys)


def test_the_stages_run_one_after_the_other(conf: Path, home: Path, capsys: Capture) -> None:
    put(home / "params.yaml", "model", "majority")
    put(home / "params.yaml", "set", "{recipe: {history_days: 20}}")
    for stage in ("compose", *STAGES):
        assert main(["stage", stage]) == 0, capsys.readouterr().err
    out, err = capsys.readouterr()
    assert err == ""
    assert "fold 2" in out
    assert re.search(r"trained in [\d.]+ s, [\d.]+ CPU s, at most \d+ MiB\n$", out)
    for stage in STAGES:
        timing = json.loads((home / f"build/timing/{stage}.json").read_text())
        assert set(timing) == {"seconds", "cpu_seconds", "peak_mb"}
    metrics = json.loads((home / "reports/metrics.json").read_text())
    assert set(FLAT) <= set(metrics)
    assert (home / "models/candidate/bundle.json").is_file()
    events = [json.loads(line) for line in (home / "logs" / log.FILE).read_text().splitlines()]
    assert [event["stage"] for event in events] == [*STAGES]
    assert all(event["seconds"] >= 0 and event["pid"] == os.getpid() for event in events)
    assert not (home / "build/failure.json").exists()


def test_a_stage_that_was_told_nothing_says_so(home: Path, capsys: Capture) -> None:
    assert main(["stage", "train"]) == 2
    assert "build/config/train.yaml" in one_paragraph(capsys)


@pytest.mark.parametrize("content", ["", "- a\n", "config: 5\n", "a: 1\n"])
def test_a_stage_that_was_told_nonsense_says_so(home: Path, capsys: Capture, content: str) -> None:
    told = home / "build/config"
    told.mkdir(parents=True)
    for name in ("train", "local"):
        (told / f"{name}.yaml").write_text(content)
    assert main(["stage", "train"]) == 2
    assert "build/config/train.yaml" in one_paragraph(capsys)


def test_the_store_is_filled_and_listed(home: Path, capsys: Capture) -> None:
    assert main(["data", "status"]) == 0
    assert "The store is empty" in capsys.readouterr().out
    words = ["recipe=demo", f"as_of={AS_OF}", "recipe.history_days=1"]
    assert main(["data", "sync", *words, "--json"]) == 0
    synced = json.loads(capsys.readouterr().out)
    assert synced["appended"] > 24
    assert synced["last"] == "2025-12-19T23:00:00+00:00"
    assert main(["data", "--json", "status"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["series"], row["rows"]) == (synced["series"], synced["appended"])
    assert row["missing"] == 0
    assert main(["data", "status"]) == 0
    assert synced["series"] in capsys.readouterr().out
    assert main(["data", "sync", *words]) == 0
    assert ": 0 new candles; the store holds " in capsys.readouterr().out


def test_predict_without_a_champion_says_what_to_do(home: Path, capsys: Capture) -> None:
    assert main(["predict", "recipe=demo", f"as_of={AS_OF}"]) == 6
    told = one_paragraph(capsys)
    assert "there is no champion yet (demo/SIM-BTC)" in told
    assert "vintage retrain recipe=demo market=SIM-BTC" in told


@pytest.mark.parametrize("verb", ["predict", "retrain", "data"])
def test_a_typo_stops_every_verb_before_it_writes(home: Path, capsys: Capture, verb: str) -> None:
    before = files_below(home)
    words = ["sync"] if verb == "data" else []
    assert main([verb, *words, "recipe=demo", "modle=majority"]) == 2
    assert "did you mean model?" in one_paragraph(capsys)
    assert files_below(home) == before


def test_doctor_tells_what_it_found(home: Path, capsys: Capture) -> None:
    code = main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert code == (0 if all(finding["fine"] for finding in findings) else 1)
    found = {finding["check"]: finding["found"] for finding in findings}
    assert {"python", "packages", "home", "disk", "clock", "git", "cores"} <= set(found)
    assert found["home"] == f"{home} (VINTAGE_HOME)"
    assert main(["doctor"]) == code
    assert sys.executable in capsys.readouterr().out
    assert not list(home.glob(".doctor-*"))


def test_doctor_without_a_home_says_so(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 1
    assert "set VINTAGE_HOME" in capsys.readouterr().out


def shown(home: Path) -> list[dict[str, Any]]:
    def revision(name: str | None, model: str, loss: float | None) -> dict[str, Any]:
        params = {"recipe": "demo", "model": model, "set": {"model": {"max_depth": 3}}}
        metrics = {} if loss is None else {"log_loss": loss}
        return {
            "rev": "0123456789",
            "name": name,
            "data": {
                "params": {"params.yaml": {"data": params}},
                "metrics": {"reports/metrics.json": {"data": metrics}},
            },
        }

    failed = {"rev": "abcdef0123", "name": "broken-run", "error": {"msg": "failed"}}
    runs = [
        {"revs": [revision("slow-fox", "lightgbm", 1.25)], "executor": None},
        {"revs": [revision("late-owl", "majority", None)], "executor": {"state": "Queued"}},
        {"revs": [failed], "executor": None},
    ]
    return [{**revision(None, "majority", 1.5), "experiments": runs}]


def test_experiments_are_rows(home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment_list, "_show", shown)
    assert main(["experiments", "--json", "--sort", "log_loss"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["experiment"] for row in rows] == ["slow-fox", "0123456", "late-owl", "broken-run"]
    assert [row["state"] for row in rows] == ["done", "done", "queued", "failed"]
    assert [row["log_loss"] for row in rows] == [1.25, 1.5, None, None]
    assert rows[0]["set"] == "model.max_depth=3"
    assert (rows[0]["recipe"], rows[0]["tune"], rows[0]["revision"]) == ("demo", None, "0123456789")
    assert main(["experiments"]) == 0
    same, blank, header, *lines = capsys.readouterr().out.splitlines()
    assert (same, blank) == ("  every row recipe demo", "")
    assert header.split() == ["experiment", "state", "model", "set", "log_loss"]
    assert "1.25" in lines[1]
    assert main(["experiments", "--md"]) == 0
    assert capsys.readouterr().out.startswith("| experiment | state | recipe | model |")
    assert main(["experiments", "--sort", "log_los"]) == 2
    assert "did you mean log_loss?" in one_paragraph(capsys)


def test_experiments_say_among_how_many_they_were_chosen(
    home: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (commit,) = shown(home)
    whole = {**read_choices(CHECKOUT / "params.yaml").model_dump(), "model": "majority"}
    told = [commit, *(each for run in commit["experiments"][:2] for each in run["revs"])]
    for number, revision in enumerate(told):
        own = {"market": "SIM-ETH"} if number else {"set": {"model": {"no_such_key": 1}}}
        revision["data"]["params"]["params.yaml"]["data"] = whole | own
    own_conf(home)
    monkeypatch.setattr(experiment_list, "_show", lambda _: [commit])
    assert main(["experiments"]) == 0
    assert "tried" not in capsys.readouterr().out
    for digit in "abc":
        trial = Trial(digit * 64, "majority", {}, "train")
        record_trial(home / REGISTRY, Slot("demo", "SIM-ETH"), trial)
    composed: list[Composed] = []
    real = plan_run

    def counting(run: Composed) -> Plan:
        composed.append(run)
        return real(run)

    monkeypatch.setattr(experiment_list, "plan_run", counting)
    assert main(["experiments"]) == 0
    shown_now = " ".join(capsys.readouterr().out.split())
    assert shown_now.startswith("tried configurations in the trial ledger: 3 for demo/SIM-ETH;")
    assert len(composed) == 2, "once for each slot, not for each experiment"


def test_the_registry_answers_under_its_own_verb(home: Path, capsys: Capture) -> None:
    assert main(["registry", "list"]) == 0
    assert "No slots yet" in capsys.readouterr().out


def fail(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(_: Any) -> int:
        raise error

    monkeypatch.setattr("pipeline.commands.compose.main", broken)


def test_an_error_is_a_paragraph_and_a_code(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, DataError("no candles", where="KRW-SOL", fix="sync"))
    assert main(["compose"]) == 4
    assert one_paragraph(capsys) == "no candles (KRW-SOL). To do: sync."


def test_verbose_adds_the_traceback(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, DataError("no candles"))
    assert main(["compose", "-v"]) == 4
    told = capsys.readouterr().err
    assert told.startswith("Traceback")
    assert told.endswith("error: no candles.\n")


def test_a_fault_of_our_own_is_called_one(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, KeyError("x"))
    assert main(["compose"]) == 70
    told = capsys.readouterr().err
    assert told.startswith("error: a fault in the code (")
    assert told.endswith("KeyError: 'x'. To do: repeat with -v for the whole path.\n")
    assert told.count("\n") == 1


def test_an_interrupted_command_says_so(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    fail(monkeypatch, KeyboardInterrupt())
    assert main(["compose"]) == 130
    assert capsys.readouterr().err.startswith("error: interrupted;")


def test_a_missing_library_names_the_interpreter(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(monkeypatch, ModuleNotFoundError("No module named 'numba'", name="numba"))
    assert main(["compose"]) == 2
    assert f"this Python ({sys.executable}) lacks numba" in one_paragraph(capsys)


def test_progress_is_silent_in_a_pipe(capsys: Capture) -> None:
    with progress("retrain") as show:
        show("train")
    assert capsys.readouterr() == ("", "")


def test_a_table_without_rows_is_its_header() -> None:
    assert table(["a", "bb"], []) == "a  bb"
    assert table(["a"], [[None], [0.123456]]).splitlines() == ["     a", "     -", "0.1235"]


def test_a_log_that_cannot_be_written_stops_nothing(home: Path, capfd: Capture) -> None:
    (home / "logs").write_text("a file")
    log.event("stage", seconds=1)
    assert capfd.readouterr().err.startswith("log not written: ")


def test_a_log_and_what_is_told_of_it_may_lie_on_the_same_full_disk(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def full(*told: object) -> int:
        asked.append(told[0])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    log.event("stage", seconds=1)
    assert len(asked) > 1, "the log itself was tried, and what is told of it"
    assert asked[-1] == 2


def test_the_checkout_is_where_the_code_is() -> None:
    from pipeline.commands.arguments import checkout

    assert checkout() == CHECKOUT
