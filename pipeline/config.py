"""Records: frozen, validated configuration, and how they are read from and written to YAML."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from pipeline import mistakes
from pipeline.errors import ConfigError

Node = dict[str, Any]
AnyRecord = TypeVar("AnyRecord", bound=BaseModel)


class RunOnlyMark:
    """Marks a field that says where or how to run, and never what comes out."""


RunOnlyPath = Annotated[Path, RunOnlyMark()]


class Record(BaseModel):
    """A frozen configuration record: unknown keys, wrong types and NaN are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, node: Any) -> Any:
        for name, field in cls.model_fields.items():
            value = node.get(name) if isinstance(node, Mapping) else None
            if isinstance(value, bool) and _is_number(field.annotation):
                raise ValueError(f"'{name}' is {value}, which is no number")
        return node

    @classmethod
    def parse(cls, node: Mapping[str, Any], where: str) -> Self:
        """Validate a mapping; `where` names its origin in the error.

        Raises
        ------
        ConfigError
            Naming each bad key, what was found, and the nearest valid word.
        """
        return parse_record(cls, node, where)

    @classmethod
    def run_only_fields(cls) -> frozenset[str]:
        """Names of the fields that do not belong in what a stage depends on."""
        return frozenset(
            name
            for name, field in cls.model_fields.items()
            if any(
                isinstance(mark, RunOnlyMark) for mark in _marks(field.annotation, field.metadata)
            )
        )


def parse_record(record: type[AnyRecord], node: Mapping[str, Any], where: str) -> AnyRecord:
    """Validate a mapping as any pydantic record; see `Record.parse`."""
    try:
        return record.model_validate(dict(node))
    except ValidationError as error:
        told = [mistakes.told(record, node, detail) for detail in error.errors()[:3]]
        raise ConfigError(
            "; ".join(told),
            where=where,
            fix="correct the key or its value in the word, or in the file, that says so",
        ) from None


def _marks(annotation: Any, metadata: list[Any]) -> Iterator[Any]:
    yield from metadata
    for part in get_args(annotation):
        yield from getattr(part, "__metadata__", ())


def _is_number(annotation: Any) -> bool:
    return any(part in (int, float) for part in (annotation, *get_args(annotation)))


def read_yaml(path: Path) -> Node:
    """Read a YAML mapping with OmegaConf (dates stay text, nothing is executed).

    Raises
    ------
    ConfigError
        When the file is missing, is no YAML, or is no mapping.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        loaded = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except FileNotFoundError:
        raise ConfigError(
            "file not found", where=str(path), fix="create it or run dvc repro"
        ) from None
    except (YAMLError, OmegaConfBaseException, OSError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())
        raise ConfigError(
            f"cannot be read as YAML: {told}",
            where=str(path),
            fix="correct the file; each line is key: value, indented by spaces",
        ) from None
    if not isinstance(loaded, dict):
        found = type(loaded).__name__
        raise ConfigError(
            "is not a mapping", where=str(path), found=found, expected="key: value lines"
        )
    return {str(key): value for key, value in loaded.items()}


def to_yaml(node: Mapping[str, Any]) -> str:
    """Write a mapping as key-sorted YAML, the same text for the same values.

    Examples
    --------
    >>> print(to_yaml({"b": 1, "a": [1, 2]}), end="")
    a:
    - 1
    - 2
    b: 1
    """
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(dict(node)), sort_keys=True)


def home() -> Path:
    """Folder that relative data paths start from.

    ``VINTAGE_HOME``, else ``DVC_ROOT``, else the nearest parent that holds params.yaml.
    """
    for variable in ("VINTAGE_HOME", "DVC_ROOT"):
        if value := os.environ.get(variable):
            return _existing(Path(value), variable)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file():
            return folder
    raise ConfigError(
        "no params.yaml in this folder or above it",
        where=str(here),
        fix="go into the checkout, or set VINTAGE_HOME to it",
    )


def _existing(folder: Path, variable: str) -> Path:
    if folder.is_dir():
        return folder.resolve()
    raise ConfigError(
        f"{variable} names a folder that does not exist",
        found=str(folder),
        fix=f"set {variable} to the checkout or unset it",
    )
