"""What each stage is told, and which classes that names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.build import TARGET, resolve_target
from pipeline.config import Node, Record, parse_record
from pipeline.configuration.compose import Composed
from pipeline.configuration.parts import (
    checked_lookback,
    feature_sets,
    head_node,
    meanings_of,
    memory_of,
    trade_rules,
    written_back,
)
from pipeline.errors import ConfigError
from pipeline.evaluation.backtest.profile import Profile
from pipeline.market.pool import AnyMarket, Pool
from pipeline.splits.around import with_embargo
from pipeline.stages import download, evaluate, features, labels, train, validate
from registry.conditions import GateConfig


def stage_nodes(
    composed: Composed, built: dict[str, dict[str, Any]], as_of: str, market: AnyMarket
) -> dict[str, Node]:
    """What every stage is told, with every default written out; the exchange is laid in later."""
    timeframe, groups, plugins = composed.recipe.timeframe, composed.groups, composed.root.plugins
    where = f"validation={composed.recipe.validation}"
    rules = written_back(groups["validation"], "validation", plugins, where)
    _check_reference(rules, market)
    heads = {name: head_node(composed.heads[name], parts) for name, parts in built.items()}
    sets, trades = feature_sets(heads), trade_rules(built)
    lookback = checked_lookback(composed.recipe.lookback, built)
    memory = max(map(memory_of, built.values()))
    configs: dict[str, Record] = {
        "download": download.Config(
            as_of=as_of,
            exchange={},
            market=market.instrument,
            timeframe=timeframe,
            history_days=composed.recipe.history_days,
            memory=memory,
            reference=rules.get("reference"),
        ),
        "validate": validate.Config(
            as_of=as_of,
            market=market.name,
            timeframe=timeframe,
            validation=rules,
        ),
        "features": features.Config(
            sets=sets,
            trades=trades,
            timeframe=timeframe,
            lookback=lookback if trades else 1,
        ),
        "labels": labels.Config(
            heads={name: head["label"] for name, head in heads.items()}, timeframe=timeframe
        ),
        "train": _train(composed, heads, lookback),
        "evaluate": _evaluate(composed, built, as_of, market),
    }
    return {stage: config.model_dump(mode="json") for stage, config in configs.items()}


def _check_reference(rules: Node, market: AnyMarket) -> None:
    if isinstance(market, Pool) and rules.get("reference"):
        raise ConfigError(
            f"{market.name} is several markets, and the second source is a series of one",
            where="validation.reference",
            found=rules["reference"],
            fix="leave it out, and check a member alone: market="
            f"{market.members[0].name} validation.reference=…",
        )


def _train(composed: Composed, heads: Mapping[str, Node], lookback: int) -> train.Config:
    groups, plugins, timeframe = composed.groups, composed.root.plugins, composed.recipe.timeframe
    split, calibration = (
        written_back(groups[group], group, plugins, composed.place(group))
        for group in ("split", "calibration")
    )
    told = {
        "heads": heads,
        "split": with_embargo(split, composed.recipe.lookback, timeframe),
        "calibration": calibration,
        "timeframe": timeframe,
        "lookback": lookback,
        "seed": composed.root.seed,
        "device": composed.root.device,
        "kept": {name: kept.model_dump() for name, kept in composed.choices.skip.items()},
    }
    return train.Config.parse(told, "train")


def _evaluate(
    composed: Composed, built: Mapping[str, Mapping[str, Any]], as_of: str, market: AnyMarket
) -> evaluate.Config:
    run = {
        "recipe": composed.choices.recipe,
        "exchange": composed.choices.exchange,
        "market": market.name,
        "timeframe": composed.recipe.timeframe,
        "as_of": as_of,
    }
    classes = {name: list(parts["label"].classes) for name, parts in built.items()}
    timeframe = composed.recipe.timeframe
    meanings = {
        name: meanings_of(parts["label"], timeframe, composed.places(name)["label"])
        for name, parts in built.items()
    }
    judged = {"gate": gate_of(composed), "backtest": profile_of(composed), "traded": market}
    told = {**run, **judged, "heads": classes, "meanings": meanings}
    return evaluate.Config.parse(told, "evaluate")


def targets_of(stages: Mapping[str, Node], plugins: tuple[str, ...]) -> dict[str, list[str]]:
    """The classes whose code each stage follows from."""
    return {
        stage: sorted(set(_targets(_built(stage, node, plugins)))) for stage, node in stages.items()
    }


def gate_of(composed: Composed) -> GateConfig:
    """The gate that a run names."""
    return parse_record(GateConfig, composed.groups["gate"], f"gate={composed.choices.gate}")


def profile_of(composed: Composed) -> Profile:
    """The backtest profile that a run names."""
    where = f"backtest={composed.choices.backtest}"
    profile = Profile.parse(composed.groups["backtest"], where)
    profile.execution(composed.recipe.timeframe)
    return profile


def _built(stage: str, config: Node, plugins: tuple[str, ...]) -> Node | list[Any]:
    if stage != "train":
        return config
    heads = config["heads"].values()
    labels = [head["label"] for head in heads]
    learning = [node for node in labels if hasattr(resolve_target(node[TARGET], plugins), "learn")]
    return [config["split"], config["calibration"], *(head["model"] for head in heads), *learning]


def _targets(node: Any) -> list[str]:
    if isinstance(node, Mapping):
        own = [str(node[TARGET])] if TARGET in node else []
        return own + [found for value in node.values() for found in _targets(value)]
    if isinstance(node, list):
        return [found for value in node for found in _targets(value)]
    return []
