"""The layout of the package: what may import what, what stays light, and how large a file may be."""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import florilegium
from florilegium import audit, commands, config, core, data, figures, plan, rendering, report, stages
from florilegium.core import lineage, receipts, tables, verification, walk
from florilegium.data import augment, boxed, crops, load, stored
from florilegium.estimation import trials
from florilegium.evaluation import coco, detection_errors
from florilegium.explanation import records
from florilegium.models import arguments, catalogue, checks, families, flax_vit, registry
from florilegium.report import reference
from tests.helpers.package import ROOT, imports, modules, parsed

TESTS = Path(__file__).parents[1]
LONGEST = 450  # lines of a module
FOUNDATION = [core, config, plan]  # each imports those before it alone; all other rooms stand on them
PROGRAMS = [stages, commands]  # no room imports them, nor they each other
HEAVY = {"torch", "torchvision", "timm"}
TENSORS = {augment, boxed, crops, load, stored}  # all else of the room `data` is free of torch
TORCH_FREE = [
    *(core, config, plan, audit, rendering, report, figures),
    *(arguments, catalogue, checks, families, flax_vit, registry),
    *(coco, detection_errors, records, trials),
]


def room(module: str) -> str:
    """The package around a module."""
    return module.rpartition(".")[0]


def files() -> dict[str, Path]:
    """The modules that are no packages."""
    return {module: path for module, path in modules().items() if path.name != "__init__.py"}


@cache
def edges() -> list[tuple[str, str]]:
    """Module and imported module, inside functions and for type checkers, too."""
    return [(module, other) for module in files() for other in sorted(imports(module) & files().keys() - {module})]


def rank(module: str) -> int:
    """The height of a module's room: an import goes down, or from a room to another of the same height."""
    heights = {package.__name__: height for height, package in enumerate(FOUNDATION)}
    programs = {package.__name__: len(FOUNDATION) + 1 for package in [*PROGRAMS, florilegium]}
    return (heights | programs).get(room(module), len(FOUNDATION))


def check_no_circle(pairs: list[tuple[str, str]]) -> None:
    """Raise CycleError, which names a circle, where there is one."""
    graph: TopologicalSorter[str] = TopologicalSorter()
    for importer, imported in pairs:
        graph.add(importer, imported)
    graph.prepare()


def test_no_files_import_each_other_in_a_circle():
    assert len(edges()) > len(files())
    check_no_circle(edges())


def test_no_rooms_import_each_other_in_a_circle():
    rooms = [(room(module), room(other)) for module, other in edges()]
    check_no_circle([(importer, imported) for importer, imported in rooms if importer != imported])


def test_imports_run_downwards():
    programs = len(FOUNDATION) + 1
    for module, other in edges():
        assert rank(other) <= rank(module), f"{module} imports {other}"
        assert rank(other) < programs or room(module) in (room(other), florilegium.__name__), (
            f"{module} imports {other}"
        )


def test_a_module_is_short_enough_to_be_read_and_says_its_subject():
    lines = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in files().items()}
    assert not {module: n for module, n in lines.items() if n > LONGEST}
    assert not [module for module in files() if not ast.get_docstring(parsed(module))]


def test_packages_are_empty():
    packages = {path.parent: path for path in ROOT.rglob("__init__.py") if path.parent != ROOT}
    assert packages.keys() | {ROOT} == {path.parent for path in ROOT.rglob("*.py")}
    assert not [path for path in packages.values() if path.read_text()]


def within(*packages: object) -> set[str]:
    """The modules of these packages; a module for itself."""
    names = {package.__name__ for package in packages}
    return {module for module in files() if module in names or room(module) in names}


def loaded(names: set[str]) -> set[str]:
    """The first parts of the names of all that a process has imported once it has imported these modules."""
    program = "import importlib, json, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    program += "print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program, *sorted(names)], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_what_a_plan_is_made_of_imports_neither_torch_nor_pandas_nor_matplotlib():
    names = within(*FOUNDATION)
    assert len(names) > 20
    assert not loaded(names) & (HEAVY | {"pandas", "matplotlib"})


def test_what_needs_no_tensor_does_not_import_torch():
    names = within(*TORCH_FREE) | (within(data) - within(*TENSORS))
    assert len(names) > 60
    assert not loaded(names) & HEAVY


def users(pattern: str) -> set[str]:
    """The modules that call what matches `pattern`, such as `pd.read_csv`."""
    calls = {
        (module, ast.unparse(node.func))
        for module in files()
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Call)
    }
    return {module for module, called in calls if re.fullmatch(pattern, called, re.DOTALL)}


def test_tables_are_read_and_written_in_one_place():
    assert users(r".*\.(read_csv|to_csv)|csv\..*") == {tables.__name__}


def test_folders_of_people_are_walked_in_one_place():
    ours = (receipts, lineage, reference, verification)  # of what the project wrote itself
    assert users(r"os\.(walk|scandir)|.*\.rglob") == {module.__name__ for module in (*ours, walk)}


def test_no_test_writes_the_path_of_a_module_into_a_string():
    """Modules move: `module.__name__` and `module.__file__` move along."""
    paths = {str(path.relative_to(ROOT)) for path in files().values() if path.parent != ROOT}
    for file in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                names = set(re.findall(rf"\b{florilegium.__name__}(?:\.\w+)+", node.value))
                found = names & modules().keys() | set(re.findall(r"\w+/\w+\.py", node.value)) & paths
                assert not found, f"{file}, line {node.lineno}"
