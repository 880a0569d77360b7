"""References between experiments: followed, dropped with what a preset leaves out, and all mistakes told, each once."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from florilegium.core.errors import UserError, UserErrors
from florilegium.plan.plan import Plan
from florilegium.plan.project import load_plan

DATASETS = {
    "roses": {"layout": "folders", "folder": "pictures"},
    "many": {
        "layout": "oxford17",
        "files": [{"file": "17flowers.tgz"}, {"file": "datasplits.mat", "optional": True}],
        "official_splits": 3,
    },
}
BASE: dict[str, Any] = {
    "abstract": True,
    "data": {"dataset": "roses"},
    "model": {"name": "resnet18"},
    "recipe": {"epochs": 10, "lr": 0.1},
}


def plan(folder: Path, experiments: dict[str, Any], own: dict[str, Any] | None = None, **study: Any) -> Plan:
    """The plan of a study `bloom` with these experiments, and of changes in `config.yaml`; `study` holds more of it."""
    files = {
        "datasets.yaml": DATASETS,
        "presets/small.yaml": {"title": "small", "seeds": [0, 1]},
        "studies/bloom.yaml": {"title": "t", "document": "d", "experiments": {"common": BASE, **experiments}, **study},
    }
    for name, content in files.items():
        path = folder / "workflow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
    return load_plan(folder, {"preset": "small", "experiments": own or {}})


def told(folder: Path, experiments: dict[str, Any], own: dict[str, Any] | None = None) -> list[str]:
    """All mistakes, without the path of the study file."""
    with pytest.raises(UserError) as caught:
        plan(folder, experiments, own)
    sentences = caught.value.mistakes if isinstance(caught.value, UserErrors) else [str(caught.value)]
    return [sentence.removeprefix("workflow/studies/") for sentence in sentences]


def entry(**keys: Any) -> dict[str, Any]:
    return {"base": "common", **keys}


def against(experiment: str, arm: str = "corrected") -> dict[str, Any]:
    return {"baseline": {"experiment": experiment, "arm": arm}}


def test_a_baseline_that_is_left_out_is_dropped_and_a_misspelt_one_is_not(tmp_path: Path):
    experiments = {"a": entry(), "b": entry(arms={"corrected": against("a")})}
    (b,) = (e for e in plan(tmp_path, experiments, {"bloom/a": {"skip": True}}).experiments if e.name == "b")
    assert b.baseline is None
    assert plan(tmp_path, experiments).find("bloom", "b", "corrected").baseline is not None
    misspelt = {"a": entry(), "b": entry(arms={"corrected": against("aa")})}
    assert "unknown experiment 'aa', did you mean 'a'?" in told(tmp_path, misspelt)[0]


def test_a_point_of_a_grid_that_is_left_out_is_a_known_name(tmp_path: Path):
    experiments = {"a": entry(grid={"recipe.lr": [0.1, 1e-4]}), "b": entry(arms={"corrected": against("a_lr1e-4")})}
    made = plan(tmp_path, experiments)
    assert made.find("bloom", "b", "corrected").baseline.experiment == "a_lr1e-4"
    left = plan(tmp_path, experiments, {"bloom/a": {"skip": True}})
    assert [(e.name, e.baseline) for e in left.experiments] == [("b", None)]


def test_a_baseline_on_official_splits_is_left_out_on_each_of_them(tmp_path: Path):
    data = {"dataset": "many"}
    experiments = {"a": entry(data=data), "b": entry(data=data, arms={"corrected": against("a")})}
    left = plan(tmp_path, experiments, {"bloom/a": {"skip": True}})
    assert [(e.name, e.baseline) for e in left.experiments] == [(f"b_split{k}", None) for k in (1, 2, 3)]


def test_an_arm_that_config_adds_may_be_a_baseline_and_is_changed_by_later_files(tmp_path: Path):
    own = {"bloom/a": {"arms": {"fast": {"note": "quicker", "recipe": {"epochs": 2}}}, "skip_arms": ["corrected"]}}
    made = plan(tmp_path, {"a": entry(), "b": entry(arms={"corrected": {}})}, own)
    assert made.find("bloom", "a", "fast").recipe.epochs == 2
    assert [e.arm for e in made.experiments if e.name == "a"] == ["fast"]
    own["bloom/b"] = {"arms": {"corrected": against("a", "fast")}}
    made = plan(tmp_path, {"a": entry(), "b": entry(arms={"corrected": {}})}, own)
    assert made.find("bloom", "b", "corrected").baseline.arm == "fast"


def test_note_rate_published_and_baseline_of_an_arm_are_changed_by_an_overlay(tmp_path: Path):
    figure = {"metric": "top1", "low": 0.5, "high": 0.6, "source": "table 2"}
    arms = {"corrected": {"note": "old", "lr_factor": 3.0}}
    changed = {"note": "new", "lr_factor": 0.5, "published": [figure], **against("b")}
    made = plan(tmp_path, {"a": entry(arms=arms), "b": entry()}, {"bloom/a": {"arms": {"corrected": changed}}})
    a = made.find("bloom", "a", "corrected")
    assert (a.note, a.recipe.lr, a.baseline.experiment) == ("new", 0.05, "b")
    assert [p.low for p in a.published] == [0.5]
    kept = plan(tmp_path, {"a": entry(arms=arms)}, {"bloom/a": {"arms": {"corrected": {"recipe": {"lr": 1.0}}}}})
    assert (kept.experiments[0].note, kept.experiments[0].recipe.lr) == ("old", 3.0)


def test_mistakes_of_several_experiments_come_together(tmp_path: Path):
    experiments = {
        "a": entry(recipe={"lrr": 1}, arms={"corrected": {}, "slow": {}}),
        "b": entry(init={"experiment": "aa"}),
        "c": entry(arms={"corrected": against("bb")}),
        "d": entry(recipe={"betas": [0.5, 2.0]}),
    }
    found = told(tmp_path, experiments)
    assert [sentence.split(": ")[1] for sentence in found] == [
        "experiments.a.recipe",
        "experiments.d.recipe.betas.1 = 2.0",
        "experiments.b.init",
        "experiments.c.arms.corrected.baseline",
    ]


def test_what_names_a_broken_experiment_is_not_a_second_mistake(tmp_path: Path):
    experiments = {
        "a": entry(recipe={"lr": "fast"}),
        "b": entry(init={"experiment": "a"}, arms={"corrected": against("a")}),
        "c": entry(init={"experiment": "b"}),
    }
    assert len(told(tmp_path, experiments)) == 1


@pytest.mark.parametrize(
    "keys",
    [
        {"arms": {"corrected": {}, "slow": {"lr_factor": 0.1}, "fast": {"lr_factor": 3.0}}},
        {"grid": {"recipe.epochs": [2, 3, 4]}},
        {"data": {"dataset": "many"}},
    ],
    ids=["arms", "points", "splits"],
)
@pytest.mark.parametrize(
    "wrong",
    [{"init": {"experiment": "nobody"}}, {"recipe": {"flip": 2.0}}, {"recipe": {"flipp": 0.5}}],
    ids=["a reference", "a value", "a key"],
)
def test_a_mistake_is_told_once_for_all_arms_points_and_splits(tmp_path: Path, keys: dict, wrong: dict):
    assert len(told(tmp_path, {"a": entry(**{**keys, **wrong}), "b": entry()})) == 1


def test_a_mistake_in_a_base_is_told_once_and_names_the_base_and_an_heir(tmp_path: Path):
    experiments = {"between": entry(abstract=True, recipe={"lr": "fast"}), "a": {"base": "between"}}
    experiments["b"] = {"base": "between"}
    (sentence,) = told(tmp_path, experiments)
    assert "experiments.between.recipe.lr = fast" in sentence and sentence.endswith("(in bloom/a/corrected)")


def test_weights_cannot_be_left_out(tmp_path: Path):
    experiments = {"a": entry(arms={"corrected": {}, "other": {}}), "b": entry(init={"experiment": "a"})}
    for left_out in ({"skip": True}, {"skip_arms": ["corrected"]}):
        (sentence,) = told(tmp_path, experiments, {"bloom/a": left_out})
        assert "a/corrected is left out here" in sentence and "b needs it" in sentence
    made = plan(tmp_path, experiments, {"bloom/a": {"skip_arms": ["corrected"]}, "bloom/b": {"skip": True}})
    assert [e.key for e in made.experiments] == ["bloom/a/other"]


def test_circles_over_several_experiments_end_in_a_sentence(tmp_path: Path):
    names = "abcdef"
    following = zip(names, names[1:] + "a", strict=True)
    (sentence,) = told(tmp_path, {name: entry(init={"experiment": after}) for name, after in following})
    assert "it learns from itself (a/corrected <- b/corrected" in sentence


def test_a_place_is_the_file_and_key_that_win(tmp_path: Path):
    e = plan(tmp_path, {"a": entry(recipe={"lr": 0.2})}, {"bloom/a": {"recipe": {"epochs": 3}}}).experiments[0]
    assert e.place("recipe.epochs") == "config.yaml: experiments.bloom/a.recipe.epochs"
    assert e.place("recipe.lr") == "workflow/studies/bloom.yaml: experiments.a.recipe.lr"
    assert e.place("model.name") == "workflow/studies/bloom.yaml: experiments.common.model.name"
