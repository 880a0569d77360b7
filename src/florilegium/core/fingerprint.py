"""What a result depends on: canonical JSON of its spec, and a hash of the code that made it.

The code hash covers the syntax trees of a module's import closure inside the package, without
comments, docstrings and layout, so that a comment edit re-runs nothing and a change in a deep
helper re-runs exactly its users. Imports by name (registries) are not seen by this walk: the
caller hands those modules over as further roots.
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from florilegium.core.files import read_json, write_json
from florilegium.core.versions import versions_of

PACKAGE = "florilegium"
ROOT = Path(__file__).resolve().parents[1]
MEMORY = Path(".snakemake") / "florilegium-code.json"


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal for equal values, whatever their key order."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def short_hash(text: str) -> str:
    """The first 16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def code_hash(*modules: str) -> str:
    """Hash of the code that `modules` (dotted names inside the package) reach by import."""
    return short_hash("\n".join(f"{name}:{_facts(name)[1]}" for name in sorted(_reached(modules))))


def package_versions(*modules: str) -> dict[str, str]:
    """Versions of the packages of `core.versions` that `modules` reach by import."""
    return versions_of(name for module in _reached(modules) for name in _imported(module))


def _reached(modules: Iterable[str]) -> frozenset[str]:
    return frozenset().union(*(_closure(module) for module in modules))


@cache
def _closure(module: str) -> frozenset[str]:
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(_imports(name))
    return frozenset(seen)


def _path(module: str) -> Path | None:
    stem = ROOT.joinpath(*module.split(".")[1:])
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Modules of the package that `module` imports anywhere in its body, functions included."""
    inside = {name for name in _facts(module)[0] if name.split(".")[0] == PACKAGE}
    return tuple(sorted(name for name in inside if _path(name)))


@cache
def _imported(module: str) -> frozenset[str]:
    """Packages that `module` imports, by the first part of their names."""
    return frozenset(name.split(".")[0] for name in _facts(module)[0])


@cache
def _facts(module: str) -> tuple[list[str], str]:
    """The dotted names in all import statements of `module`, and the hash of its syntax tree.

    To write trees down takes longer than all else that is planned, so both are remembered by the text
    that they are of, and by the Python, another of which may see another tree.
    """
    path = _path(module)
    if path is None:
        raise ModuleNotFoundError(f"{module} is not a module of {PACKAGE}")
    text = path.read_text(encoding="utf-8")
    key = short_hash(f"{sys.version_info[:2]}{text}")
    _in_use[key] = _remembered().get(key) or _analysed(ast.parse(text))
    names, tree = _in_use[key]
    return names, tree


_in_use: dict[str, Any] = {}


@cache
def _remembered() -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_json(MEMORY)
    except (OSError, ValueError):
        return {}
    return found


def remember() -> None:
    """Keep what this process knows of the code for the next one."""
    if _in_use.keys() - _remembered().keys():
        write_json(MEMORY, _in_use)


def _analysed(tree: ast.Module) -> tuple[list[str], str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                node.body = body[1:] or [ast.Pass()]  # type: ignore[attr-defined]
    return sorted(names), short_hash(ast.dump(tree))
