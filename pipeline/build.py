"""The only way from a `_target_` in YAML to an object: an allow-list, checked on the result."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.config import Record
from pipeline.errors import ConfigError

TARGET = "_target_"


def resolve_target(target: str, plugins: Sequence[str] = (), where: str = "") -> type[Record]:
    """Find the record class that a `_target_` names.

    Parameters
    ----------
    target
        Dotted name, ``pipeline.models.lightgbm.LightGBM``.
    plugins
        Top-level packages allowed beside ``pipeline``.
    where
        Who names it, for people.

    Raises
    ------
    ConfigError
        When the name lies outside the allow-list, does not exist, or is no `Record`.
        The check is made on the object found, so an alias to something else is refused too.
    """
    allowed = ("pipeline", *plugins)
    module_name, _, name = target.rpartition(".")
    if module_name.split(".")[0] not in allowed:
        raise _refused(target, where, f"a class inside {' or '.join(allowed)}")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"_target_ '{target}' cannot be found: {error}",
            where=where,
            fix="correct the dotted name",
        ) from None
    if not (isinstance(found, type) and issubclass(found, Record)):
        raise _refused(target, where, "a configuration record")
    if found.__module__.split(".")[0] not in allowed:
        raise _refused(target, where, f"a class defined inside {' or '.join(allowed)}")
    return found


def build(node: Mapping[str, Any], where: str, plugins: Sequence[str] = ()) -> Any:
    """Build the object that a YAML mapping with `_target_` describes.

    Raises
    ------
    ConfigError
        When the target is refused or a key is wrong.
    """
    target = node.get(TARGET) if isinstance(node, Mapping) else None
    if not isinstance(target, str):
        raise ConfigError(
            f"'{TARGET}' is missing", where=where, expected="the dotted name of a class"
        )
    fields = {key: value for key, value in node.items() if key != TARGET}
    return resolve_target(target, plugins, where).parse(fields, where)


def _refused(target: str, where: str, expected: str) -> ConfigError:
    return ConfigError(
        f"_target_ '{target}' is refused",
        where=where,
        expected=expected,
        fix="name a class of the pipeline, or declare its package in conf/config.yaml, plugins",
    )
