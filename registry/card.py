"""What a version says of itself: where it comes from, what it saw and how it scored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from registry.errors import RegistryError
from registry.files import refused
from registry.slots import Slot

_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
_SHARES_SUM_TOLERANCE = 1e-6

Share = Annotated[float, Field(ge=0, le=1)]
Digest = Annotated[str, Field(min_length=8)]
Metrics = dict[str, float | None]


class DataSpan(BaseModel):
    """Candles that the run was cut from: open times of the first and last, count, digest."""

    model_config = _STRICT

    first: str
    last: str
    rows: Annotated[int, Field(ge=0)]
    sha256: Digest


class Score(BaseModel):
    """One figure with the ends of its 90 % interval, beside what each baseline scored.

    `spread` is between the lowest and highest path where rows were predicted several times;
    `perfect` is what a perfect forecaster would show on these rows.
    """

    model_config = _STRICT

    value: float | None
    low: float | None = None
    high: float | None = None
    baselines: Metrics = {}
    spread: tuple[float, ...] | None = None
    perfect: Metrics = {}


class HeadCard(BaseModel):
    """One head: names of its triple, its ordered columns and what its labels looked like.

    `feature_digest` and `label_digest` stand for every option of the two. `rows` counts the
    labelled rows, `class_shares` are their shares; `calibration` is None where probabilities are
    the model's own.
    """

    model_config = _STRICT

    features: str
    feature_digest: Digest
    columns: tuple[str, ...]
    label: str
    label_digest: Digest | None = None
    model: str
    calibration: str | None = None
    classes: tuple[str, ...]
    rows: Annotated[int, Field(ge=0)]
    class_shares: dict[str, Share]

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        unknown = sorted(set(self.class_shares) - set(self.classes))
        if unknown:
            raise ValueError(f"class_shares names {unknown[0]}, which is not one of the classes")
        if self.class_shares and abs(sum(self.class_shares.values()) - 1) > _SHARES_SUM_TOLERANCE:
            raise ValueError("class_shares do not add up to 1")
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("columns names a column twice")
        return self


class Card(BaseModel):
    """Only what follows from as_of and the choices: the same run writes the same bytes.

    `scores` are those of each head, `seeds` where each seed stands in `config`; `certification`
    holds the final refit against the evaluated models, None where nobody did.
    """

    model_config = _STRICT

    format: Literal[1] = 1
    slot: str
    recipe: str
    exchange: str
    feed: str
    market: str
    timeframe: str
    as_of: str
    data: DataSpan
    heads: Annotated[dict[str, HeadCard], Field(min_length=1)]
    metrics: Metrics
    heads_metrics: dict[str, Metrics]
    scores: dict[str, dict[str, Score]] = {}
    certification: dict[str, JsonValue] | None = None
    quality: dict[str, JsonValue]
    config: dict[str, dict[str, JsonValue]]
    seeds: dict[str, int] = {}
    code: dict[str, str]
    libraries: dict[str, str]
    reproducible: bool
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_slot(self) -> Self:
        try:
            slot = Slot.parse(self.slot)
        except RegistryError as error:
            raise ValueError(str(error)) from None
        named = (slot.recipe, slot.market, slot.exchange or self.exchange)
        if named != (self.recipe, self.market, self.exchange):
            raise ValueError(f"slot {self.slot} is not that of the recipe, market and exchange")
        return self

    @classmethod
    def build(cls, facts: Mapping[str, object]) -> Self:
        """Make a card from plain values.

        Raises
        ------
        RegistryError
            Naming the first fields that are missing, unknown or wrong.
        """
        try:
            return cls.model_validate(dict(facts))
        except ValidationError as error:
            raise _told(error) from None

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read `card.json`.

        Raises
        ------
        RegistryError
            Naming the first fields that are missing, unknown or wrong.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise _told(error) from None

    def to_bytes(self) -> bytes:
        """Write canonical JSON: sorted keys, indent 1, one newline at the end.

        Raises
        ------
        RegistryError
            When a number deep inside `quality` or `config` is not finite.
        """
        told = self.model_dump(mode="json")
        try:
            text = json.dumps(told, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
        except ValueError as error:
            raise refused("a card cannot be written", found=str(error)) from None
        return f"{text}\n".encode()


def _told(error: ValidationError) -> RegistryError:
    details = error.errors(include_url=False)
    lines = [".".join(map(str, detail["loc"])) + ": " + detail["msg"] for detail in details[:3]]
    more = f" and {len(details) - 3} more" if len(details) > len(lines) else ""
    return refused("a card is not complete or not sound", found="; ".join(lines) + more)
