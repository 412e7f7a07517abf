"""What one retrain did."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from pipeline.operations.retraining.candidate import Candidate
from pipeline.operations.retraining.waiting import Served
from pipeline.operations.target import Target
from registry.conditions import Condition
from registry.evidence import Evidence
from registry.gate import Verdict
from registry.history import Pointer

REFUSED = "refuse"
JOINTS = ("; and ", ", and ", "; ")  # what stands before a reason in the gate's sentence


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one retrain did; `report` is the version's page, `checks` what its candles passed.

    `served` tells whether the version waits for a flat market, `waited` what became of one that
    waited before, `came` that this was the version itself, which is champion by that, `anew` that
    it was observed already and its audit came since.
    """

    target: Target
    ran: tuple[str, ...]
    candidate: Candidate
    version: str
    created: bool
    verdict: Verdict
    pointer: Pointer | None
    before: str | None
    report: Path
    checks: Path
    evidence: Evidence
    served: Served
    waited: str = ""
    anew: bool = False
    came: bool = False

    @property
    def against_itself(self) -> tuple[Condition, ...]:
        """Conditions that hold the version against itself, where it is the champion already."""
        champion = self.evidence.champion
        if champion is None or champion.version != self.version:
            return ()
        return tuple(each for each in self.verdict.conditions if self.version in each.reason)

    @property
    def sentence(self) -> str:
        """The gate's sentence, without what holds the version against itself."""
        sentence = self.verdict.sentence
        for each, joint in product(self.against_itself, JOINTS):
            sentence = sentence.replace(f"{joint}{each.reason}", "")
        return sentence
