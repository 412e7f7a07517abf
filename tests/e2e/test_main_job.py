"""The main job, as a user types it, on recorded candles, in a clone."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import AS_OF, child_env, clone
from tests.e2e.commands import BIN, git, run, stages_run

pytestmark = [pytest.mark.dvc, pytest.mark.real]
ALL = ["compose", "download", "validate", "features", "labels", "train", "evaluate"]
SLOT = ("recipe=upbit_hourly", "exchange=replay", "market=KRW-SOL")


def test_main_job(tmp_path: Path, real_data: Path) -> None:
    folder = clone(tmp_path)
    _demo(folder)
    _retrain_and_predict(folder, real_data)
    _experiments(folder, real_data)
    _from_cron(folder, real_data, tmp_path)


def _demo(folder: Path) -> None:
    told = run(folder, "dvc", "repro")
    assert stages_run(told) == ALL
    assert _lock_of_code(folder) == _lock_of_code(folder, committed=True), (
        "the committed dvc.lock is not of this code: run dvc repro and commit it"
    )
    assert stages_run(run(folder, "dvc", "repro")) == []
    git(folder, "commit", "-qam", "lock", "--allow-empty")
    run(folder, "dvc", "exp", "run", "-S", "model=lightgbm", "-S", "market=KRW-SOL")
    _metrics(folder)
    git(folder, "checkout", "-q", ".")


def _retrain_and_predict(folder: Path, real_data: Path) -> None:
    told = run(
        folder, "vintage", "retrain", *SLOT, f"exchange.root={real_data}/upbit", f"as_of={AS_OF}"
    )
    assert "upbit_hourly@replay/KRW-SOL v0001" in told
    assert "independent ones" in told
    assert "always naming the class most common in training" in told
    signal = json.loads(run(folder, "vintage", "predict", *SLOT, "--json"))
    assert signal["candle"].startswith("2025-12-19T23:00")
    assert signal["action"] in {"BUY", "HOLD", "SELL"}
    total = signal["buy_probability"] + signal["hold_probability"] + signal["sell_probability"]
    assert total == pytest.approx(1)
    assert signal["version"] == "v0001"
    assert (folder / "params.yaml").read_text().count("recipe: demo") == 1
    again = run(
        folder, "vintage", "retrain", *SLOT, f"exchange.root={real_data}/upbit", f"as_of={AS_OF}"
    )
    assert "nothing changed" in again


def _experiments(folder: Path, real_data: Path) -> None:
    words = [f"-S{word}" for word in SLOT] + [f"-S++set.exchange.root={real_data}/upbit"]
    words += [f"-Sas_of={AS_OF}"]
    run(folder, "dvc", "exp", "run", *words, "-Smodel=lightgbm")
    here = _metrics(folder)
    git(folder, "checkout", "-q", ".")
    run(folder, "dvc", "exp", "run", "--temp", *words, "-Smodel=majority", "-n", "in-temp")
    run(folder, "dvc", "exp", "run", "--temp", "-Smarket=SIM-ETH", "-n", "elsewhere")
    assert (folder / "data/store/simulated/SIM-ETH/1h").is_dir(), "the store is the checkout's own"
    assert (folder / "models/registry/demo/SIM-ETH/trials.jsonl").is_file(), "and so is the ledger"
    assert git(folder, "status", "--porcelain") == ""
    run(folder, "dvc", "exp", "run", "--queue", *words, "-Smodel=majority,lightgbm")
    run(folder, "dvc", "queue", "start", "-j", "2")
    rows = _wait_for(folder, experiments=6)
    real = [row for row in rows if row["exchange"] == "replay"]
    assert {row["model"] for row in real} == {"majority", "lightgbm"}
    assert len({(row["rows"], row["majority_accuracy"]) for row in real}) == 1
    assert all(row["log_loss"] for row in real)
    lightgbm = {row["balanced_accuracy"] for row in real if row["model"] == "lightgbm"}
    assert lightgbm == {here["balanced_accuracy"]}
    assert "tune=upbit_hourly-KRW-SOL" in run(folder, "vintage", "adopt", "in-temp")
    assert "model: majority" in (folder / "conf/tune/upbit_hourly-KRW-SOL.yaml").read_text()
    shown = run(folder, "dvc", "exp", "show", "--md")
    assert "in-temp" in shown
    assert "balanced_accuracy" in shown


def _from_cron(folder: Path, real_data: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = child_env(folder, PATH="", VINTAGE_HOME=str(folder))
    words = [*SLOT, f"exchange.root={real_data}/upbit", "as_of=2025-12-20T01:00Z", "--json"]
    done = subprocess.run(
        [str(BIN / "vintage"), "retrain", *words],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, 3}, done.stderr
    told = json.loads(done.stdout)
    assert told["version"] == "v0002"
    assert "compose" in told["stages_run"]
    assert list(elsewhere.iterdir()) == []


def _metrics(folder: Path) -> dict[str, float]:
    read: dict[str, float] = json.loads((folder / "reports" / "metrics.json").read_text())
    assert read["rows"] >= 1
    assert 0 < read["effective_rows"] <= read["rows"]
    return read


def _wait_for(folder: Path, experiments: int) -> list[dict[str, str]]:
    deadline = time.monotonic() + 300
    while True:
        rows = json.loads(run(folder, "vintage", "experiments", "--json"))
        named = [row for row in rows if row["experiment"] not in {"workspace", "master", "main"}]
        if len(named) >= experiments and all(row["state"] in {"done", "success"} for row in named):
            return named
        assert time.monotonic() < deadline, rows
        time.sleep(2)


def _lock_of_code(folder: Path, committed: bool = False) -> list[str]:
    text = git(folder, "show", "HEAD:dvc.lock") if committed else (folder / "dvc.lock").read_text()
    compose = text.split("  download:")[0]
    return re.findall(r"path: (\S+)\n\s+hash: md5\n\s+md5: (\S+)", compose.split("outs:")[0])
