"""``vintage experiments``: one readable row for each dvc experiment and the workspace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pipeline.commands.arguments import parse, parser
from pipeline.commands.console import markdown, progress, table, told
from pipeline.config import home
from pipeline.configuration.choices import RECIPE
from pipeline.configuration.compose import read_recipe, tuned
from pipeline.configuration.settings import words_of
from pipeline.errors import ConfigError, nearest
from pipeline.evaluation.metrics import FLAT
from pipeline.experiments.overfitting import Overfitting
from pipeline.operations.trials.experiment_list import Experiment, experiments, slots_of, tried
from pipeline.operations.trials.experiment_returns import overfitting_of

CHOSEN = ("recipe", "exchange", "market", "model", "tune", "as_of")
SHOWN = tuple(name for name in FLAT if name != "average_precision")
COLUMNS = ("experiment", "state", *CHOSEN, "set", *SHOWN)
LOW_IS_GOOD = ("log_loss",)
Row = dict[str, Any]


def main(argv: Sequence[str]) -> int:
    """Print experiments with what was chosen and what came out."""
    made = parser(
        "experiments", "A readable dvc exp show.", ["vintage experiments --sort log_loss"]
    )
    made.add_argument("--sort", metavar="COLUMN", help="sort by a column, the best first")
    made.add_argument("--md", action="store_true", help="print Markdown, every column")
    made.add_argument("--json", action="store_true", help="print JSON")
    asked = parse(made, argv)
    with progress("experiments"):
        found = experiments(home())
        rows = [_row(experiment) for experiment in found]
        slots = [] if asked.json or asked.md else slots_of(found, home())
        judged = overfitting_of(found, slots, home()) if slots else {}
        trials = tried(slots, home())
    if asked.sort:
        rows = _sorted(rows, asked.sort)
    if asked.json:
        print(json.dumps(rows))
        return 0
    print(
        _markdown(rows) if asked.md else "\n".join([*_tried(trials), *_luck(judged), _narrow(rows)])
    )
    return 0


def _tried(trials: dict[str, int]) -> list[str]:
    """How many the best was chosen among, for each slot that a row is of."""
    counts = ", ".join(f"{count} for {slot}" for slot, count in trials.items() if count)
    why = "; the best of many is high by luck, too"
    return [told("tried", f"configurations in the trial ledger: {counts}{why}")] if counts else []


def _luck(judged: dict[str, Overfitting]) -> list[str]:
    """How far the best is luck, by daily returns after costs, for each slot with several runs."""
    return [
        told("overfit", f"{slot}, by daily returns after costs: {found.sentence()}")
        for slot, found in judged.items()
    ]


def _row(experiment: Experiment) -> Row:
    params = experiment.params
    return {
        "experiment": experiment.name,
        "revision": experiment.revision,
        "state": experiment.state,
        **{name: _text(params.get(name)) for name in CHOSEN},
        "model": _model(experiment),
        "set": " ".join(words_of(params.get("set") or {})),
        **{name: experiment.metrics.get(name) for name in FLAT},
    }


def _model(experiment: Experiment) -> str | None:
    """Name the model that ``model: recipe`` stands for, as conf/ says today."""
    chosen, conf = _text(experiment.params.get("model")), home() / "conf"
    if chosen != RECIPE:
        return chosen
    try:
        whole = tuned(experiment.choices, conf)
        heads = read_recipe(whole.recipe, conf).heads.values()
    except ConfigError:
        return chosen
    own = [head.model for head in heads] if whole.model == RECIPE else [whole.model]
    return ",".join(dict.fromkeys(own))


def _markdown(rows: list[Row]) -> str:
    header = _filled(rows)
    return markdown(header, [[row[name] for name in header] for row in rows])


def _narrow(rows: list[Row]) -> str:
    """A table of what differs, below one paragraph of what does not."""
    filled = _filled(rows)
    same = [name for name in filled if len(rows) > 1 and _is_same(rows, name)]
    header = [name for name in filled if name not in same]
    lines = [table(header, [[row[name] for name in header] for row in rows])]
    if same:
        values = {name: next(row[name] for row in rows if row[name] is not None) for name in same}
        everywhere = ", ".join(f"{name} {value}" for name, value in values.items())
        lines = [told("every row", everywhere), "", *lines]
    return "\n".join(lines)


def _filled(rows: list[Row]) -> list[str]:
    return [name for name in COLUMNS if any(row[name] not in (None, "") for row in rows)]


def _is_same(rows: list[Row], name: str) -> bool:
    """Whether no two rows differ; a choice that a failed run does not tell is no difference."""
    values = {row[name] for row in rows}
    return name != "experiment" and len(values - {None} if name in CHOSEN else values) == 1


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _sorted(rows: list[Row], column: str) -> list[Row]:
    if column not in rows[0]:
        raise ConfigError(
            f"unknown column '{column}'", where="--sort", fix=nearest(column, rows[0])
        )
    known = [row for row in rows if row[column] not in (None, "")]
    unknown = [row for row in rows if row[column] in (None, "")]
    largest_first = column not in LOW_IS_GOOD
    return sorted(known, key=lambda row: row[column], reverse=largest_first) + unknown
