"""``vintage adopt``: keep an experiment's settings as a file of ``conf/tune/``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.commands.arguments import parse, parser
from pipeline.commands.console import progress, told
from pipeline.config import home
from pipeline.configuration.settings import words_of
from pipeline.configuration.tune_choice import GROUP, place
from pipeline.operations.trials.adoption import (
    Adopted,
    adopted,
    replaces,
    standing_slot,
    write_adopted,
)
from pipeline.operations.trials.experiment_list import Experiment, experiments, measured

EXAMPLES = ("vintage adopt dusty-moth", "vintage adopt 3f9c2ab")


def main(argv: Sequence[str]) -> int:
    """Write the tune where the experiments are; nothing is chosen by it."""
    made = parser("adopt", "Keep an experiment's settings in conf/tune/.", EXAMPLES)
    made.add_argument("experiment", metavar="EXPERIMENT", help="its name, as vintage experiments")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parse(made, argv)
    conf = home() / "conf"
    with progress("adopt") as show:
        show("dvc exp show")
        experiment = measured(asked.experiment, experiments(home()))
        show("compose")
        found = adopted(experiment.choices, conf)
    replaced = standing_slot(found.name, conf)
    path = write_adopted(found, conf, _comment(experiment))
    facts = _facts(experiment, found, path, replaced)
    print(json.dumps(facts) if asked.json else _story(facts, replaces(replaced, found.slot)))
    return 0


def _comment(experiment: Experiment) -> str:
    scores = ", ".join(f"{name} {value}" for name, value in experiment.metrics.items())
    return (
        f"From experiment {experiment.name} ({experiment.revision[:7]}) at "
        f"{experiment.choices.as_of}: {scores}. It was chosen by these scores, so they are no "
        "evidence for it."
    )


def _facts(
    experiment: Experiment, found: Adopted, path: Path, replaced: str | None
) -> dict[str, Any]:
    tune = found.tune
    words = [f"recipe={tune.recipe}", f"market={tune.market}", f"{GROUP}={found.name}"]
    if found.slot.exchange:
        words.insert(1, f"exchange={found.slot.exchange}")
    return {
        "experiment": experiment.name,
        "revision": experiment.revision,
        "tune": found.name,
        "file": str(path),
        "replaced": replaced is not None,
        "replaced_slot": replaced,
        **tune.model_dump(),
        "left_out": list(found.left_out),
        "next": [
            f"git add {place(found.name)}",
            f"vintage retrain {' '.join(words)}",
            f"dvc exp run {' '.join(f'-S {word}' for word in words)}",
        ],
    }


def _story(facts: dict[str, Any], older: str) -> str:
    older = f", {older}" if older else ""
    holds = [f"{group}={option}" for group, option in facts["choices"].items()]
    holds += words_of(facts["set"])
    lines = [f"{place(facts['tune'])} written{older}.", "", told("holds", ", ".join(holds))]
    if facts["left_out"]:
        why = "; a tune says how a model is made, so choose these again where you want them"
        lines += [told("left out", ", ".join(facts["left_out"]) + why)]
    lines += [told("tracked", "experiments in folders of their own see only what git tracks")]
    return "\n".join([*lines, "", "Next:", *(f"  {command}" for command in facts["next"])])
