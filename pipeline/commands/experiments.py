"""``vintage experiments``: one readable row for each dvc experiment and the workspace."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.choices import FILE, RECIPE
from pipeline.commands.arguments import checkout, parse, parser
from pipeline.commands.console import markdown, progress, table
from pipeline.compose import read_recipe
from pipeline.config import home
from pipeline.errors import ConfigError, StageError, nearest
from pipeline.evaluation.metrics import FLAT
from pipeline.operations.workspace import child_environment

CHOSEN = ("recipe", "exchange", "market", "model", "as_of")
METRICS = "reports/metrics.json"
SHOWN = tuple(name for name in FLAT if name != "average_precision")
WORKSPACE, DONE, CHANGED = "workspace", "done", "changed"
MEASURED = (DONE,)
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
    with progress("experiments"):
        rows = [_with_own_model(row) for row in _rows(_show(home()))]
    if asked.sort:
        rows = _sorted(rows, asked.sort)
    if asked.json:
        print(json.dumps(rows))
        return 0
    header = ["experiment", "state", *CHOSEN, "set", *SHOWN]
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
        yield _row(commit, _workspace_state() if commit["rev"] == WORKSPACE else DONE)
        for experiment in commit.get("experiments") or []:
            state = ((experiment.get("executor") or {}).get("state") or DONE).lower()
            for revision in experiment.get("revs") or []:
                yield _row(revision, DONE if state == "success" else state)


def _workspace_state() -> str:
    """``changed`` when params.yaml or the figures are not those of dvc.lock."""
    folder = home()
    lock = folder / "dvc.lock"
    known = lock.read_text() if lock.is_file() else ""
    files = [folder / FILE, folder / METRICS]
    measured = all(file.is_file() and _md5(file) in known for file in files)
    return DONE if measured else CHANGED


def _md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()


def _row(revision: Any, state: str) -> Row:
    data = revision.get("data") or {}
    error = (revision.get("error") or {}).get("msg")
    chosen = _values(data.get("params"), "params.yaml")
    measured = not error and state in MEASURED
    metrics = _values(data.get("metrics"), METRICS) if measured else {}
    deeper = chosen.get("set") or {}
    return {
        "experiment": revision.get("name") or _short(revision["rev"]),
        "state": "failed" if error else state,
        **{name: _text(chosen.get(name)) for name in CHOSEN},
        "set": " ".join(_flat(deeper)),
        **{name: metrics.get(name) for name in FLAT},
    }


def _with_own_model(row: Row) -> Row:
    """Name the model that ``model: recipe`` stands for, as conf/ says today."""
    path = checkout() / "conf" / "recipe" / f"{row['recipe']}.yaml"
    if row["model"] != RECIPE or not path.is_file():
        return row
    heads = read_recipe(str(row["recipe"]), checkout() / "conf").heads.values()
    return row | {"model": ",".join(dict.fromkeys(head.model for head in heads))}


def _values(files: Any, path: str) -> Row:
    found: Row = (((files or {}).get(path)) or {}).get("data") or {}
    return found


def _short(revision: str) -> str:
    return revision if revision == WORKSPACE else revision[:7]


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
