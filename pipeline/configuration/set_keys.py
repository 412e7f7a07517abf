"""Deeper keys that the chosen option does not have: told where they were written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from pipeline.build import TARGET, resolve_target
from pipeline.config import Node
from pipeline.configuration.choices import NONE
from pipeline.configuration.compose import Composed
from pipeline.configuration.settings import HEAD_GROUPS, HEADS, RUN_GROUPS
from pipeline.configuration.tune_choice import place
from pipeline.errors import ConfigError, nearest
from pipeline.mistakes import fields_at

Found = tuple[str, str, Node, Mapping[str, Any]]


def require_known_keys(composed: Composed, source: str = "") -> None:
    """Refuse a deeper key that the option chosen for its group lacks.

    Parameters
    ----------
    source
        The file that the choices were read from; empty where they are words of a command.

    Raises
    ------
    ConfigError
        Naming the file and the key with its whole path.
    """
    for group, path, node, given in _given(composed):
        target = node.get(TARGET) if isinstance(node, Mapping) else None
        if not (given and isinstance(target, str)):
            continue
        record = resolve_target(target, composed.root.plugins, path)
        for place_of, key, valid in _unknown(record, given, ()):
            deep = ".".join((path, *place_of, key))
            raise ConfigError(
                f"unknown key '{'.'.join((*place_of, key))}': {nearest(key, valid)}",
                where=_where(deep, group, composed, source),
                fix=f"{_leave_out(deep, source)}, or choose a {group} that has it",
            )


def _given(composed: Composed) -> Iterator[Found]:
    settings = composed.choices.set
    for group in RUN_GROUPS:
        if group in settings:
            yield group, group, composed.groups[group], settings[group]
    for head, parts in composed.heads.items():
        for group in HEAD_GROUPS:
            if group in settings:
                yield group, group, parts[group], settings[group]
            own = settings.get(HEADS, {}).get(head, {}).get(group, {})
            yield group, f"{HEADS}.{head}.{group}", parts[group], own


def _unknown(
    record: type[BaseModel], given: Mapping[str, Any], below: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], str, list[str]]]:
    valid = fields_at(record, below)
    for key, value in given.items() if valid is not None else ():
        assert valid is not None
        if key not in valid and (below or key != TARGET):
            yield below, str(key), valid
        elif isinstance(value, Mapping):
            yield from _unknown(record, value, (*below, str(key)))


def _where(deep: str, group: str, composed: Composed, source: str) -> str:
    tune = composed.choices.tune
    laid = "" if tune == NONE else f", or {place(tune)}"
    chosen = f"the chosen {group} has none"
    return f"{source}: set.{deep}{laid}; {chosen}" if source else f"{deep}{laid}; {chosen}"


def _leave_out(deep: str, source: str) -> str:
    return f"take set.{deep} out of {source}" if source else f"leave {deep}= out"
