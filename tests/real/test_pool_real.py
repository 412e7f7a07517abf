"""The four recorded KRW markets as one pool: starts that differ, and no claim unearned."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline.frames import read_frame
from pipeline.market.pool import MEMBERS
from pipeline.stages import paths
from tests.conftest import AS_OF
from tests.runs import run_stages

pytestmark = pytest.mark.real
NAMES = ("KRW-BTC", "KRW-ETH", "KRW-SOL", "KRW-XRP")


def test_four_recorded_markets_make_one_candidate(home: Path, real_data: Path) -> None:
    flat = run_stages(
        {
            "recipe": "upbit_pooled",
            "exchange": "replay",
            "exchange.root": str(real_data / "upbit"),
            "as_of": AS_OF,
            "model.n_estimators": 60,
        }
    )
    quality = json.loads(paths.QUALITY.read_text())
    candles = {name: facts["candles"] for name, facts in quality[MEMBERS].items()}
    assert candles == {"KRW-BTC": 2720, "KRW-ETH": 1481, "KRW-SOL": 1481, "KRW-XRP": 1481}
    assert {facts["longest_hole"] for facts in quality[MEMBERS].values()} == {5, 6}
    rows = read_frame(paths.PREDICTIONS / "direction.parquet")
    dates = {name: rows.loc[name].index for name in NAMES}
    assert all(each.isin(dates["KRW-BTC"]).all() for each in dates.values())
    assert max(each.max() for each in dates.values()) == pd.Timestamp("2025-12-18T23:00Z")
    assert flat["rows"] == len(rows)
    alone = dates["KRW-BTC"]
    span = (alone.max() - alone.min()) / pd.Timedelta(days=1)
    assert flat["effective_rows"] < span + 2, "a day of four coins is one day"
    head = json.loads(paths.HEADS.read_text())["direction"]
    assert tuple(head["by_member"]) == NAMES
    assert head["scores"]["brier_skill_low"] <= 0
    assert flat["accuracy"] < 0.6
    assert tuple(json.loads(paths.BACKTEST.read_text())[MEMBERS]) == NAMES
