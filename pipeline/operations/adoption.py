"""Keep a configuration that was found: a file of ``conf/tune/`` that lies under later choices."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

from pipeline.choices import NONE, RECIPE, Choices
from pipeline.compose import compose_run, read_recipe, tuned
from pipeline.config import to_yaml
from pipeline.errors import ConfigError
from pipeline.settings import HEADS, words_of
from pipeline.stage_configs import plan_run
from pipeline.tune_choice import CHOSEN, GROUP, SET, Tune, lay_under
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
    whole, composed = tuned(choices, conf), compose_run(choices, conf)
    slot = plan_run(composed).run.slot
    tune = _holdable(whole, composed.choices.market)
    left_out = tuple(words_of({key: whole.set[key] for key in whole.set if key not in SET}))
    made = Adopted(slot, tune, left_out)
    if left_out:
        _require_sound(made, whole, conf)
    return made


def write_adopted(made: Adopted, conf: Path, comment: str) -> Path:
    """Write the tune in place of an older one of its name; `comment` says where it comes from.

    What was left out is named in the file, but for the exchange: a folder is nobody else's.
    """
    if apart := [word for word in made.left_out if not word.startswith("exchange.")]:
        comment = f"{comment} Not kept here: {', '.join(apart)}."
    plain = "".join(letter if letter.isprintable() else " " for letter in comment)
    lines = textwrap.wrap(plain, WIDTH, initial_indent="# ", subsequent_indent="# ")
    filled = {key: value for key, value in made.tune.model_dump().items() if value}
    path = conf / GROUP / f"{made.name}.yaml"
    write_atomic(path, "\n".join([*lines, to_yaml(filled)]).encode())
    return path


def write_tune(conf: Path, choices: Choices, comment: str) -> Path:
    """Write ``conf/tune/<recipe>-<market>.yaml`` from a run's choices; see `adopted`."""
    return write_adopted(adopted(choices, conf), conf, comment)


def _holdable(whole: Choices, market: str) -> Tune:
    if HEADS in whole.set.get("recipe", {}):
        raise ConfigError(
            "another option for one head cannot be adopted: a tune chooses for all heads",
            where=f"set.recipe.{HEADS}",
            fix="write a recipe of your own in conf/recipe/ that says so",
        )
    tune = Tune(
        recipe=whole.recipe,
        market=market,
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


def _require_sound(made: Adopted, whole: Choices, conf: Path) -> None:
    """Compose the tune as somebody else would, who chose nothing but where candles come from."""
    bare = dict.fromkeys((*CHOSEN, "gate"), RECIPE) | {GROUP: made.name}
    kept = {key: whole.set[key] for key in ("exchange", "market") if key in whole.set}
    alone = whole.model_copy(update={**bare, "set": kept})
    try:
        laid = lay_under(made.tune, alone, read_recipe(whole.recipe, conf))
        plan_run(compose_run(laid.model_copy(update={GROUP: NONE}), conf))
    except ConfigError as error:
        raise ConfigError(
            f"what a tune can hold of it does not compose: {error.what}",
            where=error.where,
            found=error.found,
            expected=error.expected,
            fix=f"{error.fix}; not kept: {', '.join(made.left_out)}",
        ) from None
