"""What a gate is told of a candidate, alone and against the champion, and where that is kept.

What a version was last judged by stands beside its events::

    upbit_hourly/KRW-SOL/v0007.events.jsonl
    upbit_hourly/KRW-SOL/v0007.evidence.json
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from registry.files import locked, read_if_there, refused, write_atomic
from registry.manifest import registered_digest
from registry.slots import Slot

_STRICT = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class ChampionEvidence(BaseModel):
    """The candidate against the champion on rows that neither was fitted on.

    `log_loss_difference` is candidate minus champion, mean over the common rows, in nats, `low`
    and `high` the ends of its 90 % interval; `diebold_mariano_p` is of equal losses, `mcnemar_p`
    of being right equally often, told but not judged by. `is_newer` says that the champion knows
    later candles than the candidate.
    """

    model_config = _STRICT

    version: str
    mode: Literal["observe", "trade"]
    comparable: bool
    common_rows: Annotated[int, Field(ge=0)] = 0
    log_loss_difference: float | None = None
    low: float | None = None
    high: float | None = None
    diebold_mariano_p: float | None = None
    mcnemar_p: float | None = None
    why_not: str = ""
    is_newer: bool = False

    @model_validator(mode="after")
    def _check_comparison(self) -> Self:
        if self.comparable and None in (self.log_loss_difference, self.low, self.high):
            raise ValueError("a comparable champion needs a log_loss_difference, low and high")
        return self

    @property
    def interval(self) -> tuple[float, float, float]:
        """The difference and its interval; nothing where the two were not compared."""
        return self.log_loss_difference or 0.0, self.low or 0.0, self.high or 0.0


class Evidence(BaseModel):
    """What is known of a candidate; figures are out-of-fold.

    `brier_skill` is 1 - Brier(model) / Brier(training shares): above 0 is better than its
    baseline; `brier_skill_low` is the lower end of its one-sided 95 % interval. The same of
    sell against buy among the rows that moved is `direction_skill`, None where no head tells
    them apart. `finite` says whether all of its figures are.
    """

    model_config = _STRICT

    finite: bool
    effective_rows: float
    brier_skill: float
    brier_skill_low: float
    direction_skill: float | None = None
    direction_skill_low: float | None = None
    balanced_accuracy: float
    classes: Annotated[int, Field(ge=2)]
    champion: ChampionEvidence | None = None


def keep_evidence(root: Path, slot: Slot, version: str, evidence: Evidence) -> None:
    """Keep what a version is judged by, in place of what it was judged by before.

    Raises
    ------
    RegistryError
        When the version does not exist, or the disk does not take the file.
    """
    place = slot.folder(root)
    registered_digest(place, version)
    content = evidence.model_dump_json(indent=1).encode() + b"\n"
    try:
        with locked(place):
            write_atomic(_path(root, slot, version), content)
    except OSError as error:
        found, fix = str(error.strerror or error), "make room or give write access, and try again"
        what = f"the evidence on {slot} {version} cannot be kept"
        raise refused(what, where=place, found=found, fix=fix) from error


def kept_evidence(root: Path, slot: Slot, version: str) -> Evidence | None:
    """What a version was last judged by; None where it was not, or by an older gate."""
    content = read_if_there(_path(root, slot, version))
    try:
        return None if content is None else Evidence.model_validate_json(content)
    except ValidationError:
        return None


def _path(root: Path, slot: Slot, version: str) -> Path:
    return slot.folder(root) / f"{version}.evidence.json"
