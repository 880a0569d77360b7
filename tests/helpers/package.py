"""The modules of the package and what they import, read from their source.

`closure` is an older and coarser rule than the definitions that a program reaches: whole modules count.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import florilegium

ROOT = Path(florilegium.__file__).parent


@cache
def modules() -> dict[str, Path]:
    """The files of the package by the names of their modules."""
    return {_name(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def parsed(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def programs() -> list[str]:
    """The modules that are run as programs: they end in `if __name__ == "__main__"`."""
    return [name for name in modules() if any(map(_is_guard, parsed(name).body)) and not name.endswith("__main__")]


def closure(module: str) -> set[str]:
    """`module`, and all that it imports and they import, inside functions, too."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        if (name := waiting.pop()) not in seen:
            seen.add(name)
            waiting.extend(imports(name))
    return seen


def statements(module: str) -> Iterator[tuple[int, int, set[str]]]:
    """First and last line of each statement at the top level, decorators included, and the names that it binds."""
    for statement in parsed(module).body:
        decorators = getattr(statement, "decorator_list", [])
        yield (min(node.lineno for node in (statement, *decorators)), statement.end_lineno or 0, bound(statement))


def bound(statement: ast.stmt) -> set[str]:
    """The names that a statement at the top level of a module binds, in the forms that the package uses."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return {(node.asname or node.name).partition(".")[0] for node in ast.walk(statement) if isinstance(node, ast.alias)}


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of the package that `module` imports, inside functions and conditions, too."""
    names: set[str] = set()
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names & modules().keys())


def _is_guard(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and "__main__" in ast.unparse(statement.test)


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
