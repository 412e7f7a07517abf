"""A champion is swapped only while its market is flat; until then the new one stays pending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline import log
from pipeline.build import build
from pipeline.config import Node
from pipeline.configuration.choices import NONE, merge
from pipeline.configuration.compose import read_root
from pipeline.configuration.conf_groups import parse_words, read_option
from pipeline.errors import ConfigError
from pipeline.market.exchanges.machine import Deadline, Machine
from pipeline.operations.retraining.positions.base import Patience, Positions, Standing, length
from pipeline.operations.retraining.positions.none import NoPositions
from registry.errors import RegistryError
from registry.history import Mode, Pointer
from registry.marks import marked
from registry.pending import PENDING, Pending, leave_pending, pending, withdraw
from registry.pointers import champion, move
from registry.slots import Slot
from registry.versions import Registry

GROUP = "positions"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who says whether markets are flat, and how long that is waited for; `words` chose it."""

    positions: Positions
    markets: tuple[str, ...]
    patience: Patience
    machine: Machine = field(default_factory=Machine)
    words: tuple[str, ...] = ()

    def of(self, markets: Sequence[str]) -> Waiting:
        """The same for these markets."""
        return replace(self, markets=tuple(markets))

    def standing(self) -> Standing:
        """Whether the markets are flat now."""
        return self.positions.standing(self.markets, self.machine.now())

    def until_flat(self) -> Standing:
        """Look again and again until the markets are flat or patience ends; the last answer."""
        wait = length(self.patience.wait).total_seconds()
        deadline = Deadline.after(self.machine, wait)
        standing = self.standing()
        while not standing.flat and deadline.left > 0:
            self.machine.tell(
                f"waiting for flat, {deadline.left / 60:.0f} min left: {standing.why}"
            )
            self.machine.sleep(min(self.patience.poll_seconds, deadline.left))
            standing = self.standing()
        return standing


UNWAITED = Waiting(NoPositions(), (), Patience())


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version that is to be champion, by whom, why, and instead of which generation."""

    slot: Slot
    version: str
    mode: Mode
    reason: str
    who: str
    generation: int


@dataclass(frozen=True, slots=True)
class Served:
    """The champion after it was waited; `pending` says why the version waits still, if it does."""

    pointer: Pointer | None
    pending: str = ""
    until: str = ""


def without_positions(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Words that choose a run, and those that choose who is asked for positions.

    Examples
    --------
    >>> without_positions(["recipe=demo", "positions=file", "positions.path=state.json"])
    (['recipe=demo'], ['positions=file', 'positions.path=state.json'])
    """
    own = [word for word in words if word.partition("=")[0].split(".")[0] == GROUP]
    return [word for word in words if word not in own], own


def waiting_for(words: Sequence[str], conf: Path, wait: str | None, machine: Machine) -> Waiting:
    """Build what ``positions=…`` words choose over ``conf/``.

    Parameters
    ----------
    wait
        How long it is waited, such as 4h; None leaves that to the option.

    Raises
    ------
    ConfigError
        When there is no such option, a key of it is wrong, it is not told where to look, or there
        is a wait, but nobody to ask.
    """
    settings: Node = {}
    root, name = read_root(conf), None
    for key, value in parse_words(words).items():
        if key == GROUP:
            name = str(value)
        else:
            settings = merge(settings, _nest(key.split(".")[1:], value))
    name = name or root.positions
    if wait and name == NONE:
        raise ConfigError(
            "--wait is for a flat market, and nobody is named who knows the positions",
            found=f"--wait {wait}",
            fix="add positions=file positions.path=FILE, or positions: in conf/config.yaml",
        )
    if wait:
        settings = merge(settings, {"patience": {"wait": wait}})
    node = merge(read_option(conf, GROUP, name), settings)
    positions: Positions = build(node, f"{GROUP}={name}", root.plugins)
    made = Waiting(positions, (), positions.patience, machine, tuple(words))
    made.standing()
    return made


def serve_when_flat(registry: Registry, wanted: Wanted, waiting: Waiting, at: str) -> Served:
    """Move the champion's pointer as soon as the markets are flat; leave the version pending else.

    It is pending while it is waited for, so that nothing is lost when the wait is broken off, and
    asking again makes it no fresher. The last look comes right before the pointer moves.

    Raises
    ------
    RegistryError
        When the version does not verify, or the champion changed meanwhile.
    """
    standing, until = waiting.standing(), ""
    if not standing.flat:
        until = _until(registry, wanted, waiting, at)
        waits = Pending(wanted.version, wanted.mode, wanted.reason, wanted.generation, until)
        leave_pending(registry, wanted.slot, waits, wanted.who, at)
        log.event("candidate_pending", slot=str(wanted.slot), version=wanted.version, until=until)
        standing = waiting.until_flat()
        at = waiting.machine.now().isoformat()
    if not standing.flat:
        return Served(champion(registry.root, wanted.slot), standing.why, until)
    return Served(_move(registry, wanted, at))


def serve_pending(registry: Registry, slot: Slot, waiting: Waiting, who: str, at: str) -> str:
    """Promote what waits, if the market is flat, it is fresh and no other came first; say so.

    The answer is empty where nothing waits. What can be promoted no more is forgotten.
    """
    try:
        waits = pending(registry, slot)
        if waits is None:
            return ""
        if why := waits.outdated(champion(registry.root, slot), at):
            withdraw(registry, slot, why, who, at)
            return f"{waits.version} waits no longer: {why}"
        standing = waiting.standing()
        if not standing.flat:
            return f"{waits.version} waits until {_minute(waits.until)} still: {standing.why}"
        wanted = Wanted(slot, waits.version, waits.mode, waits.reason, who, waits.generation)
        _move(registry, wanted, at)
    except RegistryError as error:
        log.event("pending_not_served", slot=str(slot), why=str(error))
        return f"what waits cannot be served: {error}"
    return f"{waits.version}, which waited, came into service first: {standing.why}"


def _until(registry: Registry, wanted: Wanted, waiting: Waiting, at: str) -> str:
    """Until when it is fresh: as was said when it was left pending first."""
    fresh = (waiting.machine.now() + length(waiting.patience.fresh_for)).isoformat()
    try:
        known = pending(registry, wanted.slot)
    except RegistryError:
        return fresh
    pointer = champion(registry.root, wanted.slot)
    same = known is not None and known.version == wanted.version
    return known.until if known and same and not known.outdated(pointer, at) else fresh


def _move(registry: Registry, wanted: Wanted, at: str) -> Pointer:
    pointer = move(
        registry.root,
        wanted.slot,
        wanted.version,
        mode=wanted.mode,
        reason=wanted.reason,
        who=wanted.who,
        at=at,
        expected_generation=wanted.generation,
    )
    try:
        if waits := marked(registry.root, wanted.slot, PENDING):
            came = waits.version == wanted.version
            why = "it is champion now" if came else f"{pointer.version} is champion now"
            withdraw(registry, wanted.slot, why, wanted.who, at)
    except RegistryError as error:
        log.event("pending_not_withdrawn", slot=str(wanted.slot), why=str(error))
    return pointer


def _minute(text: str) -> str:
    return text[:16].replace("T", " ")


def _nest(path: Sequence[str], value: object) -> Node:
    nested: object = value
    for part in reversed(path):
        nested = {part: nested}
    assert isinstance(nested, dict)
    return nested
