"""``vintage tune``: try settings of a slot's model, and say what the best score is worth."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.commands.arguments import checkout, parse, parser, with_words
from pipeline.commands.console import progress, table, told
from pipeline.config import home
from pipeline.configuration.tune_choice import CHOSEN
from pipeline.errors import ConfigError
from pipeline.experiments.study import COMPLETE, FAILED, PRUNED, Tried
from pipeline.experiments.tune import DIGITS, Tuned
from pipeline.operations.places import Places
from pipeline.operations.trials.adoption import replaces, standing_slot
from pipeline.operations.trials.tuning import Asked, Outcome, adopt_best, tune_slot

SHOWN = 5
MOST_TRIALS = 100_000
DROPPED = (*CHOSEN, "heads", "tune")  # what a tune file says itself
EXAMPLES = (
    "vintage tune recipe=demo --trials 20",
    "vintage tune recipe=demo model=lstm --trials 10 --adopt",
)


def main(argv: Sequence[str]) -> int:
    """Try, rank, and adopt the best where that was asked for."""
    made = parser("tune", "Search a model's settings, trial by trial.", EXAMPLES)
    made.add_argument("--trials", type=int, default=30, metavar="N", help="trials in all (30)")
    made.add_argument("--search", metavar="NAME", help="conf/search/NAME.yaml; the model's own")
    made.add_argument("--adopt", action="store_true", help="write the best to conf/tune/")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parse(with_words(made), argv)
    if not 1 <= asked.trials <= MOST_TRIALS:
        found = str(asked.trials)
        raise ConfigError("--trials is out of range", found=found, expected=f"1 to {MOST_TRIALS}")
    now = pd.Timestamp.now(tz="UTC")
    with progress("tune") as show, _resumable(argv):
        places = Places(home(), checkout())
        wanted = Asked(tuple(asked.words), asked.trials, asked.search)
        outcome = tune_slot(wanted, places, now, show)
        conf = places.checkout / "conf"
        older = standing_slot(_tune_name(outcome), conf)
        adopted = adopt_best(outcome, conf) if asked.adopt else None
    commands = _next(outcome, asked, adopted)
    if asked.json:
        facts = _facts(outcome, adopted, commands)
        print(json.dumps(facts | {"replaced_slot": older if adopted else None}))
    else:
        print(_story(outcome, _adoption(outcome, asked.adopt, adopted, older), commands))
    return 0


@contextlib.contextmanager
def _resumable(argv: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "interrupted; every trial that had ended is kept, and stands in the slot's trial "
            f"ledger. To do: go on with {shlex.join(['vintage', 'tune', *argv])}; only the trial "
            "that was running begins anew."
        ) from None


def _facts(outcome: Outcome, adopted: Path | None, commands: list[str]) -> dict[str, Any]:
    tuned = outcome.tuned
    return {
        "slot": str(outcome.target.slot),
        "as_of": outcome.target.plan.run.as_of,
        "continued_unfinished": outcome.went_on,
        "search": tuned.tuning.search.name,
        "study": tuned.tuning.name,
        "file": str(tuned.file),
        "rows": tuned.scored.rows,
        "independent_rows": tuned.scored.independent,
        "folds": tuned.scored.folds,
        "class_share_log_loss": tuned.scored.class_shares,
        "tried": len(tuned.trials),
        "tried_before": tuned.known_before,
        **{state: tuned.count(state) for state in (COMPLETE, PRUNED, FAILED)},
        "configurations": len({trial.digest for trial in tuned.trials if trial.digest}),
        "new_to_ledger": tuned.counted,
        "ledger": tuned.ledger,
        "beats_class_shares": tuned.learned,
        "base": dataclasses.asdict(tuned.base),
        "best": dataclasses.asdict(tuned.ranked[0]),
        "trials": [dataclasses.asdict(trial) for trial in tuned.trials],
        "caution": _caution(tuned),
        "overfitting": tuned.overfitting.facts(),
        "adopted": str(adopted) if adopted else None,
        "next": commands,
    }


def _story(outcome: Outcome, adoption: list[str], commands: list[str]) -> str:
    tuned = outcome.tuned
    as_of = outcome.target.plan.run.as_of[:16].replace("T", " ")
    lines = [f"{outcome.target.slot}: {_headline(tuned)}", ""]
    if outcome.went_on:
        why = f"Goes on with the unfinished study of {as_of} UTC; as_of=MOMENT begins another."
        lines += [told("as_of", why), ""]
    lines += [
        _table(tuned),
        "",
        told("tried", _counts(tuned)),
        told("scored", _rows(tuned)),
        told("baseline", _baseline(tuned)),
        told("caution", _caution(tuned)),
        told("overfit", tuned.overfitting.sentence()),
    ]
    if failed := next((trial.reason for trial in tuned.trials if trial.reason), ""):
        lines += [told("failed", f"the first one said: {failed}")]
    lines += adoption
    if commands:
        lines += ["", "Next:", *(f"  {command}" for command in commands)]
    return "\n".join(lines)


def _adoption(outcome: Outcome, wanted: bool, adopted: Path | None, older: str | None) -> list[str]:
    if not wanted:
        return []
    if adopted is None:
        return [told("adopted", f"nothing: no trial beats {_unbeaten(outcome.tuned)}")]
    replaced = replaces(older, outcome.target.slot)
    place = f"conf/tune/{adopted.name}{', ' if replaced else ''}{replaced}"
    return [told("adopted", f"{place}; git add it")]


def _headline(tuned: Tuned) -> str:
    best, base = tuned.ranked[0], tuned.base
    if not tuned.gained:
        return f"nothing tried beats {_unbeaten(tuned)}"
    own = (
        "where the configuration as it is failed"
        if base.log_loss is None
        else f"beside {_loss(base.log_loss)} as it is"
    )
    return f"log loss {_loss(best.log_loss)}, {own}"


def _unbeaten(tuned: Tuned) -> str:
    if tuned.learned:
        return "the configuration as it is"
    return "the baseline, which knows only the class shares"


def _table(tuned: Tuned) -> str:
    ranked, keys = tuned.ranked, list(tuned.tuning.search.space)
    shown = [(str(rank), trial) for rank, trial in enumerate(ranked[:SHOWN], 1)]
    if tuned.base not in ranked[:SHOWN]:
        rank = str(ranked.index(tuned.base) + 1) if tuned.base in ranked else "-"
        shown.append((rank, tuned.base))
    header = ["rank", "trial", "log loss", *(key.removeprefix("model.") for key in keys)]
    return table(header, [_row(rank, trial, keys) for rank, trial in shown])


def _row(rank: str, trial: Tried, keys: list[str]) -> list[Any]:
    loss = _loss(trial.log_loss)
    name = f"{trial.number}" if trial.number else "0 (as it is)"
    return [rank, name, loss, *(trial.settings.get(key, "by head") for key in keys)]


def _loss(log_loss: float | None) -> str:
    return "failed" if log_loss is None else f"{log_loss:.{DIGITS}f}"


def _counts(tuned: Tuned) -> str:
    before = f", {tuned.known_before} of them before" if tuned.known_before else ""
    return (
        f"{len(tuned.trials)} trials{before}: {tuned.count(COMPLETE)} scored on every fold, "
        f"{tuned.count(PRUNED)} cut short, {tuned.count(FAILED)} failed"
    )


def _rows(tuned: Tuned) -> str:
    scored = tuned.scored
    head = min(scored.independent, key=lambda name: scored.independent[name])
    of_head = f" of head {head}, the fewest of {len(scored.rows)}" if len(scored.rows) > 1 else ""
    return (
        f"{scored.rows[head]} out-of-fold rows of {scored.folds} folds, worth "
        f"{scored.independent[head]:.4g} independent ones{of_head}; the same in every trial"
    )


def _baseline(tuned: Tuned) -> str:
    shares = _loss(tuned.scored.class_shares)
    text = f"{shares} for always giving the class shares of the training rows"
    if tuned.learned:
        return text
    best = _loss(tuned.ranked[0].log_loss)
    return (
        f"{text}; the best trial has {best}. No settings learned anything, so none are worth "
        "keeping: more history or other features may help, more trials hardly."
    )


def _caution(tuned: Tuned) -> str:
    count = len(tuned.trials)
    return (
        f"The best of {count} tried is chosen by its score, so that score is no evidence that it "
        f"will do as well. {tuned.counted} configurations of this study were new to the slot's "
        f"trial ledger, which holds {tuned.ledger} now against the next candidate, and the gate "
        "judges it like any other."
    )


def _tune_name(outcome: Outcome) -> str:
    return f"{outcome.target.slot.recipe}-{outcome.target.slot.market}"


def _next(outcome: Outcome, asked: argparse.Namespace, adopted: Path | None) -> list[str]:
    if not outcome.tuned.gained:
        return []
    run = outcome.target.plan.run
    moment = f"as_of={run.as_of.replace('+00:00', 'Z')}"
    words = [moment if word == "as_of=last" else word for word in asked.words]
    words += [] if any(word.startswith("as_of=") for word in words) else [moment]
    flags = ["--trials", str(asked.trials), *(["--search", asked.search] if asked.search else [])]
    name = adopted.stem if adopted else _tune_name(outcome)
    kept = [word for word in asked.words if _first(word) not in DROPPED]
    adopt = shlex.join(["vintage", "tune", *words, *flags, "--adopt"])
    retrain = shlex.join(["vintage", "retrain", *kept, f"tune={name}"])
    return [retrain] if adopted else [adopt, retrain]


def _first(word: str) -> str:
    return word.partition("=")[0].removeprefix("set.").split(".")[0]
