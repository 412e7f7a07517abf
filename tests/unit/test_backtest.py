"""Profiles, sizes, figures, windows and flags of a backtest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.configuration.choices import choose, read_choices
from pipeline.configuration.compose import compose_run
from pipeline.configuration.conf_groups import compose_words
from pipeline.configuration.planning import plan_run
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.backtest import Profile, Setup, backtest
from pipeline.evaluation.backtest.arrays import COLUMNS, Candles
from pipeline.evaluation.backtest.figures import buy_and_hold, figures
from pipeline.evaluation.backtest.signals import signal_arrays
from pipeline.evaluation.backtest.simulate import Costs, Trades
from pipeline.evaluation.backtest.sizing import sizes
from pipeline.market.exchanges.base import Market
from tests.oracles.walks import random_walk

CONF = Path(__file__).resolve().parents[2] / "conf"
NAMES = sorted(path.stem for path in (CONF / "backtest").glob("*.yaml"))


def profile(name: str, **changes: object) -> Profile:
    """A shipped profile as compose reads it, with keys changed."""
    tree = compose_words(CONF, [f"+backtest={name}"])["backtest"]
    return Profile.parse({**tree, **changes}, f"backtest={name}")


def market(**changes: object) -> Market:
    """A market of 7 basis points a side."""
    facts = {
        "name": "SIM-BTC",
        "exchange": "simulated",
        "symbol": "SIM-BTC",
        "base": "BTC",
        "quote": "SIM",
        "fee_bps": 5.0,
        "slippage_bps": 2.0,
        "source": "assumed",
    }
    return Market.parse({**facts, **changes}, "market")


def peeking(candles: pd.DataFrame, ahead: int = 3) -> pd.DataFrame:
    """Probabilities that know the return of the next candles."""
    change = candles["close"].shift(-ahead) / candles["close"] - 1.0
    sure = 1.0 / (1.0 + np.exp(-(change / change.std()).fillna(0.0).clip(-4, 4) * 2))
    return pd.DataFrame({"p_long": sure, "p_short": 1.0 - sure})


def test_the_shipped_profiles_are_what_they_are_named_for() -> None:
    assert NAMES == ["bingx_futures", "bingx_futures_learnt", "upbit_spot", "upbit_spot_30min"]
    swap, learnt, spot, short = (profile(name) for name in NAMES)
    own = {"thresholds": "folds", "long_threshold": 0.5, "short_threshold": 0.5}
    assert learnt.model_dump() == swap.model_dump() | own | {"exit_threshold": 0.5}
    assert swap.stop_loss is not None
    assert swap.stop_loss.of_price(swap.leverage) == 0.0025
    assert (swap.holding_minutes, spot.holding_minutes, short.holding_minutes) == (240, 1440, 30)
    assert {**short.model_dump(), "max_holding": "24h", "execution_timeframe": None} == (
        spot.model_dump()
    )


def test_a_holding_limit_below_the_candle_is_refused() -> None:
    with pytest.raises(ConfigError, match="shorter than one candle"):
        profile("upbit_spot", max_holding="30m").execution("1h")
    assert profile("upbit_spot_30min").execution("1h") == "30m"
    hours = random_walk(np.random.default_rng(1), 200)
    setup = Setup(profile("upbit_spot_30min"), market(), "1h")
    with pytest.raises(DataError, match="another timeframe"):
        backtest(hours, peeking(hours), setup)
    with pytest.raises(ConfigError, match="longer than those of the signals"):
        profile("upbit_spot", execution_timeframe="4h").execution("1h")


def test_a_run_takes_its_recipes_profile_and_refuses_one_it_cannot_test() -> None:
    choices = choose(read_choices(CONF.parent / "params.yaml"), {"backtest.positions": 2})
    run = plan_run(compose_run(choices, CONF)).run
    assert run.backtest == profile("upbit_spot", positions=2)
    short = choose(choices, {"backtest.max_holding": "30m"})
    with pytest.raises(ConfigError, match="shorter than one candle"):
        plan_run(compose_run(short, CONF))
    with pytest.raises(ConfigError, match="did you mean upbit_spot"):
        compose_run(choose(choices, {"backtest": "upbit_spots"}), CONF)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"leverage": 2}, "spot venue lends nothing"),
        ({"exit_priority": ["profit", "liquidation", "stop", "holding", "signal"]}, "keep the"),
        ({"exit_priority": ["stop"]}, "each of"),
        ({"venue": "swap", "stop_loss": {"share": 0.96, "basis": "price"}}, "never be reached"),
        ({"max_holding": "soon"}, "max_holding"),
        ({"cost_multiples": []}, "cost_multiples"),
        ({"positions": 0}, "positions"),
    ],
)
def test_a_profile_that_cannot_be_traded_is_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        profile("upbit_spot", **changes)


def test_sizes_are_those_of_the_predecessors() -> None:
    walk = random_walk(np.random.default_rng(2), 6)
    strength = np.array([0.5, 0.6, 0.69, 0.7, 0.8, np.nan])
    tiers = sizes(strength, walk, profile("upbit_spot"))
    assert tiers.tolist() == [0.05, 0.07, 0.07, 0.10, 0.15, 0.05]
    dynamic = sizes(strength, walk, profile("bingx_futures"))
    unknown = 0.3 * 0.5 + 0.2 * 0.5  # volatility and regime before they are known
    np.testing.assert_allclose(dynamic[3], 0.5 * (0.5 + 0.4 * 0.4**1.5 + unknown))


def test_signals_lie_on_the_finer_candle_that_closes_when_they_are_known() -> None:
    time = pd.date_range("2025-01-01", periods=8, freq="30min", tz="UTC", name="time", unit="ms")
    halves = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 1.0), index=time)
    halves = halves.drop(time[3])  # the candle that closes with the second signal
    hours = pd.DataFrame({"p_long": [0.1, 0.2, 0.3]}, index=time[::2][:3])
    laid = signal_arrays(hours, halves, profile("upbit_spot_30min"), "1h").long
    np.testing.assert_array_equal(laid, [np.nan, 0.1, 0.2, np.nan, 0.3, np.nan, np.nan])
    late = signal_arrays(hours, halves, profile("upbit_spot_30min", fill="same_close"), "1h").long
    np.testing.assert_array_equal(late, [np.nan, 0.1, np.nan, np.nan, 0.3, np.nan, np.nan])


def test_thresholds_of_folds_come_with_the_rows() -> None:
    walk = random_walk(np.random.default_rng(3), 300)
    chosen = profile("upbit_spot", thresholds="folds")
    with pytest.raises(DataError, match="long_threshold"):
        signal_arrays(peeking(walk), walk, chosen, "1h")
    stated = backtest(walk, peeking(walk), Setup(profile("upbit_spot"), market(), "1h"))
    rows = peeking(walk).assign(long_threshold=0.55, short_threshold=0.55)
    by_row = backtest(walk, rows, Setup(chosen, market(), "1h"))
    pd.testing.assert_frame_equal(stated.first.trades.table(), by_row.first.trades.table())


def _trades(equity: list[float], *pnl: float) -> Trades:
    rows = np.zeros((len(pnl), len(COLUMNS)))
    rows[:, COLUMNS.index("pnl")] = pnl
    rows[:, COLUMNS.index("side")] = 1.0
    rows[:, COLUMNS.index("exit_row")] = 1
    return Trades(rows, np.array(equity))


def _days(*close: float, funding: float = 0.0) -> Candles:
    prices = np.array(close)
    minute = np.arange(prices.size) * 1440
    return Candles(prices, prices, prices, prices, minute, np.full(prices.size, funding))


def test_figures_are_those_of_their_definitions() -> None:
    equity = [1.1, 0.99, 1.188, 1.188]
    told = figures(_trades(equity, 0.3, -0.1, -0.012), _days(1, 1, 1, 1), 1440)
    days = np.array([0.1, -0.1, 0.2, 0.0])
    year = np.sqrt(365.25)
    assert told["sharpe"] == pytest.approx(days.mean() / days.std(ddof=1) * year)
    assert told["sortino"] == pytest.approx(days.mean() / 0.05 * year)
    assert told["drawdown"] == pytest.approx(0.1)
    assert told["annual_return"] == pytest.approx(1.188 ** (365.25 / 4) - 1)
    assert told["calmar"] == pytest.approx(told["annual_return"] / 0.1)
    assert told["win_rate"] == pytest.approx(1 / 3)
    assert told["profit_factor"] == pytest.approx(0.3 / 0.112)
    assert told["exposure"] == 0.5
    json.dumps(told, allow_nan=False)


def test_buying_and_holding_pays_both_sides_and_a_swap_its_funding() -> None:
    costs = Costs(fee=0.01, slippage=0.0)
    assert buy_and_hold(_days(2, 4), costs, swap=False)[-1] == pytest.approx(0.99 * 2 - 0.01 * 2)
    held = buy_and_hold(_days(2, 4, funding=0.1), costs, swap=True)
    assert held[-1] == pytest.approx(0.99 * 2 - 0.01 * 2 - 0.1)


def test_what_makes_a_result_look_better_is_flagged() -> None:
    walk = random_walk(np.random.default_rng(4), 24 * 30)
    spot = profile("upbit_spot", fill="same_close", max_holding="4h", sizing=_whole())
    told = backtest(walk, peeking(walk), Setup(spot, market(), "1h", horizon_minutes=1440))
    assert {"optimistic_fill", "horizon_beyond_holding", "unbearable_compounding"} <= set(
        told.flags
    )
    coin = pd.DataFrame({"p_long": 0.0, "p_short": 0.0}, index=walk.index)
    assert backtest(walk, coin, Setup(profile("upbit_spot"), market(), "1h", 60)).flags == {}
    swapped = backtest(walk, coin, Setup(profile("bingx_futures"), market(), "1h", 60)).flags
    assert "nobody sells it short" in swapped["spot_market"]
    assert "lies 0.25% of the price away" in swapped["narrow_stop"]


def test_a_limit_between_candles_is_refused() -> None:
    with pytest.raises(ConfigError, match="no whole number of candles"):
        profile("upbit_spot", max_holding="90m").execution("1h")


def _whole() -> dict[str, object]:
    return {"rule": "fixed", "share": 0.3}


def test_what_comes_after_a_signal_never_changes_what_was_traded_before() -> None:
    walk = random_walk(np.random.default_rng(5), 600)
    setup = Setup(profile("bingx_futures"), market(funding={"hours": 8, "bps": 1.0}), "1h")
    signals = peeking(walk)
    whole = backtest(walk, signals, setup).first.trades.table()
    part = backtest(walk.iloc[:401], signals.iloc[:400], setup).first.trades.table()
    done = part[part["reason"] != "end"]
    assert len(done) > 10
    pd.testing.assert_frame_equal(done, whole.iloc[: len(done)])


def test_no_candles_under_the_signals_is_an_error() -> None:
    walk = random_walk(np.random.default_rng(6), 100)
    setup = Setup(profile("upbit_spot"), market(), "1h")
    with pytest.raises(DataError, match="no candles"):
        backtest(walk.iloc[:50], peeking(walk).iloc[60:], setup)
    with pytest.raises(DataError, match="no candles"):
        backtest(walk, peeking(walk).iloc[:0], setup)


@pytest.mark.real
def test_recorded_five_minute_candles_end_at_a_loss_unless_one_peeks(real_data: Path) -> None:
    """Momentum loses after costs; three candles of foresight earn what was once claimed."""
    file = real_data / "bingx_or_binance" / "bingx_swap" / "BTCUSDT-5m.parquet"
    candles = pd.read_parquet(file).rename(columns={"timestamp": "time"}).set_index("time")
    setup = Setup(profile("bingx_futures"), market(funding={"hours": 8, "bps": 0.7}), "5m", 15)
    change = candles["close"].pct_change(6).fillna(0.0)
    sure = 1.0 / (1.0 + np.exp(-(change / change.std()).clip(-4, 4)))
    honest = backtest(candles, pd.DataFrame({"p_long": sure, "p_short": 1 - sure}), setup)
    peeked = backtest(candles, peeking(candles), setup)
    windows = [result.facts()["costs"]["1x"]["five_days"] for result in (honest, peeked)]
    assert windows[0]["windows"] == (len(candles) - 1440) // 288 + 1
    assert windows[0]["return"] < -0.05 < 0.05 < windows[1]["return"]
    assert "unbearable_compounding" in peeked.flags
    assert "unbearable_compounding" not in honest.flags
    doubled = [one.figures["total_return"] for one in honest.outcomes.values()]
    assert doubled[1] < doubled[0]
    parts = honest.first.trades.table()
    moved = parts["quantity"] * (parts["exit_price"] - parts["entry_price"])
    moved *= np.where(parts["side"] == "long", 1.0, -1.0)
    costs = parts[["fee", "slippage", "funding"]].sum(axis=1)
    np.testing.assert_allclose(parts["pnl"], moved - costs, atol=1e-12)
    assert honest.curve["equity"].iloc[-1] == pytest.approx(1.0 + parts["pnl"].sum())
