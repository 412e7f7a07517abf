"""From choices to one resolved tree: Hydra composes the groups, records check the result.

The only module that uses Hydra.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import Field
from yaml import YAMLError

from pipeline.choices import MARKET, RECIPE, SCALARS, Choices, merge
from pipeline.config import Node, Record, home, read_yaml
from pipeline.errors import ConfigError, nearest
from pipeline.settings import HEAD_GROUPS, RUN_GROUPS, checked, over_heads, texts

COMPOSING = (  # what Hydra raises on a broken file; AttributeError where it is a list
    HydraException,
    OmegaConfBaseException,
    YAMLError,
    OSError,
    ValueError,
    AttributeError,
    RecursionError,
)
REFERENCE = re.compile(r"\$\{[^${}:]*\}")
HeadName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
OmegaConf.clear_resolver("oc.env")  # no secret can be read, however it is asked for


class HeadChoice(Record):
    """A head is a triple."""

    features: str
    label: str
    model: str


class Recipe(Record):
    """A recipe names its heads and everything a run needs by default."""

    market: str
    timeframe: str
    history_days: Annotated[float, Field(gt=0, le=36500, description="days of candles")]
    heads: dict[HeadName, HeadChoice]
    lookback: Annotated[int, Field(ge=1, le=10_000, description="candles a model may see")]
    split: str
    validation: str
    gate: str
    action_threshold: Annotated[float, Field(ge=0, le=1, description="probability to act on")]


class Root(Record):
    """``conf/config.yaml``: where commands start from."""

    choices: Choices
    plugins: tuple[str, ...] = ()
    seed: Annotated[int, Field(ge=0)]
    device: str


@dataclass(frozen=True, slots=True)
class Composed:
    """One run's choices with nothing left to look up: plain mappings by group."""

    choices: Choices
    recipe: Recipe
    root: Root
    groups: Mapping[str, Node]
    heads: Mapping[str, Mapping[str, Node]]


def read_root(conf: Path) -> Root:
    """Read ``conf/config.yaml``."""
    path = conf / "config.yaml"
    return Root.parse(read_yaml(path), str(path))


def parse_words(words: Iterable[str]) -> Node:
    """Read ``key=value`` words by Hydra's grammar.

    Raises
    ------
    ConfigError
        When a word does not parse, is a sweep, or does anything but choose.

    Examples
    --------
    >>> parse_words(["market=KRW-SOL", "model.n_estimators=50"])
    {'market': 'KRW-SOL', 'model.n_estimators': 50}
    """
    parser = OverridesParser.create()
    read: Node = {}
    for word in words:
        try:
            override = parser.parse_override(word)
        except (HydraException, ValueError) as error:
            if "=" not in word:
                raise ConfigError(
                    f"'{word}' is not key=value", fix=f"say what it is, such as recipe={word}"
                ) from None
            told = str(error).splitlines()[0]
            raise ConfigError(
                f"'{word}' is not key=value: {told}", fix="quote values with spaces or symbols"
            ) from None
        if override.is_sweep_override():
            raise ConfigError(
                f"'{word}' is a sweep", fix="run sweeps with dvc exp run --queue -S key=a,b"
            )
        if override.is_delete() or override.package is not None:
            raise ConfigError(f"'{word}' is not key=value", fix="write it without ~ and @")
        read[override.key_or_group] = override.value()
    return read


def compose_run(choices: Choices, conf: Path) -> Composed:
    """Resolve choices against a conf folder.

    Raises
    ------
    ConfigError
        When a group has no such option or a key does not exist; the nearest word is named.
    """
    root = read_root(conf)
    settings = checked(choices.set)
    recipe = read_recipe(choices.recipe, conf, settings.get("recipe", {}))
    choices = _own(choices, recipe)
    market = _part(_compose(conf, [_option(conf, "market", choices.market)]), "market")
    if choices.exchange == MARKET:
        own = _own_exchange(market, choices.market, conf)
        choices = choices.model_copy(update={"exchange": own})
    heads = {name: _head_choice(choices, head) for name, head in recipe.heads.items()}
    tree = _compose(conf, [*_run_words(choices, recipe, conf), *_head_words(heads, conf)])
    return Composed(
        choices=choices,
        recipe=recipe,
        root=_root(root, settings),
        groups={group: merge(_part(tree, group), settings.get(group, {})) for group in RUN_GROUPS},
        heads=over_heads(_part(tree, "heads"), settings),
    )


def read_recipe(name: str, conf: Path, settings: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe, with deeper settings laid over it.

    Raises
    ------
    ConfigError
        When there is no such recipe, or a key of it is wrong.
    """
    node = _part(_compose(conf, [_option(conf, "recipe", name)]), "recipe")
    recipe = Recipe.parse(merge(node, settings or {}), f"recipe={name}")
    if not recipe.heads:
        raise ConfigError("a recipe needs at least one head", where=f"recipe={name}")
    return recipe


def options(conf: Path, group: str) -> list[str]:
    """Names of a group's options."""
    return sorted(path.stem for path in (conf / group).glob("*.yaml"))


def _own(choices: Choices, recipe: Recipe) -> Choices:
    own = {
        name: getattr(recipe, name)
        for name in ("market", "split", "gate")
        if getattr(choices, name) == RECIPE
    }
    return choices.model_copy(update=own)


def _own_exchange(market: Node, name: str, conf: Path) -> str:
    own = market.get("exchange")
    if not isinstance(own, str):
        raise ConfigError("'exchange' is missing or no text", where=f"market={name}")
    if own not in (valid := options(conf, "exchange")):
        others = " or ".join(f"exchange={option}" for option in valid)
        raise ConfigError(
            f"the own exchange of {name}, {own}, has no adapter yet",
            where="conf/exchange/",
            fix=f"add {others}",
        )
    return own


def _head_choice(choices: Choices, head: HeadChoice) -> HeadChoice:
    given = {
        group: getattr(choices, group) for group in HEAD_GROUPS if getattr(choices, group) != RECIPE
    }
    return head.model_copy(update=given)


def _run_words(choices: Choices, recipe: Recipe, conf: Path) -> list[str]:
    chosen = {**choices.model_dump(), "validation": recipe.validation}
    return [_option(conf, group, chosen[group]) for group in RUN_GROUPS]


def _head_words(heads: Mapping[str, HeadChoice], conf: Path) -> Iterator[str]:
    for name, head in heads.items():
        for group in HEAD_GROUPS:
            yield _option(conf, group, getattr(head, group), f"@heads.{name}.{group}")


def _option(conf: Path, group: str, name: str, package: str = "") -> str:
    valid = options(conf, group)
    if name in valid:
        return f"+{group}{package}={name}"
    if _lies_at_home(group, name):
        raise ConfigError(
            f"{group}={name} exists, but git does not track it, so this experiment's copy lacks it",
            where=f"conf/{group}/{name}.yaml",
            fix=f"git add conf/{group}/{name}.yaml and repeat",
        )
    raise ConfigError(
        f"there is no {group} '{name}'", where=f"conf/{group}/", fix=nearest(name, valid)
    )


def _lies_at_home(group: str, name: str) -> bool:
    try:
        return name in options(home() / "conf", group)
    except ConfigError:
        return False


def _part(tree: Node, group: str) -> Node:
    node = tree.get(group)
    if not isinstance(node, dict):
        raise ConfigError(
            f"the chosen {group} has no keys, or places them elsewhere",
            where=f"conf/{group}/",
            fix="give it keys, and take '# @package' out of its first line",
        )
    return node


def _compose(conf: Path, words: list[str]) -> Node:
    try:
        with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
            composed = compose("config", overrides=words)
        _refuse_resolvers(OmegaConf.to_container(composed, resolve=False))
        resolved = OmegaConf.to_container(composed, resolve=True)
    except COMPOSING as error:
        _read_each(conf, words)
        told = " ".join(str(error).split())
        raise ConfigError(f"conf cannot be composed: {told}", where=str(conf)) from None
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def _read_each(conf: Path, words: Iterable[str]) -> None:
    for word in words:
        place, _, name = word.removeprefix("+").partition("=")
        read_yaml(conf / place.partition("@")[0] / f"{name}.yaml")


def _refuse_resolvers(node: Any) -> None:
    for path, text in texts(node):
        called = text
        while REFERENCE.search(called):
            called = REFERENCE.sub("", called)
        if "${" in called:
            raise ConfigError(
                "what the environment or the clock says would be written into a file",
                where=path,
                found=text,
                fix="leave it out: secrets are read from the environment where they are used",
            )


def _root(root: Root, settings: Mapping[str, Any]) -> Root:
    given = {key: settings[key] for key in SCALARS if key in settings}
    return Root.parse({**root.model_dump(), **given}, "set")
