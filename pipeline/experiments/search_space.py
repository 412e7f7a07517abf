"""``conf/search/``: which deeper keys of the models are tried, and between which ends."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from pipeline.config import Node, Record, read_yaml
from pipeline.configuration.conf_options import options
from pipeline.errors import ConfigError, nearest

GROUP = "search"
DIGITS = 4  # significant digits of a drawn number: what a person would type
STEP_TOLERANCE = 1e-9
Scalar = bool | int | float | str | None
Settings = dict[str, Any]


class Range(Record):
    """Numbers from `low` to `high`, both included; whole numbers where all ends are whole."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}; low lies below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a log range starts above 0 and has no step")
        if self.step is not None and self.step <= 0:
            raise ValueError(f"step is {self.step:g}; it is above 0")
        steps = (self.high - self.low) / (self.step or 1)
        if self.step is not None and abs(steps - round(steps)) > STEP_TOLERANCE:
            raise ValueError(f"steps of {self.step:g} lead from {self.low:g} past {self.high:g}")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether only whole numbers are drawn."""
        return all(isinstance(end, int) for end in (self.low, self.high, self.step or 1))

    def probe(self, number: int) -> Scalar:
        """The low end first, then the high one."""
        return self.high if number else self.low

    def holds(self, value: Any) -> bool:
        """Whether a value could have been drawn, steps aside."""
        kinds = (int,) if self.is_whole else (int, float)
        whole = isinstance(value, kinds) and not isinstance(value, bool)
        return whole and self.low <= value <= self.high

    def as_typed(self, value: Any) -> Scalar:
        """A drawn number with as many digits as a person would type.

        Examples
        --------
        >>> Range(low=0.01, high=0.3).as_typed(0.0123456)
        0.01235
        """
        if self.is_whole:
            return int(value)
        return min(max(_rounded(float(value)), float(self.low)), float(self.high))


class Options(Record):
    """One of several values, in no order."""

    choices: Annotated[tuple[Scalar, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _are_different(self) -> Self:
        if len({(type(choice), choice) for choice in self.choices}) < len(self.choices):
            raise ValueError("a choice stands there twice")
        return self

    def probe(self, number: int) -> Scalar:
        """Each choice in turn; the last one for ever after."""
        return self.choices[min(number, len(self.choices) - 1)]

    def holds(self, value: Any) -> bool:
        """Whether a value is one of the choices."""
        return any(type(value) is type(choice) and value == choice for choice in self.choices)

    def as_typed(self, value: Any) -> Scalar:
        """The choice itself."""
        found: Scalar = value
        return found


class _File(Record):
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)]
    startup_trials: Annotated[int, Field(ge=1, le=10_000)]
    space: Annotated[dict[str, Any], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Search:
    """A search as its file declares it."""

    name: str
    seed: int
    startup_trials: int
    space: Mapping[str, Range | Options]

    @property
    def where(self) -> str:
        """Its file, for messages."""
        return f"conf/{GROUP}/{self.name}.yaml"

    def to_dict(self) -> Node:
        """What a study's results follow from; keys are drawn in the order of the space."""
        space = [[key, domain.model_dump(mode="json")] for key, domain in self.space.items()]
        return {"seed": self.seed, "startup_trials": self.startup_trials, "space": space}

    def as_typed(self, drawn: Mapping[str, Any]) -> Settings:
        """Drawn values as a user would set them."""
        return {key: self.space[key].as_typed(value) for key, value in drawn.items()}

    def probes(self) -> Iterator[Settings]:
        """Settings that together reach both ends of every range and every choice."""
        longest = max(
            len(domain.choices) if isinstance(domain, Options) else 2
            for domain in self.space.values()
        )
        for number in range(longest):
            yield {key: domain.probe(number) for key, domain in self.space.items()}


def read_search(conf: Path, name: str) -> Search:
    """Read ``conf/search/<name>.yaml``.

    Raises
    ------
    ConfigError
        When there is no such search, or a key or range of it is wrong.
    """
    valid = options(conf, GROUP)
    where = f"conf/{GROUP}/{name}.yaml"
    if name not in valid:
        fix = f"{nearest(name, valid)}; --search NAME takes another one"
        raise ConfigError(f"there is no search '{name}'", where=f"conf/{GROUP}/", fix=fix)
    file = _File.parse(read_yaml(conf / GROUP / f"{name}.yaml"), where)
    space = {key: _domain(node, f"{where}, {key}") for key, node in file.space.items()}
    return Search(name, file.seed, file.startup_trials, space)


def _domain(node: Any, where: str) -> Range | Options:
    if not isinstance(node, Mapping):
        raise ConfigError(
            "is not a range or a list of choices",
            where=where,
            found=repr(node),
            expected="{low: …, high: …} or {choices: […]}",
        )
    return Options.parse(node, where) if "choices" in node else Range.parse(node, where)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value
