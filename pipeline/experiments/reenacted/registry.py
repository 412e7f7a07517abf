"""Every re-enactment by name."""

from __future__ import annotations

from pipeline.errors import ConfigError, nearest
from pipeline.experiments.reenacted.dual import DUAL
from pipeline.experiments.reenacted.figures import Reenactment
from pipeline.experiments.reenacted.heads import HEADS
from pipeline.experiments.reenacted.hourly import HOURLY

REENACTMENTS: dict[str, Reenactment] = {each.name: each for each in (DUAL, HEADS, HOURLY)}


def reenactment(name: str) -> Reenactment:
    """The re-enactment of that name.

    Raises
    ------
    ConfigError
        Naming the nearest.
    """
    if name not in REENACTMENTS:
        raise ConfigError(f"nothing to re-enact is named '{name}'", fix=nearest(name, REENACTMENTS))
    return REENACTMENTS[name]
