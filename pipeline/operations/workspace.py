"""A folder of its own for every slot: own params.yaml and dvc.lock, shared code and cache."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline.config import to_yaml
from pipeline.configuration.choices import FILE, Choices
from pipeline.errors import ConfigError, RetryLater
from registry.files import write_atomic
from registry.slots import Slot

FREE_BYTES = 256 * 2**20
DVC_CONFIG = """[core]
    no_scm = true
    analytics = false
    check_update = false
[cache]
    dir = {cache}
"""
FOLDER = Path("build/workspaces")
CACHE, SITE_CACHE = Path(".dvc/cache"), Path("build/dvc-site-cache")
LINKED = ("conf", "pipeline", "plugins", "registry", "dvc.yaml", "requirements.lock")


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where one slot is built."""

    folder: Path

    def path(self, relative: Path) -> Path:
        """A file or folder inside."""
        return self.folder / relative


def prepare(home: Path, checkout: Path, slot: Slot, choices: Choices) -> Workspace:
    """Create or refresh a slot's workspace and write what was chosen into it.

    An unchanged params.yaml is left alone, so that DVC sees nothing to do.
    """
    _require_space(home)
    folder = home / FOLDER / str(slot)
    folder.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        _link(folder / name, checkout / name)
    config = DVC_CONFIG.format(cache=home / CACHE)
    _write_if_changed(folder / ".dvc" / "config", config.encode())
    _write_if_changed(folder / ".dvcignore", (checkout / ".dvcignore").read_bytes())
    _write_if_changed(folder / FILE, to_yaml(choices.model_dump()).encode())
    return Workspace(folder)


def lock_path(home: Path, slot: Slot) -> Path:
    """File to lock before a slot's workspace is touched."""
    return home / FOLDER / f"{slot}.lock"


def child_environment(home: Path, python: Path) -> dict[str, str]:
    """Environment of a child process: cron has no PATH, DVC no consent to phone home."""
    path = os.pathsep.join([str(python.parent), os.environ.get("PATH") or os.defpath])
    cache = home / SITE_CACHE
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        **os.environ,
        "PATH": path,
        "VINTAGE_HOME": str(home),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(cache),
    }


def _require_space(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < FREE_BYTES:
        raise RetryLater(
            "too little free disk space to build in",
            where=str(home),
            found=f"{free / 2**20:.0f} MiB",
            expected=f"at least {FREE_BYTES / 2**20:.0f} MiB (DVC hangs on a full disk)",
            fix="free space and repeat",
        )


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    if link.exists() and not link.is_symlink():
        raise ConfigError(
            "something stands where the workspace links to the code",
            where=str(link),
            fix="move it away and repeat",
        )
    temporary = link.with_name(f".{link.name}.{os.getpid()}.link")
    temporary.symlink_to(target)
    temporary.replace(link)


def _write_if_changed(path: Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        write_atomic(path, content)
