"""What the outermost loop says of an error: its paragraph and its exit code.

A fleet is such a loop for each of its slots: nothing that stops one may stop another.
"""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from pipeline.errors import ConfigError, RetryLater, VintageError, from_system
from registry.errors import RegistryError

INTERRUPTED, UNEXPECTED = 130, 70


@dataclass(slots=True)
class Caught:
    """Keeps the error of a block; an interruption goes on."""

    error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if isinstance(error, Exception):
            self.error = error
        return self.error is not None


def told(error: BaseException) -> tuple[str, int]:
    """One paragraph and an exit code for any error.

    Examples
    --------
    >>> told(ConfigError("no such market", fix="choose another"))
    ('no such market. To do: choose another.', 2)
    """
    match error:
        case VintageError() | RegistryError():
            return str(error), error.exit_code
        case ModuleNotFoundError():
            return _missing(error), ConfigError.exit_code
        case OSError():
            return str(from_system(error)), RetryLater.exit_code
        case KeyboardInterrupt():
            return str(error) or "interrupted; what was in service stays.", INTERRUPTED
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    fault = f"a fault in the code{place}: {type(error).__name__}: {error}"
    return f"{' '.join(fault.split())}. To do: repeat with -v for the whole path.", UNEXPECTED


def _missing(error: ModuleNotFoundError) -> str:
    return (
        f"this Python ({sys.executable}) lacks {error.name}. To do: use the checkout's own, "
        "source .venv/bin/activate, or make retrain to create it."
    )
