"""A cluster of two workers on this machine, as a script: it tells its address, and ends with stdin.

``python -m tests.clusters dask`` or ``ray``; the library has to be installed.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, child_env

LIBRARIES = {"dask": "distributed", "ray": "ray"}
WORKERS = 2
TOLD = "address "
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 32}  # of Ray's clusters


@contextlib.contextmanager
def cluster(executor: str, folder: Path) -> Iterator[str]:
    """The address of a cluster that lives as long as the block.

    A test is skipped by name where the library is not installed.
    """
    if find_spec(LIBRARIES[executor]) is None:
        pytest.skip(f"{executor} is not installed: pip install 'vintage[{executor}]'")
    with (
        (folder / f"{executor}.log").open("w+") as told,
        subprocess.Popen(
            [sys.executable, "-m", "tests.clusters", executor, str(folder)],
            cwd=folder,
            env=child_env(folder, PYTHONPATH=str(CHECKOUT), **TOKEN),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        lines = iter(process.stdout)
        address = next((line for line in lines if line.startswith(TOLD)), "")
        assert address, (folder / f"{executor}.log").read_text()
        try:
            yield address.removeprefix(TOLD).strip()
        finally:
            assert process.stdin is not None
            process.stdin.close()


def dask(folder: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=WORKERS,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        local_directory=str(folder),
    ) as made:
        tell(made.scheduler_address)


def ray(_: Path) -> None:
    import ray as library

    made = library.init(
        num_cpus=WORKERS,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    try:
        tell(made.address_info["gcs_address"])
    finally:
        library.shutdown()


def tell(address: str) -> None:
    print(f"{TOLD}{address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    {"dask": dask, "ray": ray}[sys.argv[1]](Path(sys.argv[2]))
