"""Plain text for terminals: aligned tables, and what a card shows in them."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def table(rows: Sequence[Row]) -> str:
    """Align rows under the keys of the first one; numbers stand to the right.

    Examples
    --------
    >>> print(table([{"slot": "a/KRW-SOL", "versions": 2}, {"slot": "b/KRW-SOL", "versions": 11}]))
    slot       versions
    a/KRW-SOL         2
    b/KRW-SOL        11
    """
    names = list(rows[0])
    cells = [[cell(row[name]) for name in names] for row in rows]
    widths = [max(map(_width, column)) for column in zip(names, *cells, strict=True)]
    right = [any(isinstance(row[name], int | float) for row in rows) for name in names]
    lines = [_line(line, widths, right) for line in [names, *cells]]
    return "\n".join(lines)


def pairs(facts: Row) -> str:
    """Align facts under each other."""
    width = max(map(_width, facts))
    return "\n".join(f"{_padded(name, width)}  {cell(value)}" for name, value in facts.items())


def cell(value: object) -> str:
    r"""Write a value on one line; what a terminal would obey is replaced.

    Examples
    --------
    >>> cell(0.41234567), cell(None), cell(True), cell("a\x1b[2Jb")
    ('0.4123', '-', 'yes', 'a?[2Jb')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def card_facts(card: Row) -> dict[str, Any]:
    """Pick the facts of a card that say where a version comes from."""
    names = ("as_of", "exchange", "feed", "market", "timeframe", "reproducible")
    facts = {name: card[name] for name in names if name in card}
    if seeds := card.get("seeds"):
        facts["seeds"] = ", ".join(f"{name} {seed}" for name, seed in seeds.items())
    if data := card.get("data"):
        facts["data"] = f"{data.get('rows')} candles, {data.get('first')} to {data.get('last')}"
    for head, told in (card.get("certification") or {}).items():
        facts[f"refit of {head}"] = refit_line(told)
    return facts | {f"note {number}": told for number, told in enumerate(card.get("notes", []), 1)}


def refit_line(told: Row) -> str:
    """Tell how far a refit agrees with the model of the last fold.

    Examples
    --------
    >>> print(refit_line({"rows": 1524, "unlabelled_rows": 24, "rank_correlation": 0.81,
    ...             "unlabelled_rank_correlation": None, "signal_rate": 0.4,
    ...             "fold_signal_rate": 0.375}).split("; ")[1])
    signals 40.0 %, of the fold 37.5 %
    """
    every, unlabelled = (told.get(f"{part}rank_correlation") for part in ("", "unlabelled_"))
    own, fold = (f"{100 * told[name]:.1f} %" for name in ("signal_rate", "fold_signal_rate"))
    return (
        f"rank correlation with the last fold {cell(every)} on {told['rows']} rows, "
        f"{cell(unlabelled)} on the {told['unlabelled_rows']} unlabelled; signals {own}, of the "
        f"fold {fold}"
    )


def head_rows(card: Row) -> list[Row]:
    """One row per head: its triple and its classes."""
    return [
        {
            "head": name,
            "features": head.get("features"),
            "columns": len(head.get("columns", [])),
            "label": head.get("label"),
            "model": head.get("model"),
            "rows": head.get("rows"),
            "classes": _shares(head),
        }
        for name, head in card.get("heads", {}).items()
    ]


def metric_rows(card: Row) -> list[Row]:
    """One row per metric: the version's figure and, where there are several, each head's."""
    heads = card.get("heads_metrics", {})
    shown = heads if len(heads) > 1 else {}
    scores = card.get("scores", {})
    told_already = next(iter(scores.values())) if len(scores) == 1 else {}
    return [
        {"metric": name, "value": value, **{head: shown[head].get(name) for head in shown}}
        for name, value in card.get("metrics", {}).items()
        if name not in told_already
    ]


def score_rows(card: Row) -> list[Row]:
    """One row per head and figure: the value, its interval and every baseline."""
    scores = card.get("scores", {})
    rows = [(head, name, told) for head, named in scores.items() for name, told in named.items()]
    baselines = dict.fromkeys(name for *_, told in rows for name in told.get("baselines", {}))
    return [
        {**({"head": head} if len(scores) > 1 else {}), "score": name}
        | {key: told.get(key) for key in ("value", "low", "high")}
        | {key: told.get("baselines", {}).get(key) for key in baselines}
        for head, name, told in rows
    ]


def majority_balanced_accuracy(card: Row) -> float | None:
    """Balanced accuracy of always naming the most frequent class, mean over the heads.

    It is 1 / k for the k classes that occur.
    """
    shares = [head.get("class_shares", {}) for head in card.get("heads", {}).values()]
    counts = [sum(share > 0 for share in each.values()) for each in shares]
    known = [1 / count for count in counts if count]
    return sum(known) / len(known) if known else None


def _shares(head: Row) -> str:
    shares = head.get("class_shares", {})
    return ", ".join(f"{name} {shares.get(name, 0):.0%}" for name in head.get("classes", []))


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        _padded(text, width, right=to_right)
        for text, width, to_right in zip(cells, widths, right, strict=True)
    ]
    return "  ".join(padded).rstrip()


def _padded(text: str, width: int, *, right: bool = False) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
