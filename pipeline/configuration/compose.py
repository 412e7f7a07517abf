"""From choices to one resolved tree: groups of conf/ with every deeper key laid over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pipeline.config import Node, Record, read_yaml
from pipeline.configuration.choices import MARKET, NONE, RECIPE, SCALARS, Choices, merge
from pipeline.configuration.conf_groups import compose_words, group_of, option_word, read_option
from pipeline.configuration.conf_options import options
from pipeline.configuration.exchange_sources import with_sources
from pipeline.configuration.extended_sets import with_parent
from pipeline.configuration.pool_members import with_members
from pipeline.configuration.recipe import HeadChoice, Recipe
from pipeline.configuration.settings import HEAD_GROUPS, RUN_GROUPS, checked, over_heads
from pipeline.configuration.tune_choice import lay_under, read_tune
from pipeline.configuration.tune_choice import place as place_of
from pipeline.errors import ConfigError


class Root(Record):
    """``conf/config.yaml``: where commands start from."""

    choices: Choices
    plugins: tuple[str, ...] = ()
    seed: Annotated[int, Field(ge=0)]
    device: str
    workers: Annotated[int | None, Field(ge=1, description="processes")] = None
    positions: str = NONE


@dataclass(frozen=True, slots=True)
class Composed:
    """One run's choices with nothing left to look up: plain mappings by group.

    `choices` have what a tune lays under them merged in; `origin` is the slot that the tune was
    found for.
    """

    choices: Choices
    recipe: Recipe
    root: Root
    groups: Mapping[str, Node]
    heads: Mapping[str, Mapping[str, Node]]
    origin: str = ""

    @property
    def model(self) -> str:
        """The chosen model, or every head's own."""
        own = [_head_choice(self.choices, head).model for head in self.recipe.heads.values()]
        return ",".join(dict.fromkeys(own))

    @property
    def under(self) -> str:
        """Where to look, too, when a key is wrong that nobody gave as a word."""
        tune = self.choices.tune
        return "" if tune == NONE else f", over {place_of(tune)}"

    def place(self, group: str) -> str:
        """Where a group of the run was read, for people."""
        return f"{group}={getattr(self.choices, group)}{self.under}"

    def places(self, head: str) -> dict[str, str]:
        """Where each part of a head was read, for people."""
        chosen = _head_choice(self.choices, self.recipe.heads[head])
        return {
            group: f"{group}={getattr(chosen, group)} of head {head}{self.under}"
            for group in HEAD_GROUPS
        }


def read_root(conf: Path) -> Root:
    """Read ``conf/config.yaml``."""
    path = conf / "config.yaml"
    return Root.parse(read_yaml(path), str(path))


def compose_run(choices: Choices, conf: Path) -> Composed:
    """Resolve choices against a conf folder.

    Raises
    ------
    ConfigError
        When a group has no such option or a key does not exist; the nearest word is named.
    """
    root = read_root(conf)
    own_recipe = read_option(conf, "recipe", choices.recipe)
    choices = _tuned(choices, conf, own_recipe)
    settings = checked(choices.set)
    recipe = _recipe(choices.recipe, merge(own_recipe, settings.get("recipe", {})))
    choices = _own(choices, recipe)
    market = read_option(conf, "market", choices.market)
    if choices.exchange == MARKET:
        own = _own_exchange(market, choices.market, conf)
        choices = choices.model_copy(update={"exchange": own})
    heads = {name: _head_choice(choices, head) for name, head in recipe.heads.items()}
    tree = compose_words(conf, [*_run_words(choices, recipe, conf), *_head_words(heads, conf)])
    groups = {group: merge(group_of(tree, group), settings.get(group, {})) for group in RUN_GROUPS}
    groups["exchange"] = with_sources(groups["exchange"], conf, root.plugins)
    groups["market"] = with_members(groups["market"], conf)
    return Composed(
        choices=choices,
        recipe=recipe,
        root=_root(root, settings),
        groups=groups,
        heads=over_heads(_with_parents(group_of(tree, "heads"), conf), settings),
        origin="" if choices.tune == NONE else read_tune(choices.tune, conf).slot,
    )


def tuned(choices: Choices, conf: Path) -> Choices:
    """The same choices with the content of their tune laid under them.

    Raises
    ------
    ConfigError
        When there is no such tune, or it does not fit what was chosen.
    """
    if choices.tune == NONE:
        return choices
    return _tuned(choices, conf, read_option(conf, "recipe", choices.recipe))


def read_recipe(name: str, conf: Path) -> Recipe:
    """Read a recipe.

    Raises
    ------
    ConfigError
        When there is no such recipe, or a key of it is wrong.
    """
    return _recipe(name, read_option(conf, "recipe", name))


def _recipe(name: str, node: Node) -> Recipe:
    recipe = Recipe.parse(node, f"recipe={name}")
    if not recipe.heads:
        raise ConfigError("a recipe needs at least one head", where=f"recipe={name}")
    return recipe


def _tuned(choices: Choices, conf: Path, own_recipe: Node) -> Choices:
    if choices.tune == NONE:
        return choices
    tune = read_tune(choices.tune, conf)
    return lay_under(tune, choices, _recipe(choices.recipe, own_recipe))


def _own(choices: Choices, recipe: Recipe) -> Choices:
    own = {
        name: getattr(recipe, name)
        for name in ("market", "split", "gate", "backtest", "calibration")
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
    return [option_word(conf, group, chosen[group]) for group in RUN_GROUPS]


def _head_words(heads: Mapping[str, HeadChoice], conf: Path) -> Iterator[str]:
    for name, head in heads.items():
        for group in HEAD_GROUPS:
            yield option_word(conf, group, getattr(head, group), f"@heads.{name}.{group}")


def _with_parents(heads: Mapping[str, Node], conf: Path) -> dict[str, Node]:
    return {
        name: {**head, "features": with_parent(head["features"], conf)}
        for name, head in heads.items()
    }


def _root(root: Root, settings: Mapping[str, Any]) -> Root:
    given = {key: settings[key] for key in SCALARS if key in settings}
    return Root.parse({**root.model_dump(), **given}, "set")
