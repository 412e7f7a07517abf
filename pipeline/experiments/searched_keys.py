"""Where a searched key leads: which heads' models it reaches, and what stands there now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.config import Node
from pipeline.errors import ConfigError, nearest
from pipeline.experiments.search_space import Search, Settings

MODEL, HEADS = "model", "heads"
UNSET = object()


def starting_values(search: Search, models: Mapping[str, Node]) -> Settings:
    """What each searched key is before anything is tried; `UNSET` where the heads differ.

    Parameters
    ----------
    models
        The resolved model of each head, by the head's name.

    Raises
    ------
    ConfigError
        When a key is no model's, does not exist, or is reached by two keys of the space.
    """
    where = search.where
    reached: dict[tuple[str, ...], str] = {}
    start: Settings = {}
    for key in search.space:
        path, heads = _reach(key, models, where)
        found = [_value(models[head], path, key, where) for head in heads]
        start[key] = found[0] if all(value == found[0] for value in found) else UNSET
        for head in heads:
            other = reached.setdefault((head, *path), key)
            if other != key:
                raise ConfigError(
                    f"'{key}' and '{other}' set the same value of head {head}",
                    where=where,
                    fix="take one of the two out",
                )
    return start


def known(start: Settings) -> Settings:
    """The values that all heads share.

    Examples
    --------
    >>> known({"model.a": 1, "model.b": UNSET})
    {'model.a': 1}
    """
    return {key: value for key, value in start.items() if value is not UNSET}


def inside(search: Search, start: Mapping[str, Any]) -> bool:
    """Whether every value could have been drawn from the space."""
    return all(search.space[key].holds(value) for key, value in start.items())


def require_reached(settings: Settings, models: Mapping[str, Node], search: Search) -> None:
    """Refuse a space whose values do not arrive, because something above sets them.

    Raises
    ------
    ConfigError
        Naming the key.
    """
    where = search.where
    for key, value in settings.items():
        path, heads = _reach(key, models, where)
        for head in heads:
            found = _value(models[head], path, key, where)
            if found != value:
                raise ConfigError(
                    f"'{key}' is to be searched, but your own words fix it for head {head}",
                    where=where,
                    found=repr(found),
                    expected=repr(value),
                    fix=f"take heads.{head}.{MODEL}.{'.'.join(path)} out of your words, or "
                    f"the key out of the search",
                )


def _reach(key: str, models: Mapping[str, Node], where: str) -> tuple[tuple[str, ...], list[str]]:
    """Path inside the model, and the heads whose model it is."""
    first, *rest = key.split(".")
    if first == MODEL and rest:
        return tuple(rest), list(models)
    if first == HEADS and len(rest) > 2 and rest[1] == MODEL:  # noqa: PLR2004
        if rest[0] not in models:
            raise ConfigError(f"unknown head in '{key}'", where=where, fix=nearest(rest[0], models))
        return tuple(rest[2:]), [rest[0]]
    raise ConfigError(
        f"'{key}' cannot be searched",
        where=where,
        expected=f"{MODEL}.KEY or {HEADS}.HEAD.{MODEL}.KEY",
        fix="only a model's keys may vary: another label, feature set or split changes what is "
        "scored, and scores of different rows do not compare",
    )


def _value(model: Node, path: tuple[str, ...], key: str, where: str) -> Any:
    node: Any = model
    for part in path:
        valid = [name for name in node if not name.startswith("_")] if _is_tree(node) else []
        if part not in valid:
            raise ConfigError(f"unknown key '{key}'", where=where, fix=nearest(part, valid))
        node = node[part]
    if _is_tree(node):
        raise ConfigError(f"'{key}' holds keys, not a value", where=where, fix=nearest("", node))
    return node


def _is_tree(node: Any) -> bool:
    return isinstance(node, Mapping)
