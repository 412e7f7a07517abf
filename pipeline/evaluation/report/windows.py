"""Five days at a time, each from the same start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.evaluation.report.figures import count, decimal, percent, words
from pipeline.evaluation.report.layout import details, table
from pipeline.evaluation.report.markup import Content, Html

TITLE = "Five days at a time"
HEADER = ("Means of windows", "Windows", "Return", "Beside holding", "Trades", "Won", "Long")


def five_days(costs: dict[str, Any]) -> Html | None:
    """Means over the windows at each multiple of the costs; nothing where there is no window."""
    if not next(iter(costs.values()))["five_days"]["windows"]:
        return None
    return details(
        f"{TITLE}, a day apart, each from the same start",
        table(HEADER, _rows(costs), TITLE, "numbers"),
    )


def _rows(costs: dict[str, Any]) -> Iterator[list[Content]]:
    for number, (name, one) in enumerate(costs.items()):
        means = one["five_days"]
        yield _row(f"Costs {name}", means)
        if not number:
            for regime, part in means["by_regime"].items():
                yield _row(f"{words(regime)} markets, costs {name}", part)


def _row(name: str, means: dict[str, Any]) -> list[Content]:
    return [
        name,
        count(means["windows"]),
        percent(means["return"], 2, signed=True),
        percent(means["excess"], 2, signed=True),
        decimal(means["trades"], 1),
        percent(means["win_rate"]),
        percent(means["long_share"]),
    ]
