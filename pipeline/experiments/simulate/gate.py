"""The gate's word on a simulated candidate: the only place here that calls it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from registry.conditions import GateConfig
from registry.evidence import Evidence
from registry.gate import Verdict, judge

Mode = Literal["observe", "trade"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a turn's candidate; `champion` is the number of the turn whose model serves.

    `outcome` is the gate's, or ``failed`` where there was no candidate.
    """

    turn: int
    outcome: str
    sentence: str
    champion: int | None
    mode: Mode | None


def judged(
    evidence: Evidence,
    gate: GateConfig,
    earlier: Sequence[Decision],  # noqa: ARG001
) -> Verdict:
    """Ask the gate as a retrain does.

    Parameters
    ----------
    earlier
        Every decision before, the oldest first.
    """
    return judge(evidence, gate)
