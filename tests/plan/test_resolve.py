"""Resolving experiments: inheritance, presets, overrides, grids, seeds, splits, and what is refused."""

import textwrap
from pathlib import Path

import pytest
import yaml

from florilegium.config.base import retyped
from florilegium.core.errors import UserError
from florilegium.plan.entries import in_name
from florilegium.plan.plan import Plan
from florilegium.plan.project import load_plan

DATASETS = """
roses: {layout: folders, folder: pictures/roses}
tulips: {layout: folders, folder: pictures/tulips}
many:
  layout: oxford17
  files: [{file: 17flowers.tgz, md5: 0123456789abcdef0123456789abcdef}, {file: datasplits.mat, optional: true}]
  official_splits: 3
"""
STUDY = """
title: A study
document: nowhere
experiments:
  common:
    abstract: true
    data: {dataset: roses}
    recipe: {epochs: 10, lr: 0.1}
  scratch:
    base: common
    model: {name: resnet18}
  before:
    base: common
    data: {dataset: tulips, clean: [roses]}
    model: {name: resnet18}
  after:
    base: common
    model: {name: resnet18}
    init: {experiment: before}
    arms:
      corrected: {baseline: {experiment: scratch}}
      slow: {lr_factor: 0.3}
"""


@pytest.fixture
def make(tmp_path: Path):
    """A function that writes a small project and loads its plan."""
    (tmp_path / "workflow" / "studies").mkdir(parents=True)
    (tmp_path / "workflow" / "presets").mkdir()

    def load(config: str = "", study: str = STUDY, preset: str = "") -> Plan:
        (tmp_path / "workflow" / "datasets.yaml").write_text(DATASETS)
        (tmp_path / "workflow" / "studies" / "bloom.yaml").write_text(study)
        (tmp_path / "workflow" / "presets" / "small.yaml").write_text(
            "title: small\nseeds: [0, 1]\n" + textwrap.dedent(preset)
        )
        return load_plan(tmp_path, {"preset": "small", **(yaml.safe_load(config) or {})})

    return load


def test_inheritance_and_arms(make):
    plan = make()
    assert [e.key for e in plan.experiments] == [
        "bloom/scratch/corrected",
        "bloom/before/corrected",
        "bloom/after/corrected",
        "bloom/after/slow",
    ]
    assert plan.find("bloom", "scratch", "corrected").recipe.epochs == 10
    assert plan.find("bloom", "after", "slow").recipe.lr == 0.03
    assert plan.find("bloom", "after", "slow").seeds == (0, 1)


def test_a_change_may_be_for_all_experiments_of_a_pattern(make):
    preset = """
        studies:
          bloom:
            experiments:
              "*o*": {recipe: {epochs: 3}}
              scratch: {recipe: {epochs: 4}}
    """
    plan = make("experiments: {'bloom/[ab]*': {recipe: {lr: 0.2}}}", preset=preset)
    found = {e.name: (e.recipe.epochs, e.recipe.lr) for e in plan.experiments if e.arm == "corrected"}
    assert found == {"scratch": (4, 0.1), "before": (3, 0.2), "after": (10, 0.2)}
    with pytest.raises(UserError, match=r"config.yaml: experiments: unknown experiment 'bloom/z\*'"):
        make("experiments: {'bloom/z*': {skip: true}}")


def test_a_preset_may_change_first_weights_seeds_and_arms(make):
    preset = """
        studies:
          bloom:
            experiments:
              after: {init: {experiment: scratch}, seeds: [5], skip_arms: [slow]}
    """
    plan = make(preset=preset)
    after = plan.find("bloom", "after", "corrected")
    assert after.init.experiment == "scratch" and after.seeds == (5,)
    assert [e.arm for e in plan.experiments if e.name == "after"] == ["corrected"]
    random = make("experiments: {bloom/after: {init: {}}}", preset=preset)
    assert random.find("bloom", "after", "corrected").init is None


def test_seeds_of_one_arm_win_over_those_of_its_experiment_in_the_same_preset(make):
    preset = """
        studies:
          bloom:
            experiments:
              after: {seeds: [0, 1], arms: {slow: {seeds: [7]}}}
    """
    plan = make(preset=preset)
    assert plan.find("bloom", "after", "corrected").seeds == (0, 1)
    assert plan.find("bloom", "after", "slow").seeds == (7,)
    changed = make("experiments: {bloom/after: {seeds: [5]}}", preset=preset)
    assert changed.find("bloom", "after", "slow").seeds == (5,)


def test_config_wins_over_preset_over_study(make):
    preset = """
        studies:
          bloom:
            all: {recipe: {epochs: 5, lr: 0.5}}
            experiments: {scratch: {recipe: {lr: 0.6}}}
    """
    assert make(preset=preset).find("bloom", "scratch", "corrected").recipe.lr == 0.6
    assert make(preset=preset).find("bloom", "before", "corrected").recipe.lr == 0.5
    changed = make("experiments: {bloom/scratch: {recipe: {lr: 0.7}}}", preset=preset)
    assert changed.find("bloom", "scratch", "corrected").recipe.lr == 0.7
    assert changed.find("bloom", "scratch", "corrected").recipe.epochs == 5


def test_one_changed_rate_changes_one_spec(make):
    before = {e.key: e.spec() for e in make().experiments}
    after = {e.key: e.spec() for e in make("experiments: {bloom/scratch: {recipe: {lr: 0.7}}}").experiments}
    assert [key for key in before if before[key] != after[key]] == ["bloom/scratch/corrected"]


def test_a_spec_names_the_number_of_processes_when_it_is_not_one(make):
    one, two = make(), make("gpus_per_training: 2")
    for e in one.experiments:
        assert one.spec(e).keys() - e.spec().keys() == {"pictures"}
        assert two.spec(e) == {**one.spec(e), "processes": 2}


def test_a_spec_says_how_the_pictures_are_read_that_the_trained_network_will_see(make):
    plan = make("pictures: {ground: black}")
    for e in plan.experiments:
        assert plan.spec(e)["pictures"] == {"ground": "#000000", "max_megapixels": 250.0}


def test_spec_holds_no_presentation_and_no_idle_key(make):
    renamed = STUDY.replace("model: {name: resnet18}\n  before", "model: {name: resnet18}\n    title: New\n  before")
    assert renamed != STUDY
    plain, retitled = (make(study=s).find("bloom", "scratch", "corrected") for s in (STUDY, renamed))
    assert retitled.title == "New"
    assert plain.spec() == retitled.spec()
    idle = "experiments: {bloom/scratch: {recipe: {gamma: 0.5}}}"  # the schedule is constant
    assert make(idle).find("bloom", "scratch", "corrected").spec() == plain.spec()


def test_grid_names_each_point_after_its_values(make):
    grid = STUDY + "    grid: {recipe.lr: [0.1, 1.0e-4, 1.5e-4], recipe.weight_decay: [0.0, 0.5]}\n"
    names = {e.name for e in make(study=grid).experiments if e.name.startswith("after")}
    assert "after_lr1e-4_weight_decay0.5" in names
    assert len(names) == 6


@pytest.mark.parametrize("pattern", ["after", "*"])
def test_a_preset_keeps_a_part_of_a_grid(make, pattern: str):
    """Of an axis that it does not name, all; and an experiment without a grid is not meant by a glob."""
    grid = STUDY + "    grid: {recipe.lr: [0.1, 1.0e-4, 1.5e-4], recipe.weight_decay: [0.0, 0.5]}\n"
    kept = f"experiments: {{'bloom/{pattern}': {{grid: {{recipe.lr: [0.1, 1.5e-4]}}}}}}"
    whole, part = ({e.name for e in make(config, study=grid).experiments} for config in ("", kept))
    assert whole - part == {f"after_lr1e-4_weight_decay{decay}" for decay in ("0", "0.5")}


@pytest.mark.parametrize(
    ("grid", "says"),
    [
        ("recipe.lr: [0.2]", r"after\.grid\.recipe\.lr: unknown value '0\.2'"),
        ("recipe.lrr: [0.1]", r"after\.grid: unknown key 'recipe\.lrr', did you mean 'recipe\.lr'"),
        ("recipe.lr: []", r"after\.grid\.recipe\.lr: keeps no value"),
    ],
)
def test_a_part_of_a_grid_that_is_none_is_refused(make, grid: str, says: str):
    with pytest.raises(UserError, match=says):
        make(
            f"experiments: {{bloom/after: {{grid: {{{grid}}}}}}}",
            study=STUDY + "    grid: {recipe.lr: [0.1, 1.0e-4]}\n",
        )


@pytest.mark.parametrize("value", [0.1, 1e-4, 1.5e-4, 0.0125, 3.0, 12345.678, 1e-10, 0.30000000000000004])
def test_numbers_in_names_are_read_back(value):
    assert float(in_name(value)) == value


def test_numbers_in_names_are_short():
    assert [in_name(v) for v in (1e-4, 0.1, 3.0, 34, "adam")] == ["1e-4", "0.1", "3", "34", "adam"]


def test_official_splits_are_experiments_of_their_own(make):
    study = STUDY.replace("dataset: roses", "dataset: many").replace("clean: [roses]", "clean: [many]")
    plan = make(study=study)
    assert "bloom/after_split2/slow" in [e.key for e in plan.experiments]
    after = plan.find("bloom", "after_split2", "corrected")
    assert after.data.dataset == "many_split2"
    assert after.init.experiment == "before_split2"
    assert after.baseline.experiment == "scratch_split2"
    assert plan.find("bloom", "before_split2", "corrected").data.clean == ("many_split2",)
    absent = make("datasets: {many: {files: {datasplits.mat: absent}}}", study=study)
    assert "bloom/after/slow" in [e.key for e in absent.experiments]


def test_every_pair_that_meets_is_audited(make):
    leaky = STUDY.replace(", clean: [roses]", "")
    assert ("tulips", "roses") in make(study=leaky).audits()
    assert set(make().audits()) == {("roses", "roses"), ("tulips", "tulips"), ("tulips", "roses")}


def test_stand_ins_replace_data_sets_everywhere(make):
    plan = make(preset="datasets: {roses: tulips}")
    assert {e.data.dataset for e in plan.experiments} == {"tulips"}
    assert plan.find("bloom", "before", "corrected").data.clean == ("tulips",)


def test_a_stand_in_of_the_person_wins_over_that_of_the_preset(make):
    plan = make("stand_ins: {roses: many}", preset="datasets: {roses: tulips}")
    assert plan.find("bloom", "scratch_split1", "corrected").data.dataset == "many_split1"


WRONG = [
    ("presett: small", ["config.yaml", "presett", "did you mean 'preset'"]),
    ("preset: smal", ["preset 'smal'", "did you mean 'small'"]),
    ("studies: [blom]", ["study 'blom'", "did you mean 'bloom'"]),
    ("audit: {radius: ten}", ["config.yaml: audit.radius = ten: must be a whole number"]),
    ("audit: {raduis: 3}", ["config.yaml: audit: unknown key", "raduis", "did you mean 'radius'"]),
    ("audit: {pixel_threshold: 1e-4}", ["pixel_threshold", "write 1.0e-4"]),
    ("experiments: {bloom/scrath: {recipe: {lr: 1.0}}}", ["config.yaml", "bloom/scratch"]),
    ("experiments: {scratch: {recipe: {lr: 1.0}}}", ["study/experiment"]),
    ("experiments: {bloom/scratch: {recipe: {lrr: 1.0}}}", ["config.yaml", "lrr", "did you mean 'lr'"]),
    ("experiments: {bloom/scratch: {recipe: {lr: fast}}}", ["config.yaml", "lr = fast: must be a number"]),
    ("experiments: {bloom/scratch: {recipe: {lr: -1.0}}}", ["lr = -1.0", "greater than 0"]),
    ("experiments: {bloom/scratch: {recipe: {swa_start: 1.0, select: last}}}", ["swa_start", "after the last"]),
    ("experiments: {bloom/scratch: {recipe: {optimizer: sdg}}}", ["optimizer = sdg: must be one of sgd, adam, adamw"]),
    ("experiments: {bloom/scratch: {recipe: {schedule: step}}}", ["milestones", "at least one"]),
    ("experiments: {bloom/scratch: {recipe: {accumulate: 7}}}", ["accumulate", "64", "7"]),
    ("experiments: {bloom/scratch: {recipe: {warmup_epochs: 20}}}", ["warmup_epochs", "more than epochs"]),
    (
        "experiments: {bloom/scratch: {recipe: {schedule: plateau, early_stop: 3}}}",
        ["early_stop", "plateau_patience = 5"],
    ),
    ("experiments: {bloom/scratch: {data: {dataset: rose}}}", ["data set 'rose'", "did you mean 'roses'"]),
    ("experiments: {bloom/scratch: {data: {val: [test]}}}", ["val, test", "leak"]),
    ("experiments: {bloom/scratch: {data: {holdout: 0.1}}}", ["scratch", "holdout", "set recipe.select to last"]),
    ("experiments: {bloom/scratch: {data: {choose_on_test: true}}}", ["choose_on_test", "set val to []"]),
    ("datasets: {manny: {mirrors: [x]}}", ["data set 'manny'", "did you mean 'many'"]),
    ("datasets: {many: {files: {17flowers.tar: absent}}}", ["file '17flowers.tar'", "17flowers.tgz"]),
    ("own_datasets: {roses: {layout: folders, folder: x}}", ["own_datasets.roses", "choose another"]),
    ("stand_ins: {rose: tulips}", ["stand_ins", "'rose'", "'roses'"]),
    (
        "{own_datasets: {mine: {layout: coco, folder: x}}, stand_ins: {roses: mine}}",
        ["config.yaml: stand_ins.roses: mine has boxes and cannot stand in for roses"],
    ),
    ("own_datasets: {mine: {layout: folders}}", ["exactly one of files, folder and rendered"]),
]


@pytest.mark.parametrize(("config", "said"), WRONG, ids=[config for config, _ in WRONG])
def test_what_is_wrong_is_said_in_one_sentence(make, config, said):
    with pytest.raises(UserError) as caught:
        make(config)
    message = str(caught.value)
    assert "\n" not in message
    for part in said:
        assert part in message, message


def test_errors_of_a_study_name_its_file(make):
    with pytest.raises(UserError, match=r"studies/bloom.yaml: .*after.init: .*'beforre', did you mean 'before'"):
        make(study=STUDY.replace("experiment: before}", "experiment: beforre}"))
    with pytest.raises(UserError, match="itself"):
        make(study=STUDY + "  loop: {base: common, model: {name: resnet18}, init: {experiment: loop}}\n")
    with pytest.raises(UserError, match="circle"):
        make(study=STUDY.replace("abstract: true", "abstract: true\n    base: scratch"))


def test_seeds_share_a_process_only_where_the_preset_says_so(make):
    assert set(make().groups()) == {("classification", (0,)), ("classification", (1,))}
    assert set(make(preset="share_process: true").groups()) == {("classification", (0, 1))}


def test_values_of_the_command_line_get_their_types():
    given = {"a": {"epochs": "10", "lr": "1e-4", "flip": "0.5", "name": "resnet18", "on": "true"}, "seeds": ["0", "1"]}
    assert retyped(given) == {
        "a": {"epochs": 10, "lr": 1e-4, "flip": 0.5, "name": "resnet18", "on": True},
        "seeds": [0, 1],
    }
    assert retyped(["True", "null", "010", "1.2.3", "yes", "v1"]) == [True, None, "010", "1.2.3", "yes", "v1"]


def publishing(**figure: object) -> str:
    """The study, with a published figure of `after/slow`."""
    entry = {"low": 0.1, "high": 0.2, "source": "a table"} | figure
    return STUDY.replace("slow: {lr_factor: 0.3}", f"slow: {{lr_factor: 0.3, published: [{entry}]}}")


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        ({"metric": "AP"}, "after.arms.slow.published.metric: AP is a metric of detection, and is asked"),
        ({"metric": "top2"}, "after.arms.slow.published.metric: unknown metric 'top2', did you mean 'top"),
    ],
)  # fmt: skip
def test_a_published_number_that_no_arm_could_have_is_told_in_one_sentence(make, figure, said):
    with pytest.raises(UserError, match=said) as told:
        make(study=publishing(**figure))
    assert "\n" not in str(told.value)


def test_a_detector_has_no_top1(make):
    study = """
title: A study
document: nowhere
experiments:
  found:
    task: detection
    data: {dataset: boxes}
    model: {name: retinanet_resnet18}
    recipe: {epochs: 1}
    arms: {corrected: {published: [{metric: top1, low: 0.1, high: 0.2, source: a table}]}}
"""
    config = "own_datasets: {boxes: {layout: coco, folder: pictures/boxes}}"
    with pytest.raises(UserError, match="top1 is a metric of classification, and is asked of one arm of detection"):
        make(config, study=study)


def test_a_split_is_a_field_beside_the_name(make):
    study = STUDY.replace("dataset: roses", "dataset: many").replace("clean: [roses]", "clean: [many]")
    plan = make(study=study)
    after = plan.find("bloom", "after_split2", "corrected")
    assert (after.split, after.unsplit_name) == (2, "after")
    assert plan.source("many_split2") == ("many", 2)
    assert [(e["experiment"], e["split"]) for e in plan.description("bloom")["entries"] if e["arm"] == "slow"] == [
        (f"after_split{k}", k) for k in (1, 2, 3)
    ]


def test_a_name_that_only_looks_like_a_split_is_left_whole(make):
    """`tulips_split1` is a data set of nobody's, and `before_split7` an experiment's own name."""
    plan = make(study=STUDY.replace("before", "before_split7"))
    before = plan.find("bloom", "before_split7", "corrected")
    assert (before.split, before.unsplit_name) == (None, "before_split7")
    assert plan.source("tulips_split1") == ("tulips_split1", None)
    with pytest.raises(UserError, match="unknown data set 'many_split4'"):
        make(study=STUDY.replace("dataset: tulips", "dataset: many_split4"))


def test_one_split_alone_may_be_named(make):
    plan = make(study=STUDY.replace("dataset: tulips", "dataset: many_split2"))
    before = plan.find("bloom", "before", "corrected")
    assert (before.data.dataset, before.split) == ("many_split2", None)
    assert plan.source(before.data.dataset) == ("many", 2)


def test_a_rate_that_a_finder_gives_is_unknown(make):
    plan = make("experiments: {bloom/before: {recipe: {lr: from_finder}}}")
    rates = {(e["experiment"], e["arm"]): e["lr"] for e in plan.description("bloom")["entries"]}
    assert rates["before", "corrected"] is None
    assert rates["scratch", "corrected"] == 0.1
