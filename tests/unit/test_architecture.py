from __future__ import annotations

import ast
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

MODULES = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for package in ("pipeline", "registry")
    for path in (CHECKOUT / package).rglob("*.py")
)
HEAVY = {"torch", "xgboost", "lightgbm", "sklearn"}
NETWORK = {"ccxt", "pyupbit", "requests", "httpx", "aiohttp", "urllib", "http", "socket"}
NETWORKING = (
    "pipeline/market/exchanges/",
    "pipeline/live/broker.py",
    "pipeline/live/positions.py",
    "pipeline/live/llm.py",
    "pipeline/operations/alerts.py",
    "pipeline/sandbox/",
)
CLOCKED = (
    "pipeline/commands/",
    "pipeline/operations/",
    "pipeline/live/",
    "pipeline/dashboard/",
    "pipeline/log.py",
    "pipeline/market/exchanges/machine.py",
    "registry/__main__.py",
)
NOW = ("now", "utcnow", "today")
CLOCKS = {f"{owner}.{name}" for owner in ("datetime", "Timestamp", "date") for name in NOW}
CLOCKS |= {f"time.{name}" for name in ("time", "time_ns", "localtime", "gmtime", "strftime")}
UNSAFE = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal"}


@functools.cache
def tree_of(name: str) -> ast.Module:
    return ast.parse((CHECKOUT / name).read_bytes())


def imports_of(nodes: Iterator[ast.AST]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name.split(".")[0] for name in found}


def run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes that run when a module is imported: no function's body, nothing for types only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from run_at_import(child)


def where(name: str, node: ast.expr | ast.stmt | ast.excepthandler) -> str:
    return f"{name}:{node.lineno}"


def test_there_is_something_to_look_at() -> None:
    assert len(MODULES) > 60
    assert {"pipeline/configuration/compose.py", "registry/__main__.py"} <= set(MODULES)


def test_modules_and_functions_stay_small() -> None:
    long_modules = {
        name: lines
        for name in MODULES
        if (lines := len((CHECKOUT / name).read_text().splitlines())) > 300
    }
    long_functions = {
        where(name, node): node.end_lineno - node.lineno + 1
        for name in MODULES
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > 50
    }
    assert long_modules == {}
    assert long_functions == {}


def test_names_say_what_a_module_holds() -> None:
    vague = {"utils", "util", "helpers", "helper", "misc", "common", "tools"}
    assert [name for name in MODULES if Path(name).stem in vague] == []


def test_only_one_module_knows_hydra() -> None:
    users = {name for name in MODULES if "hydra" in imports_of(ast.walk(tree_of(name)))}
    assert users == {"pipeline/configuration/conf_groups.py"}


def test_only_exchanges_and_brokers_reach_the_network() -> None:
    users = [
        name
        for name in MODULES
        if not name.startswith(NETWORKING) and imports_of(ast.walk(tree_of(name))) & NETWORK
    ]
    assert users == []


def test_heavy_libraries_are_imported_inside_functions() -> None:
    for name in MODULES:
        assert not imports_of(run_at_import(tree_of(name))) & (HEAVY | NETWORK), name


def test_the_heavy_check_sees_what_it_should() -> None:
    eager = ast.parse("class A:\n    import torch\ntry:\n    import ccxt\nexcept OSError: ...")
    assert imports_of(run_at_import(eager)) == {"torch", "ccxt"}
    late = ast.parse("if TYPE_CHECKING:\n    import torch\ndef f():\n    import ccxt")
    assert imports_of(run_at_import(late)) == set()


def clocks(tree: ast.AST) -> Iterator[ast.Attribute]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            dotted = ".".join(ast.unparse(node).split(".")[-2:])
            if dotted in CLOCKS:
                yield node


def test_only_the_outer_layers_read_the_clock() -> None:
    readers = [
        where(name, node)
        for name in MODULES
        if not name.startswith(CLOCKED)
        for node in clocks(tree_of(name))
    ]
    assert readers == []
    assert list(clocks(tree_of("pipeline/log.py")))
    imported = [
        where(name, node)
        for name in MODULES
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.ImportFrom) and node.module == "time"
    ]
    assert imported == []


def test_no_generator_is_global() -> None:
    fine = {"default_rng", "Generator", "SeedSequence", "PCG64", "Philox", "BitGenerator"}
    for name in MODULES:
        assert "random" not in imports_of(ast.walk(tree_of(name))), name
        for node in ast.walk(tree_of(name)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "np.random":
                assert node.attr in fine, where(name, node)


def catches_everything(node: ast.AST) -> bool:
    """Whether a handler takes any error; one that cleans up and raises it again does not."""
    if not isinstance(node, ast.ExceptHandler) or ast.unparse(node.body[-1]) == "raise":
        return False
    caught = "BaseException" if node.type is None else ast.unparse(node.type)
    return bool({"Exception", "BaseException"} & set(caught.strip("()").split(", ")))


def test_only_the_outermost_loop_catches_everything() -> None:
    catchers = [
        name for name in MODULES for node in ast.walk(tree_of(name)) if catches_everything(node)
    ]
    assert catchers == ["pipeline/__main__.py"]


def test_nothing_read_from_disk_can_run_code() -> None:
    for name in MODULES:
        assert not imports_of(ast.walk(tree_of(name))) & UNSAFE, name
        for node in ast.walk(tree_of(name)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "compile", "yaml.load"}, where(name, node)
            assert called not in {"os.system", "os.popen", "pd.read_pickle"}, where(name, node)
            options = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert options.get("shell", "False") == "False", where(name, node)
            assert options.get("allow_pickle", "False") == "False", where(name, node)


def test_inheritance_is_one_step_deep() -> None:
    parents = {
        node.name: {ast.unparse(base).split(".")[-1] for base in node.bases}
        for name in MODULES
        for node in ast.walk(tree_of(name))
        if isinstance(node, ast.ClassDef)
    }
    roots = {"Record", "VintageError", "Model", "Protocol"}
    deep = {
        name: bases
        for name, bases in parents.items()
        for base in bases & set(parents) - roots
        if parents[base] & set(parents)
    }
    assert deep == {}


LOOK = "import json, sys\n{}\nprint('MODULES ' + json.dumps(sorted(sys.modules)), file=sys.stderr)"
SLOW = HEAVY | {"ccxt", "pyupbit", "dvc", "hydra", "omegaconf", "scipy", "numba", "streamlit"}


def loaded_by(script: str, home: Path) -> set[str]:
    environment = {"PATH": os.defpath, "PYTHONPATH": str(CHECKOUT), "VINTAGE_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", LOOK.format(script)],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stderr.removeprefix("MODULES ")))


@pytest.mark.parametrize("package", ["pipeline", "registry"])
def test_quick_commands_load_little(home: Path, package: str) -> None:
    word = {"pipeline": "--help", "registry": "list"}[package]
    script = f"from {package}.__main__ import main\nassert main(['{word}']) == 0"
    loaded = loaded_by(script, home)
    assert f"{package}.__main__" in loaded
    assert not loaded & (SLOW | {"pandas", "numpy"})


@pytest.mark.parametrize("verb", ["predict", "retrain", "stage"])
def test_a_verbs_help_loads_no_model_library(home: Path, verb: str) -> None:
    script = (
        "import contextlib\nfrom pipeline.__main__ import main\n"
        f"with contextlib.suppress(SystemExit):\n    main(['{verb}', '--help'])"
    )
    assert not loaded_by(script, home) & (HEAVY | {"ccxt", "pyupbit", "dvc", "streamlit"})
