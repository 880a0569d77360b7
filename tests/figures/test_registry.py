"""Which figures are planned of a study, by what names, and which are left out since they would compare nothing."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from florilegium.core.errors import UserError
from florilegium.figures import registry
from florilegium.figures.draw import DRAW
from florilegium.figures.registry import KINDS, LINES, check_names, left_out, members, planned
from florilegium.report.study import Study, read
from tests.helpers import report


@pytest.fixture(scope="module")
def norms() -> Study:
    """40 arms on two data sets."""
    return read(Study, json.dumps(report.norms()))


def test_forty_arms_are_spread_over_figures_that_can_be_read(norms: Study) -> None:
    figures = planned(norms)
    assert len({figure.name for figure in figures}) == len(figures) < 20
    for kind in ("published", "curves"):
        pages = [figure for figure in figures if figure.kind == kind]
        shown = [arm for figure in pages for arm in figure.arms]
        assert sorted(shown) == sorted(entry.key for entry in norms.entries)
        assert max(len(page.arms) for page in pages) <= 12
    assert all(len(figure.arms) <= LINES for figure in figures if figure.kind == "curves")
    assert "(flowers17, 1 of 3)" in next(f.question for f in figures if f.kind == "curves")


def test_automatic_figures_do_not_write_over_those_that_a_study_asks_for(norms: Study) -> None:
    for study in (norms, read(Study, json.dumps(report.study(report.flowers())))):
        own = [figure for figure in planned(study) if not figure.choice]
        assert all(KINDS[figure.kind].takes(figure.name) for figure in own)


@pytest.mark.parametrize("name", ["misses", "leak", "Leak", "published_2", "curves_rates_flowers17"])
def test_a_study_may_not_give_a_figure_the_name_of_an_automatic_one(name: str) -> None:
    arms = [report.entry("a"), report.entry("b")]
    study = read(Study, json.dumps(report.study(arms, figures=[report.chosen(name, "bars", arms)])))
    with pytest.raises(UserError, match=f"mine.yaml: figures.{name}: is the name of a figure that the report draws"):
        check_names({"mine": study.figures}, {"mine": "mine.yaml"})


def test_names_that_no_automatic_figure_has_are_free() -> None:
    arms = [report.entry("a"), report.entry("b")]
    asked = [report.chosen(name, "bars", arms) for name in ("bars", "curves", "published_too")]
    study = read(Study, json.dumps(report.study(arms, figures=asked)))
    check_names({"mine": study.figures}, {"mine": "mine.yaml"})
    assert {"bars", "curves", "published_too"} <= {figure.name for figure in planned(study)}


def test_every_kind_is_drawn_by_a_function_of_its_name() -> None:
    assert KINDS.keys() == DRAW.keys()
    assert all(function.__name__ == f"draw_{kind}" for kind, function in DRAW.items())
    modules = {sys.modules[function.__module__] for function in DRAW.values()}
    assert {f"draw_{kind}" for kind in KINDS} == {name for m in modules for name in vars(m) if name.startswith("draw_")}


def test_the_registry_is_read_without_torch_pandas_or_matplotlib() -> None:
    heavy = "{'torch', 'pandas', 'matplotlib', 'numpy'}"
    code = f"import sys, {registry.__name__}; sys.exit(', '.join({heavy} & set(sys.modules)) or None)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_figures_follow_from_the_description() -> None:
    study = read(Study, json.dumps(report.study([report.entry("net"), report.entry("other")])))
    assert [figure.name for figure in planned(study)] == [
        "published",
        "curves_target_flowers17",
        "calibration",
        "by_class",
        "confusion",
        "samples",
    ]
    assert left_out(study) == []


def test_curves_of_rates_show_the_baselines_own() -> None:
    study = read(Study, json.dumps(report.study(report.flowers())))
    (figure,) = [figure for figure in planned(study) if figure.name.startswith("curves_rates")]
    assert [entry.lr_factor for entry in members(study, figure)] == [0.1, 0.3, 1.0, 3.0]


def seeded(name: str, *seeds: int) -> dict[str, Any]:
    return report.entry(name, seeds=list(seeds))


def valued(name: str, **values: Any) -> dict[str, Any]:
    return report.entry(name, values={f"recipe.{key}": value for key, value in values.items()})


LACKS = {
    "bars of one arm": ("one arm", "bars", [report.entry("a")], {}),
    "bars of one arm on three splits": ("one arm", "bars", [report.entry(f"a_split{k}") for k in (1, 2, 3)], {}),
    "bars of none": ("none of its arms is in this preset", "bars", [], {}),
    "bars of two": ("", "bars", [report.entry("a"), report.entry("b")], {}),
    "two arms of an experiment": ("", "bars", [report.entry("a"), report.entry("a", "fast")], {}),
    "curves of one arm": ("one arm", "curves", [report.entry("a")], {}),
    "curves of one arm beside published ones": (
        "", "curves", [report.entry("a")],
        {"published": [{"experiment": "a/corrected", "source": "log", "losses": [1.5, 1.2]}]},
    ),
    "one batch size": (
        "one value of recipe.batch_size", "against", [valued("a", batch_size=32), valued("b", batch_size=32)],
        {"x": "recipe.batch_size"},
    ),
    "two batch sizes": (
        "", "against", [valued("a", batch_size=32), valued("b", batch_size=64)], {"x": "recipe.batch_size"},
    ),
    "one depth on three splits": (
        "one arm", "against", [report.entry(f"r18_split{k}") for k in (1, 2, 3)], {"x": "experiment"},
    ),
    "two arms against what is measured": (
        "", "against", [report.entry("a"), report.entry("b")], {"x": "seconds_per_epoch"},
    ),
    "a map of one cell": (
        "one value of recipe.lr and of recipe.ema", "heatmap", [valued("a", lr=1, ema=0), valued("b", lr=1, ema=0)],
        {"x": "recipe.lr", "by": "recipe.ema"},
    ),
    "a map of one row": (
        "", "heatmap", [valued("a", lr=1, ema=0), valued("b", lr=2, ema=0)], {"x": "recipe.lr", "by": "recipe.ema"},
    ),
    "no marked seed": ("no run of seed 3407", "seeds", [seeded("a", 0, 1)], {"marked": [3407]}),
    "no other seed": ("no other seed", "seeds", [seeded("a", 3407)], {"marked": [3407]}),
    "a marked seed and others": ("", "seeds", [seeded("a", 0, 1), seeded("b", 3407)], {"marked": [3407]}),
}  # fmt: skip


@pytest.mark.parametrize("case", LACKS)
def test_a_figure_that_compares_nothing_is_left_out_and_told(case: str) -> None:
    lacks, kind, arms, changes = LACKS[case]
    asked = report.chosen("asked", kind, arms, title="Which?", **changes)
    entries = [*arms, report.entry("another"), report.entry("one_more")]
    study = read(Study, json.dumps(report.study(entries, figures=[asked])))
    told = [figure.lacks for figure in left_out(study) if figure.question == "Which?"]
    assert told == [lacks] * bool(lacks)
    assert ("asked" in {figure.name for figure in planned(study)}) == (not lacks)


def test_a_lone_arm_beside_others_has_no_curve_and_a_lone_arm_of_a_study_has_one() -> None:
    lone = report.entry("lone", dataset="flowers102")
    alone, beside = (
        read(Study, json.dumps(report.study([lone, *more]))) for more in ([], [report.entry("a"), report.entry("b")])
    )
    assert "curves_target_flowers102" in {figure.name for figure in planned(alone)}
    assert {figure.name for figure in planned(beside) if figure.kind == "curves"} == {"curves_target_flowers17"}
    assert [figure.lacks for figure in left_out(beside)] == ["one arm"]


def test_methods_blocks_and_sets_are_compared_where_there_are_two(tmp_path: Path) -> None:
    def names(**changes: Any) -> set[str]:
        study = read(Study, json.dumps(report.study([report.entry("a", **changes), report.entry("b")])))
        return {figure.name for figure in planned(study)}

    one, two = {"methods": ["saliency"]}, {"methods": ["saliency", "deeplift"]}
    assert "attribution_scores" not in names(attribution=one) and "attribution_maps" in names(attribution=one)
    assert "attribution_scores" in names(attribution=two)
    assert "attention_depth" not in names(attention={"blocks": [3]})
    assert {"attention_depth", "attention_maps"} <= names(attention={"blocks": [0, 3]})
    drawn = {"sampler": "direct", "per_class": 4}
    assert "recognised" not in names(samples={"sets": {"a": drawn}})
    assert {"recognised", "generated"} <= names(samples={"sets": {"a": drawn, "b": drawn}})
