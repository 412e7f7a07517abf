"""The deeper keys of ``set``: what they may name, and how they are laid over the heads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.config import Node
from pipeline.configuration.choices import SCALARS, merge
from pipeline.errors import ConfigError, nearest

HEAD_GROUPS = ("features", "label", "model")
RUN_GROUPS = ("exchange", "market", "split", "calibration", "validation", "gate", "backtest")
HEADS = "heads"
WORDS = (*RUN_GROUPS, *HEAD_GROUPS, HEADS, "recipe", *SCALARS)


def checked(settings: Mapping[str, Any], where: str = "set") -> Node:
    """Refuse what names no group, holds no mapping, or refers to something else.

    Raises
    ------
    ConfigError
        Naming the key and the nearest valid word.

    Examples
    --------
    >>> checked({"model": {"n_estimators": 50}})
    {'model': {'n_estimators': 50}}
    """
    for path, text in texts(settings, where):
        if "${" in text:
            raise ConfigError(
                "references are not followed here", where=path, found=text, fix="write the value"
            )
    _known(settings, WORDS, where)
    for group in WORDS:
        if group in settings and group not in SCALARS:
            _mapping(settings[group], f"{where}.{group}")
    for head, own in settings.get(HEADS, {}).items():
        _known(own, HEAD_GROUPS, f"{where}.{HEADS}.{head}")
        for group, keys in own.items():
            _mapping(keys, f"{where}.{HEADS}.{head}.{group}")
    return dict(settings)


def lay_settings(below: Mapping[str, Any], above: Mapping[str, Any]) -> Node:
    """Lay settings over settings, so that what is above wins even where it is less specific.

    Examples
    --------
    >>> lay_settings({"heads": {"a": {"model": {"x": 1, "y": 2}}}}, {"model": {"x": 3}})
    {'heads': {'a': {'model': {'x': 3, 'y': 2}}}, 'model': {'x': 3}}
    """
    heads = {
        head: {group: merge(keys, above.get(group, {})) for group, keys in own.items()}
        for head, own in below.get(HEADS, {}).items()
    }
    return merge({**below, **({HEADS: heads} if heads else {})}, above)


def over_heads(
    heads: Mapping[str, Mapping[str, Node]], settings: Mapping[str, Any]
) -> dict[str, Node]:
    """Lay settings over heads: ``model`` reaches each of them, ``heads.<head>.model`` one.

    Raises
    ------
    ConfigError
        Naming the head that does not exist.

    Examples
    --------
    >>> over_heads({"a": {"model": {}}, "b": {"model": {}}},
    ...            {"model": {"x": 1}, "heads": {"b": {"model": {"x": 2}}}})
    {'a': {'model': {'x': 1}}, 'b': {'model': {'x': 2}}}
    """
    chosen = settings.get(HEADS, {})
    _known(chosen, heads, "set.heads")
    every = {group: settings[group] for group in HEAD_GROUPS if group in settings}
    return {head: merge(merge(heads[head], every), chosen.get(head, {})) for head in heads}


def words_of(settings: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Settings as the words that would set them.

    Examples
    --------
    >>> list(words_of({"model": {"max_depth": 3}, "seed": 8}))
    ['model.max_depth=3', 'seed=8']
    """
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from words_of(value, f"{path}{key}.")
        else:
            yield f"{path}{key}={value}"


def texts(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a tree, with the dotted path that leads to it.

    Examples
    --------
    >>> list(texts({"a": ["b", {"c": "d"}]}))
    [('a.0', 'b'), ('a.1.c', 'd')]
    """
    below: Iterable[tuple[Any, Any]] = ()
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, Mapping):
        below = node.items()
    elif isinstance(node, list):
        below = enumerate(node)
    for key, value in below:
        yield from texts(value, f"{path}.{key}".strip("."))


def _known(settings: Any, valid: Iterable[str], where: str) -> None:
    words = tuple(valid)
    for key in _mapping(settings, where):
        if key not in words:
            raise ConfigError(f"unknown key '{key}'", where=where, fix=nearest(str(key), words))


def _mapping(node: Any, where: str) -> Mapping[str, Any]:
    if isinstance(node, Mapping):
        return node
    raise ConfigError(
        "is not a mapping",
        where=where,
        found=repr(node),
        fix="name a key below it, such as set.model.n_estimators=50; another option for one head "
        "is chosen with set.recipe.heads.HEAD.model=OPTION",
    )
