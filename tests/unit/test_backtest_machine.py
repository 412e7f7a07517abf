"""The compiled machine trades as the one written by hand, and as its rules say."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.backtest.arrays import COLUMNS, Candles, Rules, Signals
from pipeline.evaluation.backtest.funding import settled
from pipeline.evaluation.backtest.simulate import NEVER, Trades, simulate
from pipeline.evaluation.backtest.thresholds import UNREACHED, choose_threshold
from pipeline.market.exchanges.base import Funding
from tests.oracles.backtest import REASONS, Simulator
from tests.volume import volume

CASES = 10_000 if volume(1) == 1 else 1_000_000
STEP = 5
EXACT = [name for name in COLUMNS if name.endswith(("row", "minute", "price", "side", "reason"))]


def rules(**changes: object) -> Rules:
    """Rules without levels, limits or costs."""
    plain = Rules(
        long_threshold=0.6,
        short_threshold=0.6,
        exit_threshold=np.inf,
        stop=np.inf,
        profit=np.inf,
        liquidation=np.inf,
        holding=NEVER,
        leverage=1.0,
        shorts=True,
        at_close=False,
        streak=0.0,
        smallest=0.0,
        largest=1.0,
        fee=0.0,
        slippage=0.0,
        funding_paid=1.0,
        step=STEP,
        priority=(0, 1, 2, 3, 4),
    )
    return plain._replace(**changes)


def random_case(generator: np.random.Generator) -> tuple[Candles, Signals, Rules, int]:
    """A short case on a coarse grid of prices and probabilities, so that values often meet."""
    rows = int(generator.integers(0, 24))
    close = 100.0 + np.cumsum(generator.integers(-3, 4, rows))
    jump = np.where(generator.random(rows) < 0.2, generator.integers(-12, 13, rows), 0)
    opened = np.r_[100.0, close[:-1]][:rows] + jump
    reach = generator.integers(0, 4, (2, rows))
    steps = np.where(generator.random(rows) < 0.15, generator.integers(2, 9, rows), 1)
    minute = 480 * 3 - 40 + STEP * np.cumsum(steps)
    funding = Funding(
        hours=float(generator.choice([0.25, 1 / 3, 8])), bps=float(generator.integers(-90, 91))
    )
    candles = Candles(
        opened,
        np.maximum(opened, close) + reach[0],
        np.minimum(opened, close) - reach[1],
        close,
        minute,
        settled(minute, funding),
    )
    grid = generator.integers(0, 11, (4, rows)) / 10
    grid[generator.random((4, rows)) < 0.2] = np.nan
    size = generator.choice([0.0, 0.2, 0.5, 0.9, np.nan], rows, p=[0.05, 0.3, 0.3, 0.3, 0.05])
    return candles, Signals(*grid, size), _random_rules(generator), int(generator.integers(1, 4))


def _random_rules(generator: np.random.Generator) -> Rules:
    one = generator.choice
    shorts = bool(generator.random() < 0.7)
    priorities = [(0, 1, 2, 3, 4), (4, 3, 0, 1, 2), (0, 3, 1, 4, 2), (0, 1, 4, 2, 3)]
    return rules(
        long_threshold=float(one([0.5, 0.6, 0.7])),
        short_threshold=float(one([0.5, 0.6, 0.8])),
        exit_threshold=float(one([0.8, 0.9, np.inf])),
        stop=float(one([0.01, 0.02, 0.05, np.inf])),
        profit=float(one([0.01, 0.03, 0.05, np.inf])),
        liquidation=float(one([0.04, 0.1, np.inf])) if shorts else np.inf,
        holding=int(one([5, 15, 17, 40, NEVER])),
        leverage=float(one([1.0, 4.0, 10.0])) if shorts else 1.0,
        shorts=shorts,
        at_close=bool(generator.random() < 0.3),
        streak=float(one([0.0, 0.05])),
        smallest=float(one([0.0, 0.1])),
        largest=float(one([0.6, 1.0])),
        fee=float(one([0.0, 0.0005])),
        slippage=float(one([0.0, 0.0002])),
        funding_paid=float(one([1.0, 2.0])),
        priority=priorities[generator.integers(4)],
    )


def test_it_trades_as_the_oracle_does() -> None:
    generator = np.random.default_rng(20251220)
    seen: set[str] = set()
    for case in range(CASES):
        candles, signals, chosen, positions = random_case(generator)
        ours = simulate(candles, signals, chosen, positions)
        oracle = Simulator(candles, signals, chosen, positions).run()
        theirs = np.array([list(trade.values()) for trade in oracle.trades]).reshape(
            -1, len(COLUMNS)
        )
        told = f"case {case}: {chosen} {positions}"
        assert ours.rows.shape == theirs.shape, told
        for place, name in enumerate(COLUMNS):
            if name in EXACT:
                np.testing.assert_array_equal(ours.rows[:, place], theirs[:, place], told)
        np.testing.assert_allclose(ours.rows, theirs, rtol=1e-9, atol=1e-12, err_msg=told)
        np.testing.assert_allclose(ours.equity, oracle.equity, rtol=1e-9, atol=1e-12, err_msg=told)
        seen |= {REASONS[int(code)] for code in ours.column("reason")}
    assert seen == set(REASONS)


def candles(*bars: tuple[float, float, float, float], minute: list[int] | None = None) -> Candles:
    """Candles of five minutes from (open, high, low, close)."""
    columns = (np.array(column, "float64") for column in zip(*bars, strict=True))
    times = np.array(minute or [STEP * row for row in range(len(bars))], "int64")
    return Candles(*columns, times, np.zeros(len(bars)))


def bought(rows: int, **at: dict[int, float]) -> Signals:
    """Signals that buy half at the first close, and say what else is given."""
    arrays = {name: np.full(rows, np.nan) for name in Signals._fields}
    arrays["size"][:] = 0.5
    arrays["long"][0] = 1.0
    for name, values in at.items():
        for row, value in values.items():
            arrays[name][row] = value
    return Signals(**arrays)


FLAT = (100.0, 100.0, 100.0, 100.0)


def one(bars: list[tuple[float, float, float, float]], **changes: object) -> dict[str, object]:
    """The only trade of a purchase at the first close."""
    table = simulate(candles(*bars), bought(len(bars)), rules(**changes)).table()
    assert len(table) == 1
    return dict(table.iloc[0])


def test_stop_and_profit_in_one_candle_are_the_stop() -> None:
    trade = one([FLAT, (100, 110, 90, 100), FLAT], stop=0.05, profit=0.05)
    assert (trade["reason"], trade["exit_price"], trade["exit_row"]) == ("stop", 95.0, 1)


def test_a_gap_beyond_the_stop_fills_at_the_open() -> None:
    trade = one([FLAT, FLAT, (80, 85, 75, 80), FLAT], stop=0.05)
    assert (trade["reason"], trade["exit_price"], trade["pnl"]) == ("stop", 80.0, -0.1)


def test_an_order_waits_for_the_next_candle_that_exists() -> None:
    late = candles(FLAT, (107, 107, 107, 107), FLAT, minute=[0, 600, 605])
    trade = simulate(late, bought(3), rules()).table().iloc[0]
    assert (trade["entry_price"], trade["entry_time"].hour) == (107.0, 10)


def test_a_liquidation_takes_the_margin_and_no_more() -> None:
    trade = one([FLAT, (100, 100, 10, 50), FLAT], liquidation=0.2, leverage=4.0, stop=0.01)
    assert (trade["reason"], trade["pnl"]) == ("liquidation", -0.5)


def test_funding_is_paid_for_settlements_held_and_only_for_them() -> None:
    """Bought at 480, itself a settlement; held over 960; sold at the end at 1440."""
    minute = [475, 480, 955, 960, 1435]
    times = np.array(minute, "int64")
    flat = candles(*[FLAT] * 5, minute=minute)._replace(
        funding=settled(times, Funding(hours=8, bps=10.0))
    )
    once = simulate(flat, bought(5), rules())
    assert once.column("funding").tolist() == [0.5 * 0.001]
    twice = simulate(flat, bought(5), rules(funding_paid=2.0))
    assert twice.column("funding").tolist() == [2 * 0.5 * 0.001]
    short = bought(5)._replace(long=np.full(5, np.nan), short=bought(5).long)
    assert simulate(flat, short, rules(funding_paid=2.0)).column("funding").tolist() == [-0.0005]


def test_the_holding_limit_closes_at_the_first_open_after_it() -> None:
    trade = one([FLAT] * 8, holding=15)
    assert (trade["reason"], trade["entry_row"], trade["exit_row"]) == ("holding", 1, 4)


def test_what_is_open_at_the_end_is_closed_at_the_last_close_and_said() -> None:
    trade = one([FLAT, FLAT, (100, 120, 100, 120)], fee=0.001)
    assert (trade["reason"], trade["exit_price"]) == ("end", 120.0)
    assert trade["fee"] == pytest.approx(0.001 * (0.5 + 0.6))


def test_spot_never_sells_short_and_sell_closes() -> None:
    signals = bought(4, short={1: 0.9, 2: 0.9})
    table = simulate(candles(*[FLAT] * 4), signals, rules(shorts=False)).table()
    assert table[["side", "reason", "exit_row"]].values.tolist() == [["long", "signal", 2]]


def test_an_exit_head_closes_its_own_side() -> None:
    signals = bought(5, exit_short={1: 0.9}, exit_long={2: 0.9})
    table = simulate(candles(*[FLAT] * 5), signals, rules(exit_threshold=0.8)).table()
    assert table[["reason", "exit_row"]].values.tolist() == [["signal", 3]]


def test_same_close_fills_at_the_close_that_decided() -> None:
    bars = [(100, 100, 90, 90), (95, 99, 90, 99), (99, 99, 99, 99)]
    assert one(bars, at_close=True)["entry_price"] == 90.0
    assert one(bars)["entry_price"] == 95.0


def test_several_positions_share_the_margin() -> None:
    signals = bought(5, long={0: 1.0, 1: 1.0, 2: 1.0})
    table = simulate(candles(*[FLAT] * 5), signals, rules(), positions=3).table()
    assert table["margin"].tolist() == [0.5, 0.5]  # nothing is left for a third


def test_the_threshold_is_chosen_where_the_side_earns() -> None:
    """Probabilities below 0.7 buy before a fall, those above before a rise."""
    generator = np.random.default_rng(9)
    sure = generator.choice([0.6, 0.8], 400)
    moved = np.where(sure > 0.7, 1.01, 0.99)
    close = 100.0 * np.cumprod(np.r_[1.0, moved])[:400]
    opened = np.r_[100.0, close[:-1]]
    minute = np.arange(400) * STEP
    high, low = np.maximum(opened, close), np.minimum(opened, close)
    bars = Candles(opened, high, low, close, minute, np.zeros(400))
    silent = np.full(400, np.nan)
    signals = Signals(sure, silent, silent, silent, np.full(400, 0.5))
    plain = rules(holding=STEP)

    def trade(tried: Rules) -> Trades:
        return simulate(bars, signals, tried)

    assert choose_threshold(trade, plain, "long", (0.5, 0.7, 0.9)) == 0.7
    assert choose_threshold(trade, plain, "short", (0.5, 0.7, 0.9)) == 0.9


def test_a_threshold_is_chosen_for_the_machine_that_trades() -> None:
    seen: list[Rules] = []

    def trade(tried: Rules) -> Trades:
        seen.append(tried)
        return simulate(candles(FLAT), bought(1), tried, 3)

    choose_threshold(trade, rules(shorts=False, short_threshold=0.6), "long", (0.5, 0.7))
    assert [each.long_threshold for each in seen] == [0.5, 0.7]
    assert [each.short_threshold for each in seen] == [0.6, 0.6]
    seen.clear()
    choose_threshold(trade, rules(), "long", (0.5,))
    assert [each.short_threshold for each in seen] == [UNREACHED]
