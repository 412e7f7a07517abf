"""The `tune` choice: what a file of ``conf/tune/`` lays under the choices of a run.

Such a file keeps the settings that an experiment or a search ended with. It says how a model is
made and judged, never where candles come from or which seed is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline.config import Node, Record, read_yaml
from pipeline.configuration.choices import NONE, RECIPE, Choices
from pipeline.configuration.conf_options import options, require_option
from pipeline.configuration.recipe import Recipe
from pipeline.configuration.settings import HEAD_GROUPS, HEADS, checked, lay_settings
from pipeline.errors import ConfigError, nearest
from registry.errors import RegistryError
from registry.slots import Slot

GROUP = "tune"
CHOSEN = (*HEAD_GROUPS, "split", "calibration")
SET = (*CHOSEN, HEADS)


class Tune(Record):
    """One file of ``conf/tune/``.

    `choices` are options of `CHOSEN`; `set` holds deeper keys as `Choices.set` does. `market` is
    the one it was found on and binds nobody; `slot` is the slot whose trials it was chosen among.
    """

    recipe: str
    market: str
    slot: str = ""
    choices: dict[str, str] = Field(default_factory=dict)
    set: Node = Field(default_factory=dict)

    def reaches(self, group: str, head: str) -> bool:
        """Whether it sets a deeper key of this group for this head."""
        return group in self.set or group in self.set.get(HEADS, {}).get(head, {})


def place(name: str) -> str:
    """Where a tune is written, below the checkout.

    Examples
    --------
    >>> place("demo-SIM-BTC")
    'conf/tune/demo-SIM-BTC.yaml'
    """
    return f"conf/{GROUP}/{name}.yaml"


def read_tune(name: str, conf: Path) -> Tune:
    """Read a tune and refuse what does not belong in one.

    Raises
    ------
    ConfigError
        Naming the file, the key and the nearest valid word.
    """
    require_option(conf, GROUP, name)
    where = place(name)
    tune = Tune.parse(read_yaml(conf / GROUP / f"{name}.yaml"), where)
    _require_slot(tune, where)
    for group, option in tune.choices.items():
        _require(group, CHOSEN, f"{where}: choices")
        if option not in (valid := options(conf, group)):
            raise ConfigError(
                f"there is no {group} '{option}'", where=where, fix=nearest(option, valid)
            )
    for key in tune.set:
        _require(key, SET, f"{where}: set")
    checked(tune.set, f"{where}: set")
    return tune


def lay_under(tune: Tune, choices: Choices, recipe: Recipe) -> Choices:
    """Fill what was left at the recipe's own, and put the settings below the user's.

    Parameters
    ----------
    recipe
        The recipe as conf/ has it, without the user's settings.

    Raises
    ------
    ConfigError
        When the tune is another recipe's, or its settings are of options that were not chosen.
    """
    settings = checked(choices.set)
    _require_recipe(tune, choices.recipe, recipe, place(choices.tune))
    _require_options(tune, choices, recipe, place(choices.tune))
    taken = {
        group: option for group, option in tune.choices.items() if getattr(choices, group) == RECIPE
    }
    return choices.model_copy(update={**taken, "set": lay_settings(tune.set, settings)})


def _require_slot(tune: Tune, where: str) -> None:
    try:
        if tune.slot:
            Slot.parse(tune.slot)
    except RegistryError as error:
        fix = "name the slot it was found for, or leave slot out"
        raise ConfigError(str(error).rstrip("."), where=f"{where}: slot", fix=fix) from None


def _require_recipe(tune: Tune, name: str, recipe: Recipe, where: str) -> None:
    if tune.recipe != name:
        raise ConfigError(
            "the tune was made for another recipe",
            where=where,
            found=f"recipe={name}",
            expected=f"recipe={tune.recipe}",
            fix=f"choose recipe={tune.recipe}, or {GROUP}={NONE}",
        )
    for head in tune.set.get(HEADS, {}):
        if head not in recipe.heads:
            valid = nearest(head, recipe.heads)
            raise ConfigError(f"there is no head '{head}'", where=f"{where}: set.heads", fix=valid)


def _require_options(tune: Tune, choices: Choices, recipe: Recipe, where: str) -> None:
    for group, head, given in _given(choices, recipe):
        own = tune.choices.get(group) or _own(recipe, group, head)
        if given != own and (tune.reaches(group, head) or _lost(tune, choices, group)):
            raise ConfigError(
                f"the tune is one of {group}={own}, and {group}={given} was chosen",
                where=where,
                fix=f"leave {group} out to take the tune's, or choose {GROUP}={NONE} to keep yours",
            )


def _require(key: str, valid: tuple[str, ...], where: str) -> None:
    if key not in valid:
        raise ConfigError(
            f"'{key}' does not belong in a tune", where=where, fix=nearest(key, valid)
        )


def _given(choices: Choices, recipe: Recipe) -> Iterator[tuple[str, str, str]]:
    """Group, head and option of all that the user chose, in one word or by head."""
    deeper = _below(choices.set, "recipe")
    for group in CHOSEN:
        every = getattr(choices, group)
        for head in recipe.heads:
            own = deeper if group not in HEAD_GROUPS else _below(_below(deeper, HEADS), head)
            given = own.get(group, RECIPE) if every == RECIPE else every
            if given != RECIPE:
                yield group, head, str(given)


def _below(node: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = node.get(key)
    return found if isinstance(found, Mapping) else {}


def _own(recipe: Recipe, group: str, head: str) -> str:
    own: str = getattr(recipe.heads[head] if group in HEAD_GROUPS else recipe, group)
    return own


def _lost(tune: Tune, choices: Choices, group: str) -> bool:
    """Whether the tune's option would go over one that the user chose by ``set.recipe``."""
    return group in tune.choices and getattr(choices, group) == RECIPE
