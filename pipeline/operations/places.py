"""Where the product stands on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from registry.versions import Registry


@dataclass(frozen=True, slots=True)
class Places:
    """Where a retrain reads code and writes results."""

    home: Path
    checkout: Path

    @property
    def registry(self) -> Registry:
        """The registry below the home folder."""
        return Registry(self.home / "models" / "registry")
