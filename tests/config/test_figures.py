"""Figures that a study file asks for become arms and values, or one sentence."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from florilegium.core.errors import UserError
from florilegium.plan.plan import Plan
from florilegium.plan.project import load_plan

STUDY: dict[str, Any] = {
    "title": "t",
    "document": "d",
    "experiments": {
        "vit": {
            "data": {"dataset": "small"},
            "model": {"name": "vit", "arguments": {"depth": 12}},
            "recipe": {"epochs": 2},
            "arms": {"none": {}, "part": {"recipe": {"freeze_blocks": 6}}},
        },
        "sweep": {"base": "vit", "arms": {"corrected": {}}, "grid": {"recipe.batch_size": [32, 64]}},
    },
}
FILE = {"file": "small.zip", "urls": ["https://example.org/small.zip"], "sha256": "0" * 64}
FROZEN = {
    "name": "frozen",
    "kind": "against",
    "title": "Does freezing help?",
    "x": "recipe.freeze_blocks",
    "experiments": ["vit/*"],
}

LOSSES = [{"experiment": "vit/none", "source": "log", "losses": [1.5, 1.2]}]


def plan(folder: Path, *figures: dict[str, Any], skip: str | None = None, n_splits: int = 0, **changes: Any) -> Plan:
    files = {
        "studies/s.yaml": {**STUDY, "figures": list(figures), **changes},
        "presets/demo.yaml": {
            "title": "t",
            "seeds": [0],
            "studies": {"s": {"experiments": {skip: {"skip": True}}}} if skip else {},
        },
        "datasets.yaml": {
            "small": {"title": "small", "layout": "folders", "files": [FILE], "official_splits": n_splits or 1}
        },
    }
    for name, content in files.items():
        path = folder / "workflow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    return load_plan(folder, {"preset": "demo"})


def test_globs_become_arms_and_arms_say_what_they_are_drawn_by(tmp_path: Path) -> None:
    found = plan(tmp_path, FROZEN).description("s")
    (figure,) = found["figures"]
    assert figure["arms"] == [["vit", "none"], ["vit", "part"]]
    values = {(e["experiment"], e["arm"]): e["values"] for e in found["entries"]}
    assert values["vit", "none"] == {"recipe.freeze_blocks": 0}
    assert values["vit", "part"] == {"recipe.freeze_blocks": 6}
    assert values["sweep_batch_size32", "corrected"] == {}


def test_a_metric_to_draw_against_is_no_value_of_the_arms(tmp_path: Path) -> None:
    found = plan(tmp_path, {**FROZEN, "x": "seconds_per_epoch"}).description("s")
    assert found["figures"][0]["x"] == "seconds_per_epoch"
    assert all(entry["values"] == {} for entry in found["entries"])


def test_a_figure_re_runs_no_training(tmp_path: Path) -> None:
    specs = [[p.spec(e) for e in p.experiments] for p in (plan(tmp_path / "a"), plan(tmp_path / "b", FROZEN))]
    assert specs[0] == specs[1]


def test_a_preset_that_leaves_the_arms_out_leaves_a_figure_without_arms(tmp_path: Path) -> None:
    sweep = {**FROZEN, "name": "sweep", "x": "recipe.batch_size", "experiments": ["sweep_*"]}
    found = {f.name: len(f.arms) for f in plan(tmp_path, FROZEN, sweep, skip="sweep").figures["s"]}
    assert found == {"frozen": 2, "sweep": 0}


def test_an_experiment_on_official_splits_is_meant_by_its_own_name(tmp_path: Path) -> None:
    (figure,) = plan(tmp_path, {**FROZEN, "experiments": ["vit/part"]}, n_splits=2).figures["s"]
    assert figure.arms == (("vit_split1", "part"), ("vit_split2", "part"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"experiments": ["vti/*"]}, r"figures.frozen: experiments: unknown experiment 'vti/\*', did you mean"),
        ({"x": "recipe.freze_blocks"}, "figures.frozen: x: recipe: unknown key 'freze_blocks', did"),
        ({"x": "model.arguments.width"}, "unknown key 'width'"),
        ({"x": "batch_size"}, "'batch_size' must be experiment, arm, or a key below data, model"),
        ({"x": None}, "x: is needed by kind = against"),
        ({"kind": "bars"}, "x: is needed by kind = against and kind = heatmap, and by no other kind"),
        ({"kind": "heatmap"}, "by: is needed by kind = heatmap"),
        ({"kind": "heatmap", "x": "minutes", "by": "arm"}, "drawn over values of the arms, not over a metric"),
        ({"kind": "seeds", "x": None}, "marked: is needed by kind = seeds, and by no other kind"),
        ({"marked": [3407]}, "marked: is needed by kind = seeds, and by no other kind"),
        ({"published": LOSSES}, "published: belongs to kind = curves"),
        (
            {"kind": "curves", "x": None, "published": [{**LOSSES[0], "experiment": "vti/none"}]},
            "figures.frozen: published: unknown experiment 'vti/none', did you mean 'vit/none'",
        ),
        ({"metrics": ["top2"]}, "figures.frozen: metrics: unknown metric 'top2', did you mean 'top"),
        (
            {"metrics": ["top1", "AP50"]},
            "figures.frozen: metrics: AP50 is a metric of detection, and is asked of one arm of classification; name",
        ),
        ({"x": "AP"}, "metrics: AP is a metric of detection"),
        ({"title": "Of {network}"}, "figures.frozen: title has {network}, and s/vit/none has no `network`; give"),
        ({"kind": "pie"}, "kind = pie: must be one of"),
    ],
)
def test_bad_figures_end_in_one_sentence(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        plan(tmp_path, {**FROZEN, **changes})


@pytest.mark.parametrize("word", ["network", "first_weights"])
def test_a_title_that_names_what_its_experiment_does_not_is_refused(tmp_path: Path, word: str) -> None:
    named = {"sweep": {**STUDY["experiments"]["sweep"], "title": f"a {{{word}}}"}}
    experiments = {**STUDY["experiments"], **named}
    with pytest.raises(
        UserError, match=f"studies/s.yaml: experiments.sweep.title has {{{word}}}, and the experiment has no"
    ):
        plan(tmp_path, experiments=experiments)
    experiments["vit"] = {**experiments["vit"], word: "thing"}  # inherited by its heirs
    assert {e.title for e in plan(tmp_path, experiments=experiments).experiments} == {"", "a thing"}


def test_two_figures_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the name stands twice"):
        plan(tmp_path, FROZEN, FROZEN)


def described(folder: Path, pretraining: dict[str, Any]) -> dict[str, str]:
    """The roles of three experiments, of which the last starts from the first."""
    pretrained = {"base": "vit", "arms": {"corrected": pretraining}}
    experiments = {
        **STUDY["experiments"],
        "before": pretrained,
        "after": {
            "base": "vit",
            "init": {"experiment": "before"},
            "arms": {"corrected": {}, "tuned": {"lr_factor": 2}},
        },
    }
    found = plan(folder, experiments=experiments).description("s")
    return {f"{e['experiment']}/{e['arm']}": e["role"] for e in found["entries"]}


def test_what_others_start_from_is_a_part_of_them_unless_it_is_a_result(tmp_path: Path) -> None:
    roles = described(tmp_path / "a", {})
    assert (roles["before/corrected"], roles["vit/none"]) == ("pretrain", "scratch")
    assert (roles["after/corrected"], roles["after/tuned"]) == ("transfer", "rate")
    figure = {"metric": "top1", "low": 0.9, "high": 0.9, "source": "table 1"}
    assert described(tmp_path / "b", {"published": [figure]})["before/corrected"] == "scratch"


def test_a_misspelt_published_metric_stops_before_anything_is_trained(tmp_path: Path) -> None:
    figure = {"metric": "top_1", "low": 0.9, "high": 0.9, "source": "table 1"}
    with pytest.raises(UserError, match=r"before.*published.metric: unknown metric 'top_1', did you mean 'top1'\?"):
        described(tmp_path, {"published": [figure]})
