"""The parameters that decide reruns come from one call, and code and versions are of the same roots."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from florilegium import stages

RULES = Path(__file__).resolve().parents[2] / "workflow" / "rules"
FAMILIES = {"vit": ("vits", "layers"), "resnet": ("resnets",)}


def without_comments(path: Path) -> str:
    return re.sub(r"#.*", "", path.read_text())


@pytest.mark.parametrize("path", sorted(RULES.glob("*.smk")), ids=lambda path: path.stem)
def test_a_rule_gets_all_three_from_one_call(path):
    """Every command that is given its code has it, its spec and its versions from `traced`; none makes any of them."""
    text = without_comments(path)
    commands = len(re.findall(r"\{params\.code\}", text))
    assert commands == len(re.findall(r"\*\*traced\(", text))
    assert not re.search(r"\b(spec|code|versions)=", text)
    if path.stem != "common":
        assert not re.search(r"\b(code_hash|package_versions)\(", text)


@pytest.mark.parametrize("path", sorted(RULES.glob("*.smk")), ids=lambda path: path.stem)
def test_a_rule_that_runs_a_stage_says_in_which_environment_and_what_it_does(path):
    """For `--sdm conda` and for `snakemake --list`."""
    rules = re.split(r"^ *(?:use )?rule\b", without_comments(path), flags=re.MULTILINE)[1:]
    assert all('"""' in rule.split("input:")[0].split("output:")[0] for rule in rules)
    assert all("conda:" in rule for rule in rules if "shell:" in rule)


def traced(rerun_on_versions: bool):
    """The function of `common.smk`, with what it calls replaced by functions that give back their arguments."""
    tree = ast.parse((RULES / "common.smk").read_text())
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "traced")
    names = {
        "canonical": lambda value: value,
        "json_text": lambda value: value,
        "code_hash": lambda *roots: ("code", *roots),
        "package_versions": lambda *roots: roots,
        "registry": SimpleNamespace(code_roots=FAMILIES.__getitem__),
        "plan": SimpleNamespace(settings=SimpleNamespace(rerun_on_versions=rerun_on_versions)),
    }
    exec(compile(ast.Module([function], []), "common.smk", "exec"), names)
    return names["traced"]


W = SimpleNamespace(run="vit", seed=3)


def of_a_job(parameters):
    """What Snakemake makes of the parameters, none of which is a text that it would look for wildcards in."""
    assert all(callable(value) for name, value in parameters.items() if name != "versions")
    return {name: value(W) if callable(value) else value for name, value in parameters.items()}


def test_roots_that_are_known():
    roots = (f"{stages.__name__}.estimate", "vits", "layers", "resnets")
    assert of_a_job(traced(True)("estimate", {"a": "{name}"}, ["vit", "resnet"])) == {
        "spec": {"a": "{name}"},
        "code": ("code", *roots),
        "versions": {"versions": roots},
    }


def test_what_depends_on_the_run():
    roots = (f"{stages.__name__}.train", "vits", "layers")
    assert of_a_job(traced(True)("train", lambda w: {"seed": w.seed}, lambda w: [w.run])) == {
        "spec": {"seed": 3},
        "code": ("code", *roots),
        "versions": {"versions": roots},
    }


def test_each_of_spec_and_roots_may_be_known():
    by_spec = of_a_job(traced(True)("hash", lambda w: {"run": w.run}))
    assert by_spec["spec"] == {"run": "vit"} and by_spec["code"] == ("code", f"{stages.__name__}.hash")
    by_roots = of_a_job(traced(True)("judge", {"a": 1}, lambda w: [w.run]))
    assert by_roots["spec"] == {"a": 1} and by_roots["code"][1:] == (f"{stages.__name__}.judge", "vits", "layers")


def test_versions_that_do_not_count_are_not_asked_for():
    assert of_a_job(traced(False)("judge", {}))["versions"] == ""
    assert of_a_job(traced(False)("judge", {}, lambda w: [w.run]))["versions"] == ""
