"""The fingerprint of a result: canonical JSON of its spec, and a hash of the code that made it.

The code hash covers the *definitions* that a program reaches inside the package (see `core.definitions`), without
comments, docstrings and layout: a comment edit re-runs nothing, a change in a deep helper re-runs exactly its users.
From each definition it follows the names that the definition uses: names of its module, imported names, attributes of
imported modules. In particular:

- A root that is a module counts as a whole, since it runs as a program. A root `module:name` is that definition alone.
- Of every module that is imported on the way, all effects count, with the names that they use, since they run.
- A whole module counts where a name cannot be followed: `import *`, `globals()`, `eval`, `sys.modules[...]`, an
  attribute that the module does not define, a module that is passed on as a value (`getattr(module, name)`).
- Modules that are imported by a string (registries) are not followed: the caller passes them as further roots.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from florilegium.core.definitions import WHOLE, Definition, Module, read_module
from florilegium.core.files import read_json, write_text
from florilegium.core.receipts import versions_of

PACKAGE = "florilegium"
ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(".snakemake") / "florilegium-code.json"
VERSION = f"2 {sys.version_info[:2]}"  # of the format of the cache, and of syntax trees


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces, so that equal values have equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def short_hash(text: str) -> str:
    """The first 16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_hash(*roots: str) -> str:
    """Hash of the code that `roots` reach, each a module (`florilegium.stages.train`) or a definition
    (`florilegium.models.norm_vit:NormViT`).

    Raises:
        ModuleNotFoundError: a module outside the package.
        AttributeError: a name that its module does not define.
    """
    return package_code().hash(*roots)


def package_versions(*roots: str) -> dict[str, str]:
    """Versions of the packages in `core.receipts` that the code reached from `roots` uses."""
    return versions_of(package_code().libraries(*roots))


def save_code_cache() -> None:
    """Save what this process has read of the code, so that the next plan need not read it again."""
    if saved := package_code().to_save():
        write_text(CACHE, canonical(saved))


@cache
def package_code() -> "Code":
    """The code of this package, with what earlier processes have saved."""
    return Code(ROOT, PACKAGE, _read_cache())


class Saved(NamedTuple):
    """The cache: parts of modules by a hash of their source, code hashes by a hash of all sources and the roots."""

    modules: dict[str, Any]
    hashes: dict[str, str]


def _read_cache() -> Saved | None:
    try:
        return Saved(*read_json(CACHE))
    except (OSError, ValueError, TypeError):
        return None  # no cache yet, or of another version, or damaged


class Code:
    """The code of a package as a graph of definitions, each with edges to those that it uses.

    Nodes are named `module:name` for a definition, `module:` for the effects of a module, `module:__main__` for those
    of the main program, `module:*` for all of a module, and without a colon for another package.

    Args:
        root: the folder of the package.
        package: its name.
        saved: the result of `to_save` in another process.
    """

    def __init__(self, root: Path, package: str, saved: Saved | None = None) -> None:
        self.package = package
        self._files = dict(sorted(_modules_below(root, package)))
        self._texts = {name: file.read_text(encoding="utf-8") if file else "" for name, file in self._files.items()}
        self._keys = {name: short_hash(f"{VERSION} {name} {text}") for name, text in self._texts.items()}
        self._all = short_hash(" ".join(self._keys.values()))
        self._saved = saved or Saved({}, {})
        self._new = Saved({}, {})
        self._modules: dict[str, Module] = {}
        self._digests: dict[str, str] = {}
        self._edges = cache(self._follow)
        self._lead = cache(self._steps)
        self._reached: dict[tuple[str, ...], frozenset[str]] = {}
        self._throughs: dict[str, list[str]] = {}

    def hash(self, *roots: str) -> str:
        """Hash of all definitions and effects that `roots` reach."""
        key = " ".join((self._all, *roots))
        if key not in self._saved.hashes and key not in self._new.hashes:
            nodes = sorted(self.reached(*roots))
            lines = (f"{node} {digest}" for node in nodes if (digest := self.digest(node)))
            self._new.hashes[key] = short_hash("\n".join(lines))
        return self._saved.hashes.get(key) or self._new.hashes[key]

    def digest(self, node: str) -> str:
        """The hash of the statements of a node that was reached; empty if it has none."""
        return self._digests.get(node, "")

    def libraries(self, *roots: str) -> set[str]:
        """Other packages that the code reached from `roots` uses."""
        return {node for node in self.reached(*roots) if ":" not in node}

    def reached(self, *roots: str) -> frozenset[str]:
        """The nodes that `roots` reach."""
        if roots not in self._reached:
            seen: set[str] = set()
            waiting = {node for root in roots for node in self._start(root)}
            while waiting:
                node = waiting.pop()
                seen.add(node)
                waiting |= self._edges(node) - seen
            self._reached[roots] = frozenset(seen)
        return self._reached[roots]

    def to_save(self) -> Saved | None:
        """The cache for the present files; None if this process adds nothing to it."""
        if not self._new.hashes and not self._new.modules:
            return None
        modules, current = {**self._saved.modules, **self._new.modules}, set(self._keys.values())
        hashes = {**self._saved.hashes, **self._new.hashes}
        return Saved(
            {key: module for key, module in modules.items() if key in current},
            {key: value for key, value in hashes.items() if key.startswith(self._all)},
        )

    def module(self, name: str) -> Module:
        """The parts of a module; none for a folder without `__init__.py`."""
        if name not in self._modules:
            key, file = self._keys[name], self._files[name]
            if key not in self._saved.modules:
                inner = file is not None and file.name != "__init__.py"
                self._new.modules[key] = read_module(self._texts[name], name.rpartition(".")[0] if inner else name)
            self._modules[name] = _loaded(self._saved.modules.get(key) or self._new.modules[key])
        return self._modules[name]

    def _start(self, root: str) -> set[str]:
        """The nodes that a root consists of."""
        name, _, definition = root.partition(":")
        if name not in self._files:
            raise ModuleNotFoundError(f"{name} is not a module of {self.package}")
        module = self.module(name)
        if definition:
            if definition not in module.definitions:
                raise AttributeError(f"{name} does not define {definition}")
            return set(self._look_up(name, definition))
        # Imported definitions of the package count, since others may import them from here; of imported modules and
        # other packages, only the used parts.
        passed_on = {
            own
            for own, paths in module.aliases.items()
            if all(path not in self._files and self._through(path) for path in paths)
        }
        imported = module.aliases.keys() - passed_on
        own = (self._look_up(name, each) for each in module.definitions.keys() - imported)
        return {f"{name}:", f"{name}:__main__"}.union(*own)

    def _follow(self, node: str) -> set[str]:
        """The nodes of the names that one node uses, and of the modules that it imports."""
        name, colon, own = node.partition(":")
        if not colon:
            return set()
        module = self.module(name)
        if own == WHOLE:
            return {f"{name}:"}.union(*(self._look_up(name, each) for each in module.definitions))
        special = {"": module.effects, "__main__": module.program}
        definition = special[own] if own in special else module.definitions[own]
        self._digests[node] = definition.digest
        paths = definition.paths if own else (*definition.paths, *module.stars)
        imports = {f"{each}:" for path in definition.imports for each in self._through(path)}
        if own:  # the imports inside a function count, used or not
            imports |= {path.partition(".")[0] for path in definition.imports if not self._through(path)}
        around = {f"{each}:" for each in (self._through(name) if own == "" else [name])}
        names = (self._look_up(name, used) for used in definition.names)
        return (imports | around).union(*names, *(self._lead(path) for path in paths))

    def _look_up(self, name: str, used: str) -> set[str]:
        """The nodes of a dotted name that is loaded in a module; none for a built-in name."""
        module, first = self.module(name), used.partition(".")[0]
        if first in module.definitions and first not in module.aliases:
            return {f"{name}:{first}"}
        return self._lead(f"{name}.{used}") if first in module.definitions or used == WHOLE else set()

    def _steps(self, start: str) -> set[str]:
        """The nodes that an absolute dotted name leads to, through names that are imports themselves."""
        nodes: set[str] = set()
        seen: set[str] = set()
        waiting = {start}
        while path := waiting.pop() if waiting else "":
            if path in seen:
                continue
            modules = self._through(path)
            nodes.add(f"{modules[-1]}:" if modules else path.partition(".")[0])
            for name in modules:
                module = self.module(name)
                first, _, more = path[len(name) + 1 :].partition(".")
                if first in module.definitions:
                    node = f"{name}:{first}"
                    nodes.add(node)
                    # Of a name that leads back to itself the rest is dropped, so that paths do not grow without end.
                    rest = f".{more}" if more and node not in seen else ""
                    waiting |= {f"{alias}{rest}" for alias in module.aliases.get(first, ())}
                    seen.add(node)
                elif name == modules[-1]:
                    nodes.add(f"{name}:{WHOLE}")  # the module itself, or a name that it does not define
            seen.add(path)
        return nodes

    def _through(self, path: str) -> list[str]:
        """The modules of the package that a dotted name leads through, outermost first."""
        if path not in self._throughs:
            above, _, _ = path.rpartition(".")
            outer = self._through(above) if above else []
            inside = path in self._files and outer[-1:] == ([above] if above else [])
            self._throughs[path] = [*outer, path] if inside else outer
        return self._throughs[path]


def _modules_below(folder: Path, name: str) -> Iterator[tuple[str, Path | None]]:
    """The files of the modules in a folder by their dotted names; None for a folder without an `__init__.py`."""
    own = folder / "__init__.py"
    yield name, own if own.is_file() else None
    for path in folder.iterdir():
        if path.suffix == ".py" and path != own:
            yield f"{name}.{path.stem}", path
        elif path.name.isidentifier() and path.name != "__pycache__" and path.is_dir():
            yield from _modules_below(path, f"{name}.{path.name}")


def _loaded(parts: Any) -> Module:
    """A module from its parts, which are lists in JSON."""
    definitions, aliases, effects, program, stars = parts
    named = {name: Definition(*definition) for name, definition in definitions.items()}
    return Module(named, aliases, Definition(*effects), Definition(*program), stars)
