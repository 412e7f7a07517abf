"""``vintage retrain fleet=…``, and what its flags ask of one slot or of many."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.commands.arguments import Parser, checkout, require_known
from pipeline.commands.console import progress
from pipeline.config import home
from pipeline.configuration.choices import LAST, unknown_key
from pipeline.configuration.conf_groups import parse_words
from pipeline.errors import ConfigError
from pipeline.market.exchanges.machine import Machine
from pipeline.operations.places import Places
from pipeline.operations.retraining.keeping import SKIP
from pipeline.operations.retraining.slot_task import Switch
from pipeline.operations.retraining.step_watch import Limits
from pipeline.operations.retraining.waiting import GROUP, waiting_for, without_positions
from pipeline.operations.walk.executors.base import EXECUTOR, build_executor
from pipeline.operations.walk.fleet import AS_OF, FLEET, Listed, read_fleet
from pipeline.operations.walk.fleet_walk import walk
from pipeline.operations.walk.run_report import RunFacts, RunReport, leave_report
from pipeline.operations.walk.single_run import new_run
from pipeline.operations.walk.slot_run import Mode
from pipeline.operations.walk.walk_slots import Asked

OWN = (FLEET, EXECUTOR)
OWN_WORDS = (*OWN, GROUP, SKIP)
WORKERS = "workers"
SLOTS_OWN = ("recipe", "market")
LOCAL = "local"
FLAGS = {
    "--dry-run": "tell what would be done with each slot; nothing is written",
    "--download-only": "bring the candles into the store, and nothing else",
    "--no-download": "use the candles of the store as they are; the exchange is not asked",
    "--experiment": "stop after evaluate: register nothing, but count the trial",
    "--force": "run every stage though nothing changed; the gate judges as ever",
}
CODES = """
exit codes:
  0  done            2  configuration    5  try again later    8  nothing to do
  3  refused         4  data             6  registry           7  a stage failed
Of several slots the worst; 8 only where every slot of a fleet is unchanged."""


def with_walk_flags(made: Parser) -> Parser:
    """Give a parser the flags of a walk, and the table of exit codes below its help."""
    for flag, meaning in FLAGS.items():
        made.add_argument(flag, action="store_true", help=meaning)
    made.epilog = f"{made.epilog}\n{CODES}"
    return made


def is_walk(asked: argparse.Namespace) -> bool:
    """Whether words or flags ask for more than the retrain of one slot."""
    keys = {_key(word) for word in asked.words}
    flags = (asked.dry_run, asked.download_only, asked.no_download, asked.experiment)
    return bool({key.partition(".")[0] for key in keys} & {*OWN}) or any(flags)


def walk_slots(asked: argparse.Namespace, switch: Switch) -> int:
    """Walk a fleet, or one slot as flags say; the worst exit code."""
    require_known(asked.words, OWN_WORDS)
    mode = _mode(asked)
    chosen, positions = without_positions(asked.words)
    words = _Words.read(chosen)
    conf, places = checkout() / "conf", Places(home(), checkout())
    began = pd.Timestamp.now(tz="UTC")
    listed = _listed(words)
    executor = build_executor(conf, words.executor, words.keys)
    waiting_for(positions, conf, asked.wait, Machine())
    wanted = Asked(
        slots=tuple((*slot, *words.common) for slot in listed.slots),
        run=new_run(began),
        as_of=words.as_of,
        mode=mode,
        dry=asked.dry_run,
        fetch=not asked.no_download,
        force=asked.force,
        limits=listed.limits,
        switch=switch,
        positions=tuple(positions),
        wait=asked.wait,
        workers=words.workers,
    )
    with progress("retrain", logged=not asked.json) as show:
        results = walk(wanted, places, executor, began, show)
    told = f"vintage retrain {' '.join([*asked.words, *_flags(asked)])}"
    facts = RunFacts(wanted.run, told, words.executor, began, pd.Timestamp.now(tz="UTC"))
    report = RunReport(facts, results)
    path = None if asked.dry_run else leave_report(report, places.home)
    print(json.dumps(report.to_json()) if asked.json else report.to_text())
    if path and not asked.json:
        print(f"\nreport {path}\nevents: vintage logs {wanted.run}")
    return report.exit_code


@dataclass(frozen=True, slots=True)
class _Words:
    """Words of the walk, apart from those that every slot has."""

    fleet: str | None
    executor: str
    keys: dict[str, Any]
    as_of: str
    workers: int | None
    common: tuple[str, ...]

    @classmethod
    def read(cls, words: Sequence[str]) -> _Words:
        own = [word for word in words if _key(word).partition(".")[0] in (*OWN, AS_OF, WORKERS)]
        given = parse_words(own)
        strangers = [key for key in given if "." in key and not key.startswith(f"{EXECUTOR}.")]
        if strangers:
            raise unknown_key(strangers[0], given[strangers[0]], OWN)
        prefix = f"{EXECUTOR}."
        return cls(
            fleet=str(given[FLEET]) if FLEET in given else None,
            executor=str(given.get(EXECUTOR, LOCAL)),
            keys={key.removeprefix(prefix): given[key] for key in given if key.startswith(prefix)},
            as_of=str(given.get(AS_OF, LAST)),
            workers=_count(given.get(WORKERS)),
            common=tuple(word for word in words if word not in own),
        )


def _listed(words: _Words) -> Listed:
    if words.fleet is None:
        return Listed(((),), Limits())
    for word in words.common:
        if _key(word) in SLOTS_OWN:
            raise ConfigError(
                f"a fleet lists its slots itself, with the {_key(word)} of each",
                found=word,
                fix=f"leave it out, or leave out {FLEET}= and retrain that slot alone",
            )
    return read_fleet(checkout() / "conf", words.fleet)


def _mode(asked: argparse.Namespace) -> Mode:
    if asked.experiment and asked.download_only:
        raise ConfigError("--experiment and --download-only are two things", fix="ask for one")
    if asked.download_only and asked.no_download:
        raise ConfigError(
            "--download-only and --no-download leave nothing to do", fix="ask for one"
        )
    return "experiment" if asked.experiment else "download" if asked.download_only else "retrain"


def _flags(asked: argparse.Namespace) -> list[str]:
    return [flag for flag in FLAGS if getattr(asked, flag.strip("-").replace("-", "_"))]


def _count(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ConfigError(f"{WORKERS} is no number of processes", found=repr(value), expected="from 1")


def _key(word: str) -> str:
    return word.partition("=")[0]
