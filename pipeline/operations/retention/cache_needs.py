"""Which objects of the DVC cache something needs: workspaces, experiments, versions in service."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.errors import RetryLater
from registry.manifest import CARD, read_manifest
from registry.retention import kept
from registry.versions import Registry

OBJECTS, RUNS = Path(".dvc/cache/files/md5"), Path(".dvc/cache/runs")
LOCK = "dvc.lock"
DIRECTORY = ".dir"
_MD5 = re.compile(r"md5: ([0-9a-f]{32}(?:\.dir)?)\b")
_NAME = re.compile(r"[0-9a-f]{30}(\.dir)?")


def objects(home: Path) -> dict[str, Path]:
    """Every object by its name: an MD5, with ``.dir`` where it lists the files of a folder."""
    found = (home / OBJECTS).glob("[0-9a-f][0-9a-f]/*")
    return {f"{path.parent.name}{path.name}": path for path in found if _NAME.fullmatch(path.name)}


def named_by(locks: Iterable[Path], home: Path) -> set[str]:
    """Names of the objects that lock files and the experiments of the home's git name.

    Raises
    ------
    RetryLater
        When a lock file or git cannot be read: what it names is not known then.
    """
    texts = [_experiments(home)]
    for path in locks:
        try:
            texts.append(path.read_text())
        except (OSError, UnicodeDecodeError):
            raise _unknown("a lock file cannot be read", path) from None
    return {name for text in texts for name in _MD5.findall(text)}


def with_members(names: set[str], known: dict[str, Path]) -> set[str]:
    """The same names with those of the files that the folders among them list."""
    folders = [known[name] for name in names if name.endswith(DIRECTORY) and name in known]
    return names | {member for path in folders for member in members(path)}


def members(folder: Path) -> list[str]:
    """Names of the objects that a folder's object lists.

    Raises
    ------
    RetryLater
        When it is damaged.
    """
    try:
        return [str(each["md5"]) for each in json.loads(folder.read_bytes())]
    except (ValueError, TypeError, KeyError):
        raise _unknown("an object that lists a folder is damaged", folder) from None


def of_versions(registry: Registry, at: str) -> set[str]:
    """Digests (sha256) of the files and the candles of versions that something points to.

    Raises
    ------
    RegistryError
        When a pointer is damaged, as what it points to is not known then.
    """
    found: set[str] = set()
    for slot in registry.slots():
        for version in kept(registry.root, slot, at, keep=1):
            manifest = read_manifest(slot.folder(registry.root), version.version)
            found |= {entry.sha256 for entry in manifest.entries.values()}
            if CARD in manifest.entries:
                told = registry.card(slot, version.version).get("data", {})
                found |= {str(told["sha256"])} if "sha256" in told else set()
    return found


def serving(spare: dict[str, Path], digests: set[str]) -> set[str]:
    """Names of the objects that have the content of one of these digests, and of their folders."""
    folders = {name: path for name, path in spare.items() if name.endswith(DIRECTORY)}
    files = [name for name in spare if name not in folders]
    found = {name for name in files if content_of(spare[name]) in digests}
    for name, path in folders.items():
        with contextlib.suppress(RetryLater):
            listed = members(path)
            found |= {name, *listed} if not found.isdisjoint(listed) else set()
    return found


def content_of(path: Path) -> str:
    """Hex sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def runs_of(home: Path, gone: set[str]) -> Iterator[Path]:
    """Entries of the run cache that would restore an object which is gone."""
    for path in (home / RUNS).glob("[0-9a-f][0-9a-f]/*/*"):
        if path.is_file():
            outs = path.read_text(errors="replace").partition("\nouts:")[2]
            if not gone.isdisjoint(_MD5.findall(outs)):
                yield path


def _experiments(home: Path) -> str:
    """Every dvc.lock that a branch, a tag or an experiment of the home holds."""
    if not (home / ".git").exists():
        return ""
    refs = _git(home, "", "for-each-ref", "--format=%(objectname)", "refs/heads", "refs/tags",
                "refs/exps", "refs/stash")  # fmt: skip
    asked = "".join(f"{commit}:{LOCK}\n" for commit in {*refs.split()})
    return _git(home, asked, "cat-file", "--batch") if asked else ""


def _git(home: Path, given: str, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(home), *words],
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        raise _unknown("git does not tell which experiments there are", home) from None
    return done.stdout


def _unknown(what: str, where: Path) -> RetryLater:
    fix = "mend or remove it and repeat; the cache is left as it is until then"
    return RetryLater(
        f"{what}, so what the cache must keep is not known", where=str(where), fix=fix
    )
