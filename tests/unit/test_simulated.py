from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.errors import ConfigError, DataError
from pipeline.market.exchanges.base import Market
from pipeline.market.exchanges.simulated import Simulated
from pipeline.market.exchanges.simulated_path import (
    STATE_MEMORY,
    drift_per_volatility,
    opening_of,
    steps_of,
)

CONF = Path(__file__).parents[2] / "conf"
START, STOP = pd.Timestamp("2023-01-01T00:00Z"), pd.Timestamp("2025-01-01T00:00Z")
MARKETS = 20
PINNED = [4359.6754, 4363.1529, 4332.2142, 4353.4371, 262.817862, 1141808.479884286]


def market(name: str = "SIM-BTC") -> Market:
    return Market(
        name=name,
        exchange="simulated",
        symbol=name,
        base="BTC",
        quote="SIM",
        fee_bps=5,
        slippage_bps=2,
        source="test",
    )


def two_years(world: Simulated) -> list[pd.DataFrame]:
    frames = []
    for number in range(MARKETS):
        chosen = market(f"SIM-N{number}")
        candles = world.fetch(chosen, "1h", START, STOP)
        state = world.planted_state(chosen, "1h", START, STOP)
        frames.append(
            candles.assign(
                state=state,
                change=candles["close"].pct_change(),
                ahead=candles["close"].shift(-24) / candles["close"] - 1,
            ).iloc[1:]
        )
    return frames


@pytest.fixture(scope="module")
def noise() -> list[pd.DataFrame]:
    return two_years(Simulated())


@pytest.fixture(scope="module")
def planted() -> list[pd.DataFrame]:
    return two_years(Simulated(edge=0.2))


def t_statistic(values: pd.Series | np.ndarray) -> float:
    values = np.asarray(values)
    return float(values.mean() / (values.std() / np.sqrt(len(values))))


def test_the_yaml_holds_the_defaults() -> None:
    told = build(read_yaml(CONF / "exchange" / "simulated.yaml"), "simulated")
    assert told == Simulated()
    assert told.feed == "simulated"
    assert told.reachable


def test_feed_names_the_world() -> None:
    feeds = {
        Simulated(**change).feed
        for change in ({}, {"seed": 8}, {"edge": 0.1}, {"edge": 0.2}, {"annual_volatility": 0.5})
    }
    assert len(feeds) == 5
    assert Simulated(end="2024-01-01T00:00Z").feed == "simulated"
    assert Simulated(edge=0.1).feed == Simulated(edge=0.1, end="2024-01-01T00:00Z").feed


def test_a_candle_does_not_depend_on_what_is_asked() -> None:
    world = Simulated()
    whole = world.fetch(market(), "1h", START, pd.Timestamp("2023-06-01T00:00Z"))
    steps_of.cache_clear()
    opening_of.cache_clear()
    first, stop = pd.Timestamp("2023-03-30T05:00Z"), pd.Timestamp("2023-05-02T03:30Z")
    part = Simulated(end="2023-05-02T02:10Z").fetch(market(), "1h", first, stop)
    assert part.index[0] == first
    assert part.index[-1] == pd.Timestamp("2023-05-02T01:00Z")
    pd.testing.assert_frame_equal(part, whole.loc[part.index])


def test_markets_and_seeds_differ() -> None:
    stop = START + pd.Timedelta(days=20)
    closes = [
        world.fetch(market(name), "1h", START, stop)["close"].pct_change().dropna()
        for world, name in (
            (Simulated(), "SIM-BTC"),
            (Simulated(), "SIM-ETH"),
            (Simulated(seed=8), "SIM-BTC"),
        )
    ]
    table = np.abs(np.corrcoef(closes) - np.eye(3))
    assert table.max() < 0.25


def test_this_world_stays_the_world_it_is() -> None:
    candle = Simulated().fetch(
        market(), "1h", pd.Timestamp("2025-12-19T23:00Z"), pd.Timestamp("2025-12-20T00:00Z")
    )
    assert candle.iloc[0].tolist() == pytest.approx(PINNED, rel=1e-12)


@pytest.mark.parametrize("timeframe", ["15m", "30m", "1h", "4h", "1d"])
def test_every_timeframe_is_an_aggregate_of_the_steps(timeframe: str) -> None:
    world, stop = Simulated(), pd.Timestamp("2023-03-03T00:00Z")
    first = pd.Timestamp("2023-02-25T00:00Z")
    steps = world.fetch(market(), "5m", first, stop)
    rules = {"open": "first", "high": "max", "low": "min", "close": "last"}
    rules |= {"volume": "sum", "value": "sum"}
    expected = steps.resample(timeframe.replace("m", "min").replace("d", "D")).agg(rules)
    found = world.fetch(market(), timeframe, first, stop)
    pd.testing.assert_frame_equal(found, expected, check_freq=False, rtol=1e-12)


def test_the_state_of_a_candle_is_that_of_its_last_step() -> None:
    stop = START + pd.Timedelta(days=3)
    steps = Simulated().planted_state(market(), "5m", START, stop)
    assert Simulated().planted_state(market(), "1h", START, stop).tolist() == steps[11::12].tolist()


def test_candles_are_sound() -> None:
    candles = Simulated(annual_volatility=2).fetch(market(), "5m", START, STOP)
    assert np.array_equal(candles["open"].iloc[1:], candles["close"].iloc[:-1])
    assert candles["open"].iloc[0] == 10_000
    assert (candles["high"] >= candles[["open", "close"]].max(axis=1)).all()
    assert (candles["low"] <= candles[["open", "close"]].min(axis=1)).all()
    assert (candles["low"] > 0).all()
    price = candles["value"] / candles["volume"]
    assert (price >= candles["low"]).all()
    assert (price <= candles["high"]).all()
    assert candles.index.equals(pd.date_range(START, STOP, freq="5min", inclusive="left"))
    assert str(candles.index.dtype) == "datetime64[ms, UTC]"


def test_the_extremes_are_those_of_a_path_between_open_and_close(
    noise: list[pd.DataFrame],
) -> None:
    candles = Simulated().fetch(market(), "5m", START, STOP)
    moved = np.log(candles["close"] / candles["open"]).abs()
    spread = np.log(candles["high"] / candles["low"])
    assert 1.5 < (spread / moved.mean()).mean() < 2.2  # Brownian: sqrt(8/pi) / sqrt(2/pi) = 2
    assert (spread > moved * 1.0001).mean() > 0.95


def test_only_closed_candles_inside_the_world() -> None:
    world = Simulated(end="2023-02-01T00:30Z")
    last = pd.Timestamp("2023-01-31T23:00Z")
    assert world.newest(market(), "1h", STOP) == last
    assert world.fetch(market(), "1h", START, STOP).index[-1] == last
    now = pd.Timestamp("2023-01-10T10:59Z")
    assert world.newest(market(), "1h", now) == pd.Timestamp("2023-01-10T09:00Z")
    assert world.fetch(market(), "1h", START, now).index[-1] == pd.Timestamp("2023-01-10T09:00Z")
    assert world.newest(market(), "1h", pd.Timestamp("2023-01-01T00:59Z")) is None
    assert world.newest(market(), "1h", pd.Timestamp("2023-01-01T01:00Z")) == START
    early = pd.Timestamp("2022-01-01T00:00Z")
    assert world.fetch(market(), "1h", early, START).empty
    assert world.fetch(market(), "1h", early, now).index[0] == START
    assert world.fetch(market(), "1h", now, now).empty


def test_a_timeframe_below_the_step_is_refused() -> None:
    for asked in (
        lambda: Simulated().fetch(market(), "1m", START, STOP),
        lambda: Simulated().newest(market(), "3m", STOP),
    ):
        with pytest.raises(DataError, match="5m, 15m, 30m, 1h, 4h, 1d"):
            asked()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"start": "2023-01-02T00:00Z"}, "start of a month"),
        ({"start": "2023-01-01T00:00"}, "names no time zone"),
        ({"end": "soon"}, "is not a moment"),
        ({"edge": 0.6}, "at most 0.5"),
        ({"edge": 0.5, "edge_horizon": 168}, "cannot be planted over 168 hours"),
        ({"sead": 3}, "did you mean seed"),
    ],
)
def test_a_wrong_world_is_refused(fields: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Simulated.parse(fields, "test")


def test_the_drift_follows_the_closed_form_at_constant_volatility(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = "pipeline.market.exchanges.simulated_path"
    monkeypatch.setattr(f"{path}.CALM_SPREAD", 0.0)
    monkeypatch.setattr(f"{path}.SEASON", np.ones(288))
    steps = np.arange(24 * 12)
    reach = np.sum(STATE_MEMORY**steps)
    spread = np.sum(STATE_MEMORY ** np.abs(steps[:, None] - steps))
    drift = drift_per_volatility(0.3, 24)
    assert drift * reach / np.sqrt(len(steps) + drift**2 * spread) == pytest.approx(0.3)


def test_the_state_predicts_the_planted_edge(planted: list[pd.DataFrame]) -> None:
    found = [frame["state"].corr(frame["ahead"]) for frame in planted]
    error = np.std(found) / np.sqrt(MARKETS)
    assert error < 0.01
    assert abs(np.mean(found) - 0.2) < 3 * error
    ranked = [frame[["state", "ahead"]].dropna().corr("spearman").iloc[0, 1] for frame in planted]
    assert 0.18 < np.mean(ranked) < 0.24


def test_a_stronger_edge_over_another_horizon() -> None:
    world, found = Simulated(edge=0.4, edge_horizon=6), []
    for number in range(8):
        closes = world.fetch(market(f"SIM-M{number}"), "1h", START, STOP)["close"]
        state = world.planted_state(market(f"SIM-M{number}"), "1h", START, STOP)
        found.append(state.corr(closes.shift(-6) / closes - 1))
    assert abs(np.mean(found) - 0.4) < 4 * max(np.std(found) / np.sqrt(8), 0.004)


def test_the_volume_shows_the_state(noise: list[pd.DataFrame], planted: list[pd.DataFrame]) -> None:
    shown, raw, ratio = [], [], []
    for frame in planted:
        over_mean = frame["volume"] / frame["volume"].rolling(20).mean()
        table = frame.assign(over_mean=over_mean).dropna().corr("spearman")
        shown.append(table.loc["volume", "state"])
        raw.append(table.loc["volume", "ahead"])
        ratio.append(table.loc["over_mean", "ahead"])
    assert np.mean(shown) > 0.85
    assert np.mean(raw) > 0.15
    assert np.mean(ratio) > 0.05
    pd.testing.assert_series_equal(noise[0]["volume"], planted[0]["volume"])


def test_without_an_edge_nothing_is_known(noise: list[pd.DataFrame]) -> None:
    changes = pd.concat([frame["change"] for frame in noise])
    assert abs(t_statistic(changes)) < 4
    for _, of_hour in changes.groupby(changes.index.hour):
        assert abs(t_statistic(of_hour)) < 4
    for lag in (1, 2, 3, 6, 12, 24, 168):
        products = [(f["change"] * f["change"].shift(lag)).dropna() for f in noise]
        assert abs(t_statistic(pd.concat(products))) < 4
    known = pd.concat([(f["state"].shift(1) * f["change"]).dropna() for f in noise])
    assert abs(t_statistic(known)) < 4


def test_with_an_edge_the_state_is_known(planted: list[pd.DataFrame]) -> None:
    known = pd.concat([(f["state"].shift(1) * f["change"]).dropna() for f in planted])
    assert t_statistic(known) > 10


def test_volatility_is_like_a_market(noise: list[pd.DataFrame]) -> None:
    sizes = [frame["change"].abs() for frame in noise]
    assert np.mean([size.autocorr(1) for size in sizes]) > 0.1
    assert np.mean([size.autocorr(24) for size in sizes]) > 0.1
    assert np.mean([frame["change"].kurt() + 3 for frame in noise]) > 4
    yearly = [frame["change"].std() * np.sqrt(24 * 365) for frame in noise]
    assert np.mean(yearly) == pytest.approx(0.6, rel=0.03)
    by_hour = pd.concat(sizes).groupby(lambda time: time.hour).mean()
    assert by_hour[14:17].mean() > 1.5 * by_hour[2:5].mean()
    volume = pd.concat([frame["volume"] for frame in noise])
    volume = volume.groupby(volume.index.hour).mean()
    assert volume[14:17].mean() > 1.3 * volume[2:5].mean()
    assert np.mean([f["volume"].corr(f["change"].abs(), "spearman") for f in noise]) > 0.1


def test_months_join_without_a_seam(noise: list[pd.DataFrame]) -> None:
    steps = pd.concat([(f["state"].diff()).dropna() for f in noise])
    seam = steps[(steps.index.day == 1) & (steps.index.hour == 0)]
    assert seam.std() < 1.5 * steps.std()
