"""Command line: ``python -m registry list|show|history|promote|rollback|verify``."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from registry import pointers
from registry.errors import RegistryError
from registry.events import event_line
from registry.files import refused
from registry.history import MODES, Pointer
from registry.manifest import CARD
from registry.slots import CHAMPION, Slot
from registry.tables import (
    card_facts,
    cell,
    head_rows,
    majority_balanced_accuracy,
    metric_rows,
    pairs,
    table,
)
from registry.trials import count_trials
from registry.versions import Registry

Told = argparse.Namespace
Run = Callable[[Registry, Told], int]
_FOLDER = Path("models/registry")
_ME = "vintage registry"
_SERVED = {"observe": "signals, no decisions", "trade": "signals and decisions"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0, 2 for a wrong command line, 6 for a registry error."""
    try:
        told = _parser().parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    run: Run = told.run
    try:
        if getattr(told, "slot", None) is not None:
            told.slot = Slot.parse(told.slot)
        return run(Registry(told.root or default_root()), told)
    except RegistryError as error:
        print(f"error: {error}", file=sys.stderr)
    except BrokenPipeError:
        raise
    except OSError as error:
        found = f"{error.strerror}: {error.filename}"
        unreachable = refused("the registry cannot be reached", found=found)
        print(f"error: {unreachable}", file=sys.stderr)
    return RegistryError.exit_code


def _list(registry: Registry, told: Told) -> int:
    rows = [_slot_row(registry, slot) for slot in registry.slots()]
    if told.json:
        return _print_json(rows)
    if not rows:
        print(f"No slots yet under {registry.root}.")
        return 0
    shown = [{name: row[name] for name in row if name != "problem"} for row in rows]
    print(f"{table(shown)}\n\nmajority: the balanced accuracy of always naming one class.")
    for row in rows:
        if row["problem"]:
            print(f"\n{row['slot']}: {cell(row['problem'])}")
    return 0


def _slot_row(registry: Registry, slot: Slot) -> dict[str, Any]:
    pointer, card, problem = None, {}, None
    try:
        pointer = pointers.champion(registry.root, slot)
        card = registry.card(slot, pointer.version) if pointer else {}
    except RegistryError as error:
        problem = str(error)
    return {
        "slot": str(slot),
        "champion": pointer.version if pointer else None,
        "mode": pointer.mode if pointer else None,
        "as_of": card.get("as_of"),
        "versions": len(registry.versions(slot)),
        "trials": count_trials(registry.root, slot),
        "balanced_accuracy": card.get("metrics", {}).get("balanced_accuracy"),
        "majority": majority_balanced_accuracy(card),
        "problem": problem,
    }


def _show(registry: Registry, told: Told) -> int:
    bundle = registry.open(told.slot, told.version or _default_version(registry, told.slot))
    card = bundle.card() if CARD in bundle.names else {}
    events = registry.events(told.slot, bundle.version)
    files = [{"file": name, "bytes": len(bundle.read(name))} for name in bundle.names]
    facts = {
        "slot": str(told.slot),
        "trials": count_trials(registry.root, told.slot),
        "version": bundle.version,
        "digest": bundle.digest,
    }
    if told.json:
        return _print_json({**facts, "card": card, "files": files, "events": events})
    print(pairs({**facts, **card_facts(card)}))
    for title, rows in (("heads", head_rows(card)), ("metrics", metric_rows(card))):
        print(f"\n{title}\n{table(rows)}" if rows else f"\nThe card tells no {title}.")
    print(f"\nfiles\n{table(files)}\n\nevents", *map(event_line, events), sep="\n")
    return 0


def _default_version(registry: Registry, slot: Slot) -> str:
    if pointers.champion(registry.root, slot):
        return CHAMPION
    versions = registry.versions(slot)
    return versions[-1].version if versions else CHAMPION


def _history(registry: Registry, told: Told) -> int:
    columns = ("generation", "action", "from", "to", "mode", "at", "who", "why", "done")
    moves = [
        {**made.to_record(), "done": made.done}
        for made in pointers.history(registry.root, told.slot)
    ]
    rows = [{name: made[name] for name in columns} for made in moves]
    if told.json:
        return _print_json(rows)
    print(table(rows) if rows else f"The champion of {told.slot} was never moved.")
    return 0


def _promote(registry: Registry, told: Told) -> int:
    before = _before(registry, told.slot)
    mode = told.mode or (before.mode if before else "observe")
    after = pointers.move(
        registry.root, told.slot, told.version, mode, reason=_reason(told), who=_who(), at=_now()
    )
    undo = f"{_ME} rollback {told.slot}"
    if before and before.version == after.version:
        undo = f"{_ME} promote {told.slot} {before.version} --mode {before.mode}"
    return _tell_move(told, before, after, undo)


def _rollback(registry: Registry, told: Told) -> int:
    before = _before(registry, told.slot)
    after = pointers.rollback(registry.root, told.slot, _now(), _who(), _reason(told))
    undo = f"{_ME} promote {told.slot} {before.version} --mode {before.mode}" if before else ""
    return _tell_move(told, before, after, undo)


def _before(registry: Registry, slot: Slot) -> Pointer | None:
    try:
        return pointers.champion(registry.root, slot)
    except RegistryError:
        return None


def _tell_move(told: Told, before: Pointer | None, after: Pointer, undo: str) -> int:
    if told.json:
        steps = {"before": asdict(before) if before else None, "after": asdict(after)}
        return _print_json({"slot": str(told.slot), **steps})
    if before == after:
        print(f"{after.version} is champion of {told.slot} already (mode {after.mode}).")
        return 0
    was = f"before it was {before.version} ({before.mode})" if before else "there was none before"
    print(f"{after.version} is champion of {told.slot} now, mode {after.mode}: ", end="")
    print(f"{_SERVED[after.mode]}; {was}.")
    print(f"To undo: {undo}" if before else "There is no earlier champion to go back to.")
    return 0


def _verify(registry: Registry, told: Told) -> int:
    findings = [asdict(finding) for finding in registry.verify(told.slot)]
    if told.json:
        _print_json(findings)
    elif findings:
        print(table(findings))
    else:
        slots = registry.slots() if told.slot is None else [told.slot]
        count = sum(len(registry.versions(slot)) for slot in slots)
        print(f"Intact: {count} versions in {len(slots)} slots.")
    return RegistryError.exit_code if findings else 0


def _print_json(value: object) -> int:
    print(json.dumps(value, indent=1))
    return 0


def _reason(told: Told) -> str:
    return told.reason or "asked for on the command line"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def default_root() -> Path:
    """Where the registry of this checkout lies.

    Raises
    ------
    RegistryError
        When no folder above is a checkout.
    """
    for variable in ("VINTAGE_HOME", "DVC_ROOT"):
        if value := os.environ.get(variable):
            return Path(value) / _FOLDER
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file():
            return folder / _FOLDER
    fix = "go into the checkout, set VINTAGE_HOME to it, or give --root"
    raise refused("no params.yaml in this folder or above it", where=here, fix=fix)


def _parser() -> argparse.ArgumentParser:
    more = f"{_ME} compare SLOT VERSION [AGAINST] holds two versions against each other."
    parser = argparse.ArgumentParser(
        _ME, description="Versions of models, and champions.", epilog=more
    )
    parser.add_argument("--root", type=Path, help="default: models/registry of the checkout")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "list", _list, "slots, their champions and how they scored")
    show = _command(commands, "show", _show, "one version: card, files, events")
    history = _command(commands, "history", _history, "every move of the champion pointer")
    promote = _command(commands, "promote", _promote, "make a version champion")
    rollback = _command(commands, "rollback", _rollback, "back to the champion before")
    verify = _command(commands, "verify", _verify, "hold every file against its digest")
    for command in (show, history, promote, rollback):
        command.add_argument("slot", metavar="SLOT")
    verify.add_argument("slot", metavar="SLOT", nargs="?", help="default: all")
    show.add_argument("version", metavar="VERSION", nargs="?", help="default: the champion")
    promote.add_argument("version", metavar="VERSION")
    promote.add_argument("--mode", choices=MODES, help="default: the champion's, else observe")
    for command in (promote, rollback):
        command.add_argument("--reason", help="kept in the history")
    return parser


def _command(commands: Any, name: str, run: Run, told: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=told, description=told)
    command.set_defaults(run=run)
    command.add_argument("--root", type=Path, default=argparse.SUPPRESS, help="as above")
    command.add_argument("--json", action="store_true", help="for programs")
    return command


if __name__ == "__main__":
    sys.exit(main())
