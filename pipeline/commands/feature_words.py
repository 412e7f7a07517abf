"""What ``vintage features`` was asked: names, moments, and the words of a target."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline.commands.arguments import checkout
from pipeline.commands.console import WIDTH
from pipeline.errors import ConfigError
from pipeline.features.column import ColumnSpec
from pipeline.market.candles import moment

MOST = {"show": (1, 1), "explain": (2, 1), "diff": (2, 2)}
USAGE = {
    "show": "vintage features show SET",
    "explain": "vintage features explain SET COLUMN",
    "diff": "vintage features diff SET SET, or diff SET at=MOMENT at=MOMENT",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Bare words in order, those of ``features=`` first, ``at=`` moments, and all other words."""

    names: tuple[str, ...]
    moments: tuple[pd.Timestamp, ...]
    words: tuple[str, ...]
    usage: str

    @property
    def of_data(self) -> bool:
        """Whether values are asked for."""
        return bool(self.words or self.moments)

    def require(self, names: int) -> tuple[str, ...]:
        """The names, so many of them.

        Raises
        ------
        ConfigError
            When there are fewer or more.
        """
        if len(self.names) != names:
            raise ConfigError(
                "a name is missing" if len(self.names) < names else "there is a name too many",
                where="vintage features",
                found=" ".join(self.names) or "none",
                fix=self.usage,
            )
        return self.names

    def target(self, feature_set: str | None) -> list[str]:
        """Words of the market's target, with a feature set among them."""
        return [*([f"features={feature_set}"] if feature_set else []), *self.words]


def read_words(words: Sequence[str], action: str) -> Asked:
    """Sort the words of an action.

    Raises
    ------
    ConfigError
        When it takes fewer names or moments than that.
    """
    sets, names, moments, rest = [], [], [], []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            names.append(word)
        elif key == "features":
            sets.append(value)
        elif key == "at":
            moments.append(moment(value, "at"))
        else:
            rest.append(word)
    asked = Asked((*sets, *names), tuple(moments), tuple(rest), USAGE[action])
    most_names, most_moments = MOST[action]
    if len(asked.names) > most_names:
        asked.require(most_names)
    if len(moments) > most_moments:
        raise ConfigError(f"{len(moments)} moments at=, one too many", fix=asked.usage)
    return asked


def conf() -> Path:
    """The folder of options."""
    return checkout() / "conf"


def declaration(spec: ColumnSpec) -> str:
    """A column's indicator and arguments on one line."""
    given = ", ".join(f"{name}={_plain(value)}" for name, value in spec.arguments.items())
    return f"{spec.indicator}({given})"


def paragraphs(texts: Mapping[str, str]) -> str:
    """Named paragraphs, wrapped and hanging, all under one edge.

    Examples
    --------
    >>> print(paragraphs({"a": "one", "long": "two"}))
      a     one
      long  two
    """
    width = max(map(len, texts))
    return "\n".join(
        textwrap.fill(
            text,
            WIDTH,
            initial_indent=f"  {name:<{width}}  ",
            subsequent_indent=" " * (width + 4),
            break_on_hyphens=False,
        )
        for name, text in texts.items()
    )


def figures(values: Sequence[float]) -> list[str]:
    """Figures with all the digits that they need, right under each other.

    Examples
    --------
    >>> figures([152345000.0, 0.25, float("nan")])
    ['152345000', '     0.25', '        -']
    """
    texts = ["-" if value != value else f"{value:.10g}" for value in values]  # noqa: PLR0124
    width = max(map(len, texts), default=0)
    return [text.rjust(width) for text in texts]


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
