"""The 37 columns of entries, computed a second time: plain loops in extended precision.

A row looks back from itself and nowhere else; what is a pivot is asked anew at every row, of
the candles up to it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from tests.oracles.hourly46 import NAN, Real, Series, _both, _ema, _mean, _since, _windows

Pair = tuple[Real, Real] | None
NEARLY = Real(1e-9)


def entry37(candles: pd.DataFrame) -> pd.DataFrame:
    """Every column as float64, from its textbook formula."""
    names = ("open", "high", "low", "close", "volume")
    o, h, low, c, v = ([Real(x) for x in candles[name]] for name in names)
    columns: dict[str, Series] = {}
    for periods in (1, 3):
        columns[f"close_change_{periods}"] = _since(c, periods, lambda now, then: now / then - 1)
    columns["volume_ma_ratio"] = _both(v, _windows(v, 20, _mean), lambda a, b: a / b)
    columns["rsi"] = wilder_rsi(c, 14)
    columns["macd"] = _both(_ema(c, 12), _ema(c, 26), lambda a, b: a - b)
    columns["macd_signal"] = _ema(columns["macd"], 9)
    columns["macd_diff"] = _both(columns["macd"], columns["macd_signal"], lambda a, b: a - b)
    columns["bb_mid"] = _windows(c, 20, _mean)
    spread = _windows(c, 20, _population_deviation)
    columns["bb_high"] = _both(columns["bb_mid"], spread, lambda a, b: a + 2 * b)
    columns["bb_low"] = _both(columns["bb_mid"], spread, lambda a, b: a - 2 * b)
    columns |= _levels(h, low, c)
    columns |= _lines(h, low, c)
    columns |= _divergences(c, columns["rsi"], columns["macd"])
    columns |= _pairs(h, low)
    columns["atr_pct"] = _atr_percent(h, low, c)
    columns["volume_price_correlation"] = [
        _correlation(v[t - 19 : t + 1], c[t - 19 : t + 1]) if t >= 19 else NAN
        for t in range(len(c))
    ]
    columns |= _shapes(o, h, low, c, v)
    return pd.DataFrame(columns, index=candles.index).astype("float64")


def wilder_rsi(close: Series, window: int) -> Series:
    """Mean gain and loss smoothed by 1 / window, seeded with the first change."""
    found, gain, loss = [NAN], Real(0), Real(0)
    for t in range(1, len(close)):
        up, down = max(close[t] - close[t - 1], Real(0)), max(close[t - 1] - close[t], Real(0))
        share = Real(1) / window if t > 1 else Real(1)
        gain, loss = gain + share * (up - gain), loss + share * (down - loss)
        found.append(Real(50) if gain + loss == 0 else 100 * gain / (gain + loss))
    return found


def _population_deviation(values: Series) -> Real:
    mean = _mean(values)
    return np.sqrt(sum(((x - mean) ** 2 for x in values), Real(0)) / len(values))


def _levels(high: Series, low: Series, close: Series) -> dict[str, Series]:
    columns: dict[str, Series] = {
        name: []
        for name in (
            "distance_to_support_pct",
            "num_support_touches",
            "distance_to_resistance_pct",
            "num_resistance_touches",
        )
    }
    for t, price in enumerate(close):
        for side, sign, values in (("support", -1, low), ("resistance", 1, high)):
            distance, touches = NAN, NAN
            if t >= 55:
                found = [
                    values[i]
                    for i in range(t - 50, t - 4)
                    if all(sign * values[i] >= sign * values[j] for j in range(i - 5, i + 6))
                ]
                beyond = [level for level in found if sign * level > sign * price]
                recent = values[t - 50 : t + 1]
                level = sign * min(
                    sign * x for x in beyond or [sign * max(sign * y for y in recent)]
                )
                touches = Real(
                    sum(abs(x - level) <= level * Real(0.005) * (1 + NEARLY) for x in found)
                    if beyond
                    else 0
                )
                distance = sign * (level - price) / price * 100
            columns[f"distance_to_{side}_pct"].append(distance)
            columns[f"num_{side}_touches"].append(touches)
    return columns


def _lines(high: Series, low: Series, close: Series) -> dict[str, Series]:
    found: dict[str, Series] = {}
    steps = [Real(x) for x in range(20)]
    for side, values in (("upper", high), ("lower", low)):
        slopes, apart = [], []
        for t, price in enumerate(close):
            slope = here = NAN
            if t >= 20:
                past, middle = values[t - 20 : t], _mean(steps)
                mean = _mean(past)
                slope = sum(
                    ((x - middle) * (y - mean) for x, y in zip(steps, past, strict=True)), Real(0)
                ) / sum(((x - middle) ** 2 for x in steps), Real(0))
                here = slope * 20 + (mean - slope * middle)
            slopes.append(slope)
            apart.append((price - here) / price * 100)
        found[f"{side}_trendline_slope"] = slopes
        found[f"price_vs_{side}_trendline_pct"] = apart
    return found


def _last_pair(values: Series, t: int, window: int, margin: Callable[[int], Real]) -> Pair:
    found = [
        values[i]
        for i in range(max(t - window, 3), t - 2)
        if all(values[i] - values[j] > margin(i) for j in range(i - 3, i + 4) if j != i)
    ]
    return (found[-2], found[-1]) if len(found) > 1 else None


def _divergences(close: Series, rsi: Series, macd: Series) -> dict[str, Series]:
    found: dict[str, Series] = {}
    margins: dict[str, Callable[[int], Real]] = {
        "rsi": lambda _: 100 * NEARLY,
        "macd": lambda row: NEARLY * close[row],
    }
    for name, values in (("rsi", rsi), ("macd", macd)):
        for kind, sign in (("bullish", -1), ("bearish", 1)):
            flags = []
            price, other = [sign * x for x in close], [sign * x for x in values]
            for t in range(len(close)):
                prices = _last_pair(price, t, 50, lambda _: Real(0))
                others = _last_pair(other, t, 50, margins[name])
                flag = (
                    prices is not None
                    and others is not None
                    and prices[1] > prices[0]
                    and others[0] - others[1] > margins[name](t)
                )
                flags.append(Real(flag))
            found[f"{name}_{kind}_divergence"] = flags
    return found


def _pairs(high: Series, low: Series) -> dict[str, Series]:
    names = ("double_top", "double_bottom", "higher_highs_lows", "lower_highs_lows")
    found: dict[str, Series] = {name: [] for name in names}
    deep = [-x for x in low]
    for t in range(len(high)):
        tops = _last_pair(high, t, 20, lambda _: Real(0))
        bottoms = _last_pair(deep, t, 20, lambda _: Real(0))
        found["double_top"].append(Real(_level(tops)))
        found["double_bottom"].append(Real(_level(bottoms)))
        both = tops is not None and bottoms is not None
        higher = both and tops[1] > tops[0] and -bottoms[1] > -bottoms[0]
        lower = both and tops[1] < tops[0] and -bottoms[1] < -bottoms[0]
        found["higher_highs_lows"].append(Real(higher))
        found["lower_highs_lows"].append(Real(lower))
    return found


def _level(pair: Pair) -> bool:
    if pair is None:
        return False
    sizes = [abs(x) for x in pair]
    return bool(max(sizes) - min(sizes) <= Real(0.01) * (1 + NEARLY) * max(sizes))


def _atr_percent(high: Series, low: Series, close: Series) -> Series:
    ranges = [NAN] + [
        max(high[t] - low[t], abs(high[t] - close[t - 1]), abs(low[t] - close[t - 1]))
        for t in range(1, len(close))
    ]
    return _both(_windows(ranges, 14, _mean), close, lambda a, b: a / b * 100)


def _correlation(left: Series, right: Series) -> Real:
    if min(left) == max(left) or min(right) == max(right):
        return Real(0)
    one, other = _mean(left), _mean(right)
    products = sum(((a - one) * (b - other) for a, b in zip(left, right, strict=True)), Real(0))
    squares = sum(((a - one) ** 2 for a in left), Real(0)) * sum(
        ((b - other) ** 2 for b in right), Real(0)
    )
    return products / np.sqrt(squares)


def _shapes(o: Series, h: Series, low: Series, c: Series, v: Series) -> dict[str, Series]:
    found: dict[str, Series] = {}

    def put(name: str, value: Real | bool) -> None:
        found.setdefault(name, []).append(Real(value))

    for t in range(len(c)):
        size = h[t] - low[t]
        body, upper, lower = (
            (
                abs(c[t] - o[t]) / size,
                (h[t] - max(o[t], c[t])) / size,
                (min(o[t], c[t]) - low[t]) / size,
            )
            if size
            else (Real(0), Real(0), Real(0))
        )
        rise, more = (c[t] - c[t - 1], v[t] > v[t - 1]) if t else (NAN, False)
        put("price_volume_trend", NAN if not t else Real(np.sign(rise)) if more else Real(0))
        put("body_to_range_ratio", body)
        put("upper_shadow_ratio", upper)
        put("lower_shadow_ratio", lower)
        red_before, green_before = t and c[t - 1] < o[t - 1], t and c[t - 1] > o[t - 1]
        put(
            "bullish_engulfing",
            bool(red_before and o[t] < c[t - 1] and c[t] > o[t - 1] and c[t] > o[t]),
        )
        put(
            "bearish_engulfing",
            bool(green_before and o[t] > c[t - 1] and c[t] < o[t - 1] and c[t] < o[t]),
        )
        put("hammer", body < Real(0.3) - NEARLY and lower > Real(0.6) + NEARLY)
        put("shooting_star", body < Real(0.3) - NEARLY and upper > Real(0.6) + NEARLY)
        put("doji", body < Real(0.1) - NEARLY)
    return found
