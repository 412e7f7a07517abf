"""What was claimed for the four heads of the dual-model bot, and what each figure is, in words."""

from __future__ import annotations

from pipeline.experiments.reenacted.figures import Column, Figure, Standing

COLUMNS = (
    Column("accuracy", "right", "share"),
    Column("recall", "recall", "share"),
    Column("precision", "precision", "share"),
    Column("ranking", "avg. precision", "share"),
    Column("yes", "were yes", "share"),
    Column("rows", "rows", "count"),
)
CLAIMS: dict[str, tuple[float, float]] = {
    "long_entry": (0.938, 0.096),
    "short_entry": (0.971, 0.025),
    "long_exit": (0.894, 0.956),
    "short_exit": (0.896, 0.945),
}
THEN: dict[str, tuple[Standing, str]] = {
    "long_entry": (
        "flattered",
        "Five tests one after the other, each by a model of all rows before it; rows whose answer "
        "reaches into the test were not left out.",
    ),
    "short_entry": (
        "flattered",
        "Fitted on the first 64 % of the rows, tested on the last 20 %, by the label of that time: "
        "one close, three candles later.",
    ),
    "long_exit": (
        "leaked",
        "A fifth of the rows, drawn at random, was the test; the other candles of the same trade, "
        "and the same candle in up to four other trades, had been learnt.",
    ),
}
THEN["short_exit"] = THEN["long_exit"]
NEVER = (
    "Never once says yes, and is right whenever nothing happens, which is nearly always. A score "
    "that this wins says nothing."
)
PLAIN = (
    "An entry weighs no more than a candle without one, so the trees hardly ever say yes; the more "
    "silent they are, the more of their answers are right."
)
HONEST = (
    "Every row by a model that had not seen it, nor a row whose answer reaches into its test; rows "
    "of one trade never lie on both sides."
)
DIFFERS = (
    "Gradient-boosted trees of this product with parameters of the same meaning; rare answers are "
    "weighted, where the original also made up rows. Weighted trees say yes more often: less is "
    "right, and more is found.",
    "The 37 columns confirm highs and lows before they use them; the original saw up to five "
    "candles ahead in those of support and resistance.",
    "Which candles the claim rests on was not published; these are the newest 60 days before it.",
)


def claim(name: str) -> Figure:
    """What was published for a head."""
    accuracy, recall = CLAIMS[name]
    none = dict.fromkeys(("precision", "ranking", "yes", "rows"))
    return Figure(
        "claimed",
        "Claimed",
        "claimed",
        "Published as what to expect of a retraining.",
        {"accuracy": accuracy, "recall": recall, **none},
    )
