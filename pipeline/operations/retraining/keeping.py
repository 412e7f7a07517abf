"""``skip=[HEAD]``: heads that a retrain does not train but takes over from the champion."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.configuration.choices import KeptFrom
from pipeline.configuration.compose import compose_run
from pipeline.configuration.conf_groups import parse_words
from pipeline.configuration.planning import plan_run
from pipeline.errors import ConfigError, nearest
from pipeline.market.candles import moment
from pipeline.models.bundle import FILE
from pipeline.models.kept_head import KeptHead, made_of
from pipeline.operations.target import Target
from pipeline.operations.workspace import Workspace
from pipeline.stages.paths import KEPT
from registry.manifest import VerifiedBundle
from registry.pointers import champion
from registry.versions import Registry

SKIP = "skip"


def without_skip(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Words that choose, and the heads that ``skip=[…]`` names.

    Examples
    --------
    >>> without_skip(["recipe=bingx_dual", "skip=[long_exit]"])
    (['recipe=bingx_dual'], ('long_exit',))
    """
    own = [word for word in words if word.partition("=")[0] == SKIP]
    named = parse_words(own).get(SKIP, [])
    heads = named if isinstance(named, list) else [named]
    return [word for word in words if word not in own], tuple(dict.fromkeys(map(str, heads)))


def kept_heads(target: Target, registry: Registry) -> dict[str, KeptHead]:
    """The champion's heads of the names that the target skips.

    Raises
    ------
    ConfigError
        When a name is no head, none is left to train, there is no champion, or its head of that
        name is made of something else.
    RegistryError
        When the champion is damaged.
    """
    if not target.skip:
        return {}
    declared = target.plan.stages["train"]["heads"]
    for name in target.skip:
        if name not in declared:
            raise ConfigError(f"unknown head '{name}'", where=SKIP, fix=nearest(name, declared))
    if len(target.skip) == len(declared):
        raise ConfigError(
            "every head is skipped, so nothing would be trained",
            where=SKIP,
            found=", ".join(target.skip),
            fix="leave out the heads that are to be made anew",
        )
    incumbent = _champion(target, registry)
    return {name: _kept(target, incumbent, name) for name in target.skip}


def keeping(target: Target, kept: Mapping[str, KeptHead], registry: Registry, conf: Path) -> Target:
    """The target planned anew, with each kept head named by its version and digest."""
    if not kept:
        return target
    incumbent = _champion(target, registry)
    told = {name: _origin(incumbent, name, head.sha256) for name, head in kept.items()}
    choices = target.choices.model_copy(update={SKIP: told})
    return dataclasses.replace(target, choices=choices, plan=plan_run(compose_run(choices, conf)))


def lay_out(workspace: Workspace, kept: Mapping[str, KeptHead]) -> None:
    """Write kept heads where the stage ``train`` reads them."""
    for head in kept.values():
        head.write(workspace.path(KEPT))


def _champion(target: Target, registry: Registry) -> VerifiedBundle:
    before = champion(registry.root, target.slot)
    if before is None:
        raise ConfigError(
            "there is no champion whose head could be kept",
            where=f"{SKIP}, {target.slot}",
            found=", ".join(target.skip),
            fix="retrain once without skip",
        )
    return registry.open(target.slot, before.version)


def _kept(target: Target, incumbent: VerifiedBundle, name: str) -> KeptHead:
    where = f"{SKIP}, head {name} of {target.slot} {incumbent.version}"
    card, run = incumbent.card(), target.plan.run
    told = {"feed": (card["feed"], run.feed), "timeframe": (card["timeframe"], run.timeframe)}
    if name not in card["heads"]:
        found = ", ".join(card["heads"])
        raise ConfigError("the champion has no such head", where=where, found=found, fix=_FIX)
    head = KeptHead.of(incumbent.contents, name)
    asked = made_of(target.plan.stages["train"]["heads"][name])
    told |= {each: (value, asked[each]) for each, value in head.made_of.items()}
    for what, (found, expected) in told.items():
        if found != expected:
            raise ConfigError(
                f"the champion's head has another {what}, so it cannot be kept",
                where=where,
                found=_short(found),
                expected=_short(expected),
                fix=_FIX,
            )
    if moment(card["as_of"]) > moment(run.as_of):
        raise ConfigError(
            "the champion's head was made later than this run's as_of",
            where=where,
            found=card["as_of"],
            expected=f"{run.as_of} or before",
            fix=_FIX,
        )
    return head


_FIX = "retrain it too: leave it out of skip"


def _origin(incumbent: VerifiedBundle, name: str, sha256: str) -> KeptFrom:
    """The champion, or the version that it kept the very same head of, so that repeating is free.

    It learnt until the ``as_of`` of the run that trained it, however often it was kept since.
    """
    before = json.loads(incumbent.read(FILE))["heads"][name].get("kept")
    if before and before["sha256"] == sha256:
        return KeptFrom(**before)
    as_of = before["as_of"] if before else incumbent.card()["as_of"]
    return KeptFrom(version=incumbent.version, sha256=sha256, as_of=as_of)


def _short(value: object) -> str:
    return str(value)[:120]
