"""``vintage clean``: give back the disk that nothing needs any more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from pipeline.commands.arguments import checkout, parse, parser, with_words
from pipeline.commands.console import progress, table, told
from pipeline.config import home
from pipeline.operations.retention.cleaning import Cleaning, Cleared, clean, retention_of

MEBIBYTE = 2**20
EXAMPLES = (
    "vintage clean --dry-run",
    "vintage clean retention.cache_days=1",
)


def main(argv: Sequence[str]) -> int:
    """Delete what conf/retention/ says, and tell how much of each kind."""
    made = parser("clean", "Delete what nothing needs any more; see conf/retention/.", EXAMPLES)
    made.add_argument("--dry-run", action="store_true", help="only tell what would be deleted")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    given = parse(with_words(made), argv)
    retention = retention_of(given.words, checkout() / "conf")
    now = pd.Timestamp.now(tz="UTC")
    with progress("clean"):
        done = clean(Cleaning(home(), retention, now, dry=given.dry_run))
    if given.json:
        kinds = [asdict(each) for each in done]
        print(json.dumps({"dry_run": given.dry_run, "retention": retention.name, "kinds": kinds}))
    else:
        print(_story(done, given.dry_run))
    return 0


def _story(done: Sequence[Cleared], dry: bool) -> str:
    rows = [[each.kind, each.count, round(each.bytes / MEBIBYTE, 1)] for each in done]
    freed = sum(each.bytes for each in done) / MEBIBYTE
    word = (
        f"Nothing is deleted yet: {freed:.1f} MiB would be." if dry else f"Freed {freed:.1f} MiB."
    )
    lines = [table(["kind", "deleted", "MiB"], rows), ""]
    lines += [told(each.kind, why) for each in done for why in each.left]
    return "\n".join([*lines, word])
