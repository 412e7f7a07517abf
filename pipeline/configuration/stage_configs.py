"""From the resolved tree to one file per stage: what it was told, no more and no less."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import cores
from pipeline.build import TARGET, resolve_target
from pipeline.code_digest import code_of
from pipeline.config import Node, Record, parse_record, to_yaml
from pipeline.configuration.choices import NONE
from pipeline.configuration.compose import Composed
from pipeline.configuration.parts import (
    build_exchange,
    build_head,
    checked_lookback,
    feature_sets,
    head_node,
    meanings_of,
    memory_of,
    trade_rules,
    written_back,
)
from pipeline.configuration.set_keys import require_known_keys
from pipeline.configuration.tune_choice import place
from pipeline.errors import ConfigError
from pipeline.evaluation.backtest.profile import Profile
from pipeline.fitting.trial import LOCAL_KEY, TrialFacts, digest_of
from pipeline.market.candles import duration, moment
from pipeline.market.pool import AnyMarket, Pool, parse_market
from pipeline.runner import LOCAL, TOLD
from pipeline.splits.around import with_embargo
from pipeline.stages import download, evaluate, features, labels, train, validate
from registry.conditions import GateConfig
from registry.errors import RegistryError
from registry.files import write_atomic
from registry.slots import Slot

RUN = TOLD / "run.yaml"


class RunFacts(Record):
    """What retrain and predict need to know; no stage depends on it."""

    recipe: str
    exchange: str
    market: AnyMarket
    timeframe: str
    as_of: str
    gate: GateConfig
    backtest: Profile
    action_threshold: float
    challenger_share: float = 0.0
    feed: str
    models: dict[str, str]

    @property
    def slot(self) -> Slot:
        """Where versions of this run are kept; the exchange is named where it is foreign."""
        foreign = None if self.exchange == self.market.exchange else self.exchange
        return Slot(self.recipe, self.market.name, foreign)


class Plan(Record):
    """Every stage's configuration, validated, and what runs beside them.

    `trial` is the digest of all that a result follows from, except the moment, the data and the
    code: it is the same however the configuration was reached.
    """

    stages: dict[str, Node]
    targets: dict[str, list[str]]
    plugins: tuple[str, ...]
    local: Node
    run: RunFacts
    trial: str


def plan_run(composed: Composed, source: str = "") -> Plan:
    """Validate everything a run names, before anything runs.

    Parameters
    ----------
    source
        The file that the choices were read from, if from one.

    Raises
    ------
    ConfigError
        Naming the group, the key, and the nearest valid word.
    """
    plugins = composed.root.plugins
    require_known_keys(composed, source)
    duration(composed.recipe.timeframe)
    as_of = moment(composed.choices.as_of).isoformat()
    market = parse_market(composed.groups["market"], f"market={composed.choices.market}")
    where = f"exchange={composed.choices.exchange}"
    exchange, exchange_node, local = build_exchange(composed.groups["exchange"], where, plugins)
    under = _under(composed)
    built = {name: build_head(head, name, plugins, under) for name, head in composed.heads.items()}
    stages = _stages(composed, built, as_of, market)
    stages["download"]["exchange"] = exchange_node
    targets = {
        stage: sorted(set(_targets(_built(stage, node, plugins)))) for stage, node in stages.items()
    }
    run = RunFacts(
        recipe=composed.choices.recipe,
        exchange=composed.choices.exchange,
        market=market,
        timeframe=composed.recipe.timeframe,
        as_of=as_of,
        gate=_gate(composed),
        backtest=_profile(composed),
        action_threshold=composed.recipe.action_threshold,
        challenger_share=composed.recipe.challenger_share,
        feed=exchange.feed,
        models={name: str(head["model"][TARGET]) for name, head in composed.heads.items()},
    )
    trial = _trial(composed, stages, run)
    return Plan(
        stages=stages,
        targets=targets,
        plugins=plugins,
        local={"exchange": local, **_local(composed, trial)},
        run=run,
        trial=trial.digest,
    )


def write_plan(plan: Plan) -> None:
    """Write ``build/config/``: a file per stage, ``local.yaml`` and ``run.yaml``."""
    for path, content in told_files(plan).items():
        write_atomic(path, content)
    write_atomic(LOCAL, to_yaml(plan.local).encode())
    write_atomic(RUN, to_yaml(plan.run.model_dump(mode="json")).encode())


def told_files(plan: Plan) -> dict[Path, bytes]:
    """What each stage is told, by the path it is told at."""
    files = {}
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
        files[TOLD / f"{stage}.yaml"] = to_yaml(told).encode()
    return files


def _trial(composed: Composed, stages: Mapping[str, Node], run: RunFacts) -> TrialFacts:
    try:
        slot = str(run.slot)
    except RegistryError as error:
        where = f"recipe={run.recipe} exchange={run.exchange} market={run.market.name}"
        raise ConfigError(str(error).rstrip("."), where=where, fix="rename the option") from None
    return TrialFacts(
        slot=slot,
        digest=digest_of(stages),
        model=composed.model,
        choices=composed.choices.model_dump(exclude={"as_of"}),
        origin="" if composed.origin == slot else composed.origin,
    )


def _local(composed: Composed, trial: TrialFacts) -> Node:
    return {LOCAL_KEY: trial.model_dump(), cores.LOCAL_KEY: composed.root.workers}


def _under(composed: Composed) -> str:
    """Where to look, too, when a key is wrong that nobody gave as a word."""
    tune = composed.choices.tune
    return "" if tune == NONE else f", over {place(tune)}"


def _gate(composed: Composed) -> GateConfig:
    return parse_record(GateConfig, composed.groups["gate"], f"gate={composed.choices.gate}")


def _profile(composed: Composed) -> Profile:
    where = f"backtest={composed.choices.backtest}"
    profile = Profile.parse(composed.groups["backtest"], where)
    profile.execution(composed.recipe.timeframe)
    return profile


def _stages(
    composed: Composed, built: dict[str, dict[str, Any]], as_of: str, market: AnyMarket
) -> dict[str, Node]:
    timeframe, groups, plugins = composed.recipe.timeframe, composed.groups, composed.root.plugins
    rules = written_back(groups["validation"], "validation", plugins)
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
        written_back(groups[group], group, plugins, _under(composed))
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
    meanings = {
        name: meanings_of(parts["label"], composed.recipe.timeframe, f"label of head {name}")
        for name, parts in built.items()
    }
    judged = {"gate": _gate(composed), "backtest": _profile(composed), "traded": market}
    told = {**run, **judged, "heads": classes, "meanings": meanings}
    return evaluate.Config.parse(told, "evaluate")


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
