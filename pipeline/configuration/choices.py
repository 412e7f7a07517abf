"""What was chosen: the few lines of params.yaml, or of a command's ``key=value`` words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.config import Node, Record, read_yaml, to_yaml
from pipeline.configuration.recipe import Recipe
from pipeline.errors import ConfigError, nearest
from registry.files import write_atomic

RECIPE, MARKET, NONE, LAST, NOW = "recipe", "market", "none", "last", "now"
FILE = Path("params.yaml")


class KeptFrom(Record):
    """Which version a head that is not trained comes from, and until when it had learnt.

    `sha256` stands for all its files, see `pipeline.models.kept_head`.
    """

    version: str
    sha256: str
    as_of: str


class Choices(Record):
    """One choice per group; ``recipe`` and ``market`` mean the recipe's or the market's own.

    `tune` names settings that lie under all of these; ``none`` lays nothing there.
    ``set`` reaches deeper keys: ``set.exchange.root``, ``set.model.n_estimators`` (every head),
    ``set.heads.<head>.model.n_estimators`` (one head). `skip` has the heads that are kept as a
    version has them; only ``vintage retrain`` can tell which.
    """

    recipe: str
    exchange: str
    market: str
    features: str
    label: str
    model: str
    split: str
    gate: str
    backtest: str = RECIPE
    calibration: str = RECIPE
    tune: str = NONE
    as_of: str
    skip: dict[str, KeptFrom] = Field(default_factory=dict)
    set: Node = Field(default_factory=dict)


GROUPS = tuple(name for name in Choices.model_fields if name not in {"as_of", "skip", "set"})


def read_choices(path: Path) -> Choices:
    """Read params.yaml.

    Raises
    ------
    ConfigError
        When a key is unknown or missing, or a value is not text.
    """
    try:
        return Choices.parse(read_yaml(path), str(path))
    except ConfigError as error:
        fix = f"{error.fix}; git checkout {FILE} brings the committed choice back"
        raise ConfigError(error.what, where=error.where, found=error.found, fix=fix) from None


def write_choices(path: Path, choices: Choices) -> None:
    """Write a params.yaml that `read_choices` reads back."""
    write_atomic(path, to_yaml(choices.model_dump()).encode())


def choose(start: Choices, words: Mapping[str, Any]) -> Choices:
    """Lay ``key=value`` words over the choices: a group, ``as_of``, or a deeper key.

    Raises
    ------
    ConfigError
        When a word names neither.

    Examples
    --------
    >>> start = Choices(recipe="demo", exchange="market", market="recipe", features="recipe",
    ...                 label="recipe", model="recipe", split="recipe", gate="recipe", as_of="last")
    >>> choose(start, {"model": "majority", "exchange.root": "/data"}).set
    {'exchange': {'root': '/data'}}
    """
    plain: Node = {}
    deep: Node = start.set
    for key, value in words.items():
        path = key.removeprefix("set.").split(".")
        if key in (*GROUPS, "as_of"):
            plain[key] = str(value)
        elif len(path) > 1 or path[0] in SCALARS:
            deep = merge(deep, _nest(path, value))
        else:
            raise unknown_key(key, value)
    return start.model_copy(update={**plain, "set": deep})


def unknown_key(key: str, value: Any, own: Iterable[str] = ()) -> ConfigError:
    """Tell a word that chooses nothing; `own` are words of one verb alone.

    Examples
    --------
    >>> print(unknown_key("timeframe", "5m"))
    unknown key 'timeframe'. To do: it is a key of the recipe: recipe.timeframe=5m.
    """
    if key in Recipe.model_fields:
        fix = f"it is a key of the recipe: {RECIPE}.{key}={value}"
    else:
        valid = nearest(key, (*KEYS, *own))
        fix = f"{valid}; deeper keys have a dot: model.n_estimators=50"
    return ConfigError(f"unknown key '{key}'", fix=fix)


SCALARS = ("seed", "device", "workers")
KEYS = (*GROUPS, "as_of", *SCALARS)


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Node:
    """Lay one tree over another; lists and scalars are replaced whole.

    Examples
    --------
    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}})
    {'a': {'b': 3, 'c': 2}}
    """
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _nest(path: Iterable[str], value: Any) -> Node:
    nested: Any = value
    for part in reversed(list(path)):
        nested = {part: nested}
    return dict(nested)
