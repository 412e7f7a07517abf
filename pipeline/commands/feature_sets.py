"""``vintage features``: what is declared, without any candle."""

from __future__ import annotations

from typing import Any

from pipeline.commands.console import table
from pipeline.commands.feature_words import Asked, conf, declaration, paragraphs
from pipeline.configuration.conf_options import options
from pipeline.errors import ConfigError
from pipeline.features.column import ColumnSpec
from pipeline.features.feature_set import FeatureSet
from pipeline.operations.feature_rows import column_of, declared

SHORT = 12
ERROR = "error"
SETS = ("set", "columns", "warm_up", "memory", "scale-free", "of trades", "digest")
COLUMNS = ("#", "column", "indicator", "unit", "warm_up", "memory", "scale-free")


def show(asked: Asked) -> tuple[Any, str]:
    """Every set, or the columns of one."""
    if not asked.names:
        return _every()
    (name,) = asked.require(1)
    features = declared(name, conf())
    columns = [column_facts(name, spec) for name, spec in features.columns.items()]
    return {**summary(features), "columns": columns}, _columns(features)


def explain(asked: Asked) -> tuple[Any, str]:
    """One column, as it is declared."""
    name, column = asked.require(2)
    features = declared(name, conf())
    spec = features.columns[column_of(features, column)]
    facts = {"set": features.name, **column_facts(column, spec)}
    text = f"{features.name} {column}\n\n{paragraphs(story(spec))}"
    return facts, f"{text}\n\nIts value at a candle: add recipe= or market=, and at=MOMENT"


def diff(asked: Asked) -> tuple[Any, str]:
    """Two sets side by side."""
    one, other = (declared(name, conf()) for name in asked.require(2))
    common = [name for name in one.names if name in other.columns]
    changed = [name for name in common if one.columns[name] != other.columns[name]]
    facts = {
        "sets": [one.name, other.name],
        "digests": [one.digest, other.digest],
        "removed": [name for name in one.names if name not in other.columns],
        "added": [name for name in other.names if name not in one.columns],
        "changed": {
            name: [each.columns[name].model_dump() for each in (one, other)] for name in changed
        },
        "reordered": common != [name for name in other.names if name in one.columns],
    }
    return facts, _difference(one, other, facts)


def summary(features: FeatureSet) -> dict[str, Any]:
    """What a set is, in a few figures."""
    return {
        "set": features.name,
        "digest": features.digest,
        "warm_up": features.warm_up,
        "memory": features.memory,
        "of_trades": list(features.of_trades),
        "scale_free": [name for name, spec in features.columns.items() if spec.scale_free],
    }


def column_facts(name: str, spec: ColumnSpec) -> dict[str, Any]:
    """What a column is."""
    return {
        "column": name,
        "indicator": spec.indicator,
        "arguments": spec.arguments,
        "formula": spec.formula,
        "unit": spec.unit,
        "reads": list(spec.reads),
        "warm_up": spec.warm_up,
        "memory": spec.memory,
        "scale_free": spec.scale_free,
        "of_trade": spec.of_trade,
    }


def story(spec: ColumnSpec) -> dict[str, str]:
    """What a column is, in words."""
    reads = f"{', '.join(spec.reads) or 'no column'} of {_candles(spec.memory)}"
    since = ", and of those since the trade's entry" if spec.of_trade else ""
    free = "the same whatever the price level" if spec.scale_free else "moves with the price level"
    return {
        "formula": spec.formula,
        "indicator": declaration(spec),
        "unit": f"{spec.unit}; {free}",
        "reads": f"{reads} (its memory){since}",
        "warm_up": f"the first {spec.warm_up} rows are dropped" if spec.warm_up else "none",
    }


def _every() -> tuple[list[dict[str, Any]], str]:
    """Every set that can be read, and why each of the others cannot."""
    found: dict[str, FeatureSet] = {}
    broken: dict[str, str] = {}
    for name in options(conf(), "features"):
        try:
            found[name] = declared(name, conf())
        except ConfigError as error:
            broken[name] = str(error)
    facts = [summary(one) for one in found.values()]
    facts += [{"set": name, ERROR: why} for name, why in broken.items()]
    text = table(SETS, [_set_row(one) for one in found.values()])
    told = f"\n\ncannot be used\n{paragraphs(broken)}" if broken else ""
    return facts, f"{text}{told}"


def _candles(count: int) -> str:
    return "the candle itself" if count == 1 else f"the newest {count} candles"


def _set_row(features: FeatureSet) -> list[Any]:
    free = sum(spec.scale_free for spec in features.columns.values())
    sizes = [len(features.names), features.warm_up, features.memory, free]
    return [features.name, *sizes, len(features.of_trades), features.digest[:SHORT]]


def _columns(features: FeatureSet) -> str:
    rows = [
        [
            number,
            name,
            declaration(spec),
            spec.unit,
            spec.warm_up,
            spec.memory,
            "yes" if spec.scale_free else "-",
        ]
        for number, (name, spec) in enumerate(features.columns.items(), 1)
    ]
    formulas = {spec.indicator: spec.formula for spec in features.columns.values()}
    head = (
        f"{features.name}: {len(rows)} columns, warm_up {features.warm_up}, "
        f"memory {features.memory} candles, digest {features.digest[:SHORT]}"
    )
    return "\n".join([head, "", table(COLUMNS, rows), "", "formulas", paragraphs(formulas)])


def _difference(one: FeatureSet, other: FeatureSet, facts: dict[str, Any]) -> str:
    lines = [
        f"{each.name}: {len(each.names)} columns, digest {each.digest[:SHORT]}"
        for each in (one, other)
    ]
    sides = {
        f"only in {one.name}": ", ".join(facts["removed"]),
        f"only in {other.name}": ", ".join(facts["added"]),
    }
    sides = {name: text for name, text in sides.items() if text}
    if sides:
        lines += ["", paragraphs(sides)]
    if facts["changed"]:
        rows = [
            [name, declaration(one.columns[name]), declaration(other.columns[name])]
            for name in facts["changed"]
        ]
        lines += ["", table(("changed", one.name, other.name), rows)]
    if facts["reordered"]:
        lines += ["", "The columns that both have stand in another order: other models."]
    if one.digest == other.digest:
        lines += ["", "The same columns in the same order."]
    return "\n".join(lines)
