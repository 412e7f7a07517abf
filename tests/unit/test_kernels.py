from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import compiler, kernel_cache, kernels
from pipeline.arrays import FloatArray

HELPER = """
from pipeline.kernels import kernel
from pipeline.fees import FEE

@kernel
def helper(x):
    return x * 2.0 + FEE
"""
CALLER = """
from pipeline.kernels import kernel
from pipeline.helper import helper

@kernel
def caller(x):
    return helper(x) + 1.0
"""
TELL = """
import json
from pipeline.caller import caller
{meanwhile}
value = caller(10.0)
stats = caller.compiled.stats
print(json.dumps([value, sum(stats.cache_hits.values()), sum(stats.cache_misses.values())]))
"""
MISSED, HIT = (0, 1), (1, 0)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with two kernels, compiled once into its cache."""
    root = tmp_path_factory.mktemp("warm")
    package = root / "checkout" / "pipeline"
    package.mkdir(parents=True)
    for module in (compiler, kernel_cache, kernels):
        shutil.copy(Path(str(module.__file__)), package)
    (package / "helper.py").write_text(HELPER)
    (package / "caller.py").write_text(CALLER)
    (package / "fees.py").write_text("FEE = 0.5\n")
    (package / "command.py").write_text("print('hello')\n")
    assert run(root) == (21.5, *MISSED)
    return root


@pytest.fixture
def root(warm: Path, tmp_path: Path) -> Path:
    return shutil.copytree(warm, tmp_path / "root")


def run(root: Path, checkout: str = "checkout", meanwhile: str = "", **more: str) -> Any:
    environment = {
        **os.environ,
        "PYTHONPATH": str(root / checkout),
        "PYTHONDONTWRITEBYTECODE": "1",
        "VINTAGE_KERNEL_CACHE": str(root / "cache"),
        **more,
    }
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", TELL.format(meanwhile=meanwhile)],
        env=environment,
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(json.loads(told))


def test_a_second_checkout_in_another_folder_hits_the_cache(root: Path) -> None:
    second = root / "elsewhere" / "deeper" / "pipeline"
    second.parent.mkdir(parents=True)
    (root / "checkout" / "pipeline").rename(second)
    for source in second.glob("*.py"):
        os.utime(source, (1, 1))
    assert run(root, "elsewhere/deeper") == (21.5, *HIT)


def test_a_helper_edited_in_another_module_is_never_stale(root: Path) -> None:
    (root / "checkout/pipeline/helper.py").write_text(HELPER.replace("2.0", "3.0"))
    assert run(root) == (31.5, *MISSED)
    (root / "checkout/pipeline/helper.py").write_text(HELPER)
    assert run(root) == (21.5, *HIT)


def test_a_module_that_asks_about_the_cache_only_leaves_it_alone(root: Path) -> None:
    asking = "from pipeline.kernel_cache import kept\n"
    assert run(root, meanwhile=f"{asking}assert kept() == 2") == (21.5, *HIT)
    (root / "checkout/pipeline/command.py").write_text(asking)
    assert run(root) == (21.5, *HIT)
    (root / "checkout/pipeline/command.py").write_text("from pipeline import kernels\n")
    assert run(root) == (21.5, *MISSED)


def test_a_constant_imported_from_a_module_without_kernels_is_never_stale(root: Path) -> None:
    (root / "checkout/pipeline/fees.py").write_text("FEE = 0.25\n")
    assert run(root) == (21.25, *MISSED)


def test_a_module_that_no_kernel_imports_leaves_the_cache_alone(root: Path) -> None:
    (root / "checkout/pipeline/command.py").write_text("print('good bye')\n")
    assert run(root) == (21.5, *HIT)


def test_an_edit_while_the_process_runs_is_not_kept(root: Path) -> None:
    shutil.rmtree(root / "cache")
    helper = root / "checkout/pipeline/helper.py"
    edit = f"import pathlib; pathlib.Path({str(helper)!r}).write_text('FEE = 1')"
    assert run(root, meanwhile=edit) == (21.5, *MISSED)
    assert not list((root / "cache").rglob("*.nb?"))


def test_a_folder_that_cannot_be_written_costs_a_compilation_only(root: Path) -> None:
    (root / "file").write_text("")
    blocked = str(root / "file" / "cache")
    assert run(root, VINTAGE_KERNEL_CACHE=blocked) == (21.5, *MISSED)


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_damaged_cache_is_compiled_anew(root: Path, kind: str) -> None:
    for file in (root / "cache").rglob(f"*.{kind}"):
        file.write_bytes(file.read_bytes()[:40])
    assert run(root) == (21.5, *MISSED)
    assert run(root) == (21.5, *HIT)


def test_the_cache_lies_in_the_users_cache_folder_by_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("VINTAGE_KERNEL_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    expected = [tmp_path / "xdg", tmp_path / "home" / ".cache"]
    found = [kernel_cache.cache_folder.__wrapped__()]
    monkeypatch.delenv("XDG_CACHE_HOME")
    found.append(kernel_cache.cache_folder.__wrapped__())
    assert found == [folder / "vintage" / "kernels" / kernel_cache.digest() for folder in expected]


def test_only_the_newest_folders_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VINTAGE_KERNEL_CACHE", str(tmp_path))
    for age in range(7):
        folder = tmp_path / f"{age:016x}"
        folder.mkdir()
        os.utime(folder, (1e9 - age, 1e9 - age))
    (tmp_path / "notes").mkdir()
    (tmp_path / kernel_cache.digest()).mkdir()
    os.utime(tmp_path / kernel_cache.digest(), (1, 1))
    kernel_cache.cache_folder.__wrapped__()
    kept = {f"{age:016x}" for age in range(kernel_cache.KEPT_FOLDERS - 1)}
    assert {path.name for path in tmp_path.iterdir()} == kept | {kernel_cache.digest(), "notes"}


def test_kernel_sources_follow_imports() -> None:
    sources = kernel_cache.kernel_sources()
    assert "kernels.py" in sources
    assert "features/rolling.py" in sources
    assert "features/feature_set.py" not in sources
    assert "commands/doctor.py" not in sources


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "from pipeline.a import (\n    b,\n    c,\n)",
            {"pipeline.a", "pipeline.a.b", "pipeline.a.c"},
        ),
        ("import numpy, pipeline.a as a", {"pipeline.a"}),
        ("    from pipeline import a", {"pipeline", "pipeline.a"}),
        ("# from pipeline.a import b", set()),
        ("from other.pipeline import b", set()),
    ],
)
def test_imports_are_read_from_the_text(line: str, expected: set[str]) -> None:
    assert set(kernel_cache._imported(line)) == expected


def test_arithmetic_is_numpys_and_never_reordered() -> None:
    @kernels.kernel
    def divide_and_cancel(x: float, y: float) -> tuple[float, float]:
        return x / y, (1e16 + x) - 1e16

    quotient, cancelled = divide_and_cancel(1.0, 0.0)
    assert np.isinf(quotient)
    assert cancelled == 0.0


def test_a_series_kernel_gives_the_array_that_it_fills() -> None:
    @kernels.series_kernel
    def double(values: FloatArray, factor: float, into: FloatArray) -> None:
        """Twice."""
        for row in range(values.size):
            into[row] = factor * values[row]

    values = np.arange(3.0)
    first, second = double(values, 2.0), double(values, 3.0)
    assert (first.tolist(), second.tolist()) == ([0.0, 2.0, 4.0], [0.0, 3.0, 6.0])
    assert double.__doc__ == "Twice."
    double.fills(values, 5.0, first)  # type: ignore[attr-defined]
    assert first.tolist() == [0.0, 5.0, 10.0]


def test_a_function_outside_the_package_is_not_kept() -> None:
    @kernels.kernel
    def outside(x: float) -> float:
        return x + 1.0

    assert outside(1.0) == 2.0
    assert outside.compiled.stats.cache_path is None  # type: ignore[attr-defined]
