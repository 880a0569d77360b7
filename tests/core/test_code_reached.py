"""The code of this package, as the code hash sees it: each definition counts where it is reached, and nowhere else."""

import ast
import random
import shutil
from pathlib import Path

import pytest

from florilegium import stages
from florilegium.core import warm_server
from florilegium.core.definitions import Module, read_module
from florilegium.core.fingerprint import Code, package_code
from florilegium.models import registry
from tests.helpers.package import ROOT, bound, closure, modules, parsed, programs

SAMPLE = 50  # definitions that are changed one after another, in files, for all programs
# What nothing here follows. A class that hears of its subclasses is one that a module may join without being named.
REFUSED = {"__init_subclass__", "__subclasses__", "getmembers", "iter_modules", "walk_packages", "__import__"}
NAME = package_code().package


def changed(statement: ast.stmt) -> bool:
    """Change what a statement does, and neither what it binds nor what it uses; False for one that does nothing."""
    if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
        return False
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        statement.body.append(ast.parse("changed = 1").body[0])
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        statement.value = ast.List([*([statement.value] if statement.value else []), ast.Constant(1)], ast.Load())
    elif isinstance(statement, ast.If | ast.For | ast.While | ast.With | ast.Try):
        statement.body.append(ast.Expr(ast.Constant(1)))
    elif isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Constant):
        statement.value = ast.List([statement.value, ast.Constant(1)], ast.Load())
    else:
        return False
    return True


def text(module: str, indices: set[int]) -> tuple[str, set[str]]:
    """The source of a module with these statements changed, and the names that they bind."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    done = [tree.body[index] for index in sorted(indices) if changed(tree.body[index])]
    return ast.unparse(tree), set().union(*map(bound, done))


def differing(before: Module, after: Module) -> set[str]:
    """The names whose definitions differ. All else of the module must be as it was, but its effects."""
    assert before.definitions.keys() == after.definitions.keys()
    assert (before.aliases, before.stars) == (after.aliases, after.stars)
    return {name for name, definition in before.definitions.items() if definition != after.definitions[name]}


@pytest.mark.parametrize("odd", [False, True])
def test_a_change_of_a_definition_is_seen_in_it_alone(odd: bool):
    """Of every definition of the package: half of each module's are changed, then the others."""
    n_changed = 0
    for module in modules():
        source = modules()[module].read_text(encoding="utf-8")
        indices = {index for index in range(len(parsed(module).body)) if index % 2 == odd}
        after, names = text(module, indices)
        assert differing(read_module(source, NAME), read_module(after, NAME)) == names, module
        n_changed += len(names)
    assert n_changed > 500


def is_stage(program: str) -> bool:
    return program.startswith(f"{stages.__name__}.")


def test_every_digest_of_what_is_reached_counts():
    """The hash of a program is another as soon as one node of it has another digest."""
    code = Code(ROOT, NAME)
    program = min(filter(is_stage, programs()), key=lambda name: len(code.reached(name)))
    nodes = [node for node in code.reached(program) if code.digest(node)]
    assert len(nodes) > 50
    hashes = set()
    for other in ("", *nodes):
        code._new.hashes.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                code, "digest", lambda node, other=other: "other" if node == other else code._digests.get(node, "")
            )
            hashes.add(code.hash(program))
    assert len(hashes) == 1 + len(nodes)


def test_a_change_in_a_file_changes_the_hashes_of_the_programs_that_reach_it(tmp_path: Path):
    folder = tmp_path / NAME
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    first = Code(folder, NAME)
    before = {program: first.hash(program) for program in programs()}
    saved = first.to_save()
    statements = [(module, index) for module in modules() for index in range(len(parsed(module).body))]
    outcomes = set()
    for module, index in random.Random(0).sample(statements, SAMPLE):
        after, names = text(module, {index})
        if not names:
            continue
        path = folder / modules()[module].relative_to(ROOT)
        original = path.read_text(encoding="utf-8")
        path.write_text(after, encoding="utf-8")
        code = Code(folder, NAME, saved)
        # A definition that is an effect, too, counts wherever its module is imported.
        effect = code.module(module).effects.digest != first.module(module).effects.digest
        nodes = {f"{module}:{name}" for name in names} | ({f"{module}:"} if effect else set())
        for program, old in before.items():
            reached = bool(nodes & first.reached(program))
            assert (code.hash(program) != old) == reached, (module, names, program)
            outcomes.add(reached)
        path.write_text(original, encoding="utf-8")
    assert outcomes == {True, False}


@pytest.mark.parametrize("program", programs())
def test_a_program_reaches_no_module_that_it_does_not_import(program: str):
    code = package_code()
    reached = {node.partition(":")[0] for node in code.reached(program) if code.digest(node)}
    assert program in reached
    assert reached <= closure(program)


def test_programs_are_reached_in_part():
    """The stages of the workflow are among them, and the whole is far less than what they import."""
    assert len(programs()) >= 20
    code = package_code()
    for program in programs():
        whole = [node for node in code.reached(program) if node.endswith(":*")]
        assert len(whole) <= 6, f"{program} counts whole modules: {whole}"


@pytest.mark.parametrize("module", modules())
def test_no_module_does_what_cannot_be_followed(module: str):
    nodes = list(ast.walk(parsed(module)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    assert not names & REFUSED
    keywords = {k.arg for node in nodes if isinstance(node, ast.ClassDef) for k in node.keywords}
    assert "metaclass" not in keywords
    if "import_module" in names:  # by a text, which nobody follows: a registry, the command line, or a stage's name
        known = (f"{NAME}.__main__", registry.__name__, warm_server.__name__)
        assert module in known, f"{module} imports by a text"
