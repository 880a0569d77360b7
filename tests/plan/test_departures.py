"""What is not as in preset `paper` is named, in words and by kind, before anything is run."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from florilegium.config.base import read_yaml
from florilegium.plan.departures import departures
from florilegium.plan.plan import Plan
from florilegium.plan.project import load_plan

PROJECT = Path(__file__).resolve().parents[2]


@cache
def unchanged(preset: str) -> Plan:
    return changed(preset)


def changed(preset: str, **config: Any) -> Plan:
    return load_plan(PROJECT, {**read_yaml(PROJECT / "config.yaml"), "preset": preset, **config})


def named(plan: Plan, key: str) -> dict[str, str]:
    """By its words, the kind of each departure of an arm."""
    found = departures(plan.find(*key.split("/")), plan.paper, {e.key: e for e in plan.experiments})
    return {d.words: d.kind for d in found}


def test_paper_is_as_published_but_for_data_that_stand_in() -> None:
    plan = unchanged("paper")
    for e in plan.experiments:
        wanted = {"stand-in: voc5 for the course's 2,031 images": "data"} if e.task == "detection" else {}
        assert named(plan, e.key) == wanted, e.key


def test_mini_names_size_length_network_and_weights() -> None:
    resnet = named(unchanged("mini"), "flowers/resnet18_scratch_split1/corrected")
    assert {"image_size: 96 for 224": "image_size", "epochs: 40 for 100": "recipe"}.items() <= resnet.items()
    assert not any(kind == "network" for kind in resnet.values())
    vit = named(unchanged("mini"), "flowers/vit_frozen_half_split2/corrected")
    assert {
        "network: vit_small_patch14_dinov2 for ViT-B/16": "network",
        "weights: ViT-S/14 of DINOv2 for vit_base_patch16_224.orig_in21k_ft_in1k": "weights",
        "image_size: 112 for 224": "image_size",
    }.items() <= vit.items()
    assert "freezing" not in vit.values()  # half of twelve blocks in both
    tiny = named(unchanged("mini"), "flowers/tiny_vit_frozen_half_split2/corrected")
    assert tiny["weights: tiny_vit_on102 of ours for tiny_vit_5m_224.dist_in22k_ft_in1k"] == "weights"
    lite = named(unchanged("mini"), "flowers/lite0_frozen_half_split2/corrected")
    assert {"network", "weights", "freezing"}.isdisjoint(lite.values())
    half = named(unchanged("demo"), "flowers/vit_frozen_half/corrected")
    assert half["freeze_blocks: 2 for 6"] == "freezing"
    cait = named(unchanged("demo"), "tiny_imagenet/cait/finetune")
    assert cait["weights: random for cait_s36_384.fb_dist_in1k"] == "weights"
    assert cait["image_size: 32 for 384"] == "image_size"


def test_pretrained_weights_are_called_by_their_title() -> None:
    mine = {"file": "x.pth", "model": "resnet18", "title": "ResNet-18 trained on for saliency"}
    for name, title in (("efficientnet-lite0", "EfficientNet-Lite0 from ImageNet"), ("mine", mine["title"])):
        started = {"flowers/resnet18_scratch": {"init": {"weights": name}}}
        plan = changed("paper", experiments=started, weights={"mine": mine})
        key = next(e.key for e in plan.experiments if e.name.startswith("resnet18_scratch"))
        assert named(plan, key)[f"weights: {title} for random"] == "weights"


def test_every_arm_of_the_demo_departs_by_its_data() -> None:
    plan = unchanged("demo")
    for e in plan.experiments:
        words = named(plan, e.key)
        assert "no such experiment in preset paper" in words or any(w.startswith("stand-in: demo") for w in words)


def test_what_an_arm_starts_from_counts() -> None:
    """Weights of a shorter pretraining are others, and so are those of a generator that drew fewer images."""
    plan = changed("paper", experiments={"flowers/resnet18_on102_clean": {"recipe": {"epochs": 5, "milestones": [3]}}})
    assert named(plan, "flowers/resnet18_from102_clean_split1/corrected") == {
        "in resnet18_on102_clean: epochs: 5 for 100, milestones: 3 for 30, 60, 90": "weights"
    }
    assert named(plan, "flowers/resnet18_from102_official_split1/corrected") == {}
    # What departs in both is said once.
    mini = named(unchanged("mini"), "flowers/resnet18_from102_official_split1/corrected")
    (before,) = [words for words in mini if words.startswith("in ")]
    assert before.startswith("in resnet18_on102_official: ") and "batch_size: 64 for 32" in before
    assert "image_size: 96 for 224" in mini and "image_size" not in before
    fewer = {"sets": {"added": {"sampler": "direct", "per_class": 100}}}
    plan = changed("paper", experiments={"generation/acgan": {"samples": fewer}})
    assert named(plan, "generation/classifier_acgan/added25") == {"in acgan: per_class: 100 for 5000": "weights"}
    assert named(plan, "generation/classifier_diffusion/added25") == {}


def test_a_change_of_a_person_is_named_and_seeds_are_none() -> None:
    key = "flowers/resnet18_scratch"
    plan = changed("paper", seeds=[7], experiments={key: {"recipe": {"lr": 0.5}}})
    assert named(plan, f"{key}_split1/corrected") == {"lr: 0.5 for 0.0125": "recipe"}
    assert named(plan, "flowers/resnet50_scratch_split1/corrected") == {}


def test_data_sets_of_a_person_stand_in_and_a_split_of_ours_is_one() -> None:
    mine = {"mine": {"title": "JPEG copies", "layout": "folders", "folder": "copies"}}
    plan = changed("paper", own_datasets=mine, stand_ins={"cifar10": "mine"}, studies=["techniques"])
    assert named(plan, "techniques/resnet18_adam/corrected") == {"stand-in: mine for CIFAR-10": "data"}
    absent = {"oxford17": {"files": {"datasplits.mat": "absent"}}}
    plan = changed("paper", datasets=absent, studies=["flowers"])
    assert named(plan, "flowers/resnet18_scratch/corrected") == {"data: a split of our own for the makers'": "data"}


def test_an_arm_that_paper_does_not_run_departs_by_all() -> None:
    arm = {"note": "a higher rate", "recipe": {"lr": 0.2}}
    plan = changed("demo", experiments={"techniques/resnet18_plain": {"arms": {"mine": arm}}})
    for key in ("techniques/resnet18_plain/mine", "flowers/vit_on102/corrected"):
        assert named(plan, key) == {"no such experiment in preset paper": "experiment"}


def test_an_own_study_is_laid_beside_its_own_file() -> None:
    own = {
        "own_studies": ["examples/studies/own_images.yaml"],
        "own_datasets": {"mine": {"layout": "folders", "folder": "pictures"}},
        "studies": ["own_images"],
    }
    plan = changed("mini", **own)
    keys = [e.key for e in plan.experiments]
    assert keys and all(named(plan, key) == {} for key in keys)
    first = plan.experiments[0]
    plan = changed("mini", **own, experiments={f"own_images/{first.name}": {"recipe": {"batch_size": 8}}})
    assert named(plan, first.key) == {f"batch_size: 8 for {first.recipe.batch_size}": "recipe"}


@pytest.mark.parametrize("preset", ["demo", "mini"])
def test_no_network_is_called_what_it_is_not(preset: str) -> None:
    """A published name stands in a title by itself, or as what another network is for."""
    plan = unchanged(preset)
    small = 0
    for e in plan.experiments:
        words = [w for w, kind in named(plan, e.key).items() if kind == "network"]
        if words or ((reference := plan.paper.reference(e)) and reference.model.arguments != e.model.arguments):
            small += 1
            assert e.network and e.network not in e.title.replace(f"(for {e.network})", ""), e.title
    assert small > 20
    for figures in plan.figures.values():
        for figure in figures:
            assert "{" not in figure.title
    titles = {figure.name: figure.title for figure in plan.figures["flowers"]}
    built = {"demo": "ViT, 4 blocks of 64", "mini": "vit_small_patch14_dinov2"}[preset]
    assert titles["frozen_blocks"] == f"Accuracy of {built} (for ViT-B/16) against frozen blocks"


def test_first_weights_are_called_what_they_are() -> None:
    title = {
        preset: unchanged(preset).find("normalization", "cifar10_b16_ln_in21k", "corrected").title
        for preset in ("demo", "paper")
    }
    assert "from weights of our own" in title["demo"] and "ImageNet" not in title["demo"]
    assert title["paper"] == "ViT-B/16, layer normalisation, from ImageNet-21k, CIFAR-10"


def test_a_tick_by_model_says_what_was_built() -> None:
    plan = unchanged("demo")
    entries = plan.description("normalization")["entries"]
    said = {e["values"]["model.name"] for e in entries if "model.name" in e["values"]}
    assert said == {"ViT, 4 blocks of 64"}


def test_the_page_of_a_demo_knows_that_all_is_rendered() -> None:
    assert all(unchanged("demo").description(study)["rendered"] for study in unchanged("demo").studies)
    assert not any(unchanged("mini").description(study)["rendered"] for study in unchanged("mini").studies)
    mine = {"layout": "folders", "folder": "pictures"}
    plan = changed("demo", own_datasets={"mine": mine}, stand_ins={"tiny_imagenet": "mine"})
    assert not plan.description("tiny_imagenet")["rendered"] and plan.description("flowers")["rendered"]
