"""Feature sets that extend another: the columns of both, written out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config import Node, read_yaml
from pipeline.configuration.conf_options import require_option, require_own_name
from pipeline.errors import ConfigError, nearest

GROUP, EXTENDS, WITHOUT, COLUMNS = "features", "extends", "without", "columns"


def read_feature_set(conf: Path, name: str) -> Node:
    """The whole table of a feature set of ``conf/features``.

    Raises
    ------
    ConfigError
        As `with_parent`, and when there is no such set.
    """
    return _read(conf, name, ())


def with_parent(features: Mapping[str, Any], conf: Path) -> Node:
    """A feature set with the columns of the set it extends before its own, in their order.

    ``without`` leaves some of that set's columns out. A set that extends none is left as it is.

    Raises
    ------
    ConfigError
        When the other set does not exist or extends this one, when it has no such column to
        leave out, or when both have a column of one name.
    """
    return _whole(features, conf, (str(features.get("name", "")),))


def _read(conf: Path, name: str, below: tuple[str, ...]) -> Node:
    require_option(conf, GROUP, name)
    node = read_yaml(conf / GROUP / f"{name}.yaml")
    require_own_name(conf, GROUP, name, node)
    return _whole(node, conf, (*below, name))


def _whole(features: Mapping[str, Any], conf: Path, below: tuple[str, ...]) -> Node:
    own = {key: value for key, value in features.items() if key not in (EXTENDS, WITHOUT)}
    where = f"features={below[-1]}"
    if EXTENDS not in features:
        if WITHOUT in features:
            raise ConfigError("'without' says nothing without 'extends'", where=where)
        return own
    parent = features[EXTENDS]
    if not isinstance(parent, str) or parent in below:
        raise ConfigError(
            "a feature set extends itself" if parent in below else "'extends' is no name of a set",
            where=where,
            found=" extends ".join((*below, str(parent))),
            fix="extend another set, or none",
        )
    inherited = _named(_read(conf, parent, below).get(COLUMNS), f"features={parent}")
    kept = _left(inherited, features.get(WITHOUT, []), f"{where}, extends {parent}")
    added = _named(features.get(COLUMNS, {}), where)
    if twice := sorted(kept.keys() & added.keys()):
        raise ConfigError(
            f"the column {twice[0]} stands in both {below[-1]} and {parent}",
            where=where,
            fix=f"rename it, or leave the other out: without: [{', '.join(twice)}]",
        )
    return {**own, COLUMNS: {**kept, **added}}


def _left(columns: Node, without: Any, where: str) -> Node:
    if not isinstance(without, list):
        raise ConfigError("'without' is no list of columns", where=where, found=repr(without))
    for name in without:
        if name not in columns:
            raise ConfigError(
                f"without: there is no column '{name}'",
                where=where,
                fix=nearest(str(name), columns),
            )
    return {name: column for name, column in columns.items() if name not in without}


def _named(columns: Any, where: str) -> Node:
    if isinstance(columns, Mapping):
        return dict(columns)
    listed: Node = {}
    for column in columns if isinstance(columns, list) else [None]:
        if not isinstance(column, Mapping) or not isinstance(column.get("name"), str):
            raise ConfigError("columns are a mapping, or a list with a 'name' each", where=where)
        if column["name"] in listed:
            raise ConfigError(f"two columns are named '{column['name']}'", where=where)
        listed[column["name"]] = {key: value for key, value in column.items() if key != "name"}
    return listed
