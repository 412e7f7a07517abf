"""A fleet makes the same bytes wherever its slots are worked at: here, under Dask, under Ray.

Run as a script it is ``vintage retrain`` with stages that run in the slot's process, without DVC;
at full volume the command itself is run, with its DVC.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clusters import TOKEN, cluster
from tests.conftest import AS_OF, CHECKOUT, child_env
from tests.volume import volume

FULL = volume(1) > 1
SELF = "tests.e2e.test_fleet_executors"
SMALL = ("recipe.history_days=10", "model.n_estimators=5", "model.min_data_in_leaf=20")
SLOTS = ("demo/SIM-BTC", "demo/SIM-ETH")
ONE, TWO = ("executor=local", "workers=1"), ("executor=local", "workers=2")
Digests = dict[str, str]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Digests:
    """Manifests of a fleet whose slots were retrained one after the other in one process."""
    return walked(tmp_path_factory.mktemp("one"), *ONE)


@pytest.mark.dvc
@pytest.mark.skipif(not FULL, reason="the unit tests walk with two: VINTAGE_FULL=1 does with DVC")
def test_two_workers_make_the_bytes_of_one(tmp_path: Path, one: Digests) -> None:
    assert walked(tmp_path, *TWO) == one


@pytest.mark.parametrize("executor", ["dask", "ray"])
def test_a_cluster_makes_the_bytes_of_one_process(
    tmp_path: Path, executor: str, request: pytest.FixtureRequest
) -> None:
    if executor == "ray" and not FULL:
        pytest.skip("Ray takes long to start: VINTAGE_FULL=1")
    with cluster(executor, tmp_path) as address:
        words = f"executor={executor}", f"executor.address={address}"
        assert walked(tmp_path, *words) == request.getfixturevalue("one")


def walked(folder: Path, *executor: str) -> Digests:
    """Walk the fleet in a home of its own: the digest of the manifest of every version."""
    home = folder / "home"
    home.mkdir()
    shutil.copy(CHECKOUT / "params.yaml", home)
    module = "pipeline" if FULL else SELF
    words = ["fleet=demo", f"as_of={AS_OF}", *executor, *SMALL, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", module, "retrain", *words],
        cwd=home,
        env=child_env(home, VINTAGE_HOME=str(home), PYTHONPATH=str(CHECKOUT), **TOKEN),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)["slots"]
    assert [(slot["slot"], slot["state"]) for slot in told] == [(s, "retrained") for s in SLOTS]
    return {f"{slot}/v0001": manifest(home, slot) for slot in SLOTS}


def manifest(home: Path, slot: str) -> str:
    """Digest of a first version's manifest, which has those of all its files."""
    folder = home / "models/registry" / slot / "v0001"
    content = (folder / "manifest.json").read_bytes()
    files = json.loads(content)["files"]
    assert len(files) > 3
    for name, told in files.items():
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert digest in json.dumps(told), name
    return hashlib.sha256(content).hexdigest()


def main() -> int:
    from pipeline.__main__ import main as command
    from pipeline.operations.walk import fleet_walk
    from tests.fleet_slots import without_dvc

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet_walk, "run_slot", without_dvc)
        return command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
