"""What was claimed for the hourly classifier, and what each of its figures is, in words."""

from __future__ import annotations

from pipeline.experiments.reenacted.figures import Column, Figure, Standing

COLUMNS = (
    Column("accuracy", "right", "share"),
    Column("sell", "of sell", "share"),
    Column("hold", "of hold", "share"),
    Column("buy", "of buy", "share"),
    Column("balanced", "mean of 3", "share"),
    Column("loss", "least loss", "loss"),
    Column("rows", "rows", "count"),
)
CLAIMS: dict[str, tuple[float, ...]] = {
    "KRW-BTC": (0.8667, 0.8909, 0.8613, 0.8596),
    "KRW-ETH": (0.8105, 0.8421, 0.7545, 0.8500),
    "KRW-XRP": (0.8386, 0.8526, 0.7810, 0.8941),
    "KRW-SOL": (0.8281, 0.9352, 0.6506, 0.8617),
}
TEST_ROWS = 285
RETRAINED = Figure(
    "claimed_again",
    "Claimed for the nightly retraining",
    "claimed",
    "Published two weeks later, for the model that a nightly job had trained.",
    {
        "accuracy": 0.85,
        "sell": 0.74,
        "hold": 0.91,
        "buy": 0.75,
        "balanced": 0.8,
        "loss": 0.3710,
        "rows": None,
    },
)
RETRAINED_MARKET = "KRW-BTC"
WHY: dict[str, tuple[str, Standing, str]] = {
    "shuffled": (
        "As it was tested",
        "leaked",
        "The hours of the test were drawn at random from among those trained on, so the hours "
        "right before and after each of them, which share 23 of the 24 hours of its answer, had "
        "been learnt by heart.",
    ),
    "copied": (
        "No model at all, tested the same way",
        "leaked",
        "The answer of the nearest hour that was trained on, copied. Nothing is learnt and nothing "
        "is known of the market; that this scores as high says what the score is made of.",
    ),
    "by_time": (
        "The same model, tested on later hours",
        "honest",
        "Fitted on the first 70 % of the hours, the epoch chosen by the next 15 %, tested on the "
        "last 15 %; hours whose answer reaches into the next part are left out.",
    ),
    "commonest": (
        "Always the commonest answer, the same hours",
        "empty",
        "The answer that was commonest among the hours trained on, whatever the market does.",
    ),
    "out_of_fold": (
        "This product, out of fold",
        "honest",
        "The recipe's own model, each hour by one that was fitted on earlier hours alone.",
    ),
}
DIFFERS = (
    "An hour is described and judged at its own close. The original judged the hour after the "
    "one that it had described.",
    "Hours whose answer is unknown are left out, which the original called hold, and so are "
    "windows that lie across a hole. As then, the first rows, which have no long average yet, are "
    "filled from later ones; out of fold they are left out.",
    "One seed; the original set none.",
)
UNRECORDED = (
    "The hours of the claim are recorded from {start} on: its first {days} days cannot be run "
    "again, and later ones stand in their place."
)


def claim(market: str) -> Figure | None:
    """What was published for a market; None where nothing was."""
    if market not in CLAIMS:
        return None
    accuracy, sell, hold, buy = CLAIMS[market]
    values = {"accuracy": accuracy, "sell": sell, "hold": hold, "buy": buy, "loss": None}
    balanced = (sell + hold + buy) / 3
    return Figure(
        "claimed",
        "Claimed",
        "claimed",
        f"Published for {TEST_ROWS} hours.",
        {**values, "balanced": balanced, "rows": TEST_ROWS},
    )
