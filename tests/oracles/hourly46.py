"""The 46 hourly columns, computed a second time: plain loops in extended precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

Real = np.longdouble
Series = list[Real]
NAN = Real("nan")


def hourly46(candles: pd.DataFrame) -> pd.DataFrame:
    """Every column as float64, from its textbook formula."""
    raw = {name: [Real(x) for x in candles[name]] for name in candles.columns}
    close, volume = raw["close"], raw["volume"]
    columns: dict[str, Series] = dict(raw)
    columns["returns"] = _since(close, 1, lambda now, then: now / then - 1)
    columns["log_returns"] = _since(close, 1, lambda now, then: np.log(now / then))
    columns["high_low_ratio"] = _both(raw["high"], raw["low"], lambda a, b: a / b)
    columns["close_open_ratio"] = _both(close, raw["open"], lambda a, b: a / b)
    columns["volume_change"] = _since(volume, 1, _volume_change)
    columns["volume_ma_ratio"] = _both(
        volume, _windows(volume, 20, _mean), lambda a, b: a / b if b else Real(1)
    )
    columns["rsi"] = _rsi(close)
    columns |= _macd(close)
    columns |= _bands(close)
    columns["atr"] = _atr(raw["high"], raw["low"], close)
    columns["atr_ratio"] = _both(columns["atr"], close, lambda a, b: a / b)
    for period in (5, 10, 20, 50, 100):
        columns[f"sma_{period}"] = _windows(close, period, _mean)
        columns[f"ema_{period}"] = _ema(close, period)
        columns[f"price_to_sma_{period}"] = _both(
            close, columns[f"sma_{period}"], lambda a, b: a / b
        )
    for period in (5, 20):
        columns[f"volatility_{period}"] = _windows(columns["returns"], period, _deviation)
    for period in (5, 10, 20):
        columns[f"momentum_{period}"] = _since(close, period, lambda now, then: now - then)
        columns[f"roc_{period}"] = _since(close, period, lambda now, then: now / then - 1)
    return pd.DataFrame(columns, index=candles.index).astype("float64")


def _since(values: Series, periods: int, formula: Callable[[Real, Real], Real]) -> Series:
    return [
        formula(values[t], values[t - periods]) if t >= periods else NAN for t in range(len(values))
    ]


def _both(left: Series, right: Series, formula: Callable[[Real, Real], Real]) -> Series:
    return [formula(a, b) for a, b in zip(left, right, strict=True)]


def _windows(values: Series, size: int, formula: Callable[[Series], Real]) -> Series:
    return [
        formula(values[t - size + 1 : t + 1]) if t >= size - 1 else NAN for t in range(len(values))
    ]


def _mean(values: Series) -> Real:
    return sum(values, Real(0)) / len(values)


def _deviation(values: Series) -> Real:
    mean = _mean(values)
    return np.sqrt(sum(((x - mean) ** 2 for x in values), Real(0)) / (len(values) - 1))


def _ema(values: Series, span: int) -> Series:
    weight = Real(2) / (span + 1)
    means = [values[0]]
    for value in values[1:]:
        means.append(weight * value + (1 - weight) * means[-1])
    return means


def _volume_change(now: Real, then: Real) -> Real:
    if then:
        return now / then - 1
    return Real(1) if now else Real(0)


def _rsi(close: Series) -> Series:
    gains = _since(close, 1, lambda now, then: now - then if now > then else Real(0))
    losses = _since(close, 1, lambda now, then: then - now if then > now else Real(0))

    def formula(gain: Real, loss: Real) -> Real:
        if np.isnan(gain):
            return NAN
        if loss == 0:
            return Real(100) if gain else Real(50)
        return 100 - 100 / (1 + gain / loss)

    return _both(_windows(gains, 14, _mean), _windows(losses, 14, _mean), formula)


def _macd(close: Series) -> dict[str, Series]:
    macd = _both(_ema(close, 12), _ema(close, 26), lambda a, b: a - b)
    signal = _ema(macd, 9)
    histogram = _both(macd, signal, lambda a, b: a - b)
    return {"macd": macd, "macd_signal": signal, "macd_hist": histogram}


def _bands(close: Series) -> dict[str, Series]:
    middle = _windows(close, 20, _mean)
    flat = _windows(close, 20, lambda values: Real(min(values) == max(values)))
    deviation = _windows(close, 20, _deviation)
    upper = _both(middle, deviation, lambda a, b: a + 2 * b)
    lower = _both(middle, deviation, lambda a, b: a - 2 * b)
    width = [(u - w) / m for u, w, m in zip(upper, lower, middle, strict=True)]
    position = [
        Real(0.5) if f == 1 else (c - w) / (u - w)
        for f, c, u, w in zip(flat, close, upper, lower, strict=True)
    ]
    return {
        "bb_upper": upper,
        "bb_middle": middle,
        "bb_lower": lower,
        "bb_width": width,
        "bb_position": position,
    }


def _atr(high: Series, low: Series, close: Series) -> Series:
    ranges = [NAN] + [
        max(high[t] - low[t], abs(high[t] - close[t - 1]), abs(low[t] - close[t - 1]))
        for t in range(1, len(close))
    ]
    return _windows(ranges, 14, _mean)
