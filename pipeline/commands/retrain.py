"""``vintage retrain``: from candles to a fresh champion, told in a few plain lines."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.commands.arguments import checkout, parse, parser, require_known, with_words
from pipeline.commands.console import progress, told
from pipeline.commands.head_figures import score_lines
from pipeline.commands.retrain_walk import OWN_WORDS, is_walk, walk_slots, with_walk_flags
from pipeline.config import home
from pipeline.errors import GateError, RetryLater
from pipeline.evaluation.metrics import is_constant
from pipeline.experiments.audit.results import AUDITED, command, misses_audit
from pipeline.market.exchanges.machine import Machine
from pipeline.market.pool import MEMBERS, Pool
from pipeline.market.pool_quality import LEFT_OUT
from pipeline.operations.retraining.build_run import How
from pipeline.operations.retraining.keeping import without_skip
from pipeline.operations.retraining.retrain import REFUSED, Outcome, Places, retrain
from pipeline.operations.retraining.slot_task import Switch
from pipeline.operations.retraining.waiting import waiting_for, without_positions
from pipeline.operations.target import resolve
from pipeline.operations.walk.fetching import is_short, mark_short
from pipeline.operations.walk.single_run import reported

ROWS_FROM = "rows_from_"
SAME = "nothing changed; it is the champion already"
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
    asked = parse(with_words(with_walk_flags(made)), argv)
    switch = Switch(feed=asked.switch_feed, task=asked.switch_task)
    if is_walk(asked):
        return walk_slots(asked, switch)
    require_known(asked.words, OWN_WORDS)
    now = pd.Timestamp.now(tz="UTC")
    with progress("retrain") as show:
        words, own = without_positions(asked.words)
        words, skip = without_skip(words)
        conf, places = checkout() / "conf", Places(home(), checkout())
        waiting = waiting_for(own, conf, asked.wait, Machine(tell=show))
        target = resolve(words, conf, home(), now, show)
        waiting = waiting.of([market.name for market in target.market.members])
        build = How(force=asked.force or is_short(target, places))
        target = dataclasses.replace(target, skip=skip, waiting=waiting, build=build)
        outcome = reported(
            target, places, asked.words, lambda: retrain(target, places, now, show, switch)
        )
        mark_short(target, places, fetched=True)
    print(json.dumps(_facts(outcome)) if asked.json else _story(outcome))
    if outcome.served.pending:
        return RetryLater.exit_code
    return GateError.exit_code if _refused(outcome) else 0


def _refused(outcome: Outcome) -> bool:
    return outcome.verdict.outcome == REFUSED and outcome.before != outcome.version


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


def _story(outcome: Outcome) -> str:
    quality = outcome.candidate.quality
    run = outcome.target.plan.run
    hole = f", {quality['missing']} missing" if quality["missing"] else ""
    lines = [
        f"{outcome.target.slot} {outcome.version}: {_headline(outcome)}",
        "",
        f"  candles   {quality['candles']} of {run.timeframe}{hole}, {_day(quality['first'])} to "
        f"{_day(quality['last'])} UTC, feed {run.feed}{_from_others(quality, run.feed)}",
        *score_lines(outcome.candidate),
        *_knew(outcome),
        *_kept(outcome),
        *_learned(outcome),
        *_members(outcome),
        "",
        told("verdict", outcome.sentence),
        *_gate(outcome),
        *_against(outcome),
        *_waited(outcome),
        f"  report    {_near(outcome.report)}",
        *_judged_alone(outcome),
        f"  checks    {_near(outcome.checks)}",
        "",
        *_next(outcome),
    ]
    return "\n".join(lines)


def _gate(outcome: Outcome) -> list[str]:
    """Names of the gate's conditions, those that hold and those that do not."""
    names: dict[bool, list[str]] = {True: [], False: []}
    for each in outcome.verdict.conditions:
        if each not in outcome.against_itself:
            names[each.passed].append(each.name)
    parts = {"holds": names[True], "fails": names[False]}
    return [told(name, ", ".join(each)) for name, each in parts.items() if each]


def _knew(outcome: Outcome) -> list[str]:
    if outcome.evidence.chronological:
        return []
    return ["  knew      the models of the folds were trained on later candles too"]


def _kept(outcome: Outcome) -> list[str]:
    """Heads that were not trained; what they said later than they had learnt is no evidence."""
    return [
        told(
            "kept",
            f"{name} of {kept.version}, sha256 {kept.sha256[:12]}; judged on its out-of-fold rows, "
            f"which end before {_day(kept.as_of)} UTC",
        )
        for name, kept in outcome.target.choices.skip.items()
    ]


def _against(outcome: Outcome) -> list[str]:
    champion = outcome.evidence.champion
    if champion is None or champion.version == outcome.version:
        return []
    return [told("against", champion.sentence())]


def _waited(outcome: Outcome) -> list[str]:
    """What the swap waits for, and what became of a version that waited before."""
    lines = [told("waited", f"{outcome.waited.rstrip('.')}.")] if outcome.waited else []
    if served := outcome.served.pending:
        until = _day(outcome.served.until)
        again = f"the next retrain puts it into service when flat, until {until} UTC"
        lines.append(told("pending", f"{served.rstrip('.')}; {again}."))
    return lines


def _learned(outcome: Outcome) -> list[str]:
    heads = outcome.candidate.out_of_fold.items()
    same = [name for name, head in heads if is_constant(head.frame, head.classes)]
    return [f"  learned   nothing: {', '.join(same)} says the same of every candle"] * bool(same)


def _members(outcome: Outcome) -> list[str]:
    """The skill on each member of a pool, and why one was left out."""
    if not isinstance(market := outcome.target.market, Pool):
        return []
    lines = []
    for member in market.members:
        facts = outcome.candidate.quality[MEMBERS].get(member.name, {})
        each = [parts[member.name] for parts in outcome.candidate.by_member if member.name in parts]
        told = f"left out: {facts[LEFT_OUT]}" if LEFT_OUT in facts else _skill(each)
        lines.append(f"  {member.name:<9} {told}")
    return lines


def _skill(heads: list[dict[str, Any]]) -> str:
    found = [head["metrics"]["brier_skill"] for head in heads if head["metrics"]]
    skills = ", ".join(f"{each['value']:+z.3f}" for each in found) or "none"
    return f"skill {skills}, on {heads[0]['rows'] if heads else 0} rows"


def _from_others(quality: dict[str, Any], feed: str) -> str:
    told = {key.removeprefix(ROWS_FROM): quality[key] for key in quality if ROWS_FROM in key}
    return "".join(f", {count} from {source}" for source, count in told.items() if source != feed)


def _headline(outcome: Outcome) -> str:
    if outcome.served.pending:
        return f"pending: the market is not flat, {_champion(outcome)}"
    if outcome.anew:
        return f"{_mode(outcome)}, judged anew with its audit"
    if outcome.before == outcome.version:
        return f"{outcome.version} waited, and is the champion now" if outcome.came else SAME
    if outcome.pointer and outcome.pointer.version != outcome.version and not _refused(outcome):
        return f"nothing new; it was in service before, and {outcome.before} stays champion"
    if _refused(outcome):
        return f"refused; {_champion(outcome)}"
    return f"{_mode(outcome)}{f', after {outcome.before}' if outcome.before else ''}"


def _champion(outcome: Outcome) -> str:
    return f"{outcome.before} stays champion" if outcome.before else "there is no champion yet"


def _mode(outcome: Outcome) -> str:
    return "in service" if outcome.verdict.outcome == "promote" else "in service to be observed"


def _judged_alone(outcome: Outcome) -> list[str]:
    """Where the page, which knows no champion and no audit, may not say what the verdict does."""
    against = f"not against {outcome.before}" if _refused(outcome) and outcome.before else ""
    doubted = any(not each.passed for each in outcome.verdict.conditions if each.name == AUDITED)
    audit = "without its audit" if doubted else ""
    parts = [part for part in (against, audit) if part]
    return [told("", f"It judges the version by itself, {' and '.join(parts)}.")] if parts else []


def _day(text: str) -> str:
    return text[:16].replace("T", " ")


def _near(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _next(outcome: Outcome) -> list[str]:
    first, *others = _steps(outcome)
    missing = misses_audit(outcome.verdict)
    audit = f"  {command(outcome.target.chosen)}   # then the next retrain may let it trade"
    return [first, *([audit] if missing else []), *others]


def _steps(outcome: Outcome) -> list[str]:
    served = [f"  vintage predict {_predicted(outcome)}"] * bool(outcome.pointer)
    if outcome.served.pending:
        words = shlex.join(["--when-flat", *outcome.target.waiting.words])
        slot = f"{outcome.target.slot} {outcome.version}"
        return ["Next:", f"  vintage registry promote {slot} {words}", *served]
    if _refused(outcome):
        served = [f"{line}   # {outcome.before}, the champion" for line in served]
        shown = f"  vintage registry show {outcome.target.slot} {outcome.version}"
        return ["Next:", shown, *served]
    return ["Next:", *served, f"  vintage registry show {outcome.target.slot}"]


def _predicted(outcome: Outcome) -> str:
    """The words that ask for a signal: of a pool those of its first member."""
    market, words = outcome.target.market, outcome.target.words
    if isinstance(market, Pool):
        return words.replace(f"market={market.name}", f"market={market.members[0].name}")
    return words
