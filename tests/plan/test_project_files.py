"""Names that a study may not have are those of the rules, and no others."""

import re
from pathlib import Path

import pytest

from florilegium.core.errors import UserError
from florilegium.plan.project_files import RULES, TARGETS, check_study_name

PROJECT = Path(__file__).resolve().parents[2]
FIXED = re.compile(r"^rule (\w+):", flags=re.MULTILINE)


def test_the_names_are_those_of_the_rules():
    targets = FIXED.findall((PROJECT / "Snakefile").read_text())
    rules = [name for path in (PROJECT / "workflow/rules").glob("*.smk") for name in FIXED.findall(path.read_text())]
    assert len(targets) > 10 and len(rules) > 10
    assert {*TARGETS, *RULES} == {*targets, *rules}


@pytest.mark.parametrize("name", ["all", "plot_page", "page", "plot_bees", "pretrain_seed0", "explain_attribution_4"])
def test_a_study_cannot_be_called_as_a_rule(name: str):
    with pytest.raises(UserError, match=f"x.yaml: {name} is the name of a target or rul"):
        check_study_name(name, "x.yaml", ["bees", name])


@pytest.mark.parametrize("name", ["a b", "{a}", "ä", ".a", "-a", "..", "", "a" * 101, "a\nb", "a/b"])
def test_a_study_s_name_is_part_of_paths_and_rules(name: str):
    with pytest.raises(UserError, match="rename the file"):
        check_study_name(name, "x.yaml", [name])


@pytest.mark.parametrize("name", ["bees", "compare_bees", "plot_trees", "trainer", "All", "2024", "a.b-c_d", "a" * 100])
def test_other_names_are_free(name: str):
    check_study_name(name, "x.yaml", ["bees", name])
