"""The definitions of a module, and the names that each of them uses: read from its syntax tree, without running it.

A *definition* is a name that a module binds at its top level: a function, a whole class, a constant, an import, or any
other assignment. All statements that bind a name belong to its definition. It *uses* the names that it loads from the
module or imports itself, anywhere in it: in decorators, bases, defaults, annotations (also those written as strings),
methods, nested functions. A local variable hides a name of the module, as in Python.

An *effect* is a statement that does more than bind names when the module is imported: a call, an `if`, a loop, a `try`,
an assignment to an attribute or an item, `import *`, a decorator that is not in `PASSIVE`, a value that is computed by
calling something of the package. Calls of other packages in a value (`re.compile`) are assumed to have no effect.
Docstrings, comments, layout and the body of `if TYPE_CHECKING` never count.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import NamedTuple

PASSIVE = ("contextlib.", "dataclasses.", "functools.", "torch.inference_mode", "torch.no_grad", "typing.")
WHOLE = "*"  # all names of a module
OPENS_ALL = {"eval", "exec", "globals"}  # built-in functions that reach any name of their module
OPENS_ALL_ALONE = {"dir", "locals", "vars"}  # built-in functions that do so without an argument
IGNORED = {"ctx", "kind", "type_comment", "type_ignores"}  # fields of syntax trees without an effect on the code
FIELDS = {
    kind: tuple(field for field in kind._fields if field not in IGNORED)
    for kind in vars(ast).values()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}

Paths = dict[str, list[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
# `isinstance` is faster with tuples than with unions.
NAMES = (ast.Name, ast.Attribute)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
IMPORTS = (ast.Import, ast.ImportFrom)
ANNOTATED = (ast.AnnAssign, ast.arg)
OPENING = (ast.Call, ast.Subscript)
NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar)
LEAVES = (ast.Name, ast.Constant, ast.expr_context)


class Definition(NamedTuple):
    """The statements of one name, or all effects of a module.

    Attributes:
        digest: hash of the statements; empty if there are none.
        names: dotted names loaded from the module (`crops.by_matrices`); `*` is all of the module.
        paths: absolute dotted names used through imports inside (`florilegium.data.crops.by_matrices`).
        imports: absolute dotted names imported when the statements run, used or not.
    """

    digest: str = ""
    names: Sequence[str] = ()
    paths: Sequence[str] = ()
    imports: Sequence[str] = ()


class Module(NamedTuple):
    """The parts of a module.

    Attributes:
        definitions: by name.
        aliases: for an imported name, the absolute dotted names that it may stand for.
        effects: all effects; its `imports` are those of the whole top level.
        program: the statements that only run in the main program.
        stars: modules with `import *`.
    """

    definitions: dict[str, Definition]
    aliases: Paths
    effects: Definition
    program: Definition
    stars: Sequence[str]


def read_module(text: str, package: str) -> Module:
    """The parts of the module with this source; its relative imports start from `package`."""
    body = ast.parse(text).body
    parts = [_Part(statement, package) for statement in _executed(body)]
    bound: dict[str, list[_Part]] = {}
    aliases: Paths = {}
    for part in parts:
        for name, paths in part.bound.items():
            bound.setdefault(name, []).append(part)
            if paths:
                aliases.setdefault(name, []).extend(paths)
    root = package.partition(".")[0]
    inside = {name for name in bound if any(path.split(".")[0] == root for path in aliases.get(name, [root]))}
    effects = [part for part in parts if _acts(part.statement, aliases, inside)]
    return Module(
        definitions={name: _definition(group, name) for name, group in bound.items()},
        aliases=aliases,
        effects=_definition(effects)._replace(imports=sorted(set().union(*(part.at_once for part in parts)))),
        program=_definition(_Part(s, package) for s in body if _is_main(s)),
        stars=sorted(set().union(*(part.stars for part in parts))),
    )


def _definition(parts: Iterable["_Part"], name: str = "") -> Definition:
    """The definition that consists of these statements; of an import, only the names imported as `name` count."""
    parts = list(parts)
    text = "\n".join(part.text(name) for part in parts)
    return Definition(
        digest=blake2b(text.encode(), digest_size=8).hexdigest() if parts else "",
        names=sorted(set().union(*(part.names for part in parts))),
        paths=sorted(set().union(*(part.paths for part in parts))),
        imports=sorted(set().union(*(part.imports for part in parts))),
    )


class _Part:
    """A statement at the top level of a module, the names that it binds there and the names that it uses."""

    def __init__(self, statement: ast.stmt, package: str) -> None:
        self.statement, self.package = statement, package
        self.bound: Paths = {}
        self.names: set[str] = set()
        self.paths: set[str] = set()
        self.imports: set[str] = set()
        self.at_once: set[str] = set()  # of `imports`, those outside functions
        self.stars: set[str] = set()
        self._scopes: list[Paths] = []  # local names, each with the absolute names of its imports
        self._scan([statement], self.bound)

    def text(self, name: str) -> str:
        """The statement without layout; of an import, the names that it binds as `name`."""
        if isinstance(self.statement, ast.Import | ast.ImportFrom) and name:
            return f"import {self.bound[name]}"
        return repr(_plain(self.statement))

    def _scan(self, roots: Iterable[ast.AST], bound: Paths, *, used: bool = False) -> None:
        """Read one scope and the scopes inside it, and add the names that it binds to `bound`.

        With `used`, all its imports count as used: in a class they become attributes, which any code may read.
        """
        own = list(_own(roots))
        elsewhere = {name for node in own if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}
        for node in own:
            for name, path in _bindings(node, self.package):
                if name not in elsewhere:
                    bound.setdefault(name, []).extend([path] if path else [])
        for node in own:
            if isinstance(node, NAMES):
                self._use(_chain(node))
            elif isinstance(node, FUNCTIONS):
                self._function(node)
            elif isinstance(node, COMPREHENSIONS):
                self._comprehension(node, bound)
            elif isinstance(node, ast.ClassDef):
                self._scan(node.body, {}, used=True)
            elif isinstance(node, IMPORTS):
                self._import(node, lambda name: used or name in elsewhere)
            elif isinstance(node, ANNOTATED):
                self._annotation(node.annotation)
            elif isinstance(node, OPENING) and _opens_all(node):
                self.names.add(WHOLE)

    def _function(self, node: Function | ast.Lambda) -> None:
        local: Paths = {part.arg: [] for part in ast.iter_child_nodes(node.args) if isinstance(part, ast.arg)}
        if not isinstance(node, ast.Lambda):
            self._annotation(node.returns)
        self._scopes.append(local)
        self._scan(node.body if isinstance(node.body, list) else [node.body], local)
        self._scopes.pop()

    def _comprehension(self, node: Comprehension, around: Paths) -> None:
        """Read a comprehension. Its first iterable and the names bound by `:=` belong to the scope `around`."""
        local: Paths = {}
        first, *more = node.generators
        values = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        self._scopes.append(local)
        self._scan([*values, first.target, *first.ifs, *more], local)
        self._scopes.pop()
        for part in ast.walk(node):
            if isinstance(part, ast.NamedExpr):
                around.setdefault(part.target.id, [])

    def _annotation(self, node: ast.expr | None) -> None:
        """Read the names in the strings of an annotation."""
        for part in ast.walk(node) if node else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                try:
                    self._scan([ast.parse(part.value, mode="eval")], {})
                except SyntaxError:
                    continue  # a value: Literal["not a name"]

    def _import(self, node: ast.Import | ast.ImportFrom, is_used: Callable[[str], bool]) -> None:
        for alias in node.names:
            path = _target(node, alias, self.package)
            if alias.name == WHOLE:
                path = path.removesuffix(f".{WHOLE}")
                self.stars.add(path)
            elif is_used(_bound_name(alias)):
                self.paths.add(path)
            self.imports.add(path)
            if not self._scopes:
                self.at_once.add(path)

    def _use(self, chain: list[str]) -> None:
        if not chain:
            return
        first, *rest = chain
        for scope in reversed(self._scopes):
            if first in scope:
                self.paths |= {".".join([path, *rest]) for path in scope[first]}
                return
        self.names |= {".".join(chain), *([WHOLE] if first in OPENS_ALL else ())}


# Syntax trees


def _own(roots: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The nodes of one scope, from `roots` down; of a dotted name only the outermost attribute."""
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(_below(node))


def _below(node: ast.AST) -> Iterable[ast.AST]:
    """The nodes directly below `node` in the same scope."""
    if isinstance(node, LEAVES) or (isinstance(node, ast.Attribute) and _chain(node)):
        return ()
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return (*node.decorator_list, node.args, *([node.returns] if node.returns else []))
    if isinstance(node, ast.Lambda):
        return (node.args,)
    if isinstance(node, ast.ClassDef):
        return (*node.decorator_list, *node.bases, *node.keywords)
    if isinstance(node, COMPREHENSIONS):
        return (node.generators[0].iter,)
    values = (getattr(node, field) for field in FIELDS[type(node)])
    parts = (part for value in values for part in (value if isinstance(value, list) else (value,)))
    return [part for part in parts if isinstance(part, ast.AST)]


def _bindings(node: ast.AST, package: str) -> Iterator[tuple[str, str]]:
    """The names that `node` itself binds, each with the absolute name of its import, or an empty string."""
    if isinstance(node, ast.Name):
        if not isinstance(node.ctx, ast.Load):
            yield node.id, ""
    elif isinstance(node, NAMED):
        if node.name:
            yield node.name, ""
    elif isinstance(node, IMPORTS):
        for alias in node.names:
            if alias.name != WHOLE:
                is_path = isinstance(node, ast.ImportFrom) or alias.asname
                yield _bound_name(alias), _target(node, alias, package) if is_path else _bound_name(alias)
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest, ""


def _bound_name(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _target(node: ast.Import | ast.ImportFrom, alias: ast.alias, package: str) -> str:
    """The absolute dotted name that `alias` imports."""
    if isinstance(node, ast.Import):
        return alias.name
    base = package.rsplit(".", node.level - 1)[0] if node.level else ""
    return ".".join(filter(None, (base, node.module, alias.name)))


# Effects


def _acts(statement: ast.stmt, aliases: Paths, inside: set[str]) -> bool:
    """True for an effect; `inside` are the names of the module that belong to its package."""
    if isinstance(statement, IMPORTS):
        return any(alias.name == WHOLE for alias in statement.names)
    if isinstance(statement, ast.Pass) or _is_text(statement):
        return False
    if isinstance(statement, Function | ast.ClassDef):
        for first, *rest in map(_decorator, statement.decorator_list):
            if not any(".".join([path, *rest]).startswith(PASSIVE) for path in aliases.get(first, ())):
                return True
        inner = statement.body if isinstance(statement, ast.ClassDef) else ()
        return any(_acts_in_class(part, aliases, inside) for part in inner)
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        parts = (part for target in targets for part in ast.walk(target))
        return any(isinstance(part, ast.Attribute | ast.Subscript) for part in parts) or _calls(statement.value, inside)
    return True


def _acts_in_class(statement: ast.stmt, aliases: Paths, inside: set[str]) -> bool:
    """The same of a statement in a class, where decorators of other packages are assumed to have no effect."""
    if isinstance(statement, Function):
        return any(_decorator(node)[0] in inside for node in statement.decorator_list)
    return _acts(statement, aliases, inside)


def _decorator(node: ast.expr) -> list[str]:
    return _chain(node.func if isinstance(node, ast.Call) else node) or [""]


def _calls(value: ast.expr | None, names: set[str]) -> bool:
    """True if `value` calls one of `names`, or an attribute of one."""
    calls = (node.func for node in ast.walk(value) if isinstance(node, ast.Call)) if value else ()
    return any((chain := _chain(function)) and chain[0] in names for function in calls)


def _opens_all(node: ast.Call | ast.Subscript) -> bool:
    """True for `vars()` or `sys.modules[...]`, from which any name of the module may be taken."""
    if isinstance(node, ast.Subscript):
        return _chain(node.value)[-2:] == ["sys", "modules"]
    return isinstance(node.func, ast.Name) and node.func.id in OPENS_ALL_ALONE and not node.args


def _chain(node: ast.AST) -> list[str]:
    """The parts of a dotted name (`a.b.c`); empty for another expression."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (before := _chain(node.value)):
        return [*before, node.attr]
    return []


def _executed(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported."""
    for statement in body:
        if isinstance(statement, ast.If) and _chain(statement.test)[-1:] == ["TYPE_CHECKING"]:
            yield from _executed(statement.orelse)
        elif not _is_main(statement):
            yield statement


def _is_main(statement: ast.stmt) -> bool:
    """True for `if __name__ == "__main__"`."""
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "__name__ == '__main__'"


def _is_text(statement: ast.AST) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _plain(value: object) -> object:
    """A syntax tree as tuples, without positions in the file and without statements that do nothing."""
    if isinstance(value, ast.AST):
        kind = type(value)
        return (kind.__name__, *(_plain(getattr(value, field)) for field in FIELDS[kind]))
    if isinstance(value, list):
        return [_plain(part) for part in value if not (_is_text(part) or isinstance(part, ast.Pass))]
    return value
