"""Labels by plain loops over one candle after the other; slow, and sharing no code with ours.

Each oracle gives a list of rows: keys in milliseconds since 1970, then the label or the outcome,
then the moment it was known at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

Row = tuple[int, ...]


@dataclass(frozen=True)
class Plain:
    """Candles by open time in milliseconds, and the milliseconds of one."""

    candles: dict[int, dict[str, float]]
    step: int

    @classmethod
    def of(cls, frame: pd.DataFrame, step: pd.Timedelta) -> Plain:
        times = [int(time.timestamp() * 1000) for time in frame.index]
        rows = frame[["open", "high", "low", "close"]].to_dict("records")
        return cls(dict(zip(times, rows, strict=True)), int(step.total_seconds() * 1000))

    def close(self, time: int) -> float | None:
        candle = self.candles.get(time)
        return None if candle is None else candle["close"]

    def ahead(self, time: int, count: int) -> list[dict[str, float]] | None:
        """The next so many candles, None where one is missing."""
        found = [self.candles.get(time + k * self.step) for k in range(1, count + 1)]
        return None if None in found else found  # type: ignore[return-value]

    def back(self, hours: float) -> int:
        return math.ceil(hours * 3_600_000 / self.step)

    def volatility(self, time: int, window: int) -> float | None:
        """Root mean square of the one-candle returns of the newest `window` candles."""
        if time - window * self.step < next(iter(self.candles)):
            return None
        total, count = 0.0, 0
        for k in range(window):
            new, old = self.close(time - k * self.step), self.close(time - (k + 1) * self.step)
            if new is not None and old is not None:
                total += (new / old - 1) * (new / old - 1)
                count += 1
        return math.sqrt(total / count) if 2 * count >= window else None


def three_class_scaled(plain: Plain, label: Any) -> Iterator[Row]:
    horizon, window = plain.back(label.horizon_hours), plain.back(label.volatility_hours)
    for time, candle in plain.candles.items():
        end, volatility = time + horizon * plain.step, plain.volatility(time, window)
        later = plain.close(end)
        if later is None or volatility is None:
            continue
        limit = label.multiple * (volatility * math.sqrt(horizon))
        change = later / candle["close"] - 1
        found = 2 if change > limit else 0 if change < -limit else 1
        yield time, found, end + plain.step


def entry(plain: Plain, label: Any) -> Iterator[Row]:
    for time, candle in plain.candles.items():
        following = plain.ahead(time, label.horizon_candles)
        if following is None:
            continue
        closes = [each["close"] for each in following]
        if label.side == "long":
            gain = max(closes) / candle["close"] - 1
        else:
            gain = 1 - min(closes) / candle["close"]
        known = time + (label.horizon_candles + 1) * plain.step
        yield time, int(gain >= label.threshold), known


def triple_barrier(plain: Plain, label: Any) -> Iterator[Row]:
    horizon = plain.back(label.horizon_hours)
    for time, candle in plain.candles.items():
        scale = 1.0
        if label.volatility_hours is not None:
            volatility = plain.volatility(time, plain.back(label.volatility_hours))
            if not volatility:
                continue
            scale = volatility * math.sqrt(horizon)
        above = candle["close"] * (1 + label.profit * scale)
        below = candle["close"] * (1 - label.stop * scale)
        following = plain.ahead(time, horizon)
        if following is not None:
            yield (
                time,
                first_touch(following, (above, below), label.touched_by),
                time + (horizon + 1) * plain.step,
            )


def first_touch(
    following: list[dict[str, float]], barriers: tuple[float, float], touched_by: str
) -> int:
    upper, lower = ("high", "low") if touched_by == "high_low" else ("close", "close")
    for one in following:
        if one[lower] <= barriers[1]:
            return 0
        if one[upper] >= barriers[0]:
            return 2
    return 1


def high_vol(plain: Plain, label: Any) -> Iterator[tuple[int, float, int]]:
    horizon = plain.back(label.horizon_hours)
    for time, candle in plain.candles.items():
        following = plain.ahead(time, horizon)
        if following is None:
            continue
        if label.measure == "range":
            high, low = max(c["high"] for c in following), min(c["low"] for c in following)
            outcome = (high - low) / candle["close"]
        else:
            total, before = 0.0, candle["close"]
            for one in following:
                total += (one["close"] / before - 1) * (one["close"] / before - 1)
                before = one["close"]
            outcome = math.sqrt(total)
        yield time, outcome, time + (horizon + 1) * plain.step


def exit_(plain: Plain, label: Any) -> Iterator[Row]:
    rule = label.trades
    sign = 1 if rule.side == "long" else -1
    for entered, candle in plain.candles.items():
        if (entered // plain.step) % rule.every:
            continue
        following = plain.ahead(entered, rule.hold)
        if following is None:
            continue
        path = [0.0]
        for one in following:
            path.append(sign * (one["close"] / candle["close"] - 1))
            if path[-1] <= -rule.stop or path[-1] >= rule.profit:
                break
        end = len(path) - 1
        peak = max(path[1:])
        for held in range(rule.from_candle, end):
            later = path[min(held + label.horizon_candles, end)]
            good = path[held] >= label.share * peak and path[held] > later
            known = entered + (rule.hold + 1) * plain.step
            yield entered, entered + held * plain.step, int(good), known


ORACLES = {
    "ThreeClassScaled": three_class_scaled,
    "Entry": entry,
    "TripleBarrier": triple_barrier,
    "HighVol": high_vol,
    "Exit": exit_,
}


def slow_rows(frame: pd.DataFrame, label: Any, step: pd.Timedelta) -> list[Any]:
    """What the oracle of a label says of a candle frame."""
    return list(ORACLES[type(label).__name__](Plain.of(frame, step), label))


def own_rows(found: pd.DataFrame) -> list[Any]:
    """The same rows out of a label's own frame."""
    keys = [level_ms(found.index.get_level_values(name)) for name in found.index.names]
    value = found[found.columns[0]].tolist()
    return list(zip(*keys, value, level_ms(pd.DatetimeIndex(found["ends_at"])), strict=True))


def slow_weights(rows: list[Any], step: pd.Timedelta) -> list[float]:
    """Average uniqueness by walking through every candle of every row's interval."""
    length = int(step.total_seconds() * 1000)
    alive: dict[int, int] = {}
    spans = [range(row[-3] + length, row[-1], length) for row in rows]
    for span in spans:
        for slot in span:
            alive[slot] = alive.get(slot, 0) + 1
    return [sum(1 / alive[slot] for slot in span) / len(span) for span in spans]


def level_ms(times: pd.Index) -> list[int]:
    return pd.DatetimeIndex(times).as_unit("ms").asi8.tolist()
