"""``vintage retrain``: from candles to a fresh champion, told in a few plain lines."""

from __future__ import annotations

import dataclasses
import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from pipeline.commands.arguments import Parser, checkout, parse, parser, require_known, with_words
from pipeline.commands.console import progress
from pipeline.commands.retrain_story import refused, story
from pipeline.commands.retrain_walk import OWN_WORDS, is_walk, walk_slots, with_walk_flags
from pipeline.config import home
from pipeline.errors import GateError, RetryLater
from pipeline.experiments.audit.results import command, misses_audit
from pipeline.market.exchanges.machine import Machine
from pipeline.operations.places import Places
from pipeline.operations.retraining.build_run import How
from pipeline.operations.retraining.keeping import without_skip
from pipeline.operations.retraining.outcome import Outcome
from pipeline.operations.retraining.retrain import retrain
from pipeline.operations.retraining.slot_task import Switch
from pipeline.operations.retraining.waiting import waiting_for, without_positions
from pipeline.operations.target import Target, resolve
from pipeline.operations.walk.fetching import is_short, mark_short
from pipeline.operations.walk.single_run import reported

EXAMPLES = (
    "vintage retrain recipe=demo",
    "vintage retrain recipe=upbit_hourly exchange=replay market=KRW-SOL exchange.root=FOLDER",
    "vintage retrain recipe=bingx_dual skip=[long_exit]    # keeps the champion's",
    "vintage retrain recipe=bingx_dual positions=file positions.path=state.json --wait 4h",
    "vintage retrain fleet=upbit_four as_of=last executor=local workers=2",
    "vintage retrain fleet=everything --dry-run",
)


def main(argv: Sequence[str]) -> int:
    """Build a candidate, register it, judge it, promote it if the gate lets it."""
    asked = parse(with_words(with_walk_flags(_parser())), argv)
    switch = Switch(feed=asked.switch_feed, task=asked.switch_task)
    if is_walk(asked):
        return walk_slots(asked, switch)
    require_known(asked.words, OWN_WORDS)
    now, places = pd.Timestamp.now(tz="UTC"), Places(home(), checkout())
    with progress("retrain") as show:
        target = _target(asked, places, now, show)
        outcome = reported(
            target, places, asked.words, lambda: retrain(target, places, now, show, switch)
        )
        mark_short(target, places, fetched=True)
    print(json.dumps(_facts(outcome)) if asked.json else story(outcome))
    if outcome.served.pending:
        return RetryLater.exit_code
    return GateError.exit_code if refused(outcome) else 0


def _parser() -> Parser:
    made = parser("retrain", "Make a fresh candidate, judge it, promote it.", EXAMPLES)
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument(
        "--switch-feed",
        action="store_true",
        help="take the place of a champion that learnt from another feed, without comparing",
    )
    made.add_argument(
        "--switch-task",
        action="store_true",
        help="take the place of a champion of other heads, labels or another timeframe",
    )
    made.add_argument("--wait", metavar="4h", help="for a flat market, where positions=… says so")
    return made


def _target(
    asked: Namespace, places: Places, now: pd.Timestamp, show: Callable[[str], None]
) -> Target:
    """What is to be retrained, what it keeps, how it waits and what is built anew."""
    words, own = without_positions(asked.words)
    words, skip = without_skip(words)
    conf = places.checkout / "conf"
    waiting = waiting_for(own, conf, asked.wait, Machine(tell=show))
    target = resolve(words, conf, places.home, now, show)
    waiting = waiting.of([market.name for market in target.market.members])
    build = How(force=asked.force or is_short(target, places))
    return dataclasses.replace(target, skip=skip, waiting=waiting, build=build)


def _facts(outcome: Outcome) -> dict[str, Any]:
    return {
        "slot": str(outcome.target.slot),
        "version": outcome.version,
        "created": outcome.created,
        "as_of": outcome.target.plan.run.as_of,
        "stages_run": list(outcome.ran),
        "kept": {name: kept.model_dump() for name, kept in outcome.target.choices.skip.items()},
        "verdict": outcome.verdict.outcome,
        "reason": outcome.verdict.sentence,
        **outcome.verdict.test,
        "conditions": [each.model_dump(mode="json") for each in outcome.verdict.conditions],
        "judged_anew": outcome.anew,
        "to_audit": command(outcome.target.chosen) if misses_audit(outcome.verdict) else None,
        "champion": outcome.pointer.version if outcome.pointer else None,
        "mode": outcome.pointer.mode if outcome.pointer else None,
        "previous_champion": outcome.before,
        "pending": outcome.served.pending or None,
        "pending_until": outcome.served.until or None,
        "waited_before": outcome.waited or None,
        "evidence": outcome.evidence.model_dump(mode="json"),
        "metrics": outcome.candidate.metrics,
        "heads": outcome.candidate.scores,
        "quality": outcome.candidate.quality,
        "report": str(outcome.report),
        "checks": str(outcome.checks),
    }
