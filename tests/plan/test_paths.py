"""Where the files of a plan lie: what a training reads, what targets ask for, and what is near a wrong path."""

from pathlib import Path

import pytest

from florilegium.config.base import read_yaml
from florilegium.core import outputs
from florilegium.plan.paths import Paths
from florilegium.plan.plan import PHASES, Plan
from florilegium.plan.project import load_plan

PROJECT = Path(__file__).resolve().parents[2]


def plan_of(preset: str) -> Plan:
    return load_plan(PROJECT, {**read_yaml(PROJECT / "config.yaml"), "preset": preset})


@pytest.fixture(scope="module")
def demo() -> Paths:
    return Paths(plan_of("demo"))


@pytest.fixture(scope="module")
def paper() -> Paths:
    return Paths(plan_of("paper"))


def test_a_training_reads_images_the_audits_that_clean_them_and_first_weights(demo: Paths):
    e = demo.plan.find("flowers", "resnet18_from102_clean", "corrected")
    before = demo.plan.find("flowers", "resnet18_on102_clean", "corrected")
    files = demo.training_inputs(e, (0, 2))
    assert files["pixels"] == f"resources/demo17/pixels{e.data.storage_size}.npy"
    assert files["init"] == [f"{demo.run(before, seed)}/checkpoint.safetensors" for seed in (0, 2)]
    assert "features" not in files and "finder" not in files and "generated" not in files
    clean = demo.training_inputs(before, (0,))
    assert clean["dropped"] == ["results/demo/audit/demo102__demo17/dropped.csv"] and "init" not in clean
    options = demo.training_options(before)
    assert options[options.index("--dropped") + 1] == clean["dropped"][0]


def test_a_cached_probe_reads_features_in_place_of_images(demo: Paths):
    e = demo.plan.find("tiny_imagenet", "deit", "probe_cached")
    files = demo.training_inputs(e, (0, 1))
    assert "pixels" not in files and "init" in files
    assert files["features"] == [f"{demo.run(e, seed)}/features/{file}" for seed in (0, 1) for file in outputs.FEATURES]
    assert "--pixels" not in demo.training_options(e)
    assert demo.start_inputs(e, (0,))["pixels"].startswith("resources/demo_tiny/pixels")


def test_features_of_first_weights_from_a_file_are_those_of_the_first_seed(paper: Paths):
    e = paper.plan.find("tiny_imagenet", "deit", "probe_cached")
    assert paper.training_inputs(e, (2,))["features"][0] == f"{paper.run(e, e.seeds[0])}/features/features.npy"


def test_what_only_some_trainings_read(demo: Paths):
    made = demo.plan.find("generation", "classifier_acgan", "added100")
    generated = demo.training_inputs(made, (0,))["generated"]
    assert [path.rpartition("/")[2] for path in generated] == ["samples.npy", "samples.csv"]
    assert all("/acgan/corrected/seed0/samples/" in path for path in generated)
    finding = demo.plan.find("techniques", "resnet18_finder", "corrected")
    assert demo.training_inputs(finding, (1,))["finder"] == [f"{demo.run(finding, 1)}/finder/finder.json"]
    detector = demo.plan.find("detection", "r34", "corrected")
    assert demo.training_inputs(detector, (0,))["annotations"] == "resources/demo_scenes/annotations.json"
    options = demo.training_options(detector)
    assert "--annotations" in options and "--images" not in options


@pytest.mark.parametrize("preset", ["demo", "mini", "paper"])
def test_the_phases_ask_for_every_run_once(preset: str):
    paths = Paths(plan_of(preset))
    asked = [path for phase in PHASES for path in paths.trained(phase)]
    every = [path for study in paths.plan.studies for path in paths.runs(study, "metrics.json")]
    assert sorted(asked) == sorted(every) and len(set(every)) == len(every)


def test_images_are_judged_where_there_is_a_judge(demo: Paths):
    judged = demo.samples("generation", "samples.npy", "judge.json")
    assert {path.rpartition("/")[2] for path in judged} == {"samples.npy", "judge.json"}
    assert demo.samples("flowers", "samples.npy") == []


WRONG = {
    "results/paper/flowers/resnet18_scratch/corrected/seed0/metrics.json": [
        f"results/paper/flowers/resnet18_scratch_split{k}/corrected/seed0/metrics.json" for k in (1, 2, 3)
    ],
    "results/paper/flowers/resnet18_scratch_split1/corected/seed1/history.csv": [
        "results/paper/flowers/resnet18_scratch_split1/corrected/seed1/history.csv"
    ],
    "results/paper/detection/comparson.csv": ["results/paper/detection/comparison.csv"],
    "resources/weights/norm_vit_b16_in21k.safetensors": ["resources/weights/norm_vit_b16.in21k.safetensors"],
    "results/paper/report.htm": ["results/paper/report.html"],
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_path_is_answered_with_the_nearest_right_ones(paper: Paths, wrong: str):
    told = paper.unknown_target(wrong, ["flowers"])
    assert told == f"{wrong}: nothing makes this file, did you mean {' or '.join(WRONG[wrong])}?"


def test_a_wrong_name_is_answered_with_the_nearest_target(demo: Paths):
    names = ["flowers", "pretrain", "pack_images"]
    assert demo.unknown_target("pretran", names).endswith("no target of this name, did you mean pretrain?")
    assert "--list-target-rules" in demo.unknown_target("xyzzy", names)


def test_a_run_is_one_of_the_plan(demo: Paths):
    assert demo.is_run("flowers/resnet18_scratch/corrected")
    assert not demo.is_run("flowers/resnet18_scratch/published")
