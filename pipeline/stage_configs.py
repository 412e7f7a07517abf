"""From the resolved tree to one file per stage: what it was told, no more and no less."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipeline.build import TARGET, build
from pipeline.code_digest import code_of
from pipeline.compose import Composed
from pipeline.config import Node, Record, parse_record, to_yaml
from pipeline.errors import ConfigError
from pipeline.features.feature_set import FeatureSet
from pipeline.market.candles import duration, moment
from pipeline.market.exchanges.base import Market
from pipeline.runner import LOCAL, TOLD
from pipeline.stages import download, evaluate, features, labels, train, validate
from registry.files import write_atomic
from registry.gate import GateConfig

RUN = TOLD / "run.yaml"
PROMISES = {
    "exchange": ("feed", "reachable", "fetch", "newest"),
    "features": ("memory", "compute", "newest", "to_list"),
    "label": ("classes", "compute"),
    "model": ("lookback", "fit", "load"),
    "split": ("folds",),
    "validation": ("check",),
}
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class RunFacts(Record):
    """What retrain and predict need to know; no stage depends on it."""

    recipe: str
    exchange: str
    market: Market
    timeframe: str
    as_of: str
    gate: GateConfig
    action_threshold: float
    feed: str
    models: dict[str, str]


class Plan(Record):
    """Every stage's configuration, validated, and what runs beside them."""

    stages: dict[str, Node]
    targets: dict[str, list[str]]
    plugins: tuple[str, ...]
    local: Node
    run: RunFacts


def plan_run(composed: Composed) -> Plan:
    """Validate everything a run names, before anything runs.

    Raises
    ------
    ConfigError
        Naming the group, the key, and the nearest valid word.
    """
    plugins = composed.root.plugins
    duration(composed.recipe.timeframe)
    as_of = moment(composed.choices.as_of).isoformat()
    market = Market.parse(composed.groups["market"], f"market={composed.choices.market}")
    exchange, exchange_node, local = _exchange(composed)
    built = {name: _head(head, name, plugins) for name, head in composed.heads.items()}
    stages = _stages(composed, built, as_of, market)
    stages["download"]["exchange"] = exchange_node
    targets = {stage: sorted(set(_targets(_built(stage, node)))) for stage, node in stages.items()}
    run = RunFacts(
        recipe=composed.choices.recipe,
        exchange=composed.choices.exchange,
        market=market,
        timeframe=composed.recipe.timeframe,
        as_of=as_of,
        gate=_gate(composed),
        action_threshold=composed.recipe.action_threshold,
        feed=exchange.feed,
        models={name: str(head["model"][TARGET]) for name, head in composed.heads.items()},
    )
    return Plan(stages=stages, targets=targets, plugins=plugins, local=local, run=run)


def write_plan(plan: Plan) -> None:
    """Write ``build/config/``: a file per stage, ``local.yaml`` and ``run.yaml``."""
    for stage, config in plan.stages.items():
        modules = [f"pipeline.stages.{stage}"]
        modules += [target.rpartition(".")[0] for target in plan.targets[stage]]
        code = code_of(modules, plan.plugins)
        told = {
            "code": code.digest,
            "libraries": code.libraries,
            "plugins": list(plan.plugins),
            "config": config,
        }
        write_atomic(TOLD / f"{stage}.yaml", to_yaml(told).encode())
    write_atomic(LOCAL, to_yaml(plan.local).encode())
    write_atomic(RUN, to_yaml(plan.run.model_dump(mode="json")).encode())


def _exchange(composed: Composed) -> tuple[Any, Node, Node]:
    where = f"exchange={composed.choices.exchange}"
    exchange = _build("exchange", composed.groups["exchange"], where, composed.root.plugins)
    run_only = type(exchange).run_only_fields()
    node = {TARGET: composed.groups["exchange"][TARGET]} | exchange.model_dump(mode="json")
    kept = {key: value for key, value in node.items() if key not in run_only}
    moved = {key: node[key] for key in sorted(run_only) if node[key] is not None}
    return exchange, kept, {"exchange": moved}


def _head(head: Mapping[str, Node], name: str, plugins: tuple[str, ...]) -> dict[str, Any]:
    return {
        group: _build(group, node, f"{group} of head {name}", plugins)
        for group, node in head.items()
    }


def _build(group: str, node: Node, where: str, plugins: tuple[str, ...]) -> Any:
    built = build(node, where, plugins)
    lacking = [name for name in PROMISES[group] if not hasattr(built, name)]
    if lacking:
        raise ConfigError(
            f"_target_ '{node[TARGET]}' is no {group}: it lacks {', '.join(lacking)}",
            where=where,
            fix=f"name a class that keeps the promises of a {group}",
        )
    return built


def _lookback(allowed: int, built: Mapping[str, Mapping[str, Any]]) -> int:
    for name, parts in built.items():
        if parts["model"].lookback > allowed:
            raise ConfigError(
                f"the model of head {name} looks further back than the recipe lets it",
                found=f"lookback {parts['model'].lookback}",
                expected=f"at most {allowed}",
                fix="raise recipe.lookback, or lower model.lookback",
            )
    return allowed


def _gate(composed: Composed) -> GateConfig:
    return parse_record(GateConfig, composed.groups["gate"], f"gate={composed.choices.gate}")


def _stages(
    composed: Composed, built: dict[str, dict[str, Any]], as_of: str, market: Market
) -> dict[str, Node]:
    timeframe, validation = composed.recipe.timeframe, composed.groups["validation"]
    heads = {name: _head_node(composed.heads[name], parts) for name, parts in built.items()}
    sets = _feature_sets(heads)
    names = {name: list(parts["label"].classes) for name, parts in built.items()}
    memory = max(parts["features"].memory for parts in built.values())
    configs: dict[str, Record] = {
        "download": download.Config(
            as_of=as_of,
            exchange={},
            market=market.instrument,
            timeframe=timeframe,
            history_days=composed.recipe.history_days,
            memory=memory,
        ),
        "validate": validate.Config(
            as_of=as_of,
            market=market.name,
            timeframe=timeframe,
            validation=_resolved(validation, "validation", composed.root.plugins),
        ),
        "features": features.Config(sets=sets),
        "labels": labels.Config(
            heads={name: head["label"] for name, head in heads.items()}, timeframe=timeframe
        ),
        "train": train.Config.parse(
            {
                "heads": heads,
                "split": _resolved(composed.groups["split"], "split", composed.root.plugins),
                "timeframe": timeframe,
                "lookback": _lookback(composed.recipe.lookback, built),
                "seed": composed.root.seed,
                "device": composed.root.device,
            },
            "train",
        ),
        "evaluate": evaluate.Config.parse({"heads": names, "timeframe": timeframe}, "evaluate"),
    }
    return {stage: config.model_dump(mode="json") for stage, config in configs.items()}


def _resolved(node: Node, where: str, plugins: tuple[str, ...]) -> Node:
    built: Record = _build(where, node, where, plugins)
    return {TARGET: node[TARGET], **built.model_dump(mode="json")}


def _feature_sets(heads: Mapping[str, Node]) -> dict[str, Node]:
    sets: dict[str, Node] = {}
    for head, node in heads.items():
        name = node["feature_set"]
        if not PLAIN_NAME.fullmatch(name):
            raise ConfigError(
                "a feature set's name is no plain word", where=f"head {head}", found=name
            )
        if sets.setdefault(name, node["features"]) != node["features"]:
            raise ConfigError(
                f"two heads mean different columns by the feature set {name}",
                where=f"head {head}",
                fix=f"rename one: set.heads.{head}.features.name=ANOTHER",
            )
    return sets


def _head_node(head: Mapping[str, Node], parts: Mapping[str, Any]) -> Node:
    feature_set: FeatureSet = parts["features"]
    table = {
        TARGET: head["features"][TARGET],
        "name": feature_set.name,
        "columns": feature_set.to_list(),
    }
    return {
        "feature_set": feature_set.name,
        "features": table,
        "classes": list(parts["label"].classes),
        "label": {TARGET: head["label"][TARGET], **parts["label"].model_dump(mode="json")},
        "model": {TARGET: head["model"][TARGET], **parts["model"].model_dump(mode="json")},
    }


def _built(stage: str, config: Node) -> Node | list[Any]:
    if stage != "train":
        return config
    return [config["split"], *(head["model"] for head in config["heads"].values())]


def _targets(node: Any) -> list[str]:
    if isinstance(node, Mapping):
        own = [str(node[TARGET])] if TARGET in node else []
        return own + [found for value in node.values() for found in _targets(value)]
    if isinstance(node, list):
        return [found for value in node for found in _targets(value)]
    return []
