"""Which batches the runs of an experiment put through a network: counts by hand."""

from pathlib import Path
from typing import Any

import pytest

from florilegium.core.errors import UserError
from florilegium.estimation.passes import DETECTION_SECONDS, SAMPLING_SECONDS, Passes, passes_of
from florilegium.plan.project import load_plan
from florilegium.plan.specs import estimated, uncounted

PROJECT = Path(__file__).parents[2]
VIT = {"name": "vit_tiny_patch16_224", "arguments": {"img_size": 32, "depth": 2}}
IMAGES = {"train": 1000, "val": 100, "test": 200}
EMPTY = {
    "cached": False,
    "features": 1,
    "finder": None,
    "attention": None,
    "attribution": None,
    "sets": {},
    "judge": None,
}


def entry(task: str = "classification", model: dict | None = None, recipe: dict | None = None, **values: Any) -> dict:
    found = {"experiment": "a/b/c", "task": task, "source": "roses", "runs": 3, "images": IMAGES, "sides": None}
    found |= {"classes": 10, **EMPTY}
    found |= {"model": model or VIT, "recipe": {"epochs": 10, "batch_size": 50} | (recipe or {})}
    return found | {"data": {"dataset": "roses"}} | values


def counted(found: dict) -> list[tuple[str, int, int, str]]:
    return [(p.work, p.batches, p.batch, p.precision) for p in passes_of(found)]


def of(found: dict, work: str) -> list[Passes]:
    return [p for p in passes_of(found) if p.work == work]


def test_a_classifier_trains_validates_every_epoch_and_is_tested_in_fp32_at_the_end():
    assert counted(entry(recipe={"precision": "bf16"})) == [
        ("training", 10 * 20, 50, "bf16"),
        ("tests", 10 * 2, 50, "bf16"),  # 100 images in two batches, of at most 64
        ("tests", 2 * 4, 50, "fp32"),  # the last weights and the best
        ("tests", 16, 63, "fp32"),  # the training images, once
    ]
    last = counted(entry(recipe={"select": "last"}))
    assert last[2] == ("tests", 4, 50, "fp32")


def test_micro_batches_steps_of_an_epoch_and_the_test_that_chooses():
    data = {"dataset": "roses", "train": ["train", "val"], "val": [], "choose_on_test": True}
    found = counted(entry(recipe={"epoch_steps": 100, "accumulate": 2}, data=data))
    assert found[0] == ("training", 10 * 100 * 2, 25, "fp32")
    assert found[1] == ("tests", 10 * 4, 50, "fp32")
    held = counted(entry(recipe={"select": "last"}, data={"dataset": "roses", "train": ["train"], "holdout": 0.1}))
    assert held[0] == ("training", 10 * 18, 50, "fp32")
    assert held[1] == ("tests", 10 * 2, 50, "fp32")


def test_generated_images_are_learnt_from_beside_the_real_ones():
    made = {"experiment": "gan", "samples": "added", "share": 0.25}
    found = entry(data={"dataset": "roses", "generated": made})
    assert of(found, "training")[0].images == 10 * 1250


def test_a_frozen_backbone_sees_each_image_once_and_runs_may_share_what_it_saw():
    found = entry(recipe={"freeze": ["backbone"]}, cached=True, features=1)
    (features,) = of(found, "features")
    assert (features.images, features.runs, features.trains) == (21 * 62, 1, False)  # 1,300 in 21 batches
    assert {p.network.part for p in passes_of(found) if p.work in ("training", "tests")} == {"head"}
    assert of(found, "training")[0].runs == 3
    same = entry(
        recipe={"freeze": ["backbone"]}, cached=True, data={"dataset": "roses", "val": [], "choose_on_test": True}
    )
    assert of(same, "features")[0].images == 19 * 64  # 1,200: the test images validate, and are seen once


def test_a_rate_that_a_finder_suggests_costs_its_steps():
    (found,) = of(entry(finder=100), "finder")
    assert (found.batches, found.batch, found.trains, found.runs) == (100, 50, True, 3)


def test_what_is_explained_is_so_in_the_first_seed_alone():
    attention = {"images": 100, "shown": 4}
    (looked,) = of(entry(attention=attention), "attention")
    assert (looked.images, looked.runs) == (7 * 15, 1)  # 104 in batches of 16
    asked = {"images": 8, "methods": ["saliency", "smoothgrad", "occlusion"], "steps": 50}
    found = of(entry(attribution=asked), "attribution")
    gradients, forward = ([p for p in found if p.trains is trains] for trains in (True, False))
    assert [(p.batches, p.batch) for p in gradients] == [(8, 1), (8 * 2, 25)]
    windows, orders = forward
    assert (windows.batches, windows.batch) == (8 * 10, 23)  # 15 x 15 windows, and the image itself
    assert (orders.batches, orders.batch) == (8 * 5 * 2, 33)  # 3 methods and 2 random orders, 33 points there and back
    assert {p.runs for p in found} == {1}


def test_a_detector_sees_padded_photographs_in_batches_of_one_shape():
    data = {"dataset": "roses", "short_side": 608, "long_side": 1024}
    found = entry(
        "detection", {"name": "retinanet_resnet18", "arguments": {}}, {"batch_size": 2}, data=data, sides=[375, 500]
    )
    assert counted(found) == [
        ("training", 10 * 500, 2, "fp32"),
        ("tests", 10 * 13, 8, "fp32"),
        ("tests", 2 * 25, 8, "fp32"),
    ]
    trained, validated, _ = passes_of(found)
    assert (trained.network.height, trained.network.width) == (608, 832)  # 608 x 811, to multiples of 32
    assert (trained.host, validated.host) == (0, DETECTION_SECONDS)
    doubled = passes_of(found | {"data": data | {"padding": "doubled"}})[0].network
    assert (doubled.height, doubled.width) == (640, 832)
    tall = passes_of(found | {"sides": [1000, 400]})[0].network
    assert (tall.height, tall.width) == (1024, 416)  # the long side decides
    odd = found | {"images": {"train": 1001, "val": 0, "test": 8}}
    assert passes_of(odd)[0].batches == 10 * 501
    odd["recipe"] = odd["recipe"] | {"drop_last": True}
    assert passes_of(odd)[0].batches == 10 * 500


def test_a_set_of_samples_takes_every_step_for_every_image_twice_with_guidance():
    sets = {
        "guided": {"sampler": "ddpm", "guidance": 1.8, "per_class": 500},
        "fast": {"sampler": "ddim", "steps": 50, "guidance": 1.8, "per_class": 500},
        "free": {"sampler": "ddpm", "per_class": 5},
    }
    judge = {"model": VIT, "recipe": {"epochs": 1, "image_size": None}}
    recipe = {"timesteps": 500, "precision": "bf16", "select": "last"}
    found = entry("generation", {"name": "diffusion_unet", "arguments": {}}, recipe, sets=sets, judge=judge)
    guided, fast, free = of(found, "sampling")
    assert (guided.batches, guided.batch) == (20 * 500, 2 * 250)  # 5,000 images in 20 batches
    assert (fast.batches, fast.batch) == (20 * 50, 2 * 250)
    assert (free.batches, free.batch) == (500, 50)
    assert guided.images * guided.host == pytest.approx(5000 * SAMPLING_SECONDS)
    assert {p.precision for p in (guided, fast, free)} == {"fp32"}
    assert [p.images for p in of(found, "judging")] == [79 * 64, 79 * 64, 50]
    assert [(p.batches, p.batch) for p in of(found, "tests")] == [(10 * 2, 50), (4, 50)]
    assert of(found, "training")[0].batches == 10 * 20


def test_an_acgan_draws_in_one_pass_of_its_generator_and_nobody_scores_it():
    sets = {"added": {"sampler": "direct", "per_class": 5000}}
    found = entry("generation", {"name": "acgan", "arguments": {}}, {"select": "last"}, sets=sets)
    (drawn,) = of(found, "sampling")
    assert (drawn.batches, drawn.batch, drawn.network.part) == (196, 256, "generator")
    assert not of(found, "tests")


def test_an_image_size_that_does_not_fit_is_told():
    with pytest.raises(UserError, match=r"recipe\.image_size = 64"):
        passes_of(entry(recipe={"image_size": 64}))


def test_every_arm_of_paper_is_counted_whatever_its_task():
    plan = load_plan(PROJECT, {"preset": "paper"})
    found = {one["experiment"]: one for one in estimated(plan)}
    assert set(found) == {e.key for e in plan.experiments} and not uncounted(plan)
    assert all(passes_of(one) for one in found.values())
    diffusion = found["generation/diffusion/corrected"]
    assert set(diffusion["sets"]) == {"added", "all_steps", "fast", "unguided"}
    assert diffusion["judge"]["model"]["name"] == "cifar_resnet18"
    assert [e["finder"] for e in found.values() if e["finder"]] == [
        e.recipe.finder_steps for e in plan.experiments if e.recipe.lr == "from_finder"
    ]


def test_a_rate_or_a_title_is_no_part_of_the_estimate():
    base, other = (
        estimated(load_plan(PROJECT, {"preset": "paper", "experiments": changes}))
        for changes in ({}, {"flowers/resnet18_scratch*": {"recipe": {"lr": 0.123}}})
    )
    assert base == other


def test_data_sets_that_do_not_tell_their_images_are_named():
    plan = load_plan(PROJECT, {"preset": "demo"})
    assert not estimated(plan)
    assert sum(uncounted(plan).values()) == len(plan.experiments)
    assert uncounted(plan)["demo_scenes"] == len([e for e in plan.experiments if e.task == "detection"])
