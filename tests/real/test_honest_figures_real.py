"""A whole run on recorded candles: what it may claim, and that nothing but its inputs matters."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.evaluation.evidence import evidence_of
from pipeline.frames import read_frame
from pipeline.live.predictor import Predictor, Serving
from pipeline.market.candles import moment
from pipeline.models.base import FeatureTable
from pipeline.stages import paths
from registry.conditions import GateConfig
from registry.gate import judge
from registry.manifest import VerifiedBundle
from registry.slots import Slot
from tests.conftest import AS_OF, CHECKOUT, child_env
from tests.runs import made, run_stages

LOOKBACK = 24

pytestmark = pytest.mark.real
HOUR = pd.Timedelta(hours=1)


def words(real_data: Path, **more: Any) -> dict[str, Any]:
    return {
        "recipe": "upbit_hourly",
        "market": "KRW-SOL",
        "exchange": "replay",
        "exchange.root": str(real_data / "upbit"),
        "as_of": AS_OF,
        **more,
    }


def head_scores() -> dict[str, float]:
    scores: dict[str, float] = json.loads(paths.HEADS.read_text())["direction"]["scores"]
    return scores


def verdict(scores: dict[str, float]) -> str:
    """What the gate makes of these figures, with nothing to compare them with."""
    return judge(
        evidence_of({"direction": scores}, scores, [3], chronological=True), GateConfig()
    ).outcome


def test_trees_claim_no_skill_on_two_months(home: Path, real_data: Path) -> None:
    flat = run_stages(words(real_data))
    scores = head_scores()
    assert scores["brier_skill_low"] <= 0
    assert verdict(scores) == "observe"
    assert flat["accuracy"] < 0.6
    assert 0 < flat["effective_rows"] <= flat["rows"]
    assert flat["effective_rows"] == pytest.approx((flat["rows"] + 23) / 24, rel=0.02)


def test_majority_is_its_own_baseline(home: Path, real_data: Path) -> None:
    flat = run_stages(words(real_data, model="majority"))
    assert flat["brier_skill"] == 0
    assert flat["accuracy"] == flat["majority_accuracy"]
    assert flat["balanced_accuracy"] == pytest.approx(1 / 3, rel=1e-5)
    assert head_scores()["brier_skill_low"] == 0
    assert verdict(head_scores()) == "observe"


def test_nothing_after_as_of_or_inside_the_test_was_used(home: Path, real_data: Path) -> None:
    run_stages(words(real_data, model="majority"))
    end = moment(AS_OF)
    labels = read_frame(paths.LABELS / "direction.parquet")
    candles = read_frame(paths.CLEAN)
    assert candles.index.get_level_values("time").max() == end - HOUR
    assert labels["ends_at"].max() == end
    predictions = read_frame(paths.PREDICTIONS / "direction.parquet")
    features = read_frame(paths.FEATURES / "hourly46.parquet").iloc[LOOKBACK - 1 :]
    for _, tested in predictions.groupby("fold"):
        opens = tested.index.get_level_values("time").min()
        trained = labels.loc[labels.index.isin(features.index) & (labels["ends_at"] <= opens)]
        shares = trained["label"].value_counts(normalize=True)
        for number, name in enumerate(("sell", "hold", "buy")):
            assert tested[f"base_{name}"].unique() == pytest.approx([shares[number]]), name


def test_a_later_world_changes_nothing_before_as_of(
    home: Path, real_data: Path, tmp_path: Path
) -> None:
    run_stages(words(real_data))
    before = made(home)
    other = tmp_path / "other"
    other.mkdir()
    candles = pd.read_parquet(real_data / "upbit" / "KRW-SOL-60m.parquet")
    late = candles["timestamp"] >= moment(AS_OF)
    assert late.any()
    candles.loc[late, ["open", "high", "low", "close"]] *= 3
    candles.to_parquet(other / "KRW-SOL-60m.parquet")
    shutil.rmtree(home / "data")
    run_stages(words(real_data) | {"exchange.root": str(other)})
    assert made(home) == before


def test_a_live_signal_is_the_batch_at_that_candle(home: Path, real_data: Path) -> None:
    run_stages(words(real_data))
    files = {
        path.relative_to(paths.BUNDLE).as_posix(): path.read_bytes()
        for path in sorted(paths.BUNDLE.rglob("*"))
        if path.is_file()
    }
    slot = Slot("upbit_hourly", "KRW-SOL", "replay")
    predictor = Predictor.load(
        slot,
        VerifiedBundle("v0001", "digest", files),
        Serving("observe", 0.55, AS_OF),
        (),
    )
    candles = read_frame(paths.CLEAN).loc["KRW-SOL"]
    features = read_frame(paths.FEATURES / "hourly46.parquet")
    head = predictor.bundle.heads["direction"]
    table = FeatureTable.from_frame(features)
    for back in (0, 5, 300):
        signal = predictor.predict(candles.iloc[: len(candles) - back])
        row = head.predict_proba(table, np.array([len(features) - 1 - back]))[0]
        told = [signal.sell_probability, signal.hold_probability, signal.buy_probability]
        assert told == pytest.approx(list(row), rel=1e-12)


CHILD = "import json, sys; from tests.runs import run_stages; run_stages(json.loads(sys.argv[1]))"


def test_only_the_inputs_decide_the_bytes(tmp_path: Path, real_data: Path) -> None:
    places = [("Asia/Seoul", "C"), ("America/New_York", _other_locale())]
    runs = [
        _start(tmp_path.joinpath(*["deep"] * (k + 1), "run"), zone, locale, real_data)
        for k, (zone, locale) in enumerate(places)
    ]
    for process, _ in runs:
        told, _ = process.communicate(timeout=300)
        assert process.returncode == 0, told
    first, second = (made(folder) for _, folder in runs)
    assert set(first) == set(second)
    assert {"models/candidate/heads/direction/model.txt", "data/clean/candles.parquet"} <= set(
        first
    )
    for name, content in first.items():
        assert content == second[name], name


def _other_locale() -> str:
    listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout
    korean = {"ko_KR.UTF-8", "ko_KR.utf8"} & set(listed.split())
    return min(korean, default="C.UTF-8")


def _start(
    folder: Path, zone: str, locale: str, real_data: Path
) -> tuple[subprocess.Popen[str], Path]:
    folder.mkdir(parents=True)
    environment = child_env(
        folder,
        TZ=zone,
        LC_ALL=locale,
        PYTHONPATH=str(CHECKOUT),
        PYTHONHASHSEED=str(len(zone)),
        VINTAGE_HOME=str(folder),
    )
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(words(real_data))],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return process, folder
