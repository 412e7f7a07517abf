"""Numbers of a re-enactment as text."""

from __future__ import annotations

from pipeline.evaluation.report.figures import GAP, MINUS, count, decimal, percent
from pipeline.experiments.reenacted.figures import Kind


def shown(value: float | None, kind: Kind) -> str:
    """A number for a page.

    Examples
    --------
    >>> shown(0.25, "mean")
    '0.2'
    """
    match kind:
        case "change":
            return percent(value, 2, signed=True)
        case "share":
            return percent(value)
        case "mean":
            return decimal(value, 1)
        case "loss":
            return decimal(value, 4)
    return count(value)


def written(value: float | None, kind: Kind) -> str:
    """A number for a terminal, without characters that it may lack.

    Examples
    --------
    >>> written(-0.0853, "change"), written(0.662, "share"), written(None, "count")
    ('-8.53 %', '66.2 %', '-')
    """
    return "-" if value is None else shown(value, kind).replace(MINUS, "-").replace(GAP, " ")
