"""What was claimed for the dual-model bot, and what each of its figures is, in words."""

from __future__ import annotations

from pipeline.experiments.reenacted.dual_rules import Thresholds
from pipeline.experiments.reenacted.figures import Column, Figure, Standing

CLAIM = "+14.98 % in five days on average, 66.2 % of its trades won."
AHEAD, PUBLISHED = "Labels that look ahead only", "The short label as it was published"
COLUMNS = (
    Column("return", "per 5 days", "change"),
    Column("win_rate", "won", "share"),
    Column("long_share", "long", "share"),
    Column("short_share", "short", "share"),
    Column("trades", "trades", "mean"),
    Column("windows", "windows", "count"),
    Column("held", "held", "change"),
)
CLAIMED = Figure(
    "claimed",
    "Claimed",
    "claimed",
    "Published for 55 windows: 903 trades long, 128 short.",
    {
        "return": 0.1498,
        "win_rate": 0.662,
        "long_share": 0.876,
        "short_share": 0.124,
        "trades": 1031 / 55,
        "windows": 55,
        "held": None,
    },
    AHEAD,
)
WHY: dict[str, tuple[str, Standing, str]] = {
    "in_sample": (
        "In sample",
        "leaked",
        "Fitted on the very rows it trades: the models had been told what each of these candles "
        "was followed by.",
    ),
    "out_of_sample": (
        "Out of sample",
        "flattered",
        "Fitted on the first 70 %, trades the last 30 %, still at 0.02 % a side and filled at the "
        "close that decided.",
    ),
    "real_costs": (
        "Out of sample, at real costs",
        "flattered",
        "The same signals with the fee, slippage and funding of the market's file; still filled "
        "at the close that decided.",
    ),
}
HONEST = (
    "Every row by a model that had not seen it, filled at the next open, stops met inside the "
    "candle, all costs"
)
HONEST_WHY = {
    "stated": f"{HONEST}; entered from the bot's own 0.7.",
    "folds": f"{HONEST}; entered from what earned most before each fold. Where nothing had earned "
    "anything that is the highest threshold: it loses less because it trades less.",
}
HONEST_FIGURES: tuple[tuple[Thresholds, str, str], ...] = (
    ("stated", "honest_stated", "Out of fold, its own thresholds"),
    ("folds", "honest", "Out of fold, learnt thresholds"),
)
DIFFERS = (
    "Gradient-boosted trees of this product with parameters of the same meaning; rare entries are "
    "weighted, where the original also made up rows.",
    "The 37 columns confirm highs and lows before they use them; the original saw up to five "
    "candles ahead in those of support and resistance.",
    "In sample, both models are fitted on all rows; the original fitted its short model on the "
    "first 64 %.",
    "Published label: the lowest of the closes before, at and after a candle. It is largely known "
    "when it is asked for; a candle that has just jumped is called an entry.",
    "A position open at a window's end is closed there and counted; the original left it out.",
)
