"""``vintage audit``: proof that a recipe finds nothing in noise, and an edge where there is one."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

import pandas as pd

from pipeline.commands.arguments import checkout, parse, parser, with_words
from pipeline.commands.console import progress
from pipeline.config import home
from pipeline.errors import GateError
from pipeline.experiments.audit.check import Result
from pipeline.operations.auditing import Audited, audit_recipe
from pipeline.operations.places import Places

EXAMPLES = (
    "vintage audit recipe=demo",
    "vintage audit recipe=upbit_hourly model=xgboost --full",
)
FAILED = GateError.exit_code
ROOM = 96
PASSED = "Passed: on these markets nothing was found where there is nothing, and nothing leaked."


def main(argv: Sequence[str]) -> int:
    """Run every check and print one table; a failed check is an exit code of its own."""
    made = parser("audit", "Run a recipe on markets of a known law; nothing is trained.", EXAMPLES)
    made.add_argument(
        "--full", action="store_true", help="200 markets of noise and 50 of each edge"
    )
    made.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parse(with_words(made), argv)
    at = pd.Timestamp.now(tz="UTC").isoformat()
    with progress("audit", logged=True) as show:
        done = audit_recipe(asked.words, Places(home(), checkout()), asked.full, at, show)
    print(json.dumps(_facts(done)) if asked.json else "\n".join(_story(done)))
    return 0 if done.audit.passed else FAILED


def _story(done: Audited) -> list[str]:
    audit = done.audit
    models = ", ".join(name.rpartition(".")[2] for name in audit.models)
    volume = "full" if audit.full else "short; --full judges 200 markets of noise"
    width = max(len(result.check) for result in audit.results)
    lead = f"  {'check':<{width}}  result  "
    lines = [
        f"audit of {audit.recipe}, {models} ({volume})",
        "",
        f"{lead}what would be wrong if it failed, and what was found",
        "",
    ]
    for result in audit.results:
        lines += _lines(result, width)
    failed = [result.check for result in audit.results if result.passed is False]
    lines += [
        "",
        f"FAILED: {', '.join(failed)}. To do: trust no figure of it." if failed else PASSED,
    ]
    if done.bars is None:
        lines.append("No recorded candles are in the store, so no bars were shuffled.")
    lines += [f"Kept in {done.file}", *(f"Noted on {name}" for name in done.noted)]
    return lines


def _lines(result: Result, width: int) -> list[str]:
    lead = f"  {result.check:<{width}}  {result.word:<6}  "
    hanging = " " * len(lead)
    caught = textwrap.fill(f"{lead}{result.catches}", ROOM, subsequent_indent=hanging)
    number = textwrap.fill(result.number, ROOM, initial_indent=hanging, subsequent_indent=hanging)
    return [caught, number]


def _facts(done: Audited) -> dict[str, object]:
    checks = [{**result.model_dump(), "catches": result.catches} for result in done.audit.results]
    return {
        **done.audit.model_dump(mode="json", exclude={"results"}),
        "passed": done.audit.passed,
        "checks": checks,
        "bars": done.bars,
        "file": str(done.file),
        "noted": list(done.noted),
    }
