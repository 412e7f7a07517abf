"""One picture of several claims: claimed, as it was tested, honest, and always the same answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline.experiments.reenacted.drawing import (
    EMPTY,
    HONEST,
    LEAKED,
    QUIET,
    RULE,
    box,
    path,
    picture,
    words,
)
from pipeline.experiments.reenacted.figures import Reenacted

LEFT, RIGHT, BAR, GAP = 120, 690, 16, 4
LEGEND, IN_ROW = 212, 3
BARS = (
    ("claimed", "claimed", "none"),
    ("shuffled", "as it was tested", LEAKED),
    ("copied", "no model, tested the same way", "#f0b67f"),
    ("by_time", "the same model, later hours", HONEST),
    ("commonest", "always one answer, later hours", EMPTY),
)


def four_bars(found: Sequence[Reenacted]) -> str:
    """Bars of accuracy for each re-enactment that has all the figures of `BARS`."""
    block = len(BARS) * (BAR + GAP) + 22
    height = 54 + block * len(found) + 76
    parts = [words((20, 28), "Right answers, claimed and re-enacted", 16)]
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = _x(share)
        parts += [path([(x, 46), (x, height - 90)], RULE, 1)]
        parts += [words((x, height - 72), f"{100 * share:.0f} %", 13, QUIET, "middle")]
    for number, one in enumerate(found):
        parts += _block(one, 54 + block * number)
    return picture("Right answers, claimed and re-enacted", height, [*parts, *_legend(height - 38)])


def _block(one: Reenacted, top: int) -> Iterator[str]:
    yield words((20, top + 2 * (BAR + GAP)), one.name.removeprefix("hourly-"), 16)
    for row, (name, _, fill) in enumerate(BARS):
        value = one.figure(name).values["accuracy"] or 0.0
        y = top + row * (BAR + GAP)
        outline = QUIET if fill == "none" else "none"
        yield box((_x(0), y), (_x(value) - _x(0), BAR), fill, outline)
        yield words((_x(value) + 8, y + 13), f"{100 * value:.1f} %", 13)


def _legend(y: int) -> Iterator[str]:
    for number, (_, told, fill) in enumerate(BARS):
        x, row = LEFT + LEGEND * (number % IN_ROW), y + 22 * (number // IN_ROW)
        yield box((x, row - 11), (12, 12), fill, QUIET if fill == "none" else "none")
        yield words((x + 18, row), told, 12, QUIET)


def _x(share: float) -> float:
    return LEFT + (RIGHT - LEFT) * share
