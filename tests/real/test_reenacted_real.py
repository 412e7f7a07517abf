"""The dual-model bot on recorded candles: a leak earns its claim, and nothing else does."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.experiments.caught.checks import caught
from pipeline.experiments.caught.declared import declared
from pipeline.experiments.caught.of_rows import SEVERAL_COINS
from pipeline.experiments.reenacted.dual import DUAL
from pipeline.experiments.reenacted.entries import head_of
from pipeline.experiments.reenacted.figures import Given
from pipeline.experiments.reenacted.hourly_words import CLAIMS
from pipeline.experiments.reenacted.hours import copied, cut_anyhow, cut_by_time
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
    (found,) = DUAL.run(Given(bingx, plan, "recorded", lambda _: None))
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


def hourly_candles(real_data: Path, coin: str, until: str) -> pd.DataFrame:
    frame = pd.read_parquet(real_data / "upbit" / f"KRW-{coin}-60m.parquet")
    frame = frame.rename(columns={"timestamp": "time"}).set_index("time")
    return frame[frame.index < pd.Timestamp(until)]


@pytest.mark.parametrize("coin", ["BTC", "ETH", "XRP", "SOL"])
def test_copying_an_hour_without_a_model_scores_as_much_as_was_claimed(
    real_data: Path, coin: str
) -> None:
    frame = hourly_candles(
        real_data, coin, "2025-11-16T15:00Z" if coin == "BTC" else "2026-01-01T00:00Z"
    )
    plan = planned("recipe=upbit_hourly", "exchange=simulated", f"market=KRW-{coin}")
    samples = head_of(frame, plan, "direction").samples
    anyhow, by_time = cut_anyhow(samples, 7), cut_by_time(samples)
    known = np.union1d(anyhow.train, anyhow.validation)
    drawn = copied(samples, known, anyhow.test) == samples.label[anyhow.test]
    later = copied(samples, by_time.train, by_time.test) == samples.label[by_time.test]
    assert drawn.mean() > CLAIMS[f"KRW-{coin}"][0] - 0.06
    assert later.mean() < 0.6


@pytest.mark.parametrize("recipe", ["bingx_dual", "upbit_hourly", "upbit_pooled"])
def test_no_shipped_recipe_makes_a_mistake_on_recorded_candles(
    bingx: pd.DataFrame, real_data: Path, recipe: str
) -> None:
    plan = planned(f"recipe={recipe}", "exchange=simulated")
    coins = [each.name for each in plan.run.market.members]
    candles = {"BTC-USDT": bingx.iloc[-1500:]} if recipe == "bingx_dual" else {
        name: hourly_candles(real_data, name.removeprefix("KRW-"), "2026-01-01T00:00Z").iloc[-1200:]
        for name in coins
    }  # fmt: skip
    for head in plan.stages["train"]["heads"]:
        assert caught(declared(candles, plan, head)) == (), head


def test_one_model_for_four_recorded_coins_is_caught(real_data: Path) -> None:
    plan = planned("recipe=upbit_hourly", "exchange=simulated")
    names = ("BTC", "ETH", "SOL", "XRP")
    candles = {
        f"KRW-{name}": hourly_candles(real_data, name, "2026-01-01T00:00Z") for name in names
    }
    (found,) = caught(declared(candles, plan, "direction"))
    assert found.name == SEVERAL_COINS
    assert "open, high, low, close" in found.found


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
