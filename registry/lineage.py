"""Where a candidate stands among its predecessors: what differs, and what they lost together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from registry.evidence import kept_evidence
from registry.slots import Slot, version_number

AS_OF, KEPT = "as_of", "kept"
_ASKED = ("recipe", "exchange", "feed", "market", "timeframe")
_MISSING = object()


class Kinship(NamedTuple):
    """Whether a candidate only knows newer candles than the champion; else what differs."""

    kind: Literal["refresh", "change"]
    differs: str = ""


class Chain(BaseModel):
    """What the champion lost against the best champion ever, in nats a row, 0 where it is that."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    best: str
    loss: float = 0.0


def kinship(candidate: Mapping[str, Any], champion: Mapping[str, Any]) -> Kinship:
    """Tell a refresh from a change by two cards.

    What every stage was told has to be equal, and the digest of its code; the moment, the candles
    and the versions of libraries may differ. Of a kept head its bytes count, not its version.

    Parameters
    ----------
    candidate, champion
        Cards as JSON values.

    Examples
    --------
    >>> card = {"config": {"train": {"seed": 7}, "download": {"as_of": "2026-01-01T00:00+00:00"}}}
    >>> later = {"config": {**card["config"], "download": {"as_of": "2026-01-02T00:00+00:00"}}}
    >>> kinship(later, card)
    Kinship(kind='refresh', differs='')
    >>> kinship({"config": {**card["config"], "train": {"seed": 8}}}, card).differs
    'train.seed was 7 and is 8'
    """
    found = next(_differences(candidate, champion), "")
    return Kinship("change", found) if found else Kinship("refresh")


def chain(root: Path, slot: Slot, version: str) -> Chain:
    """Follow the champion's evidence back from predecessor to predecessor.

    The log loss of each against the one before it, added up; where two were not compared the
    chain ends.
    """
    best, lowest, loss = version, 0.0, 0.0
    while evidence := kept_evidence(root, slot, version):
        before = evidence.champion
        if before is None or not before.comparable or not _earlier(before.version, version):
            break
        loss -= before.interval[0]
        version = before.version
        if loss < lowest:
            best, lowest = version, loss
    return Chain(best=best, loss=-lowest)


def _differences(candidate: Mapping[str, Any], champion: Mapping[str, Any]) -> Iterator[str]:
    for name in _ASKED:
        yield from _unequal(name, candidate.get(name), champion.get(name))
    ours, theirs = (_told(card.get("config", {})) for card in (candidate, champion))
    yield from _unequal("", ours, theirs)
    code, before = (card.get("code", {}) for card in (candidate, champion))
    for stage in sorted({*code, *before}):
        if code.get(stage) != before.get(stage):
            yield f"the code of {stage} differs"


def _told(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the stages were told, without the moment."""
    told = {
        stage: {key: value for key, value in node.items() if key != AS_OF}
        for stage, node in config.items()
    }
    for node in told.values():
        if isinstance(kept := node.get(KEPT), Mapping):
            node[KEPT] = {name: {"sha256": head.get("sha256")} for name, head in kept.items()}
    return told


def _unequal(where: str, ours: Any, theirs: Any) -> Iterator[str]:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in sorted({*ours, *theirs}):
            inner = f"{where}.{key}" if where else str(key)
            yield from _unequal(inner, ours.get(key, _MISSING), theirs.get(key, _MISSING))
    elif ours is _MISSING or theirs is _MISSING:
        yield f"{where} is {'new' if theirs is _MISSING else 'gone'}"
    elif ours != theirs:
        plain = not isinstance(ours, Mapping | list) and not isinstance(theirs, Mapping | list)
        yield f"{where} was {theirs} and is {ours}" if plain else f"{where} differs"


def _earlier(before: str, version: str) -> bool:
    """Whether a version is older; evidence that says otherwise is followed nowhere."""
    return (version_number(before) or 0) < (version_number(version) or 0)
