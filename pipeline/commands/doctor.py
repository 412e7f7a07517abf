"""``vintage doctor``: is this machine fit to run Vintage, and if not, what to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from pipeline.commands.arguments import checkout, parse, parser
from pipeline.commands.console import table
from pipeline.config import home
from pipeline.errors import VintageError

SUPPORTED = ((3, 11), (3, 14))
FREE_GIB = 2.0
CLOCK_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    check: str
    fine: bool
    found: str
    fix: str = ""


def main(argv: Sequence[str]) -> int:
    """Look at versions, disk, clock and environment; exit 1 when something is not fine."""
    made = parser("doctor", "Versions, disk, clock, environment.")
    made.add_argument("--json", action="store_true", help="print JSON")
    asked = parse(made, argv)
    findings = [finding for check in CHECKS for finding in check()]
    if asked.json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        rows = [(f.check, "ok" if f.fine else "LOOK", f.found) for f in findings]
        print(table(("check", "", "found"), rows))
        for finding in findings:
            if not finding.fine:
                print(f"\n{finding.check}: {finding.fix}")
    return 0 if all(finding.fine for finding in findings) else 1


def _python() -> Iterator[Finding]:
    version = sys.version_info[:2]
    fine = SUPPORTED[0] <= version < SUPPORTED[1]
    found = f"{sys.version.split()[0]} at {sys.executable}"
    yield Finding("python", fine, found, "use Python 3.11, 3.12 or 3.13")


def _versions() -> Iterator[Finding]:
    path = checkout() / "requirements.lock"
    if not path.is_file():
        yield Finding("packages", False, "requirements.lock is missing", "restore it from git")
        return
    wrong = [told for line in path.read_text().splitlines() for told in _differing(line)]
    found = "; ".join(wrong[:5]) or "as in requirements.lock"
    fix = "make install brings the environment back to the lock"
    yield Finding("packages", not wrong, found, fix)


def _differing(line: str) -> Iterator[str]:
    pinned = re.match(r"^([\w.-]+)==([^\s;]+)\s*(;.*)?$", line)
    if not pinned or pinned[3]:
        return
    try:
        installed = metadata.version(pinned[1]).split("+")[0]
    except metadata.PackageNotFoundError:
        yield f"{pinned[1]} is missing"
        return
    if installed != pinned[2]:
        yield f"{pinned[1]} {installed}, lock {pinned[2]}"


def _home() -> Iterator[Finding]:
    try:
        folder = home()
    except VintageError as error:
        yield Finding("home", False, str(error), error.fix)
        return
    named = [name for name in ("VINTAGE_HOME", "DVC_ROOT") if os.environ.get(name)]
    source = named[0] if named else "nearest params.yaml"
    yield Finding("home", True, f"{folder} ({source})")
    writable = os.access(folder, os.W_OK)
    yield Finding("writable", writable, str(folder), "give this user the right to write there")
    free = shutil.disk_usage(folder).free / 2**30
    fix = f"free space: at least {FREE_GIB:.0f} GiB; dvc gc --workspace drops old cached runs"
    yield Finding("disk", free >= FREE_GIB, f"{free:.1f} GiB free", fix)
    yield from _clock(folder)


def _clock(folder: Path) -> Iterator[Finding]:
    probe = folder / f".doctor-{os.getpid()}"
    try:
        probe.touch()
        difference = abs(probe.stat().st_mtime - time.time())
        probe.unlink()
    except OSError as error:
        yield Finding("clock", False, f"cannot be compared: {error.strerror}", "see writable")
        return
    now = datetime.now(UTC)
    newest = _newest_commit(folder)
    ahead = newest is not None and newest > now.timestamp() + CLOCK_SECONDS
    found = f"{now:%Y-%m-%d %H:%M:%S} UTC, zone {time.tzname[0]}"
    if difference > CLOCK_SECONDS:
        found += f", {difference:.0f} s off the disk's"
    if ahead:
        found += ", before the newest commit"
    fix = "set the clock (timedatectl, ntp); candles are judged closed by it"
    yield Finding("clock", difference <= CLOCK_SECONDS and not ahead, found, fix)


def _newest_commit(folder: Path) -> float | None:
    if shutil.which("git") is None:
        return None
    done = subprocess.run(
        ["git", "log", "-1", "--format=%ct"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return float(done.stdout) if done.returncode == 0 and done.stdout.strip() else None


def _git() -> Iterator[Finding]:
    found = shutil.which("git")
    fix = "install git: dvc experiments need it (retrain does not)"
    yield Finding("git", found is not None, found or "not found", fix)


def _cores() -> Iterator[Finding]:
    yield Finding("cores", True, str(os.cpu_count()))


def _indicators() -> Iterator[Finding]:
    from pipeline.kernel_cache import cache_folder, kept

    folder, count = cache_folder(), kept()
    told = f"{count} compiled functions at {folder}" if count else "compiled by the first run"
    fix = "set VINTAGE_KERNEL_CACHE to a folder that can be written, else every run compiles anew"
    yield Finding("indicators", folder is not None, told if folder else "nowhere to keep them", fix)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python,
    _versions,
    _home,
    _git,
    _cores,
    _indicators,
)
