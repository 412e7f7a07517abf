"""The gate's word on a simulated candidate: the only place here that calls it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from registry.budget import Asked, Budget, Fleet, offer
from registry.conditions import GateConfig
from registry.draws import Draw
from registry.evidence import Evidence
from registry.gate import Standing, Verdict, judge

Mode = Literal["observe", "trade"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a turn's candidate; `champion` is the number of the turn whose model serves.

    `outcome` is the gate's, or ``failed`` where there was no candidate; `draw` is the portion of
    the yearly error that it was tested with, None where it cost none.
    """

    turn: int
    outcome: str
    sentence: str
    champion: int | None
    mode: Mode | None
    draw: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate to be judged: its name and the moment that it was made at."""

    version: str
    as_of: str


def judged(
    evidence: Evidence, gate: GateConfig, test: Candidate, earlier: Sequence[Decision]
) -> tuple[Verdict, dict[str, Any] | None]:
    """Ask the gate as a retrain of the only slot does, and tell the portion that it cost.

    Every candidate after the first is a refresh; nobody is asked for an audit.

    Parameters
    ----------
    earlier
        Every decision before, the oldest first.
    """
    champion = evidence.champion.version if evidence.champion else ""
    kind: Literal["first", "refresh"] = "refresh" if champion else "first"
    asked = Asked(test.version, kind, test.as_of, champion)
    made = tuple(Draw(**each.draw) for each in earlier if each.draw)
    found = offer(Budget(made), asked, Fleet(), gate)
    verdict = judge(evidence, gate, Standing(asked, found))
    if not verdict.drawn:
        return verdict, None
    draw = Draw(
        version=test.version,
        as_of=test.as_of,
        kind=kind,
        level=found.level,
        batch=found.batch,
        trials=found.trials,
        admitted=verdict.outcome == "promote",
        at=test.as_of,
    )
    return verdict, asdict(draw)
