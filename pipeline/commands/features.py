"""``vintage features …``: what the columns of a feature set are, and their values."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

from pipeline.commands import feature_sets, feature_values
from pipeline.commands.arguments import Parser, parse, parser, with_words
from pipeline.commands.feature_words import Asked, read_words

SUMMARY = """\
What the columns of a feature set are, and what they say of stored candles.

  show                    every feature set; exit code 1 where one cannot be used
  show SET                its columns in order: indicator, unit, warm_up, memory, formulas
  show SET key=value …    the values of one row: market= exchange= recipe= as_of=, and at=MOMENT
  explain SET COLUMN      one column: formula, arguments, what it reads; with key=value … its
                          value at one candle, beside the candles that it read
  diff SET SET            columns added, removed, changed, in another order
  diff SET at=A at=B      two rows side by side, with the key=value … of their market

Values come from the candle store alone. at= is any moment inside a candle; without it, the
newest. A set with columns of trades needs a label that has trades: label=long_exit.
"""
EXAMPLES = [
    "vintage features show hourly46",
    "vintage features show hourly46 recipe=demo at=2025-12-19T12:00Z",
    "vintage features explain hourly46 rsi recipe=demo",
    "vintage features diff hourly46 scale_free",
    "vintage features diff hourly46 recipe=demo at=2025-12-18T00:00Z at=2025-12-19T00:00Z",
]
FOUND_BROKEN = 1
Told = tuple[Any, str]
ACTIONS: dict[str, Callable[[Asked], Told]] = {
    "show": lambda asked: feature_values.show(asked) if asked.of_data else feature_sets.show(asked),
    "explain": lambda asked: (
        feature_values.explain(asked) if asked.of_data else feature_sets.explain(asked)
    ),
    "diff": lambda asked: feature_values.diff(asked) if asked.of_data else feature_sets.diff(asked),
}


def main(argv: Sequence[str]) -> int:
    """Print facts of feature sets, as text or as JSON."""
    asked: argparse.Namespace = parse(with_words(_parser()), argv)
    facts, text = ACTIONS[asked.action](read_words(asked.words, asked.action))
    print(json.dumps(facts) if asked.json else text)
    return FOUND_BROKEN if _is_broken(facts) else 0


def _is_broken(facts: Any) -> bool:
    """Whether a list of sets names one that cannot be used."""
    return isinstance(facts, list) and any(feature_sets.ERROR in one for one in facts)


def _parser() -> Parser:
    made = parser("features", SUMMARY, EXAMPLES)
    made.add_argument("action", choices=tuple(ACTIONS))
    made.add_argument("--json", action="store_true", help="print JSON")
    return made
