"""Fixtures that every kind of test shares."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings

from tests.volume import volume

CHECKOUT = Path(__file__).resolve().parents[1]
AS_OF = "2025-12-20T00:00Z"

FULL = bool(os.environ.get("VINTAGE_FULL"))

settings.register_profile("vintage", deadline=None, derandomize=not FULL, max_examples=volume(25))
settings.load_profile("vintage")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VINTAGE_HOME", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of recorded candles, absolute."""
    told = os.environ.get("VINTAGE_REAL_DATA", str(CHECKOUT.parent / "shared" / "data"))
    folder = Path(told).resolve()
    if not folder.is_dir():
        pytest.skip(f"no recorded candles: VINTAGE_REAL_DATA={told} is not a folder")
    return folder


@pytest.fixture
def sol(real_data: Path) -> pd.DataFrame:
    """Recorded hourly candles of KRW-SOL as a candle frame."""
    return recorded(real_data / "upbit" / "KRW-SOL-60m.parquet")


def recorded(path: Path) -> pd.DataFrame:
    """Read a recorded file as a candle frame."""
    frame = pd.read_parquet(path).rename(columns={"timestamp": "time"}).set_index("time")
    return frame[["open", "high", "low", "close", "volume", "value"]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder that the code under test works in."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(CHECKOUT / "params.yaml", folder / "params.yaml")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("VINTAGE_HOME", str(folder))
    return folder


def clone(target: Path) -> Path:
    """Copy what git tracks, plus new files it does not ignore, into a repository of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = CHECKOUT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "clone"]):
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *identity, *words], cwd=target, check=True, capture_output=True)
    return target


def child_env(folder: Path, **more: str) -> dict[str, str]:
    """Environment of a real command in a clone: this interpreter first, nothing of ours left."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VINTAGE", "DVC", "PYTEST"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    cache = folder / ".dvc" / "tmp" / "site-cache"
    own = {"PATH": path, "DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(cache)}
    return {
        **kept,
        **own,
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@localhost",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@localhost",
        **more,
    }
