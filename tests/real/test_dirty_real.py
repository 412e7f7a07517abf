"""Every recorded broken sample is refused by the check that its fault is named after."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import DataError
from pipeline.market.candles import COLUMNS
from pipeline.market.checks.tables import check_table
from pipeline.market.quality import Quality
from pipeline.market.validation import Asked, Validation

pytestmark = pytest.mark.real
LATER = pd.Timestamp("2026-02-01T00:00Z")
OLD = {"stale_end": "count"}


def read(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path).rename(
        columns={"timestamp": "time", "quote asset volume": "value"}
    )
    frame = frame.set_index("time")
    return frame[[name for name in COLUMNS if name in frame.columns]]


def check(
    candles: pd.DataFrame, timeframe: str, reference: pd.DataFrame | None = None, **more: str
) -> Quality:
    rules = Validation(verdicts=OLD | more)
    asked = Asked("A-B", candles.index[0], reference=reference)
    return rules.check(candles, timeframe, LATER, asked)


@pytest.mark.parametrize("market", ["KRW-BTC", "KRW-SOL"])
def test_korean_hours_are_told_by_the_clean_file(real_data: Path, market: str) -> None:
    clean = read(real_data / "upbit" / f"{market}-60m.parquet")
    name = f"{market}-60m_naiveKST_with_maintenance_gap.parquet"
    late = read(real_data / "dirty" / name)
    with pytest.raises(DataError, match=r"shifted_hours.*\+9 hours late"):
        check(late, "1h", clean)
    check(late, "1h")
    missing = 6 if market == "KRW-SOL" else 5
    with pytest.raises(DataError, match=rf"max_hole.*{missing} in a row"):
        Validation(max_unknown_hours=missing - 1, verdicts=OLD).check(late, "1h", LATER)
    check(clean, "1h", clean)


def test_two_pulls_glued_together(real_data: Path) -> None:
    glued = read(real_data / "dirty/binance_BTCUSDT-5m_hole.parquet")
    with pytest.raises(DataError, match=r"max_hole.*52846 in a row"):
        check(glued, "5m")


def test_a_resumed_download(real_data: Path) -> None:
    resumed = read(real_data / "dirty/binance_BTCUSDT-5m_resumed.parquet")
    with pytest.raises(DataError, match=r"non_finite: 9 candles.*column value"):
        check(resumed, "5m", max_hole="count")
    with pytest.raises(DataError, match=r"max_hole.*223 in a row"):
        check(resumed.drop(columns="value"), "5m")


def test_a_table_whose_unit_changes(real_data: Path) -> None:
    table = pd.read_parquet(
        real_data / "dirty/binance_futures_metrics_ETHUSDT_oi_unit_break.parquet"
    )
    found = check_table(table.set_index("timestamp"), pd.Timedelta(days=1), Validation())
    told = [(breach.check, breach.column, breach.first) for breach in found]
    assert ("unit_breaks", "sum_open_interest", pd.Timestamp("2025-11-16", tz="UTC")) in told
    assert not [breach for breach in told if breach[1] == "volatility_24h"]


def test_a_table_of_zeros(real_data: Path) -> None:
    table = pd.read_parquet(real_data / "dirty/whale_daily_stats_BTC.parquet")
    found = check_table(table.set_index("timestamp"), pd.Timedelta(days=1), Validation())
    zeros = {breach.column for breach in found if breach.check == "zero_column"}
    assert {"exchange_inflow_usd", "net_flow_usd"} <= zeros
    assert "active_addresses" not in zeros


def test_clean_files_pass(real_data: Path) -> None:
    files = sorted((real_data / "upbit").glob("*.parquet"))
    files += sorted((real_data / "bingx_or_binance").glob("*/*m.parquet"))
    files += sorted((real_data / "bingx_or_binance").glob("*/*-1h.parquet"))
    assert len(files) > 15
    for path in files:
        code = path.stem.rpartition("-")[2]
        quality = check(read(path), {"60m": "1h"}.get(code, code))
        assert {broken.name for broken in quality.checks} <= {"stale_end"}, path.name
