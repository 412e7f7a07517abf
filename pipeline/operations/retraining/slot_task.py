"""What a slot serves: one feed, and one question; neither changes unasked.

Whoever reads a slot's signals relies on what its champion was asked: the same heads, labels and
timeframe. A candidate that answers another question would displace it without a comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import ConfigError
from pipeline.live.task import Change, task_changes
from pipeline.operations.target import Target
from registry.errors import RegistryError
from registry.pointers import champion
from registry.versions import Registry


@dataclass(frozen=True, slots=True)
class Switch:
    """What a candidate may change of a slot although its champion serves something else."""

    feed: bool = False
    task: bool = False


def require_same_service(target: Target, registry: Registry, switch: Switch) -> None:
    """Refuse to build for a slot whose champion serves another feed or answers another question.

    Raises
    ------
    ConfigError
        Naming the difference, and both ways out.
    """
    before = champion(registry.root, target.slot)
    if before is None:
        return
    try:
        card = registry.card(target.slot, before.version)
    except RegistryError:
        return  # what cannot be served protects nobody; the decision logs it
    where = f"{target.slot} {before.version}"
    if not switch.feed and card["feed"] != target.plan.run.feed:
        raise ConfigError(
            "the champion of this slot learnt from another feed; its candles and these are two "
            "sources, and a slot serves one",
            where=where,
            found=target.plan.run.feed,
            expected=card["feed"],
            fix="give this feed a home of its own: VINTAGE_HOME=FOLDER vintage retrain …; "
            "--switch-feed puts it into this slot instead, unless the gate finds it unsound",
        )
    told = card.get("config", {}).get("labels")
    if switch.task or told is None:
        return
    if changes := list(task_changes(told, target.plan.stages["labels"])):
        raise _other_task(target, where, changes)


def _other_task(target: Target, where: str, changes: list[Change]) -> ConfigError:
    recipe = target.slot.recipe
    return ConfigError(
        "the champion of this slot answers another question; whoever reads its signals would be "
        "told something else under the same name",
        where=where,
        found="; ".join(f"{change.what} {change.candidate}" for change in changes),
        expected="; ".join(f"{change.what} {change.champion}" for change in changes),
        fix=f"give this question a recipe of its own (conf/recipe/{recipe}.yaml under another "
        "name); --switch-task puts it into this slot instead, where no trading champion stands",
    )
