from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.features import rolling
from pipeline.features.indicators import INDICATORS, CandleArrays, Indicator, indicator

NAN = float("nan")
FIRST = np.array([0])


def flat(rows: int, price: float = 0.1, volume: float = 0.0) -> CandleArrays:
    prices = np.full(rows, price)
    return CandleArrays(prices, prices, prices, prices, *[np.full(rows, volume)] * 2)


def closes(values: Sequence[float], **columns: Sequence[float]) -> CandleArrays:
    names = ("open", "high", "low", "close", "volume", "value")
    return CandleArrays(*(np.array(columns.get(name, values), dtype=float) for name in names))


def told(name: str, candles: CandleArrays, **arguments: object) -> list[float]:
    found = INDICATORS[name]
    values: list[float] = found.function(candles, **found.complete(arguments)).tolist()
    return values


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("candle", {"field": "close"}, [4.0, 5.0, 3.0, 3.0]),
        ("change", {"periods": 2}, [NAN, NAN, -0.25, -0.4]),
        ("log_change", {"periods": 3}, [NAN, NAN, NAN, math.log(0.75)]),
        ("momentum", {"periods": 1}, [NAN, 1.0, -2.0, 0.0]),
        ("moving_average", {"window": 3}, [NAN, NAN, 4.0, 11 / 3]),
        ("to_moving_average", {"window": 3}, [NAN, NAN, 0.75, 9 / 11]),
        ("exponential_average", {"span": 3}, [4.0, 4.5, 3.75, 3.375]),
        ("rsi", {"window": 2, "kind": "simple"}, [NAN, NAN, 100 / 3, 0.0]),
        ("rsi", {"window": 2, "kind": "wilder"}, [NAN, NAN, 100 / 3, 100 / 3]),
        ("macd", {"line": "macd", "fast": 3, "slow": 7}, [0.0, 0.25, -0.1875, -0.328125]),
        ("bollinger", {"window": 2, "part": "width"}, [NAN, 2**0.5 * 4 / 9, 2**0.5, 0.0]),
        ("bollinger", {"window": 2, "part": "upper", "ddof": 0}, [NAN, 5.5, 6.0, 3.0]),
        ("bollinger", {"window": 2, "part": "lower", "ddof": 0}, [NAN, 3.5, 2.0, 3.0]),
        ("bollinger", {"window": 2, "part": "middle"}, [NAN, 4.5, 4.0, 3.0]),
        ("bollinger", {"window": 2, "part": "position", "ddof": 0}, [NAN, 0.75, 0.25, 0.5]),
        ("volatility", {"window": 2, "ddof": 0}, [NAN, NAN, 0.325, 0.2]),
    ],
)
def test_values_worked_out_by_hand(
    name: str, arguments: dict[str, object], expected: list[float]
) -> None:
    candles = closes([4.0, 5.0, 3.0, 3.0])
    assert told(name, candles, **arguments) == pytest.approx(expected, rel=1e-15, nan_ok=True)


def test_macd_lines_belong_together() -> None:
    candles = closes(np.cumsum(np.arange(30.0)).tolist())
    line, signal, histogram = (
        np.array(told("macd", candles, line=name)) for name in ("macd", "signal", "histogram")
    )
    assert signal.tolist() == rolling.exponential_mean(line, 0.2, FIRST).tolist()
    assert histogram.tolist() == (line - signal).tolist()


def test_true_range_spans_the_close_before() -> None:
    candles = closes(
        [10.0, 10.0, 20.0, 5.0], high=[11.0, 12.0, 21.0, 6.0], low=[9.0, 9.0, 19.0, 4.0]
    )
    assert told("atr", candles, window=2) == pytest.approx([NAN, NAN, 7.0, 13.5], nan_ok=True)
    relative = told("atr", candles, window=2, relative=True)
    assert relative == pytest.approx([NAN, NAN, 0.35, 2.7], nan_ok=True)


def test_ratio_of_two_prices() -> None:
    candles = closes([2.0], high=[6.0])
    assert told("ratio", candles, numerator="high", denominator="low") == [3.0]


@pytest.mark.parametrize("window", [3, 7, 20, 97, 1500])
def test_a_flat_market_has_no_width_whatever_the_price(window: int) -> None:
    candles = flat(window + 3, price=0.1 + 0.2)
    assert told("bollinger", candles, window=window, part="position")[window - 1 :] == [0.5] * 4
    assert told("bollinger", candles, window=window, part="width")[-1] == 0.0
    assert told("volatility", candles, window=window)[-1] == 0.0
    assert told("rsi", candles, window=window, kind="simple")[-1] == 50.0
    assert told("rsi", candles, window=window, kind="wilder")[-1] == 50.0
    assert told("exponential_average", candles, span=window)[-1] == 0.1 + 0.2


def test_rsi_without_losses_and_without_gains() -> None:
    rising = [1.0, 2.0, 3.0, 4.0]
    for kind in ("simple", "wilder"):
        assert told("rsi", closes(rising), window=3, kind=kind)[-1] == 100.0
        assert told("rsi", closes(rising[::-1]), window=3, kind=kind)[-1] == 0.0


def test_volumes_of_zero_have_defined_values() -> None:
    candles = closes([1.0] * 5, volume=[0.0, 0.0, 3.0, 0.0, 0.0])
    assert told("change", candles, periods=1, field="volume")[1:] == [0.0, 1.0, -1.0, 0.0]
    relative = told("to_moving_average", candles, window=2, field="volume")
    assert relative[1:] == [1.0, 2.0, 0.0, 1.0]


@pytest.mark.parametrize("window", [2, 3, 31, 100, 1023, 1024, 1025, 2600])
def test_windows_agree_with_numpy_across_blocks(window: int) -> None:
    values = np.random.default_rng(window).normal(size=4000) + 10.0
    windows = np.lib.stride_tricks.sliding_window_view(values, window)
    for found, expected in (
        (rolling.rolling_mean(values, window), windows.mean(axis=1)),
        (rolling.rolling_deviation(values, window, 1), windows.std(axis=1, ddof=1)),
    ):
        assert np.isnan(found[: window - 1]).all()
        np.testing.assert_allclose(found[window - 1 :], expected, rtol=1e-11)


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_too_few_candles_give_no_value_and_no_error(rows: int) -> None:
    candles = flat(rows, volume=1.0)
    assert all(math.isnan(x) for x in told("moving_average", candles, window=5))
    assert all(math.isnan(x) for x in told("volatility", candles, window=5))
    assert all(math.isnan(x) for x in told("rsi", candles, window=5, kind="wilder"))
    assert len(told("macd", candles, line="signal")) == rows


def test_a_gap_in_the_values_stays_inside_its_windows() -> None:
    values = np.arange(40.0)
    values[20] = np.nan
    for found in (rolling.rolling_mean(values, 7), rolling.rolling_deviation(values, 7, 1)):
        assert np.flatnonzero(np.isnan(found[6:])).tolist() == list(range(14, 21))


def test_an_exponential_mean_starts_at_the_first_number() -> None:
    assert rolling.exponential_mean(np.array([NAN, 2.0, 4.0]), 0.5, FIRST).tolist()[1:] == [
        2.0,
        3.0,
    ]
    assert np.isnan(rolling.exponential_mean(np.array([NAN, NAN]), 0.5, FIRST)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"windw": 5}, "no argument 'windw': did you mean window"),
        ({}, "needs the argument 'window'"),
        ({"window": 1}, "greater than or equal to 2"),
        ({"window": 5001}, "less than or equal to 5000"),
        ({"window": "14"}, "'14': input should be a valid integer"),
        ({"window": True}, "valid integer"),
        ({"window": 14, "field": "mid"}, "'open', 'high'"),
    ],
)
def test_arguments_are_checked(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        INDICATORS["moving_average"].complete(arguments)


def test_not_a_number_is_no_argument() -> None:
    with pytest.raises(ValueError, match="finite"):
        INDICATORS["bollinger"].complete({"window": 5, "part": "upper", "multiple": math.inf})


def test_defaults_are_filled_in() -> None:
    complete = INDICATORS["bollinger"].complete({"part": "upper", "window": 20, "multiple": 2})
    assert complete == {"window": 20, "part": "upper", "multiple": 2.0, "ddof": 1}
    assert isinstance(complete["multiple"], float)


def test_the_columns_an_indicator_reads() -> None:
    def reads(name: str, **arguments: object) -> tuple[str, ...]:
        found: Indicator = INDICATORS[name]
        return found.reads(found.complete(arguments))

    assert reads("atr", window=14) == ("high", "low", "close")
    assert reads("ratio", numerator="close", denominator="open") == ("open", "close")
    assert reads("moving_average", window=5) == ("close",)
    assert reads("candle", field="value") == ("value",)


def test_the_table_is_closed() -> None:
    with pytest.raises(TypeError):
        INDICATORS["mine"] = INDICATORS["rsi"]  # type: ignore[index]
    with pytest.raises(ValueError, match="two indicators are named rsi"):
        indicator(warm_up=len, memory=len, formula="", unit="1", scale_free=True)(
            INDICATORS["rsi"].function
        )
