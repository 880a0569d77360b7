"""Code and versions that a rule depends on are of the same stage and modules, whichever rule it is."""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

RULES = Path(__file__).resolve().parents[2] / "workflow" / "rules"


def without_comments(path: Path) -> str:
    return re.sub(r"#.*", "", path.read_text())


@pytest.mark.parametrize("path", sorted(RULES.glob("*.smk")), ids=lambda path: path.stem)
def test_a_rule_gets_both_from_one_call(path):
    """Every command that is told its code has it, and its versions, from `traced`; none makes either by itself."""
    text = without_comments(path)
    told = len(re.findall(r"\{params\.code\}", text))
    assert len(re.findall(r"\*\*traced\(", text)) == told
    assert not re.search(r"\b(code|versions)=", text)
    if path.stem != "common":
        assert not re.search(r"\bstage_(code|versions)\(", text)


def traced(rerun_on_versions: bool):
    """The function of `common.smk`, with what it calls replaced by functions that give back their arguments."""
    tree = ast.parse((RULES / "common.smk").read_text())
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "traced")
    names = {
        "stage_code": lambda *roots: ("code", *roots),
        "stage_versions": lambda *roots: ("versions", *roots) if rerun_on_versions else "",
        "plan": SimpleNamespace(settings=SimpleNamespace(rerun_on_versions=rerun_on_versions)),
    }
    exec(compile(ast.Module([function], []), "common.smk", "exec"), names)
    return names["traced"]


def test_roots_that_are_known_and_roots_that_depend_on_the_run():
    fixed = traced(True)("judge", "florilegium.models.norm_vit")
    assert fixed == {name: (name, "judge", "florilegium.models.norm_vit") for name in ("code", "versions")}
    by_run = traced(True)(lambda w: ("train", f"florilegium.models.{w.run}"))
    w = SimpleNamespace(run="norm_vit")
    assert {name: value(w) for name, value in by_run.items()} == {
        name: (name, "train", "florilegium.models.norm_vit") for name in ("code", "versions")
    }


def test_versions_that_do_not_count_are_not_asked_for():
    assert traced(False)("judge")["versions"] == ""
    assert traced(False)(lambda w: ("judge",))["versions"] == ""
