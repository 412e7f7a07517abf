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
Word = Literal["better", "worse", "undecidable"]
FEW_DAYS = 20  # on which two versions came to different money; below, the interval is no proof


def word_of(low: float, high: float) -> Word:
    """What an interval of a gain says of who is held to have it.

    Examples
    --------
    >>> word_of(0.1, 0.2), word_of(-0.1, 0.0), word_of(-0.2, -0.1)
    ('better', 'undecidable', 'worse')
    """
    if low > 0:
        return "better"
    return "worse" if high < 0 else "undecidable"


class MoneyEvidence(BaseModel):
    """What the signals of a candidate and the champion came to after costs, day by day.

    Both were traded by one profile on the candles whose rows both predicted out of fold.
    `daily_difference` is the mean over `days` (of UTC) of the candidate's net return less the
    champion's, as a share of the equity, `low` and `high` the ends of its 90 % interval by the
    block bootstrap of paired days, `daily_difference_p` the one-sided probability of at least this
    mean between versions that earn the same, None where an older evaluation did not tell; on
    `differing_days` the two came to different money. `candidate_return` and `champion_return` are
    those of the whole span.
    """

    model_config = _STRICT

    comparable: bool
    why_not: str = ""
    days: Annotated[int, Field(ge=0)] = 0
    differing_days: Annotated[int, Field(ge=0)] = 0
    candidate_return: float = 0.0
    champion_return: float = 0.0
    daily_difference: float = 0.0
    low: float = 0.0
    high: float = 0.0
    daily_difference_p: float | None = None

    @property
    def word(self) -> Word:
        """What the interval says of the candidate; few days that differ say nothing."""
        return word_of(self.low, self.high) if self.differing_days >= FEW_DAYS else "undecidable"

    def sentence(self, candidate: str, champion: str) -> str:
        """Tell it in one sentence."""
        if not self.comparable:
            return f"What the two earn cannot be compared: {self.why_not.rstrip('.')}."
        if not self.differing_days:
            return (
                f"After costs, on {self.days} common days, {candidate} and {champion} came to the "
                f"same, {self.candidate_return:+z.2%}: by money {candidate} is undecidable."
            )
        return (
            f"After costs, on {self.days} common days, {candidate} came to "
            f"{self.candidate_return:+z.2%} and {champion} to {self.champion_return:+z.2%}, "
            f"{self.daily_difference:+z.3%} a day apart, with 90 % confidence {self.low:+z.3%} to "
            f"{self.high:+z.3%}: by money {candidate} is {self.word}{self._too_few()}."
        )

    def _too_few(self) -> str:
        if self.differing_days >= FEW_DAYS:
            return ""
        return f", for only {self.differing_days} days differ and {FEW_DAYS} are needed"


class HeadLikeness(BaseModel):
    """A head's answers beside the champion's, on the rows that both predicted out of fold.

    `rank_correlation` is Spearman's, of the mean class; a signal rate is the share of rows whose
    most probable class is a side, a calibration error the mean distance of probabilities from how
    often it then happened.
    """

    model_config = _STRICT

    head: str
    rows: Annotated[int, Field(gt=0)]
    rank_correlation: float
    signal_rate: float
    champion_signal_rate: float
    calibration_error: float
    champion_calibration_error: float


class Certification(BaseModel):
    """A head's final refit beside its newest fold's model, on the newest rows.

    The fold's model learnt from none of them, the refit from all but the `unlabelled_rows`, whose
    outcome nobody knew.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    head: str
    rows: Annotated[int, Field(ge=0)]
    rank_correlation: float | None
    unlabelled_rows: Annotated[int, Field(ge=0)] = 0
    unlabelled_rank_correlation: float | None = None
    signal_rate: float
    fold_signal_rate: float

    def agreement(self, least_rows: int) -> tuple[int, float | None]:
        """Rows that neither learnt from and the rank correlation on them, where they are enough.

        Else 0, and the correlation on all rows: it tells a refit that says the opposite.
        """
        if self.unlabelled_rows >= least_rows:
            return self.unlabelled_rows, self.unlabelled_rank_correlation
        return 0, self.rank_correlation


class ChampionEvidence(BaseModel):
    """The candidate against the champion on rows that neither was fitted on.

    `log_loss_difference` is candidate minus champion, mean over the common rows, in nats, `low`
    and `high` the ends of its 90 % interval; `common_moments` are the candles that these rows
    stand on, fewer where several markets or heads share them. `log_loss_p` and `direction_loss_p`
    are the one-sided probabilities of at least this improvement between equal models, the second
    of `direction_loss_difference`, the squared error of sell against buy among the rows that
    moved, None where no head tells them apart. `diebold_mariano_p` is of equal
    losses, None where too few rows are independent, `mcnemar_p` of being right equally often:
    both told, not judged by. `money` is what both came to after costs, `likeness` how alike their
    answers are. `is_newer` says that the champion knows later candles than the candidate.
    """

    model_config = _STRICT

    version: str
    mode: Literal["observe", "trade"]
    comparable: bool
    common_rows: Annotated[int, Field(ge=0)] = 0
    common_moments: Annotated[int, Field(ge=0)] | None = None
    log_loss_difference: float | None = None
    low: float | None = None
    high: float | None = None
    log_loss_p: float | None = None
    direction_loss_difference: float | None = None
    direction_loss_p: float | None = None
    diebold_mariano_p: float | None = None
    mcnemar_p: float | None = None
    why_not: str = ""
    is_newer: bool = False
    money: MoneyEvidence | None = None
    likeness: tuple[HeadLikeness, ...] = ()

    @model_validator(mode="after")
    def _check_comparison(self) -> Self:
        if self.comparable and None in (self.log_loss_difference, self.low, self.high):
            raise ValueError("a comparable champion needs a log_loss_difference, low and high")
        return self

    @property
    def interval(self) -> tuple[float, float, float]:
        """The difference and its interval; nothing where the two were not compared."""
        return self.log_loss_difference or 0.0, self.low or 0.0, self.high or 0.0

    @property
    def word(self) -> Word:
        """What the log loss says of the candidate; what was not compared is undecidable."""
        _, low, high = self.interval
        return word_of(-high, -low)

    def sentence(self) -> str:
        """Tell what both kinds of evidence say, loss and money, in plain words."""
        if self.comparable:
            difference, low, high = self.interval
            loss = (
                f"By log loss against {self.version} it is {self.word} ({difference:+z.4f} a row "
                f"on {self.common_rows} common rows, with 90 % confidence {low:+z.4f} to "
                f"{high:+z.4f})."
            )
        elif self.money and self.money.why_not == self.why_not:
            return (
                "Neither by log loss nor by money can it be compared with "
                f"{self.version}: {self.why_not.rstrip('.')}."
            )
        else:
            loss = f"The log loss of {self.version} is no evidence: {self.why_not.rstrip('.')}."
        return f"{loss} {self.money.sentence('it', self.version)}" if self.money else loss


class Evidence(BaseModel):
    """What is known of a candidate; figures are out-of-fold.

    `brier_skill` is 1 - Brier(model) / Brier(training shares): above 0 is better than its
    baseline; `brier_skill_low` is the lower end of its one-sided 95 % interval, `brier_skill_p`
    the probability of at least this skill where there is none, None where an older evaluation did
    not tell. The same of
    sell against buy among the rows that moved is `direction_skill`, None where no head tells
    them apart; `direction_effective_rows` is how many independent rows moved, None where an older
    evaluation did not tell. `finite` says whether all of its figures are, `chronological` whether
    the models of the folds were trained on candles before their tests alone; `certified` holds
    the final refits against them, empty where nobody did.
    """

    model_config = _STRICT

    finite: bool
    chronological: bool = True
    effective_rows: float
    brier_skill: float
    brier_skill_low: float
    brier_skill_p: float | None = None
    direction_skill: float | None = None
    direction_skill_low: float | None = None
    direction_skill_p: float | None = None
    direction_effective_rows: float | None = None
    balanced_accuracy: float
    classes: Annotated[int, Field(ge=2)]
    certified: tuple[Certification, ...] = ()
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
