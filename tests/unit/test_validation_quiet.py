"""Healthy markets that trade seldom, or suddenly much, are no reason to stop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.errors import DataError
from pipeline.market import holes
from pipeline.market.checks.cut import Asked
from pipeline.market.holes import Confirmed
from pipeline.market.quality import Quality
from pipeline.market.validation import NAMES, Validation
from tests.simulated import simulated_candles

DAYS = 7
MINUTE = pd.Timedelta(minutes=1)
START = pd.Timestamp("2025-01-01T00:00Z").as_unit("ms")
END = START + pd.Timedelta(days=DAYS)
EVERYTHING = Validation(verdicts=dict.fromkeys(NAMES, "stop"))


def traded(per_minute: float, tick: float, price: float, lot: float | None = None) -> pd.DataFrame:
    """Candles of a minute out of single trades at whole ticks, only where there was one."""
    random = np.random.default_rng(5)
    minutes = DAYS * 1440
    day = np.sin(np.arange(minutes) / 1440 * 2 * np.pi)
    minute = np.repeat(np.arange(minutes), random.poisson(per_minute * np.exp(0.7 * day)))
    mid = price * np.exp(np.cumsum(random.standard_normal(minutes) * 4e-4))
    paid = mid[minute] * (1 + 6e-4 * random.standard_normal(len(minute)))
    paid = np.maximum(np.round(paid / tick), 1) * tick
    lots = random.lognormal(2, 1.5, len(minute)) if lot is None else np.full(len(minute), lot)
    lots = np.round(lots, 8)
    trades = pd.DataFrame({"paid": paid, "volume": lots, "value": paid * lots}).groupby(minute)
    prices = trades["paid"].agg(["first", "max", "min", "last"])
    frame = prices.set_axis(["open", "high", "low", "close"], axis=1)
    frame["volume"] = trades["volume"].sum()
    frame["value"] = trades["value"].sum().round(8)
    return frame.set_index(START + MINUTE * frame.index.to_numpy()).rename_axis("time")


def filled(frame: pd.DataFrame) -> pd.DataFrame:
    """The same on a venue that writes a flat candle where nothing was traded."""
    every = pd.date_range(START, END, freq="min", inclusive="left", unit="ms", name="time")
    wide = frame.reindex(every)
    close = wide["close"].ffill().bfill()
    prices = {name: wide[name].fillna(close) for name in ("open", "high", "low", "close")}
    return wide.assign(**prices).fillna(0.0)


def check(frame: pd.DataFrame, timeframe: str = "1m", rules: Validation = EVERYTHING) -> Quality:
    missing = holes.missing_between(pd.DatetimeIndex(frame.index), MINUTE)
    confirmed = [Confirmed(frame.index[0], frame.index[-1], "no_trade", END)]
    gone = holes.holes(missing, confirmed, MINUTE) if timeframe == "1m" else []
    return rules.check(frame, timeframe, END, Asked("A-B", frame.index[0], tuple(gone)))


@pytest.mark.parametrize("per_minute", [0.03, 0.2, 2.0])
@pytest.mark.parametrize("lot", [None, 5.0])
@pytest.mark.parametrize(("tick", "price"), [(1.0, 3000.0), (1e-8, 1.2e-5)])
def test_a_market_that_trades_seldom_passes(
    per_minute: float, lot: float | None, tick: float, price: float
) -> None:
    frame = traded(per_minute, tick, price, lot)
    quality = check(frame, rules=Validation(min_rows=100, verdicts={"short_history": "stop"}))
    assert quality.missing_by_kind["unknown"] == 0
    assert quality.missing > 100
    whole = check(filled(frame))
    assert whole.missing == 0


def test_what_a_quiet_market_is_made_of() -> None:
    """It has what shorter limits would stop at."""
    frame = traded(0.03, 1.0, 3000.0, 5.0)
    assert check(frame).longest_by_kind["no_trade"] > 12
    still = filled(frame)["volume"].eq(0).astype(int)
    assert still.rolling(49).sum().max() == 49
    busy = filled(traded(2.0, 1.0, 300.0, 5.0))
    equal = (busy.diff().eq(0).all(axis=1) & (busy["volume"] > 0)).astype(int)
    assert equal.rolling(3).sum().max() == 3


def test_a_hundred_times_the_volume_for_a_day_is_counted() -> None:
    frame = filled(traded(2.0, 1.0, 3000.0))
    day = slice(START + pd.Timedelta(days=3), START + pd.Timedelta(days=4))
    frame.loc[day, ["volume", "value"]] *= 100
    quality = check(frame, rules=Validation())
    assert {check.name for check in quality.checks} <= {"volume_breaks"}
    hours = simulated_candles(DAYS * 24 * 3, 0.0, 3)
    hours.iloc[200:224, list(hours.columns).index("volume")] *= 100
    if "value" in hours:
        hours.iloc[200:224, list(hours.columns).index("value")] *= 100
    end = hours.index[-1] + pd.Timedelta(hours=1)
    told = Validation().check(hours, "1h", end).checks
    assert [(each.name, each.verdict) for each in told] == [("volume_breaks", "count")]


@pytest.mark.parametrize("factor", [1000.0, 0.001])
@pytest.mark.parametrize("row", [40, 5000, -1])
def test_prices_of_another_unit_are_still_told(factor: float, row: int) -> None:
    frame = filled(traded(0.2, 0.001, 3000.0))
    frame.iloc[row:, :4] *= factor
    frame.iloc[row:, 5] *= factor
    moment = frame.index[row].isoformat()
    with pytest.raises(DataError, match=rf"unit_breaks: .*{moment}".replace("+", r"\+")):
        check(frame, rules=Validation())


@pytest.mark.parametrize("timeframe", ["1m", "5m", "1h"])
def test_a_price_that_falls_by_half_an_hour_after_hour_has_one_unit(timeframe: str) -> None:
    times = pd.date_range(end=END, periods=401, freq=pd.Timedelta(timeframe), unit="ms")[:-1]
    close = 100.0 * 0.5 ** np.clip(np.arange(400) - 200, 0, 15)
    close = close * (1 + 0.01 * np.sin(np.arange(400)))
    table = dict.fromkeys(("open", "high", "low", "close"), close)
    frame = pd.DataFrame(table | {"volume": np.arange(1.0, 401)}, index=times.rename("time"))
    assert Validation().check(frame, timeframe, END).checks == ()


def test_a_dead_market_is_told() -> None:
    frame = filled(traded(2.0, 1.0, 3000.0))
    two_days = slice(2000, 2000 + 2 * 1440 + 1)
    halted = frame.copy()
    halted.iloc[two_days, :4] = halted["close"].iloc[1999]
    halted.iloc[two_days, 4:] = 0.0
    with pytest.raises(DataError, match=r"constant_price.*max_constant_hours"):
        check(halted)
    with pytest.raises(DataError, match=r"zero_volume.*max_constant_hours"):
        check(halted, rules=Validation(verdicts={"constant_price": "count"}))
    hung = frame.copy()
    at = int(np.argmax((hung["high"] > hung["low"]).to_numpy()))
    hung.iloc[at : at + 4] = hung.iloc[at].to_numpy()
    with pytest.raises(DataError, match="frozen"):
        check(hung)
