"""Keep a configuration that was found: a file of ``conf/tune/`` that lies under later choices."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from omegaconf import OmegaConf

from pipeline.config import Node, read_yaml, to_yaml
from pipeline.configuration.choices import NONE, RECIPE, Choices
from pipeline.configuration.compose import compose_run, read_recipe, tuned
from pipeline.configuration.plan import Plan
from pipeline.configuration.planning import plan_run
from pipeline.configuration.settings import HEADS, words_of
from pipeline.configuration.tune_choice import CHOSEN, GROUP, SET, Tune, lay_under, place
from pipeline.errors import ConfigError
from registry.files import write_atomic
from registry.slots import Slot

WIDTH = 96


@dataclass(frozen=True, slots=True)
class Adopted:
    """A tune, the slot it was found for, and the deeper keys that no tune can hold."""

    slot: Slot
    tune: Tune
    left_out: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is chosen by."""
        return f"{self.slot.recipe}-{self.slot.market}"


def adopted(choices: Choices, conf: Path) -> Adopted:
    """What a tune can hold of a run's choices, the tune that they named merged in.

    Raises
    ------
    ConfigError
        When a tune would hold nothing, or would not compose without what it cannot hold.
    """
    composed = compose_run(choices, conf)
    plan, whole = plan_run(composed), _of_the_run(tuned(choices, conf))
    tune = _holdable(whole, composed.choices.market, plan.run.slot)
    rest = {key: whole.set[key] for key in whole.set if key not in SET}
    made = Adopted(plan.run.slot, tune, tuple(words_of(rest)))
    if made.left_out:
        own = {key: rest[key] for key in ("exchange", "market") if key in rest}
        _laid(made, whole.model_copy(update={"gate": RECIPE, "backtest": RECIPE, "set": own}), conf)
    if _laid(made, whole.model_copy(update={"set": rest}), conf).trial != plan.trial:
        raise ConfigError(
            "what a tune can hold of it is another configuration",
            where=f"recipe={whole.recipe}",
            fix="write these settings into conf/ yourself, as a recipe and options of your own",
        )
    return made


def standing_slot(name: str, conf: Path) -> str | None:
    """Slot of the tune that stands there by this name: None without one, empty if it is silent."""
    path = conf / GROUP / f"{name}.yaml"
    if not path.is_file():
        return None
    try:
        return Tune.parse(read_yaml(path), str(path)).slot
    except ConfigError:
        return ""


def replaces(older: str | None, slot: Slot) -> str:
    """Say whose tune gave way; nothing where none stood there.

    Examples
    --------
    >>> replaces("demo@replay/SIM-BTC", Slot.parse("demo/SIM-BTC"))
    'in place of the tune of ANOTHER slot, demo@replay/SIM-BTC'
    >>> replaces("demo/SIM-BTC", Slot.parse("demo/SIM-BTC"))
    'in place of an older one of demo/SIM-BTC'
    >>> replaces("", Slot.parse("demo/SIM-BTC"))
    'in place of an older one that names no slot'
    """
    if older is None:
        return ""
    if not older:
        return "in place of an older one that names no slot"
    if older == str(slot):
        return f"in place of an older one of {older}"
    return f"in place of the tune of ANOTHER slot, {older}"


def write_adopted(made: Adopted, conf: Path, comment: str) -> Path:
    """Write the tune in place of an older one of its name; `comment` says where it comes from.

    What was left out is named in the file, but for the exchange: a folder is nobody else's.
    """
    if apart := [word for word in made.left_out if not word.startswith("exchange.")]:
        comment = f"{comment} Not kept here: {', '.join(apart)}."
    plain = "".join(letter if letter.isprintable() else " " for letter in comment)
    lines = textwrap.wrap(plain, WIDTH, initial_indent="# ", subsequent_indent="# ")
    path = conf / GROUP / f"{made.name}.yaml"
    write_atomic(path, "\n".join([*lines, _text(made.tune)]).encode())
    return path


def write_tune(conf: Path, choices: Choices, comment: str) -> Path:
    """Write ``conf/tune/<recipe>-<market>.yaml`` from a run's choices; see `adopted`."""
    return write_adopted(adopted(choices, conf), conf, comment)


def _of_the_run(whole: Choices) -> Choices:
    """What was chosen as a key of the recipe is chosen for the run, which a tune can hold."""
    recipe = dict(whole.set.get("recipe", {}))
    given = {name: str(recipe.pop(name)) for name in ("split", "calibration") if name in recipe}
    settings = {**whole.set, "recipe": recipe}
    if not recipe:
        del settings["recipe"]
    taken = {name: option for name, option in given.items() if getattr(whole, name) == RECIPE}
    return whole.model_copy(update={**taken, "set": settings})


def _holdable(whole: Choices, market: str, slot: Slot) -> Tune:
    if HEADS in whole.set.get("recipe", {}):
        raise ConfigError(
            "another option for one head cannot be adopted: a tune chooses for all heads",
            where=f"set.recipe.{HEADS}",
            fix="write a recipe of your own in conf/recipe/ that says so",
        )
    tune = Tune(
        recipe=whole.recipe,
        market=market,
        slot=str(slot),
        choices={name: value for name in CHOSEN if (value := getattr(whole, name)) != RECIPE},
        set={key: whole.set[key] for key in SET if whole.set.get(key)},
    )
    if not (tune.choices or tune.set):
        raise ConfigError(
            "there is nothing to adopt: this is the recipe's own configuration",
            where=f"recipe={whole.recipe}",
            fix=f"choose {GROUP}={NONE} to have it",
        )
    return tune


def _text(tune: Tune) -> str:
    return to_yaml({key: value for key, value in tune.model_dump().items() if value})


def _laid(made: Adopted, whole: Choices, conf: Path) -> Plan:
    """Compose what would be written, as its reader would, under these choices."""
    bare = dict.fromkeys(CHOSEN, RECIPE) | {GROUP: made.name}
    alone = whole.model_copy(update=bare)
    read = OmegaConf.to_container(OmegaConf.create(_text(made.tune)), resolve=False)
    tune = Tune.parse(cast("Node", read), place(made.name))
    try:
        laid = lay_under(tune, alone, read_recipe(whole.recipe, conf))
        return plan_run(compose_run(laid.model_copy(update={GROUP: NONE}), conf))
    except ConfigError as error:
        raise ConfigError(
            f"what a tune can hold of it does not compose: {error.what}",
            where=error.where,
            found=error.found,
            expected=error.expected,
            fix=f"{error.fix}; not kept: {', '.join(made.left_out) or 'nothing'}",
        ) from None
