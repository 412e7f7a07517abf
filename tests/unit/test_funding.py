"""Recorded funding: by hand at every edge of its span, in the result, and read from files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.backtest import Setup, backtest
from pipeline.evaluation.backtest.funding import RecordedFunding, recorded_funding, settled
from pipeline.evaluation.trading_words import funding_words
from pipeline.market.exchanges.base import Funding
from pipeline.operations.versions.funding_table import read_funding
from tests.oracles.walks import random_walk
from tests.unit.test_backtest import market, peeking, profile

ASSUMED = Funding(hours=8, bps=1.0)
DAY = 1440


def of(rows: dict[int, float], assumed: Funding | None = ASSUMED) -> RecordedFunding:
    """Payments by minute since 1970."""
    time = pd.DatetimeIndex([pd.Timestamp(at, unit="m", tz="UTC") for at in rows], tz="UTC")
    return recorded_funding(pd.DataFrame({"time": time, "rate": list(rows.values())}), assumed, "t")


def test_recorded_rates_go_before_assumed_ones_and_only_inside_their_span() -> None:
    recorded = of({480: 0.0003, 960: -0.0002})
    minute = np.array([-10, 0, 470, 480, 490, 950, 965, 1430, 1440, 1445])
    expected = [0, 1e-4, 0, 3e-4, 0, 0, -2e-4, 0, 1e-4, 0]
    np.testing.assert_allclose(settled(minute, recorded), expected, atol=1e-15)
    told = recorded.facts(minute)
    assert (told["recorded_payments"], told["assumed_payments"]) == (2, 2)
    assert told["recorded_mean_bps"] == pytest.approx(0.5)
    assert told["longest_gap_hours"] == 8.0


def test_what_is_not_on_the_assumed_hours_is_paid_when_it_was() -> None:
    recorded = of({500: 0.0001, 740: 0.0002, 980: 0.0004})
    minute = np.array([480, 490, 505, 960, 985, DAY])
    np.testing.assert_allclose(settled(minute, recorded), [0, 0, 1e-4, 2e-4, 4e-4, 1e-4])
    alone = of({500: 0.0001}, assumed=None)
    np.testing.assert_allclose(settled(minute, alone), [0, 0, 1e-4, 0, 0, 0])
    assert alone.facts(minute)["assumed_payments"] == 0


def test_a_table_of_what_is_assumed_changes_nothing() -> None:
    minute = np.arange(0, 5 * DAY, 60)
    same = of(dict.fromkeys(range(DAY, 4 * DAY, 480), 0.0001))
    np.testing.assert_allclose(settled(minute, same), settled(minute, ASSUMED), atol=1e-12)


def test_stamps_that_come_milliseconds_late_are_of_their_minute() -> None:
    late = pd.to_datetime(["2025-01-01T08:00:00.029Z", "2025-01-01T00:00:00.001Z"])
    table = pd.DataFrame({"time": late, "rate": [2e-4, 1e-4]})
    found = recorded_funding(table, None, "t")
    assert np.diff(found.minute).tolist() == [480]
    assert (found.minute % 480 == 0).all()
    assert found.rate.tolist() == [1e-4, 2e-4]


@pytest.mark.parametrize(
    ("rates", "said"),
    [({}, "no rows"), ({480: 0.7}, "0.7 at"), ({480: np.nan}, "nan at")],
)
def test_a_table_that_is_none_is_refused(rates: dict[int, float], said: str) -> None:
    with pytest.raises(DataError, match=said):
        of(rates)


def test_a_moment_twice_is_refused() -> None:
    twice = pd.to_datetime(["2025-01-01T08:00:00.000Z", "2025-01-01T08:00:00.008Z"])
    with pytest.raises(DataError, match=r"2025-01-01T08:00:00\S* twice"):
        recorded_funding(pd.DataFrame({"time": twice, "rate": 1e-4}), None, "t")


def test_a_backtest_pays_what_was_recorded_and_says_so() -> None:
    candles = random_walk(np.random.default_rng(5), 400)
    told = market(funding={"hours": 8, "bps": 1.0})
    setup = Setup(profile("bingx_futures"), told, "1h")
    signals = peeking(candles, 3).iloc[50:-3]
    assumed = backtest(candles, signals, setup)
    time = pd.date_range(candles.index[0].floor("D"), candles.index[-1], freq="8h")
    table = pd.DataFrame({"time": time, "rate": 5e-4})
    recorded = replace(setup, recorded=recorded_funding(table, told.funding, "table.csv", "ab"))
    found = backtest(candles, signals, recorded)
    one, other = (each.first.trades.column("funding") for each in (assumed, found))
    assert one.any()
    np.testing.assert_allclose(other[:1], 5 * one[:1])
    facts = found.facts()["funding"]
    assert facts["assumed_payments"] == 0
    assert facts["recorded_payments"] == assumed.facts()["funding"]["assumed_payments"] > 20
    assert (facts["table"], facts["sha256"]) == ("table.csv", "ab")
    assert "recorded: " in funding_words(facts)
    assert "5 bp in the mean" in funding_words(facts)
    spot = replace(recorded, profile=profile("upbit_spot"))
    assert not backtest(candles, signals, spot).first.trades.column("funding").any()


def test_a_hole_in_the_table_is_said() -> None:
    recorded = of({0: 1e-4, 480: 1e-4, 4 * 480: 1e-4})
    minute = np.arange(0, 6 * 480, 60)
    assert "longest gap in it 24 h" in funding_words(recorded.facts(minute))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files_are_read_by_their_columns(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"funding{suffix}"
    time = pd.date_range("2025-01-01", periods=3, freq="8h", tz="UTC")
    table = pd.DataFrame({"timestamp": time, "funding_rate": [1e-4, 2e-4, 3e-4]})
    if suffix == ".csv":
        table.to_csv(file, index=False)
    else:
        table.to_parquet(file)
    found = read_funding(file, ASSUMED)
    assert found.rate.tolist() == [1e-4, 2e-4, 3e-4]
    assert found.source == file.name
    before = found.sha256
    table.assign(funding_rate=0.0).to_csv(file.with_suffix(".csv"), index=False)
    assert read_funding(file.with_suffix(".csv"), ASSUMED).sha256 != before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("time,price\n2025-01-01T00:00Z,1\n", "no column rate or funding_rate"),
        ("time,rate\n1735689600,0.0001\n", "plain numbers"),
        ("time,rate\nyesterday,0.0001\n", "does not read"),
        ("", "does not read"),
    ],
)
def test_files_that_are_no_table_are_told(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "funding.csv"
    file.write_text(content)
    with pytest.raises(DataError, match=said):
        read_funding(file, None)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_funding(tmp_path / "funding.csv", None)


@pytest.mark.real
def test_a_year_of_recorded_payments_is_what_they_sum_to(real_data: Path) -> None:
    file = real_data / "bingx_or_binance" / "binance_futures" / "BTCUSDT-funding-8h.parquet"
    recorded = read_funding(file, Funding(hours=8, bps=0.7))
    rates = pd.read_parquet(file)["funding_rate"].to_numpy()
    first, last = recorded.minute[0], recorded.minute[-1]
    minute = np.arange(first - 2 * DAY, last + 2 * DAY, 5)
    paid = settled(minute, recorded)
    inside = (minute >= first) & (minute <= last)
    assert paid[inside].sum() == pytest.approx(rates.sum(), abs=1e-12)
    assert (paid[inside] != 0).sum() == (rates != 0).sum(), "each on a candle of its own"
    told = recorded.facts(minute)
    assert told["recorded_payments"] == len(rates) == 1122
    assert told["longest_gap_hours"] == 8.0
    assert paid[~inside].sum() == pytest.approx(told["assumed_payments"] * 0.7e-4)
