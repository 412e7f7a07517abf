"""What every verb shares: what it was told, JSON for programs, one line for people."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from registry.history import Mode, Pointer
from registry.slots import Slot
from registry.versions import Registry

Told = argparse.Namespace
Run = Callable[[Registry, Told], int]
Check = Callable[[Registry, Slot, str], None]
WhenFlat = Callable[[Registry, Told, Mode], Pointer]
ME = "vintage registry"


def print_json(value: object) -> int:
    """Print one JSON value; the exit code."""
    print(json.dumps(value, indent=1))
    return 0


def tell(told: Told, facts: object, *lines: str) -> int:
    """Print facts for programs or lines for people; the exit code."""
    if told.json:
        return print_json(facts)
    print(*(line for line in lines if line), sep="\n")
    return 0


def reason(told: Told) -> str:
    """Why a pointer is moved."""
    return told.reason or "asked for on the command line"
