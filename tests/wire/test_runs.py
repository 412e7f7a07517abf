"""Whole runs through the loopback exchange: the result of the same candles from a file."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.config import read_yaml, to_yaml
from pipeline.configuration.choices import choose
from pipeline.configuration.compose import compose_run, read_root
from pipeline.configuration.plan import write_plan
from pipeline.configuration.planning import plan_run
from pipeline.runner import STAGES, run_stage
from pipeline.sandbox import World, start_sandbox
from pipeline.stages import paths
from tests.conftest import AS_OF
from tests.spine import own_conf

MODEL = {"model.n_estimators": 10}


def clock() -> pd.Timestamp:
    return pd.Timestamp.now(tz="UTC")


def run(conf: Path, words: dict[str, object]) -> dict[str, float]:
    choices = choose(read_root(conf).choices, {"as_of": AS_OF, **MODEL, **words})
    write_plan(plan_run(compose_run(choices, conf)))
    for stage in STAGES:
        run_stage(stage, clock())
    figures: dict[str, float] = json.loads(paths.METRICS.read_text())
    return figures


@pytest.fixture
def conf(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("VINTAGE_RATE_FOLDER", str(tmp_path / "rates"))
    monkeypatch.chdir(home)
    return own_conf(home)


@pytest.mark.real
def test_upbit_hourly_through_the_wire_is_the_recorded_run(conf: Path, real_data: Path) -> None:
    recorded = real_data / "upbit"
    words = {"recipe": "upbit_hourly", "market": "KRW-SOL"}
    from_files = run(conf, {**words, "exchange": "replay", "exchange.root": str(recorded)})
    world = World(folder=recorded, until=pd.Timestamp("2025-12-23T15:00Z"))
    with start_sandbox(world, None, clock) as sandbox:
        url = {"exchange.base_url": sandbox.url("upbit")}
        through_the_wire = run(conf, {**words, "exchange": "upbit", **url})
    assert through_the_wire == from_files
    quality = json.loads(paths.QUALITY.read_text())
    assert quality["missing"] == quality["missing_no_trade"] + quality["missing_outage"] == 6


def test_five_minute_candles_of_a_future(conf: Path) -> None:
    hourly = read_yaml(conf / "recipe/upbit_hourly.yaml")
    (conf / "recipe/five_minutes.yaml").write_text(
        to_yaml({**hourly, "market": "BTC-USDT", "timeframe": "5m", "history_days": 12.0})
    )
    words = {"recipe": "five_minutes", "label.horizon_hours": 2, "label.threshold": 0.002}
    with start_sandbox(World(), None, clock) as sandbox:
        url = {"exchange.base_url": sandbox.url("binance")}
        figures = run(conf, {**words, "exchange": "binance", **url})
    assert figures["rows"] > 500
    manifest = json.loads(paths.RAW_MANIFEST.read_text())
    assert manifest["timeframe"] == "5m"
    assert manifest["feed"].startswith("binance-")
