"""``vintage clean``: what nothing needs goes, what anything needs stays."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from filelock import FileLock

from pipeline.__main__ import main
from pipeline.experiments.simulate.folders import DESCRIBED, open_folder
from pipeline.operations.retention.cleaning import Cleaning, Cleared, clean, retention_of
from pipeline.operations.workspace import lock_path
from registry.files import sha256
from registry.marks import mark
from registry.pointers import move
from registry.slots import Slot
from registry.versions import Registry
from tests.conftest import CHECKOUT
from tests.spine import files_below, one_paragraph

NOW = pd.Timestamp("2026-01-20T03:00Z")
AT = "2025-12-20T03:00:00+00:00"
SLOT, NEW, GONE = (Slot.parse(f"demo/SIM-{name}") for name in ("BTC", "ETH", "SOL"))
CACHE = ".dvc/cache/files/md5"


class Home:
    """A home folder whose files are as old as a test says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = Registry(folder / "models" / "registry")

    def put(self, name: str, content: bytes, days: float = 100) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.age(path, days)
        return path

    def age(self, path: Path, days: float) -> None:
        written = (NOW - pd.Timedelta(days=days)).timestamp()
        os.utime(path, (written, written))

    def cached(self, content: bytes, days: float = 100) -> str:
        """Put an object into the cache; its name."""
        name = hashlib.md5(content).hexdigest()
        self.put(f"{CACHE}/{name[:2]}/{name[2:]}", content, days)
        return name

    def folder_of(self, *members: str, days: float = 100) -> str:
        listed = [{"md5": name, "relpath": f"{name}.txt"} for name in members]
        content = json.dumps(listed).encode()
        name = f"{hashlib.md5(content).hexdigest()}.dir"
        self.put(f"{CACHE}/{name[:2]}/{name[2:]}", content, days)
        return name

    def workspace(self, slot: Slot, *needs: str, days: float = 100) -> Path:
        """A workspace whose lock names objects."""
        outs = "".join(f"    - path: data/{name}\n      md5: {name}\n" for name in needs)
        where = f"build/workspaces/{slot}"
        self.put(f"{where}/params.yaml", b"recipe: demo\n", days)
        path = self.put(f"{where}/dvc.lock", f"stages:\n  raw:\n    outs:\n{outs}".encode(), days)
        (path.parent / "conf").symlink_to(CHECKOUT / "conf")
        return path.parent

    def version(self, slot: Slot, content: bytes, raw: bytes = b"") -> str:
        card = json.dumps({"data": {"sha256": sha256(raw)}}).encode()
        files = {"model.txt": content, "card.json": card}
        return self.registry.add(slot, files, AT).version

    def left(self) -> set[str]:
        """Names of the objects in the cache."""
        found = (self.folder / CACHE).glob("*/*")
        return {f"{path.parent.name}{path.name}" for path in found}

    def clean(self, *words: str, dry: bool = False) -> dict[str, Cleared]:
        told = retention_of(words, CHECKOUT / "conf")
        return {each.kind: each for each in clean(Cleaning(self.folder, told, NOW, dry))}


@pytest.fixture
def made(home: Path) -> Home:
    return Home(home)


def test_the_cache_keeps_what_workspaces_name(made: Home) -> None:
    inside, loose, young = (made.cached(name) for name in (b"inside", b"loose", b"young"))
    made.cached(b"young", days=1)
    folder, alone = made.folder_of(inside), made.cached(b"alone")
    made.workspace(SLOT, folder, days=1)
    made.put("dvc.lock", f"md5: {alone}\n".encode())
    cleared = made.clean()["cache"]
    assert made.left() == {inside, folder, alone, young}
    assert (cleared.count, cleared.bytes, cleared.left) == (1, len(b"loose"), ())
    assert loose not in made.left()


def test_the_cache_keeps_what_versions_in_service_are_made_from(made: Home) -> None:
    contents = {f"v000{number}": f"model {number}".encode() for number in range(1, 6)}
    raw = {version: b"candles of " + content for version, content in contents.items()}
    for version, content in contents.items():
        assert made.version(SLOT, content, raw[version]) == version
    move(made.registry.root, SLOT, "v0002", "observe", reason="r", who="w", at=AT)
    mark(made.registry.root, SLOT, "pinned", "v0003", reason="r", who="w", at=AT)
    mark(made.registry.root, SLOT, "pending", "v0004", reason="r", who="w", at=AT)
    models = {version: made.cached(content) for version, content in contents.items()}
    cuts = {version: made.cached(content) for version, content in raw.items()}
    beside = made.cached(b"manifest of the champion's candles")
    folder, other = made.folder_of(cuts["v0002"], beside), made.folder_of(cuts["v0001"])
    made.clean()
    served = ("v0002", "v0003", "v0004", "v0005")
    expected = {names[version] for names in (models, cuts) for version in served}
    assert made.left() == expected | {folder, beside}
    assert other not in made.left()


def test_a_damaged_pointer_or_list_leaves_the_cache(made: Home) -> None:
    made.version(SLOT, b"model")
    move(made.registry.root, SLOT, "v0001", "observe", reason="r", who="w", at=AT)
    loose = made.cached(b"loose")
    pointer = SLOT.folder(made.registry.root) / "champion.json"
    whole = pointer.read_bytes()
    pointer.write_bytes(b"{")
    (why,) = made.clean()["cache"].left
    assert "not to be trusted" in why
    pointer.write_bytes(whole)
    folder = made.folder_of(loose)
    made.workspace(SLOT, folder, days=1)
    made.put(f"{CACHE}/{folder[:2]}/{folder[2:]}", b"[torn")
    (why,) = made.clean()["cache"].left
    assert "what the cache must keep is not known" in why
    assert loose in made.left()


def test_the_cache_keeps_what_experiments_name(made: Home) -> None:
    kept, loose = made.cached(b"of an experiment"), made.cached(b"of nothing")
    made.put("dvc.lock", f"md5: {kept}\n".encode())
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (
        ["init", "-q"],
        ["add", "dvc.lock"],
        [*identity, "commit", "-qm", "experiment"],
        ["update-ref", "refs/exps/aa/bb/moth", "HEAD"],
    ):
        subprocess.run(["git", *words], cwd=made.folder, check=True)
    made.put("dvc.lock", b"stages: {}\n")
    made.clean()
    assert made.left() == {kept}
    assert loose not in made.left()


def test_a_cache_that_others_share_is_left(made: Home) -> None:
    loose = made.cached(b"loose")
    shared = made.folder.parent / "shared"
    (made.folder / ".dvc/cache").rename(shared)
    (made.folder / ".dvc/cache").symlink_to(shared)
    assert made.clean()["cache"].left == ("it is a link, and others may need what lies there",)
    assert made.left() == {loose}


def test_runs_that_restore_nothing_any_more_are_forgotten(made: Home) -> None:
    loose, kept = made.cached(b"loose"), made.cached(b"kept")
    made.workspace(SLOT, kept, days=1)
    for key, name in (("aa" * 32, loose), ("bb" * 32, kept)):
        entry = f"cmd: x\ndeps:\n- md5: {loose}\nouts:\n- path: a\n  md5: {name}\n"
        made.put(f".dvc/cache/runs/{key[:2]}/{key}/one", entry.encode())
    made.clean()
    assert [path.name for path in (made.folder / ".dvc/cache/runs").glob("*/*")] == ["bb" * 32]


def test_workspaces_go_when_nobody_builds_in_them(made: Home) -> None:
    made.version(SLOT, b"model")
    made.version(GONE, b"model")
    spaces = {
        SLOT: made.workspace(SLOT, days=29),
        GONE: made.workspace(GONE, days=31),
        NEW: made.workspace(NEW, days=4),
    }
    cleared = made.clean()["workspaces"]
    assert [slot for slot, path in spaces.items() if path.exists()] == [SLOT]
    assert cleared.count == 2
    assert (CHECKOUT / "conf/config.yaml").is_file(), "links are not followed"
    assert list((made.folder / "build/workspaces/demo").glob(".removed-*")) == []


def test_a_dry_run_counts_what_an_abandoned_workspace_needed(made: Home) -> None:
    made.workspace(NEW, made.cached(b"only there"))
    told, done = made.clean(dry=True), made.clean()
    assert told == done
    assert (done["workspaces"].count, done["cache"].count) == (1, 1)


def test_what_is_being_built_is_left(made: Home) -> None:
    space, loose = made.workspace(NEW), made.cached(b"loose")
    path = lock_path(made.folder, NEW)
    with FileLock(path):
        for dry in (True, False):
            done = made.clean(dry=dry)
            assert done["workspaces"].left == ("demo/SIM-ETH is being built",)
            assert done["cache"].left == ("demo/SIM-ETH is being built; repeat later",)
    with working(space):
        done = made.clean()
        assert done["workspaces"].count == done["cache"].count == 0
    assert space.is_dir()
    assert made.left() == {loose}
    made.clean()
    assert not space.exists()


@contextlib.contextmanager
def working(folder: Path) -> Iterator[None]:
    """DVC's own lock of a folder, held by this very process."""
    lock = folder / ".dvc/tmp/rwlock"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({str(folder): {"write": {"pid": os.getpid(), "cmd": "dvc"}}}))
    yield
    lock.unlink()


LEFT = {
    "data/store/upbit/KRW-SOL/1h/.2025-12.parquet.9.ab.tmp": ("temporary", 2),
    "models/registry/demo/SIM-BTC/.tmp-v0009/model": ("temporary", 2),
    "models/registry/.restore-ab12/demo/SIM-BTC/card.json": ("temporary", 2),
    "build/workspaces/.removed-ab/params.yaml": ("temporary", 2),
    "build/reproduce/ab12/params.yaml": ("temporary", 2),
    ".dvc/tmp/exps/standalone/tmpab12/params.yaml": ("experiments", 8),
    ".dvc/tmp/exps/tmpcd34/params.yaml": ("experiments", 8),
    "build/simulations/ab12/turns/20250101T0000-cd.zip": ("simulations", 31),
    "logs/cron.log": ("logs", 91),
    "reports/old.html": ("reports", 91),
}
KEPT = {
    "data/store/upbit/KRW-SOL/1h/2025-12.parquet": 900,
    "reports/report.html": 900,
    "reports/audits/demo-0123456789abcdef.json": 900,
    "logs/notes.txt": 900,
    ".dvc/tmp/exps/celery/broker/in/message": 900,
}


def laid(made: Home, younger: float = 0) -> None:
    made.version(SLOT, b"model")
    made.put("dvc.lock", b"outs:\n    - path: reports/report.html\n")
    for name, days in {
        **KEPT,
        **{name: days - younger for name, (_, days) in LEFT.items()},
    }.items():
        path = made.put(name, b"four", days)
        for folder in path.relative_to(made.folder).parents:
            if str(folder).count("/") and folder.name != "SIM-BTC":
                made.age(made.folder / folder, days)


def test_left_overs_go_by_their_age(made: Home) -> None:
    laid(made)
    before = files_below(made.folder)
    told = made.clean(dry=True)
    assert files_below(made.folder) == before, "a dry run writes nothing"
    done = made.clean()
    assert done == told
    gone = before.keys() - files_below(made.folder).keys()
    assert gone == LEFT.keys()
    for kind in ("temporary", "experiments", "simulations", "logs", "reports"):
        count = sum(each == kind for each, _ in LEFT.values())
        assert (done[kind].count, done[kind].bytes) == (count, 4 * count), kind
    assert made.registry.verify() == []


def test_younger_left_overs_stay(made: Home) -> None:
    laid(made, younger=1.5)
    before = files_below(made.folder).keys()
    made.clean("retention.temporary_hours=24")
    assert files_below(made.folder).keys() - {"logs/vintage.jsonl"} == before


def test_what_a_simulation_keeps_stays_while_it_is_used(made: Home) -> None:
    kept = made.put("build/simulations/ab12/turns/20250101T0000-cd.zip", b"four")
    for folder in (kept.parent, kept.parent.parent):
        made.age(folder, 100)
    opened = open_folder(made.folder, "ab12", {"slot": "demo/SIM-BTC"})
    made.age(opened / DESCRIBED, 29)
    made.age(opened, 100)
    assert made.clean()["simulations"].count == 0
    made.age(opened / DESCRIBED, 31)
    assert made.clean(dry=True)["simulations"].count == 1
    open_folder(made.folder, "ab12", {})
    assert made.clean()["simulations"].count == 0
    assert kept.is_file()


def test_a_long_log_is_begun_anew(made: Home) -> None:
    made.put("logs/vintage.jsonl", b"x" * 2**20, days=0)
    (why,) = made.clean("retention.log_megabytes=0.5")["logs"].left
    assert "goes on as vintage-20260120T030000Z.jsonl" in why
    assert (made.folder / "logs/vintage-20260120T030000Z.jsonl").stat().st_size == 2**20
    assert (made.folder / "logs/vintage.jsonl").stat().st_size < 500


def test_the_command_tells_kinds_and_mebibytes(
    made: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    made.cached(b"x" * 2**20)
    assert main(["clean", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "Nothing is deleted yet: 1.0 MiB would be." in told
    assert "cache" in told
    assert main(["clean", "--json", "retention=default"]) == 0
    kinds = {each["kind"]: each for each in json.loads(capsys.readouterr().out)["kinds"]}
    assert kinds["cache"]["count"] == 1
    assert made.left() == set()
    assert main(["clean", "retention.cach_days=1"]) == 2
    assert "cache_days" in one_paragraph(capsys)
    assert main(["clean", "model=lightgbm"]) == 2
    assert "retention" in one_paragraph(capsys)
