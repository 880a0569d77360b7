"""Stages of the finished demo run again with every call recorded: nothing runs that their code hash does not cover."""

import json
import os
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

import florilegium
from florilegium.core.fingerprint import package_code
from florilegium.models import registry
from tests.helpers import forks
from tests.helpers.package import modules, statements

RECORDER = Path(__file__).with_name("record_calls.py")
PACKAGE = Path(florilegium.__file__).parent
MADE = ("--out", "--state", "--tensorboard")  # options that name what a stage writes
STAGES = (
    *("annotations", "attention", "attribution", "audit", "claims", "compare", "draw_finder", "features", "figures"),
    *("find_lr", "generated", "hash", "index", "judge", "pack", "page", "render", "sample", "scenes"),
    *("train", "train_detector", "train_generator"),
)


@cache
def commands(demo: Path) -> dict[str, list[list[str]]]:
    """By stage, the arguments of each of its commands in the demo, as Snakemake kept them; the shortest first."""
    found: dict[str, list[list[str]]] = {}
    for path in (demo / ".snakemake" / "metadata").rglob("*"):
        shell = json.loads(path.read_text())["shellcmd"] if path.is_file() else None
        if shell and " -m " in shell:
            module, *arguments = shlex.split(shell.partition(" > ")[0].partition(" -m ")[2])
            found.setdefault(module, []).append(arguments)
    return {module: sorted(several, key=lambda one: (len(one), one)) for module, several in found.items()}


def roots(module: str, arguments: list[str], demo: Path) -> Iterator[str]:
    """The stage, and the definitions of its network: the one that it makes, or the one whose checkpoint it reads."""
    yield module
    given = dict(pairwise(arguments))
    spec = json.loads(given["--spec"]) if given["--spec"].startswith("{") else {}
    checkpoint = given.get("--classifier") or given.get("--checkpoint")
    if checkpoint:
        spec = json.loads((demo / checkpoint).with_name("receipt.json").read_text())["spec"]
    if "model" in spec:
        yield from registry.code_roots(spec["model"]["name"])


def record(module: str, arguments: list[str], demo: Path, folder: Path) -> list[tuple[str, int, str]]:
    """Run a stage on the files of the demo, and let it write into `folder`: what it called."""
    for name in ("resources", "results", "state"):
        (folder / name).symlink_to(demo / name)
    arguments = list(arguments)
    for place, argument in enumerate(arguments[:-1]):
        if argument in MADE:
            arguments[place + 1] = f"made/{arguments[place + 1]}"
        if argument == "--workers":  # other processes are not recorded
            arguments[place + 1] = "1"
    # What the registry runs to find the family of a name is left out of every hash, as it says.
    unseen = registry._family.__code__
    places = (str(folder / "calls.json"), str(PACKAGE), f"{unseen.co_filename}:{unseen.co_firstlineno}")
    variables = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = forks.run(forks.TORCH, str(RECORDER), *places, module, *arguments, folder=folder, variables=variables)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "calls.json").read_text())


def nodes(file: str, line: int, name: str) -> set[str]:
    """The definitions of which one must be covered when the code at this line runs."""
    module = next(module for module, path in modules().items() if path == Path(file))
    if name == "<module>":
        return {f"{module}:"}
    names = next(names for first, last, names in statements(module) if first <= line <= last)
    return {f"{module}:{each}" for each in names}


def command(stage: str, demo: Path) -> tuple[str, list[str]]:
    """The module of a stage, and the shortest of its arguments in the demo."""
    return next((m, several[0]) for m, several in commands(demo).items() if m.rpartition(".")[2] == stage)


def missed(called: list[tuple[str, int, str]], *covered: str) -> list[tuple[str, int, str]]:
    """The calls that the code hash of these roots does not cover."""
    reached = package_code().reached(*covered)
    return [call for call in called if not nodes(*call) & reached]


@pytest.mark.parametrize("stage", STAGES)
def test_what_runs_is_covered(whole_demo: Path, tmp_path: Path, stage: str):
    module, arguments = command(stage, whole_demo)
    called = record(module, arguments, whole_demo, tmp_path)
    assert len(called) > 10
    assert not missed(called, *roots(module, arguments, whole_demo)), "it runs what its code hash does not cover"


def test_what_is_not_covered_is_noticed(whole_demo: Path, tmp_path: Path):
    module, arguments = command("index", whole_demo)
    other, _ = command("draw_finder", whole_demo)
    names = {name for _, _, name in missed(record(module, arguments, whole_demo, tmp_path), other)}
    assert {"main", "index", "<module>"} <= names


def test_every_stage_of_the_demo_is_run_here(whole_demo: Path):
    assert {module.rpartition(".")[2] for module in commands(whole_demo)} == set(STAGES)
