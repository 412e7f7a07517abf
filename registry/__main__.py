"""Command line: ``python -m registry list|show|promote|rollback|pin|verify|gc|backup|…``."""

from __future__ import annotations

import argparse
import getpass
import importlib
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from registry.errors import RegistryError
from registry.files import refused
from registry.slots import Slot
from registry.verbs.telling import ME, Check, Told, WhenFlat
from registry.versions import Registry

_FOLDER = Path("models/registry")
_KEEP = 10
_ROLES = ("challenger", "pinned", "pending")


def main(
    argv: Sequence[str] | None = None,
    check: Check | None = None,
    when_flat: WhenFlat | None = None,
) -> int:
    """Run one command; the exit code is 0, 2 for a wrong command line, 6 for a registry error.

    Parameters
    ----------
    check
        Raises for a version that cannot be served; asked before one is promoted by hand.
    when_flat
        Moves the champion's pointer once the market is flat, and raises where it never was.
    """
    try:
        told = _parser().parse_args(argv)
    except SystemExit as stop:
        return int(stop.code or 0)
    told.at, told.who, told.check = _now(), _who(), check or _unchecked
    told.serve = when_flat
    try:
        if getattr(told, "slot", None) is not None:
            told.slot = Slot.parse(told.slot)
        return _run(Registry(told.root or default_root()), told)
    except RegistryError as error:
        print(f"error: {error}", file=sys.stderr)
    except BrokenPipeError:
        raise
    except OSError as error:
        found = f"{error.strerror}: {error.filename}"
        unreachable = refused("the registry cannot be reached", found=found)
        print(f"error: {unreachable}", file=sys.stderr)
    return RegistryError.exit_code


def verbs() -> tuple[str, ...]:
    """The commands, in the order of the help."""
    commands = argparse.ArgumentParser().add_subparsers()
    _add_all(commands)
    return tuple(commands.choices)


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


def _run(registry: Registry, told: Told) -> int:
    module, name = told.run
    run = getattr(importlib.import_module(f"registry.verbs.{module}"), name)
    return int(run(registry, told))


def _unchecked(registry: Registry, slot: Slot, version: str) -> None:
    """Promote what verifies; whether a model can be read is not for this package to say."""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _who() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _parser() -> argparse.ArgumentParser:
    more = f"{ME} compare SLOT VERSION [AGAINST] holds two versions against each other."
    parser = argparse.ArgumentParser(
        ME, description="Versions of models, and champions.", epilog=more
    )
    parser.add_argument("--root", type=Path, help="default: models/registry of the checkout")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_all(commands)
    return parser


def _add_all(commands: Any) -> None:
    _looking(commands)
    _moving(commands)
    _keeping(commands)


def _looking(commands: Any) -> None:
    _command(commands, "list", "looking list_", "slots, their champions and how they scored")
    show = _command(commands, "show", "looking show_", "one version: card, files, events", "slot")
    show.add_argument("version", metavar="VERSION", nargs="?", help="default: the champion")
    what = "every move of the champion pointer, or of another"
    history = _command(commands, "history", "looking history_", what, "slot")
    history.add_argument("--as", dest="role", choices=("champion", *_ROLES), default="champion")


def _moving(commands: Any) -> None:
    what = "make a version champion"
    promote = _command(commands, "promote", "moving promote", what, "slot", "version")
    promote.add_argument(
        "--mode",
        choices=("observe", "trade"),
        help="default: the champion's; observe where the gate did not promote the version",
    )
    promote.add_argument(
        "--trade", action="store_true", help="let it trade although the gate did not say so"
    )
    promote.add_argument(
        "--when-flat",
        action="store_true",
        help="wait until no position is open, as positions=… tells; else it stays pending",
    )
    promote.add_argument("--wait", metavar="4h", help="how long it is waited, with --when-flat")
    rollback = _command(
        commands, "rollback", "moving rollback", "back to the champion before", "slot"
    )
    what = "keep a version (or none): no gc deletes it; none --as pending forgets what waits"
    pin = _command(commands, "pin", "moving pin", what, "slot", "version")
    pin.add_argument("--as", dest="role", choices=_ROLES, default="pinned", help="default: pinned")
    for command in (promote, rollback, pin):
        command.add_argument("--reason", help="kept in the history")
    tag = _command(commands, "tag", "moving tag", "give a version a tag", "slot", "version")
    tag.add_argument("tag", metavar="TAG")
    tag.add_argument("--remove", action="store_true", help="take the tag away")
    _command(commands, "sign", "moving sign", "sign a version with the key", "slot", "version")


def _keeping(commands: Any) -> None:
    add = _command(commands, "add", "keeping add", "register the files of a folder", "slot")
    add.add_argument("folder", metavar="FOLDER", type=Path)
    what = "write a version to a new folder"
    export = _command(commands, "export", "keeping export_", what, "slot", "version")
    export.add_argument("folder", metavar="FOLDER", type=Path)
    verify = _command(commands, "verify", "keeping verify", "hold every file against its digest")
    what = "delete versions that nothing points to"
    gc = _command(commands, "gc", "keeping gc", what)
    for command in (verify, gc):
        command.add_argument("slot", metavar="SLOT", nargs="?", help="default: all")
    gc.add_argument("--keep", type=int, default=_KEEP, metavar="N", help="newest versions to keep")
    gc.add_argument("--yes", action="store_true", help="delete them; without it they are listed")
    backup = _command(commands, "backup", "keeping backup_", "write slots to one verified file")
    restore = _command(commands, "restore", "keeping restore_", "bring back the slots of a backup")
    for command in (backup, restore):
        command.add_argument("file", metavar="FILE", type=Path)
    backup.add_argument("slots", metavar="SLOT", nargs="*", help="default: all")
    restore.add_argument("--yes", action="store_true", help="move slots that exist aside")


def _command(commands: Any, name: str, run: str, told: str, *named: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=told, description=told)
    command.set_defaults(run=run.split())
    command.add_argument("--root", type=Path, default=argparse.SUPPRESS, help="as above")
    command.add_argument("--json", action="store_true", help="for programs")
    for each in named:
        command.add_argument(each, metavar=each.upper())
    return command


if __name__ == "__main__":
    sys.exit(main())
