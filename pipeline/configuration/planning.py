"""From the resolved tree to a plan: every stage's configuration, validated before any runs."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline import cores
from pipeline.build import TARGET
from pipeline.config import Node
from pipeline.configuration.compose import Composed
from pipeline.configuration.parts import build_exchange, build_head
from pipeline.configuration.plan import Plan, RunFacts
from pipeline.configuration.set_keys import require_known_keys
from pipeline.configuration.stage_nodes import gate_of, profile_of, stage_nodes, targets_of
from pipeline.errors import ConfigError
from pipeline.fitting.trial import LOCAL_KEY, TrialFacts, digest_of
from pipeline.market.candles import duration, moment
from pipeline.market.pool import AnyMarket, parse_market
from registry.errors import RegistryError


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
    built = {
        name: build_head(head, name, plugins, composed.places(name))
        for name, head in composed.heads.items()
    }
    stages = stage_nodes(composed, built, as_of, market)
    stages["download"]["exchange"] = exchange_node
    run = _run_facts(composed, market, as_of, exchange.feed)
    trial = _trial(composed, stages, run)
    return Plan(
        stages=stages,
        targets=targets_of(stages, plugins),
        plugins=plugins,
        local={"exchange": local, **_local(composed, trial)},
        run=run,
        trial=trial.digest,
    )


def _run_facts(composed: Composed, market: AnyMarket, as_of: str, feed: str) -> RunFacts:
    return RunFacts(
        recipe=composed.choices.recipe,
        exchange=composed.choices.exchange,
        market=market,
        timeframe=composed.recipe.timeframe,
        as_of=as_of,
        gate=gate_of(composed),
        backtest=profile_of(composed),
        action_threshold=composed.recipe.action_threshold,
        challenger_share=composed.recipe.challenger_share,
        feed=feed,
        models={name: str(head["model"][TARGET]) for name, head in composed.heads.items()},
    )


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
