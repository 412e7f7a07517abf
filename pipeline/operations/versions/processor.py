"""Which CPU family this machine has: bytes of a training are promised for one of them."""

from __future__ import annotations

import platform
from pathlib import Path

CPU = "cpu"  # what a version's note calls it
CPU_INFO = Path("/proc/cpuinfo")
NAMES = ("vendor_id", "cpu family", "model")


def cpu_family(info: Path = CPU_INFO) -> str:
    """Architecture, vendor, family and model; the architecture alone where nothing tells more."""
    try:
        first = info.read_text(errors="replace").split("\n\n", maxsplit=1)[0]
    except OSError:
        first = ""
    told = dict(_pair(line) for line in first.splitlines())
    named = [
        f"{name.split()[-1].removesuffix('_id')} {told[name]}" for name in NAMES if name in told
    ]
    return ", ".join([platform.machine(), *named])


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()
