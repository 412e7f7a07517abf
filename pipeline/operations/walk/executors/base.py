"""What every executor promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pipeline.build import build
from pipeline.config import read_yaml
from pipeline.configuration.conf_options import require_option
from pipeline.errors import ConfigError

EXECUTOR = "executor"
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Room:
    """How many slots are worked at together, and how many processes each of them may have.

    `here` is whether all is done in this process, one slot after the other.
    """

    slots: int
    cores: int
    here: bool = False


class Executor(Protocol):
    """Works at every task once, wherever it does so."""

    def room(self, slots: int, cores: int) -> Room:
        """Share out the cores of this machine, or those it has elsewhere, among so many slots."""
        ...

    def run(
        self, work: Callable[[Task], Result], tasks: Sequence[Task], room: Room
    ) -> Iterator[tuple[int, Result | None]]:
        """Number and result of each task as it is done; None where its process was lost.

        `work` is a function of a module, its task and result travel; it raises nothing but an
        interruption. A task whose process ends is begun again elsewhere, as often as configured.

        Raises
        ------
        RetryLater
            When the executor itself cannot be reached.
        """
        ...


def build_executor(conf: Path, name: str, keys: dict[str, Any]) -> Executor:
    """Build an option of ``conf/executor``, some of its keys changed.

    Raises
    ------
    ConfigError
        When there is no such executor, or a key is wrong.
    """
    require_option(conf, EXECUTOR, name)
    node = read_yaml(conf / EXECUTOR / f"{name}.yaml")
    made: Executor = build({**node, **keys}, f"{EXECUTOR}={name}")
    return made


def not_installed(extra: str) -> ConfigError:
    """Tell that an optional library is missing."""
    return ConfigError(
        f"executor={extra} needs a library that is not installed",
        where=f"conf/{EXECUTOR}/{extra}.yaml",
        found=f"no {extra}",
        fix=f"pip install 'vintage[{extra}]' here and on the workers, or take executor=local",
    )
