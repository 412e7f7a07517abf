"""Which plans an audit judges by: the recipe's own, and the same with one hold-out fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.code_digest import code_of
from pipeline.configuration.choices import RECIPE, Choices, choose
from pipeline.configuration.compose import Composed, compose_run, read_recipe
from pipeline.configuration.parts import build_head
from pipeline.configuration.plan import Plan
from pipeline.configuration.planning import plan_run
from pipeline.experiments.audit.trials import RISK, TRADE
from pipeline.features.feature_set import FeatureSet
from pipeline.market.candles import duration

RISK_LABEL = "high_vol"
AS_OF = "2026-01-01T00:00Z"  # simulated markets have their own time; this one is never read
AUDIT = "pipeline.experiments.audit.run"
STAGES = ("features", "labels", "train", "evaluate")
TEST_SHARE = 0.5  # of a market's rows: what is learned and what is judged are worth the same
HORIZON = 24  # candles that the risk head looks ahead
WEIGHT = "class_weight"  # of a model that can balance its classes


def own_plan(choices: Choices, conf: Path) -> Plan:
    """What a run of these choices would be told, whatever its moment."""
    return plan_run(compose_run(_anywhen(choices), conf))


def market_plans(choices: Choices, conf: Path) -> dict[str, Plan]:
    """The same choices with one hold-out fit, and a risk head in place of the recipe's heads.

    The risk head has the features and the model of the first head that reads candles alone; there
    is none where every head reads trades. Its classes weigh as they come: it is judged by its
    probabilities, which balanced classes overstate on purpose.
    """
    held = _held_out(choices)
    composed = compose_run(held, conf)
    plans = {TRADE: plan_run(composed)}
    head = _reads_candles(composed)
    if head is not None:
        plans[RISK] = plan_run(_risk(choices, conf, head))
    return plans


def digest_of(plan: Plan) -> str:
    """Digest of all that an audit's outcome follows from; no market and no moment is in it."""
    gate = plan.run.gate.model_dump(mode="json")
    return _digest(plan.stages, gate, {stage: _code(plan, stage) for stage in STAGES})


def digest_of_card(card: Mapping[str, Any]) -> str:
    """The same of a registered version; empty where its card does not tell it all."""
    try:
        return _digest(card["config"], card["config"]["evaluate"]["gate"], card["code"])
    except KeyError:
        return ""


def _digest(stages: Mapping[str, Any], gate: Any, code: Mapping[str, str]) -> str:
    train = {key: value for key, value in stages["train"].items() if key != "kept"}
    told = {"features": stages["features"], "labels": stages["labels"], "train": train}
    told |= {"gate": gate, "code": {stage: code[stage] for stage in STAGES}}
    told |= {"audit": code_of([AUDIT], []).digest}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _code(plan: Plan, stage: str) -> str:
    modules = [name.rpartition(".")[0] for name in plan.targets[stage]]
    return code_of([f"pipeline.stages.{stage}", *modules], plan.plugins).digest


def _anywhen(choices: Choices) -> Choices:
    return choices.model_copy(update={"as_of": AS_OF})


def _held_out(choices: Choices) -> Choices:
    """The recipe's own heads and gate, judged once on the newer half."""
    own = {key: value for key, value in choices.set.items() if key != "split"}
    held = _anywhen(choices).model_copy(update={"split": "holdout", "set": own})
    return choose(held, {"split.test_share": TEST_SHARE})


def _reads_candles(composed: Composed) -> str | None:
    for name, head in composed.heads.items():
        features: FeatureSet = build_head(head, name, composed.root.plugins, composed.places(name))[
            "features"
        ]
        if not features.of_trades:
            return name
    return None


def _risk(choices: Choices, conf: Path, head: str) -> Composed:
    """A recipe of one head: whether the next candles are among the wildest."""
    told = read_recipe(choices.recipe, conf).heads[head]
    own = {key: value for key, value in choices.set.items() if key not in {"label", "heads"}}
    given = {
        group: getattr(told, group)
        for group in ("features", "model")
        if getattr(choices, group) == RECIPE
    }
    held = _held_out(choices.model_copy(update={"label": RISK_LABEL, "set": own, **given}))
    first = compose_run(held, conf)
    hours = HORIZON * (duration(first.recipe.timeframe) / pd.Timedelta(hours=1))
    settings: dict[str, Any] = {"label.horizon_hours": hours}
    if WEIGHT in first.heads[head]["model"]:
        settings[f"model.{WEIGHT}"] = "none"
    made = compose_run(choose(held, settings), conf)
    recipe = made.recipe.model_copy(update={"heads": {head: made.recipe.heads[head]}})
    return replace(made, recipe=recipe, heads={head: made.heads[head]})
