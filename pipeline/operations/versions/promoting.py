"""Promote a version by hand, but only while its market is flat."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.configuration.choices import NONE
from pipeline.configuration.compose import read_root
from pipeline.configuration.conf_groups import read_option
from pipeline.configuration.conf_options import options
from pipeline.configuration.pool_members import with_members
from pipeline.errors import ConfigError, RetryLater
from pipeline.market.exchanges.machine import Machine
from pipeline.market.pool import parse_market
from pipeline.operations.retraining.waiting import Wanted, serve_when_flat, waiting_for
from registry.history import Pointer
from registry.pending import PENDING, pending
from registry.pointers import champion
from registry.slots import Slot
from registry.versions import Registry


@dataclass(frozen=True, slots=True)
class Terms:
    """Words that say who knows the positions, for how long it is waited, and where conf/ lies."""

    words: tuple[str, ...]
    wait: str | None
    conf: Path
    machine: Machine = field(default_factory=Machine)


def promote_when_flat(registry: Registry, wanted: Wanted, terms: Terms, at: str) -> Pointer:
    """Make a version champion at the next flat moment, or leave it pending.

    Raises
    ------
    ConfigError
        When nobody is named who knows the positions.
    RetryLater
        When the wait ended before the market was flat, or the version has waited for too long.
    """
    if not terms.words and read_root(terms.conf).positions == NONE:
        raise ConfigError(
            "nobody is named who knows the positions",
            where="--when-flat",
            fix="add positions=file positions.path=FILE, or positions: in conf/config.yaml",
        )
    _require_fresh(registry, wanted, at)
    waiting = waiting_for(terms.words, terms.conf, terms.wait, terms.machine)
    waiting = waiting.of(_markets(wanted.slot, terms.conf))
    served = serve_when_flat(registry, wanted, waiting, at)
    if served.pending:
        why = served.pending.rstrip(".")
        raise RetryLater(
            f"the market is not flat, so {wanted.version} stays pending: {why}",
            where=str(wanted.slot),
            fix=f"repeat until {served.until[:16].replace('T', ' ')} UTC; the next retrain with "
            "the same positions=… does so, too",
        )
    assert served.pointer is not None
    return served.pointer


def _require_fresh(registry: Registry, wanted: Wanted, at: str) -> None:
    """What was left pending before is promoted by its own terms."""
    waits = pending(registry, wanted.slot)
    if waits is None or waits.version != wanted.version:
        return
    if why := waits.outdated(champion(registry.root, wanted.slot), at):
        raise RetryLater(
            f"{waits.version} may wait no longer: {why}",
            where=str(wanted.slot),
            fix=f"vintage retrain makes a fresh one; vintage registry pin {wanted.slot} none "
            f"--as {PENDING} forgets that it waited, and repeating asks anew then",
        )


def _markets(slot: Slot, conf: Path) -> tuple[str, ...]:
    """Of a pool every member; a market that conf/ does not know is itself."""
    if slot.market not in options(conf, "market"):
        return (slot.market,)
    node = with_members(read_option(conf, "market", slot.market), conf)
    return tuple(each.name for each in parse_market(node, f"market={slot.market}").members)
