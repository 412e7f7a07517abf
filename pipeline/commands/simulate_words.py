"""A simulation as lines for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.commands.console import table, told
from pipeline.experiments.simulate.figures import SHOWN, Simulated

NONE = "-"
MOST = 12  # turns of the table; all of them stand on the page


def story(found: Simulated, page: Path) -> str:
    """What came of it: policies, verdicts, what age costs, the newest turns."""
    facts = found.facts()
    return "\n".join(
        [*_head(facts), *_policies(facts), *_rest(found, facts), told("page", str(page))]
    )


def _head(facts: dict[str, Any]) -> Iterator[str]:
    span = f"{facts['from'][:10]} to {facts['to'][:10]}"
    kept = len(facts["turns"]) - facts["retrained_now"]
    yield f"{facts['slot']}: {facts['verdict']}\n"
    yield told(
        "simulated",
        f"{_retrains(len(facts['turns']))}, one every {facts['every']}, {span}; "
        f"{facts['retrained_now']} made now, {kept} kept from before",
    )


def _retrains(count: int) -> str:
    return f"{count} {'retrain' if count == 1 else 'retrains'}"


def _policies(facts: dict[str, Any]) -> Iterator[str]:
    header = [
        "",
        "after costs",
        "drawdown",
        "Sharpe",
        "trades",
        "log loss",
        "baseline",
        "direction",
    ]
    rows = [
        [
            own["title"],
            _percent(own.get("return")),
            _size(own.get("drawdown")),
            _number(own.get("sharpe"), 2),
            NONE if own.get("trades") is None else f"{own['trades']}",
            _number(own.get("log_loss"), 4),
            _number(own.get("usual_log_loss"), 4),
            _number(own.get("direction"), 4),
        ]
        for name in SHOWN
        for own in [facts["policies"][name]]
    ]
    yield ""
    yield table(header, rows)
    yield ""


def _rest(found: Simulated, facts: dict[str, Any]) -> Iterator[str]:
    for rival in found.rivals:
        yield told("verdict", rival.sentence)
    yield told("gate", _gate(facts))
    yield ""
    yield table(["age in days", "turns", "rows", "skill", "newest", "costs", "90 %"], _aged(facts))
    yield ""
    yield table(["as of", "candidate", "gate", "serves", "mode"], _turns(facts))
    yield ""


def _gate(facts: dict[str, Any]) -> str:
    outcomes = [turn["outcome"] for turn in facts["turns"]]
    counts = ", ".join(f"{outcomes.count(name)} {name}" for name in sorted({*outcomes}))
    return f"{counts}; it let the model trade in {facts['allowed_turns']} of {len(outcomes)} turns"


def _aged(facts: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{each['from_days']:g} to {each['to_days']:g}",
            f"{each['turns']}",
            f"{each['rows']}",
            _percent(each["skill"]),
            _percent(each["fresh_skill"]),
            _number(each["gap"]["value"] if each["gap"] else None, 4),
            f"{each['gap']['low']:+.4f} to {each['gap']['high']:+.4f}" if each["gap"] else NONE,
        ]
        for each in facts["staleness"]
    ]


def _turns(facts: dict[str, Any]) -> list[list[str]]:
    return [
        [
            turn["as_of"][:16].replace("T", " "),
            turn["version"],
            turn["outcome"],
            turn["champion"] or NONE,
            turn["mode"] or NONE,
        ]
        for turn in facts["turns"][-MOST:]
    ]


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{share:+.2%}"


def _size(share: float | None) -> str:
    return NONE if share is None else f"{share:.2%}"


def _number(value: float | None, digits: int) -> str:
    return NONE if value is None else f"{value:.{digits}f}"
