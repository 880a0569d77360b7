"""What networks are tested on: timm's own transforms for the published weights, and what recipes say instead."""

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from florilegium.config.base import parse, read_yaml
from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.data.augment import EvalTransform
from florilegium.models import registry
from florilegium.models.trained import input_of
from florilegium.plan.project import load_plan

PROJECT = Path(__file__).resolve().parents[2]
PARTS = {
    "resnet18.a1_in1k": 0.95,
    "resnet18.tv_in1k": 0.875,
    "seresnet50.a1_in1k": 0.95,
    "tiny_vit_5m_224.dist_in22k_ft_in1k": 0.95,
    "vit_base_patch16_224.orig_in21k_ft_in1k": 0.9,
    "vit_base_patch16_224.augreg2_in21k_ft_in1k": 0.9,
    "deit_base_distilled_patch16_384.fb_in1k": 1.0,
    "swin_large_patch4_window12_384.ms_in22k_ft_in1k": 1.0,
    "volo_d5_512.sail_in1k": 1.0,
}


def config_of(name: str, **keys: object):
    return registry.input_config(Model(name=name), Recipe.model_validate({"epochs": 1} | keys))


def picture(side: int) -> Image.Image:
    """Waves and hard edges, so that a shift of half a pixel or a wrong part shows."""
    y, x = np.mgrid[:side, :side] / side
    waves = np.stack([np.sin(31 * x + 5 * y), np.cos(23 * y - 7 * x), np.sin(40 * x * y)], axis=-1)
    levels = 127.5 + 90 * waves + 30 * np.sign(np.sin(12 * x) * np.sin(15 * y))[..., None]
    return Image.fromarray(levels.clip(0, 255).round().astype(np.uint8))


@pytest.mark.parametrize("name", PARTS)
def test_a_network_of_timm_is_tested_on_the_part_that_it_was_published_with(name):
    assert config_of(name).crop_pct == PARTS[name]


@pytest.mark.parametrize("stored", [256, 300, 232, 180])
@pytest.mark.parametrize("name", list(PARTS)[:6])
def test_images_are_prepared_as_timm_prepares_them(name, stored):
    """By the transform that timm makes of the weights' configuration, an odd margin and an enlargement among them."""
    image, config = picture(stored), config_of(name)
    theirs = timm.data.resolve_model_data_config(
        {}, pretrained_cfg=timm.models.get_pretrained_cfg(name).to_dict(), use_test_size=False
    )
    expected = timm.data.create_transform(**theirs, is_training=False)(image)
    found = EvalTransform(config)(torch.from_numpy(np.asarray(image).copy())[None])[0]
    assert found.shape == expected.shape
    levels = (found - expected).abs() * 255 * torch.tensor(config.std)[:, None, None]
    assert levels.max() <= 2.01 and levels.mean() < 0.1


def test_a_recipe_may_say_another_part():
    assert config_of("resnet18.a1_in1k", crop_pct=0.875).crop_pct == 0.875
    assert config_of("norm_vit_b16").crop_pct == config_of("cifar_resnet18").crop_pct == 1.0
    for wrong in (0.0, -0.5, 1.5):
        with pytest.raises(UserError, match=rf"recipe: crop_pct = {wrong}"):
            parse(Recipe, {"epochs": 1, "crop_pct": wrong}, "recipe")


@pytest.mark.parametrize(("study", "expected"), [("flowers", 0.875), ("tiny_imagenet", 1.0), ("normalization", 1.0)])
def test_the_studies_keep_the_part_that_they_tested_on(study, expected):
    """mmpretrain's 256 and 224 in study 1; the whole image in studies 2 and 3."""
    plan = load_plan(PROJECT, {**read_yaml(PROJECT / "config.yaml"), "preset": "paper"})
    assert {registry.input_config(e.model, e.recipe).crop_pct for e in plan.of(study)} == {expected}


def test_a_receipt_says_the_part_and_is_read_back():
    config = config_of("resnet18.a1_in1k")
    written = json.loads(json.dumps({"input": vars(config)}))
    assert input_of(written) == config
    del written["input"]["crop_pct"]
    with pytest.raises(KeyError, match="crop_pct"):
        input_of(written)


def test_cached_features_depend_on_the_part_and_a_finder_on_it_only_where_it_crops_the_centre():
    plan = load_plan(PROJECT, {**read_yaml(PROJECT / "config.yaml"), "preset": "paper"})
    for key, part in (("flowers/lite0_probe_split1/corrected", 0.875), ("tiny_imagenet/vit_l/probe_cached", 1.0)):
        assert plan.features_spec(plan.find(*key.split("/")))["recipe"]["crop_pct"] == part
    assert "crop_pct" not in Recipe(epochs=1, crop_pct=0.9).finder_uses()
    assert Recipe(epochs=1, crop_pct=0.9, crop="centre").finder_uses()["crop_pct"] == 0.9
