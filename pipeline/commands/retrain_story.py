"""What a retrain did, told in a few plain lines."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from pipeline.commands.console import told
from pipeline.commands.head_figures import score_lines
from pipeline.evaluation.metrics import is_constant
from pipeline.experiments.audit.results import AUDITED, command, misses_audit
from pipeline.market.pool import MEMBERS, Pool
from pipeline.market.pool_quality import LEFT_OUT
from pipeline.operations.retraining.outcome import REFUSED, Outcome

ROWS_FROM = "rows_from_"
SAME = "nothing changed; it is the champion already"


def story(outcome: Outcome) -> str:
    """Lines for people."""
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


def refused(outcome: Outcome) -> bool:
    """Whether nothing came of the candidate."""
    return outcome.verdict.outcome == REFUSED and outcome.before != outcome.version


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
    if outcome.pointer and outcome.pointer.version != outcome.version and not refused(outcome):
        return f"nothing new; it was in service before, and {outcome.before} stays champion"
    if refused(outcome):
        return f"refused; {_champion(outcome)}"
    return f"{_mode(outcome)}{f', after {outcome.before}' if outcome.before else ''}"


def _champion(outcome: Outcome) -> str:
    return f"{outcome.before} stays champion" if outcome.before else "there is no champion yet"


def _mode(outcome: Outcome) -> str:
    return "in service" if outcome.verdict.outcome == "promote" else "in service to be observed"


def _judged_alone(outcome: Outcome) -> list[str]:
    """Where the page, which knows no champion and no audit, may not say what the verdict does."""
    against = f"not against {outcome.before}" if refused(outcome) and outcome.before else ""
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
    if refused(outcome):
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
