"""The training facts as tables for people, in Markdown and for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from registry.tables import cell, refit_line

Facts = dict[str, Any]
Rows = list[list[Any]]
FITS = ("fit", "rows", "from", "to", "purged", "tested", "tested from", "tested to", "fitting")
CLASSES = ("class", "rows", "precision", "recall")
MOST_COLUMNS = 10
ESCAPED = r"\|"
MINUTES = 16  # characters of a moment, to the minute


def fit_rows(head: Facts) -> Rows:
    """One row for each fit of a head, under the header `FITS`."""
    return [
        [
            fit["fit"],
            fit["train_rows"],
            _minute(fit["train_from"]),
            _minute(fit["train_to"]),
            fit.get("purged_rows", 0),
            fit.get("test_rows"),
            _minute(fit.get("test_from")),
            _minute(fit.get("test_to")),
            "; ".join(_part(name, facts) for name, facts in fit["parts"].items()) or None,
        ]
        for fit in head["fits"]
    ]


def training_markdown(title: str, report: Facts) -> str:
    """The training report as Markdown, a section for each head."""
    lines = [f"# Training of {title}", ""]
    for name, head in report["heads"].items():
        lines += [f"## {name}", "", *_head(head)]
    libraries = ", ".join(f"{name} {version}" for name, version in report["libraries"].items())
    return "\n".join([*lines, f"Libraries: {libraries}.", ""])


def _head(head: Facts) -> Iterator[str]:
    shares = ", ".join(f"{name} {head['class_shares'][name]:.1%}" for name in head["classes"])
    shape = " x ".join(map(str, head["shape"]))
    yield (
        f"`{head['model']}` on {head['rows']} samples, {shape} "
        f"({head['bytes'] / 2**20:.1f} MiB of features): {shares}."
    )
    yield from ("", *_markdown(FITS, fit_rows(head)), "")
    if agreed := head.get("certification"):
        yield from (f"The refit, which is served: {refit_line(agreed)}.", "")
    yield from _learned([fit for fit in head["fits"] if "learned" in fit])
    yield "Moments are open times in UTC. Out of fold, each row judged by its own fold's model:"
    predicted = tuple(f"predicted {name}" for name in head["classes"])
    yield from ("", *_markdown((*CLASSES, *predicted), _class_rows(head)), "")
    yield from _importance([each for each in head["importance"] if each["error"]])


def _learned(fits: list[Facts]) -> Iterator[str]:
    if not fits:
        return
    yield "What each fit's training rows taught the label, and the class shares that follow:"
    rows = [
        [fit["fit"], _scalars(fit["learned"]), *map(_shares, (fit["train_shares"], tested))]
        for fit in fits
        for tested in [fit.get("test_shares", {})]
    ]
    yield from ("", *_markdown(("fit", "learned", "training rows", "test rows"), rows), "")


def _shares(shares: Facts) -> str | None:
    return ", ".join(f"{name} {share:.1%}" for name, share in shares.items()) or None


def _importance(columns: list[Facts]) -> Iterator[str]:
    if not columns:
        yield from ("No column changes what the model says.", "")
        return
    yield (
        "What the mean log loss grows by, in nats, when a column's windows are exchanged between "
        "out-of-fold rows; within two errors of 0 it is noise:"
    )
    rows = [[each["column"], each["increase"], each["error"]] for each in columns[:MOST_COLUMNS]]
    yield from ("", *_markdown(("column", "increase", "error"), rows), "")


def _class_rows(head: Facts) -> Rows:
    scores = [head["per_class"][name] for name in head["classes"]]
    return [
        [name, each["rows"], each["precision"], each["recall"], *counts]
        for name, each, counts in zip(head["classes"], scores, head["confusion"], strict=True)
    ]


def _part(name: str, facts: Facts) -> str:
    return f"{name}: {_scalars(facts)}"


def _scalars(facts: Facts) -> str:
    scalars = {key: value for key, value in facts.items() if not isinstance(value, list | dict)}
    return ", ".join(f"{key.replace('_', ' ')} {cell(value)}" for key, value in scalars.items())


def _minute(moment: str | None) -> str | None:
    return moment[:MINUTES].replace("T", " ") if moment else None


def _markdown(header: Sequence[str], rows: Rows) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(cell(value).replace('|', ESCAPED) for value in row)} |"
