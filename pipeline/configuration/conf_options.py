"""The options of ``conf/``: one YAML each, named by its file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.config import home
from pipeline.errors import ConfigError, nearest

NAME = "name"


def options(conf: Path, group: str) -> list[str]:
    """Names of a group's options."""
    return sorted(path.stem for path in (conf / group).glob("*.yaml"))


def require_option(conf: Path, group: str, name: str) -> None:
    """Refuse an option that does not exist.

    Raises
    ------
    ConfigError
        Naming the nearest, or how to make one visible that only the main checkout has.
    """
    valid = options(conf, group)
    if name in valid:
        return
    if _lies_at_home(group, name):
        raise ConfigError(
            f"{group}={name} exists, but git does not track it, so this experiment's copy lacks it",
            where=f"conf/{group}/{name}.yaml",
            fix=f"git add conf/{group}/{name}.yaml and repeat",
        )
    fix = nearest(name, valid)
    if plain := "".join(letter for letter in name if letter.isalnum() or letter in "-_"):
        fix += f"; for a new one, copy a file there to conf/{group}/{plain}.yaml and change it"
    raise ConfigError(f"there is no {group} '{name}'", where=f"conf/{group}/", fix=fix)


def require_own_name(conf: Path, group: str, name: str, node: Mapping[str, Any]) -> None:
    """Refuse an option that calls itself otherwise than its file does.

    Raises
    ------
    ConfigError
        Naming the file, and both ways to make the two agree.
    """
    told = node.get(NAME, name)
    if told != name:
        raise ConfigError(
            f"{group}={name} calls itself otherwise than its file does",
            where=str(conf / group / f"{name}.yaml"),
            found=f"{NAME}: {told}",
            expected=f"{NAME}: {name}",
            fix="write the file's name there, or rename the file",
        )


def _lies_at_home(group: str, name: str) -> bool:
    try:
        return name in options(home() / "conf", group)
    except ConfigError:
        return False
