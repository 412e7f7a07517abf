"""``vintage experiments``: one readable row for each dvc experiment and the workspace."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.commands.arguments import parse, parser
from pipeline.commands.console import markdown, table
from pipeline.config import home
from pipeline.errors import ConfigError, StageError, nearest
from pipeline.evaluation.metrics import FLAT
from pipeline.operations.workspace import child_environment

CHOSEN = ("recipe", "exchange", "market", "model", "as_of")
METRICS = "reports/metrics.json"
Row = dict[str, Any]


def main(argv: Sequence[str]) -> int:
    """Print experiments with what was chosen and what came out."""
    made = parser(
        "experiments", "A readable dvc exp show.", ["vintage experiments --sort log_loss"]
    )
    made.add_argument("--sort", metavar="COLUMN", help="sort by a column, largest first")
    made.add_argument("--md", action="store_true", help="print Markdown")
    made.add_argument("--json", action="store_true", help="print JSON")
    asked = parse(made, argv)
    rows = list(_rows(_show(home())))
    if asked.sort:
        rows = _sorted(rows, asked.sort)
    if asked.json:
        print(json.dumps(rows))
        return 0
    header = ["experiment", "state", *CHOSEN, "set", *FLAT]
    header = [name for name in header if any(row.get(name) not in (None, "") for row in rows)]
    cells = [[row.get(name) for name in header] for row in rows]
    print(markdown(header, cells) if asked.md else table(header, cells))
    return 0


def _show(folder: Path) -> list[Any]:
    command = [sys.executable, "-m", "dvc", "exp", "show", "--json"]
    environment = child_environment(folder, Path(sys.executable))
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        told = done.stderr.strip().splitlines()
        raise StageError("dvc exp show failed", found=told[-1] if told else "no message")
    shown: list[Any] = json.loads(done.stdout)
    return shown


def _rows(shown: list[Any]) -> Iterator[Row]:
    for commit in shown:
        yield _row(commit, "done")
        for experiment in commit.get("experiments") or []:
            state = (experiment.get("executor") or {}).get("state") or "done"
            for revision in experiment.get("revs") or []:
                yield _row(revision, state)


def _row(revision: Any, state: str) -> Row:
    data = revision.get("data") or {}
    error = (revision.get("error") or {}).get("msg")
    chosen = _values(data.get("params"), "params.yaml")
    metrics = _values(data.get("metrics"), METRICS)
    deeper = chosen.get("set") or {}
    return {
        "experiment": revision.get("name") or _short(revision["rev"]),
        "state": "failed" if error else state.lower(),
        **{name: _text(chosen.get(name)) for name in CHOSEN},
        "set": " ".join(_flat(deeper)),
        **{name: metrics.get(name) for name in FLAT},
    }


def _values(files: Any, path: str) -> Row:
    found: Row = (((files or {}).get(path)) or {}).get("data") or {}
    return found


def _short(revision: str) -> str:
    return revision if revision == "workspace" else revision[:7]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _flat(node: Row, prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={value}"


def _sorted(rows: list[Row], column: str) -> list[Row]:
    if column not in rows[0]:
        raise ConfigError(
            f"unknown column '{column}'", where="--sort", fix=nearest(column, rows[0])
        )
    known = [row for row in rows if row[column] not in (None, "")]
    unknown = [row for row in rows if row[column] in (None, "")]
    return sorted(known, key=lambda row: row[column], reverse=True) + unknown
