"""Which code a stage is made of: a digest over the import graph, blind to comments.

Two sources with the same syntax tree, docstrings aside, have the same digest.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "pyyaml", "hydra": "hydra-core"}


@dataclass(frozen=True, slots=True)
class Code:
    """Digest of a closed set of modules and the outside libraries that they import."""

    digest: str
    libraries: dict[str, str]


def code_of(modules: Iterable[str], plugins: Iterable[str] = ()) -> Code:
    """Digest `modules` and everything of our own that they import, directly or not.

    Parameters
    ----------
    modules
        Dotted module names.
    plugins
        Top-level packages that count as our own, beside pipeline and registry.
    """
    own = frozenset({"pipeline", "registry", *plugins})
    seen: dict[str, _Module] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen[name] = _read(name, own)
            waiting += [found for found in seen[name].imports if _top(found) in own]
            waiting += filter(None, [name.rpartition(".")[0]])
    joined = "".join(f"{name}={module.digest}\n" for name, module in sorted(seen.items()))
    outside = {_top(found) for module in seen.values() for found in module.imports} - own
    digest = hashlib.sha256(joined.encode()).hexdigest()
    return Code(digest, _versions(outside - sys.stdlib_module_names))


@dataclass(frozen=True, slots=True)
class _Module:
    digest: str
    imports: frozenset[str]


def _top(name: str) -> str:
    return name.partition(".")[0]


@functools.cache
def _read(name: str, own: frozenset[str]) -> _Module:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.has_location or spec.origin is None:
        return _Module("", frozenset())
    content = Path(spec.origin).read_bytes()
    if not spec.origin.endswith(".py"):
        return _Module(hashlib.sha256(content).hexdigest(), frozenset())
    tree = ast.parse(content, filename=spec.origin)
    package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
    imports = frozenset(_imports(tree, package, own))
    for node in ast.walk(tree):
        _strip_docstring(node)
    return _Module(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imports)


def _strip_docstring(node: ast.AST) -> None:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            node.body = node.body[1:] if isinstance(first.value.value, str) else node.body


def _imports(tree: ast.AST, package: str, own: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            told = "." * node.level + (node.module or "")
            module = importlib.util.resolve_name(told, package)
            yield module
            if _top(module) in own:
                names = (f"{module}.{alias.name}" for alias in node.names)
                yield from (name for name in names if _is_module(name))


@functools.cache
def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _versions(names: Iterable[str]) -> dict[str, str]:
    versions = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for name in sorted(names):
        distribution = DISTRIBUTIONS.get(name, name)
        try:
            versions[distribution] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return versions
