"""The dual-model bot on recorded candles: a leak earns its claim, and nothing else does."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.experiments.reenacted.dual import DUAL
from pipeline.experiments.reenacted.figures import Given
from pipeline.frames import read_frame
from pipeline.stages import paths
from tests.runs import run_stages
from tests.spine import planned

pytestmark = pytest.mark.real
DAYS = 36


@pytest.fixture
def bingx(real_data: Path) -> pd.DataFrame:
    path = real_data / "bingx_or_binance" / "bingx_swap" / "BTCUSDT-5m.parquet"
    frame = pd.read_parquet(path).rename(columns={"timestamp": "time"}).set_index("time")
    return frame[["open", "high", "low", "close", "volume"]].iloc[-DAYS * 288 :]


def test_only_the_leak_earns_the_claim(bingx: pd.DataFrame) -> None:
    plan = planned("recipe=bingx_dual", "exchange=simulated")
    found = DUAL.run(Given(bingx, plan, "recorded", lambda _: None))
    came = {each.name: each.values["return"] or 0.0 for each in found.figures}
    assert came["in_sample"] > 0.08
    assert came["in_sample_published"] > 0.08
    assert came["in_sample"] - came["out_of_sample"] > 0.1
    for name in ("real_costs", "honest_stated"):
        assert came[name] < 0.0
    # of the label as published six overlapping windows are left here, worth about one
    assert came["real_costs_published"] < came["in_sample_published"] - 0.1
    assert found.figure("in_sample").standing == "leaked"
    assert found.earned_by == "leaked"


def test_four_heads_are_made_of_one_cut(home: Path, real_data: Path) -> None:
    words = {
        "recipe": "bingx_dual",
        "exchange": "replay",
        "exchange.root": str(real_data / "bingx_or_binance" / "bingx_swap"),
        "recipe.history_days": 9,
        "model.n_estimators": 5,
        "as_of": "2025-10-14T00:00Z",
    }
    flat = run_stages(words)
    heads = json.loads((home / paths.HEADS).read_text())
    assert [*heads] == ["long_entry", "long_exit", "short_entry", "short_exit"]
    assert {of["test_to"] for of in heads.values()} <= {
        read_frame(paths.LABELS / f"{name}.parquet")
        .index.get_level_values("time")
        .max()
        .isoformat()
        for name in heads
    }
    assert json.loads((home / paths.BACKTEST).read_text())["traded"]
    assert "net_return" in flat
