from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from pipeline.build import build
from pipeline.configuration.extended_sets import read_feature_set
from pipeline.features.feature_set import FeatureSet
from pipeline.features.indicators import INDICATORS, CandleArrays
from pipeline.features.indicators.pivots import last_two
from pipeline.market.trades import TradeRows, TradeRule, trade_rows
from tests.oracles.walks import random_walk
from tests.spine import CONF

ENTRY37: FeatureSet = build(read_feature_set(CONF, "entry37"), "features=entry37")
Values = npt.NDArray[np.float64]


def arrays(**columns: Any) -> CandleArrays:
    """Candles whose columns stand at 100 unless given."""
    rows = max(len(column) for column in columns.values())
    plain = {name: np.full(rows, 100.0) for name in ("open", "high", "low", "close", "volume")}
    given = {name: np.asarray(column, "float64") for name, column in columns.items()}
    return CandleArrays(**{**plain, "value": np.full(rows, np.nan), **given})


def column(name: str, candles: CandleArrays, **arguments: Any) -> Values:
    found = INDICATORS[name]
    return found.function(candles, **found.complete(arguments))


def ticking(seed: int, rows: int, ticks: float = 12) -> pd.DataFrame:
    """A walk on a coarse grid of prices: plateaus, equal pivots and candles without range."""
    candles = random_walk(np.random.default_rng(seed), rows, start=1000.0)
    prices = ["open", "high", "low", "close"]
    candles[prices] = np.round(candles[prices] / ticks) * ticks
    return candles


# levels


def dips(**at: float) -> Values:
    """Lows that rise slowly, so that nothing is a trough, with dips of given depth."""
    low = 95 + 0.001 * np.arange(140)
    for row, depth in at.items():
        low[int(row[1:])] = depth
    return low


def test_a_support_counts_five_candles_after_its_low_and_fifty_after_that_no_more() -> None:
    candles = arrays(low=dips(r70=90.0))
    touches = column("level_touches", candles, side="support")
    assert np.flatnonzero(touches == 1).tolist() == list(range(75, 121))
    assert np.isnan(touches[:55]).all()
    assert not np.isnan(touches[55:]).any()


def test_a_low_that_was_undercut_within_five_candles_is_no_support() -> None:
    touches = column("level_touches", arrays(low=dips(r70=90.0, r74=89.0)), side="support")
    assert np.flatnonzero(touches == 1).tolist() == list(range(79, 125))


def test_the_nearest_support_is_the_highest_below_the_close() -> None:
    candles = arrays(low=dips(r60=90.0, r70=92.0))
    distance = column("level_distance", candles, side="support")
    assert distance[80] == pytest.approx(8.0)
    close = np.full(140, 100.0)
    close[[80, 81]] = 92.0, 91.0  # a level at the close is not below it
    deeper = column(
        "level_distance", arrays(low=dips(r60=90.0, r70=92.0), close=close), side="support"
    )
    assert deeper[80] == pytest.approx(100 * 2 / 92)
    assert deeper[81] == pytest.approx(100 * 1 / 91)


def test_touches_are_the_levels_half_a_percent_around_the_nearest() -> None:
    low = dips(r60=90.0, r67=92.0, r74=91.54, r81=91.53)
    touches = column("level_touches", arrays(low=low), side="support")
    assert touches[90] == 2  # 91.54 lies 0.5 % below 92, 91.53 lies further
    wide = column("level_touches", arrays(low=low), side="support", tolerance=0.03)
    assert wide[90] == 4


def test_without_a_support_the_lowest_low_stands_in() -> None:
    low = 95 + 0.001 * np.arange(140)
    candles = arrays(low=low)
    assert column("level_touches", candles, side="support")[100] == 0
    distance = column("level_distance", candles, side="support")
    assert distance[100] == pytest.approx(100 - low[50])
    low[100] = 80.0  # its own low is among them
    assert column("level_distance", arrays(low=low), side="support")[100] == pytest.approx(20.0)


def test_resistance_mirrors_support() -> None:
    walk = random_walk(np.random.default_rng(3), 400)
    up = arrays(**walk[["high", "low", "close"]])
    turned = arrays(high=-walk["low"], low=-walk["high"], close=-walk["close"])
    for name, sign in (("level_distance", -1.0), ("level_touches", 1.0)):
        above = column(name, up, side="resistance")
        below = sign * column(name, turned, side="support")
        np.testing.assert_array_equal(above, below)


# pivots


def test_a_peak_counts_only_when_it_is_confirmed() -> None:
    values = np.array([0, 0, 0, 5, 1, 1, 1, 1, 0, 7, 0, 0, 0, 0, 0, 0], "float64")
    newest, before = last_two(values, 10, 3)
    assert newest[[5, 6, 11, 12]].tolist()[1:] == [5.0, 5.0, 7.0]
    assert np.isnan(newest[5])
    assert before[12] == 5.0
    assert np.isnan(before[14])  # row 3 lies 11 rows back


def test_equal_neighbours_are_no_peak() -> None:
    newest, _ = last_two(np.array([0, 0, 0, 5, 5, 0, 0, 0, 0], "float64"), 8, 3)
    assert np.isnan(newest).all()


def bumps(*heights: float) -> Values:
    """A bump of a given height every eight candles from the 30th on, over a plain of 90."""
    values = np.full(30 + 8 * len(heights) + 3, 90.0)
    values[30 + 8 * np.arange(len(heights))] = heights
    return values


@pytest.mark.parametrize(("second", "flag"), [(101.0, 1), (102.1, 0), (99.0, 1), (98.9, 0)])
def test_a_double_top_is_two_peaks_within_a_percent(second: float, flag: int) -> None:
    high = bumps(100.0, second)
    found = column("double_pivot", arrays(high=high), kind="top")
    assert found[[40, 41]].tolist() == [0, flag]
    mirrored = column("double_pivot", arrays(low=-high), kind="bottom")
    np.testing.assert_array_equal(mirrored, found)


@pytest.mark.parametrize(
    ("highs", "lows", "rising", "falling"),
    [
        ((100, 101), (70, 71), 1, 0),
        ((101, 100), (71, 70), 0, 1),
        ((100, 101), (71, 70), 0, 0),
        ((100, 100), (70, 71), 0, 0),
    ],
)
def test_highs_and_lows_must_both_move(
    highs: tuple[float, ...], lows: tuple[float, ...], rising: int, falling: int
) -> None:
    candles = arrays(high=bumps(*highs), low=170.0 - bumps(*(170.0 - x for x in lows)))
    assert column("pivot_trend", candles, direction="rising")[-1] == rising
    assert column("pivot_trend", candles, direction="falling")[-1] == falling


# divergence


def test_rounding_raises_no_divergence() -> None:
    candles = ticking(4, 3000, ticks=8)
    late = candles.iloc[1111:]
    for name in (name for name in ENTRY37.names if "divergence" in name):
        part = FeatureSet.parse({"name": "one", "columns": {name: ENTRY37.columns[name]}}, "test")
        everything, again = part.compute(candles), part.compute(late)
        pd.testing.assert_frame_equal(everything.loc[again.index], again, check_exact=True)
        assert 0.01 < everything[name].mean() < 0.5


# candles


SHAPES = [
    ((100, 110, 100, 110), (1.0, 0.0, 0.0), ""),
    ((100, 110, 100, 102.9), (0.29, 0.71, 0.0), "shooting_star"),
    ((100, 110, 100, 103), (0.3, 0.7, 0.0), ""),
    ((108, 110, 100, 110), (0.2, 0.0, 0.8), "hammer"),
    ((107.9, 110, 101, 110), (2.1 / 9, 0.0, 6.9 / 9), "hammer"),
    ((105, 110, 100, 105.9), (0.09, 0.41, 0.5), "doji"),
    ((105, 110, 100, 106), (0.1, 0.4, 0.5), ""),
    ((105, 105, 105, 105), (0.0, 0.0, 0.0), "doji"),
]


@pytest.mark.parametrize(("candle", "shares", "shape"), SHAPES)
def test_shapes_of_one_candle(
    candle: tuple[float, ...], shares: tuple[float, ...], shape: str
) -> None:
    names = ("open", "high", "low", "close")
    one = arrays(**{name: [price] for name, price in zip(names, candle, strict=True)})
    parts = ("body", "upper_shadow", "lower_shadow")
    assert [column("range_share", one, part=part)[0] for part in parts] == pytest.approx(shares)
    found = {
        kind
        for kind in ("hammer", "shooting_star", "doji")
        if column("candle_shape", one, kind=kind)[0]
    }
    assert found == ({shape} if shape else set())


@pytest.mark.parametrize(
    ("before", "now", "bullish", "bearish"),
    [
        ((101, 100), (99, 102), 1, 0),
        ((100, 101), (102, 99), 0, 1),
        ((101, 100), (100, 102), 0, 0),
        ((101, 100), (99, 101), 0, 0),
        ((100, 101), (99, 102), 0, 0),
        ((100, 100), (99, 102), 0, 0),
    ],
)
def test_engulfing_reaches_beyond_both_ends(
    before: tuple[float, float], now: tuple[float, float], bullish: int, bearish: int
) -> None:
    candles = arrays(open=[before[0], now[0]], close=[before[1], now[1]])
    assert column("engulfing", candles, kind="bullish")[1] == bullish
    assert column("engulfing", candles, kind="bearish")[1] == bearish


def test_price_volume_trend_asks_for_rising_volume() -> None:
    candles = arrays(close=[1, 2, 1, 2, 2], volume=[1, 2, 3, 3, 4])
    assert column("price_volume_trend", candles)[1:].tolist() == [1, -1, 0, 0]


# degenerate input


def test_a_market_that_stands_still_has_a_stated_value_everywhere() -> None:
    rows = ENTRY37.warm_up + 5
    still = random_walk(np.random.default_rng(1), rows)
    still[["open", "high", "low", "close"]] = 123.4
    still[["volume", "value"]] = 0.0
    row = ENTRY37.compute(still).iloc[-1]
    stated = {"volume_ma_ratio": 1.0, "rsi": 50.0, "doji": 1.0}
    stated |= dict.fromkeys(("bb_high", "bb_mid", "bb_low"), 123.4)
    assert row.to_dict() == pytest.approx(dict.fromkeys(ENTRY37.names, 0.0) | stated, abs=1e-300)


def test_every_value_is_finite_after_the_warm_up_on_coarse_prices() -> None:
    for seed in range(4):
        candles = ticking(seed, 900, ticks=25)
        assert np.isfinite(ENTRY37.compute(candles).to_numpy()).all()


def test_a_bad_tick_is_forgotten() -> None:
    candles = random_walk(np.random.default_rng(9), 2000)
    spoiled = candles.copy()
    spoiled.iloc[700, :5] = 1e9
    everything, again = ENTRY37.compute(candles), ENTRY37.compute(spoiled)
    later = everything.index > candles.index[700 + 2 * ENTRY37.memory]
    apart = (everything - again)[later].abs().max()
    assert (apart <= 1e-12 * everything.std()).all()


@pytest.mark.parametrize("factor", [1e-3, 0.37, 1350.0])
def test_scale_free_columns_do_not_see_the_unit_of_prices(factor: float) -> None:
    candles = ticking(2, 1500, ticks=0.1)
    scaled = candles.copy()
    scaled[["open", "high", "low", "close", "value"]] *= factor
    one, other = ENTRY37.compute(candles), ENTRY37.compute(scaled)
    apart, allowed = (one - other).abs().max(), one.std()
    free = [name for name, spec in ENTRY37.columns.items() if spec.scale_free]
    assert len(free) == 29
    assert (apart[free] <= 1e-9 * allowed[free]).all()
    assert (apart.drop(free) > 1e-4 * allowed.drop(free)).all()


# the future


def sees_the_future(compute: Callable[[pd.DataFrame], Values], candles: pd.DataFrame) -> bool:
    """Whether cutting off what comes later changes a value at or before the cut."""
    everything = compute(candles)
    cuts = range(120, len(candles), 7)
    return any(
        not np.array_equal(compute(candles.iloc[:cut]), everything[:cut], equal_nan=True)
        for cut in cuts
    )


PATTERNS = [
    name
    for name, spec in ENTRY37.columns.items()
    if spec.indicator
    in {"level_distance", "level_touches", "double_pivot", "pivot_trend", "divergence", "trendline"}
]


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pivot_used_before_it_is_confirmed_would_be_caught(name: str) -> None:
    candles, spec = random_walk(np.random.default_rng(8), 400), ENTRY37.columns[name]

    def honest(frame: pd.DataFrame) -> Values:
        return column(spec.indicator, CandleArrays.from_frame(frame), **spec.arguments)

    def peeking(frame: pd.DataFrame) -> Values:
        reach = int(spec.arguments.get("reach", 1))
        return np.r_[honest(frame)[reach:], np.repeat(honest(frame)[-1:], reach)]

    assert not sees_the_future(honest, candles)
    assert sees_the_future(peeking, candles)


# open trades


def of_trade(name: str, candles: CandleArrays, rows: TradeRows, **arguments: Any) -> Values:
    found = INDICATORS[name]
    return found.function(candles, rows, **found.complete(arguments))


@pytest.mark.parametrize(("side", "sign"), [("long", 1.0), ("short", -1.0)])
def test_an_open_trade_is_told_by_its_own_candles(side: Any, sign: float) -> None:
    close = np.array([50.0, 100.0, 101.0, 100.5, 102.0, 99.5])
    candles = arrays(close=close, volume=[1, 20, 10, 30, 0, 20])
    entry, row = np.full(4, 1), np.arange(2, 6)
    rows = TradeRows(row, entry, np.zeros(4, "int64"), np.full(4, int(sign)))
    pnl = sign * np.array([0.01, 0.005, 0.02, -0.005])
    told = {
        part: of_trade("gain", candles, rows, part=part)
        for part in ("now", "peak", "trough", "from_peak")
    }
    np.testing.assert_allclose(told["now"], pnl)
    np.testing.assert_allclose(told["peak"], np.maximum.accumulate(pnl))
    np.testing.assert_allclose(told["trough"], np.minimum.accumulate(pnl))
    np.testing.assert_allclose(told["from_peak"], pnl - np.maximum.accumulate(pnl), atol=1e-15)
    assert of_trade("time_held", candles, rows, unit=2).tolist() == [0.5, 1.0, 1.5, 2.0]
    assert of_trade("volume_since_entry", candles, rows).tolist() == [-0.5, 0.5, -1.0, 0.0]
    changes = close[1:] / close[:-1] - 1
    volatility = [0.0, *(changes[1 : last + 1].std(ddof=1) for last in (2, 3, 4))]
    np.testing.assert_allclose(of_trade("volatility_since_entry", candles, rows), volatility)
    means = [changes[k - 2 : k].mean() for k in (2, 3, 4, 5)]
    np.testing.assert_allclose(of_trade("mean_change", candles, rows), means)


def test_an_entry_without_volume_has_no_change_of_volume() -> None:
    rows = TradeRows(*(np.array([each]) for each in (1, 0, 0, 1)))
    assert of_trade("volume_since_entry", arrays(volume=[0, 5]), rows).tolist() == [0.0]


@pytest.mark.parametrize("every", [3, 30])
def test_a_row_of_a_trade_is_told_alike_alone_and_among_others(every: int) -> None:
    walk = random_walk(np.random.default_rng(11), 200)
    candles = CandleArrays.from_frame(walk)
    rows = trade_rows(walk, TradeRule(side="short", every=every, hold=20, from_candle=2), "1h")
    for name in (
        "gain",
        "volatility_since_entry",
        "volume_since_entry",
        "mean_change",
        "time_held",
    ):
        arguments = {"part": "peak"} if name == "gain" else {}
        together = of_trade(name, candles, rows, **arguments)
        alone = [
            of_trade(name, candles, rows.take(np.array([k])), **arguments)[0]
            for k in range(0, len(rows), 17)
        ]
        assert together[::17].tolist() == alone
