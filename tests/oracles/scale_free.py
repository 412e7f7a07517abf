"""The columns without price levels, made again from the oracles of the other two sets."""

from __future__ import annotations

import pandas as pd

from tests.oracles.entry37 import entry37
from tests.oracles.hourly46 import hourly46

NO_LEVELS = (
    *("returns", "high_low_ratio", "close_open_ratio", "volume_change", "volume_ma_ratio", "rsi"),
    *("bb_width", "bb_position", "atr_ratio", "volatility_5", "volatility_20"),
    *("roc_5", "roc_10", "roc_20", *(f"price_to_sma_{n}" for n in (5, 10, 20, 50, 100))),
)
ELSEWHERE = ("close_change_1", "close_change_3", "volume_ma_ratio", "atr_pct")


def scale_free(candles: pd.DataFrame) -> pd.DataFrame:
    """Every column as float64."""
    hourly, entry, close = hourly46(candles), entry37(candles), candles["close"]
    columns = {name: hourly[name] for name in NO_LEVELS}
    for span in (5, 10, 20, 50, 100):
        columns[f"price_to_ema_{span}"] = close / hourly[f"ema_{span}"]
    for name in ("macd", "macd_signal", "macd_hist"):
        columns[f"{name}_share"] = hourly[name] / close
    columns["rsi_wilder"] = entry["rsi"]
    for side in ("upper", "lower"):
        slope = entry[f"{side}_trendline_slope"]
        columns[f"{side}_trendline_slope_share"] = slope / close
    same = [
        name
        for name in entry
        if name not in ELSEWHERE
        and not name.startswith(("rsi", "macd", "bb_"))
        and "slope" not in name
    ]
    same += [name for name in entry if name.endswith("_divergence")]
    return pd.DataFrame(columns | {name: entry[name] for name in same})
