"""Hydra: the grammar of ``key=value`` words, and groups of ``conf/`` composed into one tree.

The only module that uses Hydra.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pipeline.config import Node, read_yaml
from pipeline.configuration.conf_options import require_option, require_own_name
from pipeline.configuration.settings import texts
from pipeline.errors import ConfigError

COMPOSING = (  # what Hydra raises on a broken file; AttributeError where it is a list
    HydraException,
    OmegaConfBaseException,
    YAMLError,
    OSError,
    ValueError,
    AttributeError,
    RecursionError,
)
REFERENCE = re.compile(r"\$\{[^${}:]*\}")
OmegaConf.clear_resolver("oc.env")  # no secret can be read, however it is asked for


def parse_words(words: Iterable[str]) -> Node:
    """Read ``key=value`` words by Hydra's grammar.

    Raises
    ------
    ConfigError
        When a word does not parse, is a sweep, or does anything but choose.

    Examples
    --------
    >>> parse_words(["market=KRW-SOL", "model.n_estimators=50"])
    {'market': 'KRW-SOL', 'model.n_estimators': 50}
    """
    parser = OverridesParser.create()
    read: Node = {}
    for word in words:
        try:
            override = parser.parse_override(word)
        except (HydraException, ValueError) as error:
            if "=" not in word:
                raise ConfigError(
                    f"'{word}' is not key=value", fix=f"say what it is, such as recipe={word}"
                ) from None
            why = str(error).splitlines()[0]
            raise ConfigError(
                f"'{word}' is not key=value: {why}", fix="quote values with spaces or symbols"
            ) from None
        if override.is_sweep_override():
            raise ConfigError(
                f"'{word}' is a sweep", fix="run sweeps with dvc exp run --queue -S key=a,b"
            )
        if override.is_delete() or override.package is not None:
            raise ConfigError(f"'{word}' is not key=value", fix="write it without ~ and @")
        read[override.key_or_group] = override.value()
    return read


def option_word(conf: Path, group: str, name: str, package: str = "") -> str:
    """The word that asks for one option of a group, at another place of the tree if told so.

    Raises
    ------
    ConfigError
        When there is no such option.
    """
    require_option(conf, group, name)
    return f"+{group}{package}={name}"


def read_option(conf: Path, group: str, name: str) -> Node:
    """The resolved keys of one option.

    Raises
    ------
    ConfigError
        When there is no such option, or its file cannot be composed.
    """
    return group_of(compose_words(conf, [option_word(conf, group, name)]), group)


def compose_words(conf: Path, words: list[str]) -> Node:
    """One resolved tree of the options that words ask for.

    Raises
    ------
    ConfigError
        When a file cannot be composed, asks the environment or the clock, or has another name
        inside.
    """
    try:
        with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
            composed = compose("config", overrides=words)
        _refuse_resolvers(OmegaConf.to_container(composed, resolve=False))
        resolved = OmegaConf.to_container(composed, resolve=True)
    except COMPOSING as error:
        _read_each(conf, words)
        why = " ".join(str(error).split())
        raise ConfigError(f"conf cannot be composed: {why}", where=str(conf)) from None
    assert isinstance(resolved, dict)
    _require_names(conf, words, resolved)
    return {str(key): value for key, value in resolved.items()}


def group_of(tree: Node, group: str) -> Node:
    """The keys that a composed tree has for a group.

    Raises
    ------
    ConfigError
        When it has none.
    """
    node = tree.get(group)
    if not isinstance(node, dict):
        raise ConfigError(
            f"the chosen {group} has no keys, or places them elsewhere",
            where=f"conf/{group}/",
            fix="give it keys, and take '# @package' out of its first line",
        )
    return node


def _read_each(conf: Path, words: Iterable[str]) -> None:
    for group, _, name in map(_parts, words):
        read_yaml(conf / group / f"{name}.yaml")


def _require_names(conf: Path, words: Iterable[str], tree: Any) -> None:
    for group, package, name in map(_parts, words):
        node = tree
        for key in (package or group).split("."):
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, dict):
            require_own_name(conf, group, name, node)


def _parts(word: str) -> tuple[str, str, str]:
    """Group, package and option of a word that `option_word` made."""
    place, _, name = word.removeprefix("+").partition("=")
    group, _, package = place.partition("@")
    return group, package, name


def _refuse_resolvers(node: Any) -> None:
    for path, text in texts(node):
        called = text
        while REFERENCE.search(called):
            called = REFERENCE.sub("", called)
        if "${" in called:
            raise ConfigError(
                "what the environment or the clock says would be written into a file",
                where=path,
                found=text,
                fix="leave it out: secrets are read from the environment where they are used",
            )
