"""The parts a run is made of: built from their mappings, checked, and written back whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipeline.build import TARGET, build
from pipeline.config import Node, Record
from pipeline.errors import ConfigError
from pipeline.features.feature_set import FeatureSet
from pipeline.labels.base import Label
from pipeline.market.trades import TradeRule

PROMISES = {
    "exchange": ("feed", "reachable", "fetch", "newest"),
    "features": ("memory", "of_trades", "compute_many", "compute_trades", "newest", "to_list"),
    "label": ("classes", "meanings", "compute"),
    "model": ("lookback", "fit", "load"),
    "split": ("folds",),
    "calibration": ("least_effective_rows", "forgetting", "fit"),
    "validation": ("check",),
}
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def build_exchange(node: Node, where: str, plugins: tuple[str, ...]) -> tuple[Any, Node, Node]:
    """An exchange, what the download is told of it, and what only says where it lies."""
    exchange = _build("exchange", node, where, plugins)
    run_only = type(exchange).run_only_fields()
    whole = {TARGET: node[TARGET]} | exchange.model_dump(mode="json")
    kept = {key: value for key, value in whole.items() if key not in run_only}
    moved = {key: whole[key] for key in sorted(run_only) if whole[key] is not None}
    return exchange, kept, moved


def build_head(
    head: Mapping[str, Node], name: str, plugins: tuple[str, ...], places: Mapping[str, str]
) -> dict[str, Any]:
    """The feature set, label and model of a head; `places` says where each was read.

    Raises
    ------
    ConfigError
        When a key is wrong, a `_target_` is of another kind, or the three do not go together.
    """
    parts = {group: _build(group, node, places[group], plugins) for group, node in head.items()}
    _check_trades(name, parts)
    return parts


def head_node(head: Mapping[str, Node], parts: Mapping[str, Any]) -> Node:
    """A head's triple with every default written out.

    ``feature_set`` names the file of its features: that of the set, with the side of the trades
    behind it where the set has columns of trades.
    """
    feature_set: FeatureSet = parts["features"]
    table = {
        TARGET: head["features"][TARGET],
        "name": feature_set.name,
        "columns": feature_set.to_list(),
    }
    return {
        "feature_set": _file_name(parts),
        "features": table,
        "classes": list(parts["label"].classes),
        "label": {TARGET: head["label"][TARGET], **parts["label"].model_dump(mode="json")},
        "model": {TARGET: head["model"][TARGET], **parts["model"].model_dump(mode="json")},
    }


def meanings_of(label: Label, timeframe: str, where: str) -> tuple[str, ...]:
    """What each class of a label says of a candle, for people, in the order of its classes.

    Raises
    ------
    ConfigError
        When the label does not say as much of every class, or does not fit the timeframe.
    """
    try:
        meanings = label.meanings(timeframe)
    except ConfigError as error:
        told = {"found": error.found, "expected": error.expected, "fix": error.fix}
        raise ConfigError(error.what, where=where, **told) from None
    if len(meanings) != len(label.classes):
        raise ConfigError(
            "the label does not say what each of its classes means",
            where=where,
            found=f"{len(meanings)} meanings",
            expected=f"one for each of {', '.join(label.classes)}",
            fix="let its meanings() say as much",
        )
    return meanings


def feature_sets(heads: Mapping[str, Node]) -> dict[str, Node]:
    """The feature sets of all heads by name, each once.

    Raises
    ------
    ConfigError
        When two heads mean different columns by one name, or it is no plain word.
    """
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


def trade_rule(parts: Mapping[str, Any]) -> TradeRule | None:
    """The rule of the trades that a head's features are computed over; None where of candles."""
    feature_set: FeatureSet = parts["features"]
    return _rule_of(parts["label"]) if feature_set.of_trades else None


def memory_of(parts: Mapping[str, Any]) -> int:
    """Candles that a head's newest row of features needs, back to the entry of its trade."""
    rule, memory = trade_rule(parts), int(parts["features"].memory)
    return memory + rule.hold if rule else memory


def trade_rules(built: Mapping[str, Mapping[str, Any]]) -> dict[str, TradeRule]:
    """The trade rules of all heads by the file of their features, each once.

    Raises
    ------
    ConfigError
        When two heads mean different trades by one name.
    """
    rules: dict[str, TradeRule] = {}
    for head, parts in built.items():
        if (rule := trade_rule(parts)) is None:
            continue
        name = _file_name(parts)
        if rules.setdefault(name, rule) != rule:
            raise ConfigError(
                f"two heads mean different {rule.side} trades by the feature set "
                f"{parts['features'].name}",
                where=f"head {head}",
                fix=f"rename one: set.heads.{head}.features.name=ANOTHER",
            )
    return rules


def written_back(node: Node, group: str, plugins: tuple[str, ...], where: str) -> Node:
    """A part's mapping with every default written out; `where` says where it was read.

    Raises
    ------
    ConfigError
        When a key is wrong, or a `_target_` is of another kind.
    """
    built: Record = _build(group, node, where, plugins)
    return {TARGET: node[TARGET], **built.model_dump(mode="json")}


def checked_lookback(allowed: int, built: Mapping[str, Mapping[str, Any]]) -> int:
    """The candles that a row must end, no fewer than any model looks at.

    Raises
    ------
    ConfigError
        When a model looks further back.
    """
    for name, parts in built.items():
        if parts["model"].lookback > allowed:
            raise ConfigError(
                f"the model of head {name} looks further back than the recipe lets it",
                found=f"lookback {parts['model'].lookback}",
                expected=f"at most {allowed}",
                fix="raise recipe.lookback, or lower model.lookback",
            )
    return allowed


def _check_trades(name: str, parts: Mapping[str, Any]) -> None:
    rule, of_trades = _rule_of(parts["label"]), parts["features"].of_trades
    if of_trades and rule is None:
        raise ConfigError(
            f"the features of head {name} have columns of trades, and its label has no trades",
            where=f"feature set {parts['features'].name}",
            found=", ".join(of_trades),
            fix="choose a label of trades, such as label=long_exit, or another feature set",
        )
    if rule is not None and parts["model"].lookback > 1:
        raise ConfigError(
            f"the model of head {name} looks back, and windows over rows of trades are not defined",
            found=f"lookback {parts['model'].lookback}",
            expected="1",
            fix="choose a model of single rows, such as model=lightgbm, or another label",
        )


def _file_name(parts: Mapping[str, Any]) -> str:
    rule, name = trade_rule(parts), str(parts["features"].name)
    return f"{name}-{rule.side}" if rule else name


def _rule_of(label: Any) -> TradeRule | None:
    rule: TradeRule | None = getattr(label, "trades", None)
    return rule


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
