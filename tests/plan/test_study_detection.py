"""Study 5 as data: which experiments there are in each preset, and what was published of them."""

from functools import cache
from pathlib import Path

import pytest

from florilegium.config.base import read_yaml
from florilegium.config.experiment import Experiment
from florilegium.models import registry
from florilegium.models.weights import load_detector_weights, save
from florilegium.plan.plan import Plan
from florilegium.plan.project import load_plan

PROJECT = Path(__file__).resolve().parents[2]
FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
# As the study prints them, in thousandths, in the order of FIGURES.
PRINTED = {
    "r50/last_box_20": (224, 413, 223, 5, 64, 290, 300, 397, 400, 20, 212, 494),
    "r50/last_box_40": (229, 408, 223, 16, 89, 290, 289, 369, 371, 32, 180, 457),
    "r18/last_box": (304, 478, 319, 35, 139, 382, 352, 425, 425, 57, 205, 522),
    "r34/last_box": (287, 455, 309, 15, 117, 363, 340, 412, 412, 25, 214, 507),
}


@cache
def plan(preset: str) -> Plan:
    settings = read_yaml(PROJECT / "config.yaml") | {"preset": preset, "studies": ["detection"]}
    return load_plan(PROJECT, settings)


def experiments(preset: str = "paper") -> dict[str, Experiment]:
    return {f"{e.name}/{e.arm}": e for e in plan(preset).experiments}


def test_depths_differ_in_nothing_but_their_networks_and_first_weights():
    depths = [experiments()[f"r{depth}/corrected"] for depth in (18, 34, 50, 101, 152)]
    assert len({e.recipe for e in depths}) == 1
    assert [e.model.name for e in depths] == [f"retinanet_resnet{d}" for d in (18, 34, 50, 101, 152)]
    assert [e.init.weights for e in depths if e.init] == [f"resnet{d}.tv_in1k" for d in (18, 34, 50, 101, 152)]


def test_the_rate_falls_where_48_and_64_of_72_epochs_are():
    recipe = experiments()["r18/corrected"].recipe
    assert [m / recipe.epochs for m in recipe.milestones] == pytest.approx([48 / 72, 64 / 72])


def test_seed_3407_stands_against_eight_others_of_which_five_are_random():
    alone, others = (experiments()[f"{name}/corrected"] for name in ("r18_seed3407", "r18"))
    assert alone.seeds == (3407,)
    assert len(set(others.seeds)) == 8 and {0, 1, 2} < set(others.seeds) and 3407 not in others.seeds
    assert (alone.recipe, alone.data, alone.model, alone.init) == (
        others.recipe,
        others.data,
        others.model,
        others.init,
    )


def test_the_rates_are_a_thousandth_and_a_hundredth_part_of_it():
    rates = {arm: experiments()[f"r18/{arm}"].recipe.lr for arm in ("lr10x", "corrected", "lr0.1x")}
    assert rates == {"lr10x": 1e-3, "corrected": 1e-4, "lr0.1x": 1e-5}


def test_the_focal_grid_is_whole():
    points = {
        (e.recipe.focal_alpha, e.recipe.focal_gamma) for key, e in experiments().items() if key.startswith("r18_focal")
    }
    assert points == {(alpha, gamma) for alpha in (0.25, 0.5, 0.75) for gamma in (0, 1, 2, 5)}


@pytest.mark.parametrize("key", PRINTED)
def test_all_twelve_figures_are_those_of_the_study(key: str):
    found = {p.metric: p.low for p in experiments()[key].published}
    assert found == {name: value / 1000 for name, value in zip(FIGURES, PRINTED[key], strict=True)}


def test_what_was_published_keeps_its_quirks_and_the_bug_is_the_one_difference_of_its_arm():
    published = experiments()["r18/as_published"]
    recipe = published.recipe
    assert (recipe.batch_size, recipe.optimizer, recipe.lr, recipe.clip_norm) == (2, "adam", 1e-4, 0.1)
    assert (recipe.grouping, recipe.normaliser, recipe.focal_clamp) == ("aspect_ratio", "image", 1e-4)
    assert (recipe.low_quality_matches, recipe.top_k, recipe.max_detections) == (False, None, None)
    assert (recipe.milestones, recipe.select) == ((48.0,), "last")
    assert (published.data.padding, published.data.boxes) == ("doubled", "as_annotated")
    bug = experiments()["r18/last_box"]
    assert bug.recipe == recipe
    assert bug.data == published.data.model_copy(update={"boxes": "last_corner"})


def test_the_rate_of_short_runs_never_falls():
    for epochs in (20, 40):
        recipe = experiments()[f"r50/as_published_{epochs}"].recipe
        assert (recipe.epochs, recipe.schedule) == (epochs, "constant")


def test_the_demo_needs_no_published_weights_and_mini_those_of_a_package():
    assert plan("demo").weights() == []
    assert plan("mini").weights() == ["efficientnet-lite0"]


def test_the_demo_trains_in_six_processes():
    assert len(plan("demo").experiments) <= 6
    assert {"r18/corrected", "r18/last_box", "r18_seed3407/corrected"} <= experiments("demo").keys()


def test_the_small_real_runs_have_five_seeds_three_rates_two_values_of_each_focal_key_and_a_start_from_scratch():
    found = experiments("mini")
    assert len({*found["r18/corrected"].seeds, *found["r18_seed3407/corrected"].seeds}) == 5
    assert {"r18/lr10x", "r18/lr0.1x", "r18/as_published", "r18/last_box"} <= found.keys()
    focal = [(e.recipe.focal_alpha, e.recipe.focal_gamma) for key, e in found.items() if key.startswith("r18_focal")]
    assert sorted(focal) == [(0.25, 1), (0.25, 2), (0.75, 1), (0.75, 2)]
    scratch = found["r34_scratch/corrected"]
    assert scratch.init is None and len(scratch.seeds) == 3 and scratch.model.arguments["norm"] == "gn"
    assert scratch.baseline.experiment == "r18", "which starts from ImageNet"


def test_a_backbone_that_is_trained_here_fits_the_detector_that_starts_from_it(tmp_path):
    starting = [e for e in experiments("paper").values() if e.init and e.init.experiment]
    assert starting
    for e in starting:
        trained = experiments("paper")[f"{e.init.experiment}/{e.init.arm}"]
        save(registry.build(trained.model, 10).state_dict(), tmp_path / "trained.safetensors")
        load_detector_weights(registry.build(e.model, 5), tmp_path / "trained.safetensors")


def test_lengths_and_rates_after_the_mended_boxes_are_those_of_the_code_s_table():
    """Epochs and rate of each row, as its command and table have them; of two rows the two disagree on the length."""
    printed = {
        "r50/as_published_20": (20, 1e-4, 0.324),
        "r50/as_published_40": (40, 1e-4, 0.329),
        "r18/as_published": (50, 1e-4, 0.362),
        "r34/as_published": (50, 1e-4, 0.341),
        "r101/as_published": (50, 1e-4, 0.304),
        "r18_seed3407/as_published": (20, 1e-4, 0.367),
        "r18_seed3407/as_published_lr10x": (20, 1e-3, 0.010),
        "r18_seed3407/as_published_lr0.1x": (50, 1e-5, 0.361),
        "final/as_published": (72, 1e-5, 0.405),
    }
    for key, row in printed.items():
        e = experiments()[key]
        assert (e.recipe.epochs, e.recipe.lr, e.published[0].low) == row, key
        falls = e.recipe.milestones if e.recipe.schedule == "step" else ()
        assert falls == tuple(m for m in (48.0, 64.0) if m < e.recipe.epochs), key


@pytest.mark.parametrize("preset", ["mini", "paper"])
def test_what_was_published_ran_in_fp32(preset: str):
    published = {k: e for k, e in experiments(preset).items() if k.split("/")[1].startswith(("as_p", "last_"))}
    assert published and {e.recipe.precision for e in published.values()} == {"fp32"}
