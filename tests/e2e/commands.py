"""Run real commands in a clone, and read what DVC said it ran."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import child_env

BIN = Path(sys.executable).parent


def run(folder: Path, *words: str, code: int = 0, **environment: str) -> str:
    """Run a command of this environment in `folder`; its output, both streams together."""
    done = subprocess.run(
        [str(program) if (program := BIN / words[0]).exists() else words[0], *words[1:]],
        cwd=folder,
        env=child_env(folder, **environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    told = done.stdout + done.stderr
    assert done.returncode == code, f"{' '.join(words)} exited {done.returncode}\n{told}"
    return told


def stages_run(told: str) -> list[str]:
    """Stages that DVC ran, in order; restored ones do not count."""
    return re.findall(r"^Running stage '(\w+)'", told, flags=re.MULTILINE)


def git(folder: Path, *words: str) -> str:
    """Run git in a clone."""
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        env=child_env(folder),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
