"""Parts of epochs and of images, against whole numbers: none is lost to binary fractions."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from florilegium.config.data import Model
from florilegium.config.recipes import DetectionRecipe, Recipe
from florilegium.core.system import twelve_digits
from florilegium.data.labels import carve
from florilegium.data.load import held_out, with_generated
from florilegium.models import registry
from tests.helpers.training import splits


def half_even(numerator: int, denominator: int) -> int:
    """The whole number nearest to a fraction, of two the even one, in whole numbers alone."""
    low, rest = divmod(numerator, denominator)
    return low + (2 * rest > denominator or (2 * rest == denominator and low % 2))


def test_whole_parts_of_hundredths_are_those_of_whole_numbers():
    for percent in range(101):
        for epochs in range(1, 301):
            assert int(twelve_digits(percent / 100 * epochs)) == percent * epochs // 100
            assert round(twelve_digits(percent / 100 * epochs)) == half_even(percent * epochs, 100)


@pytest.mark.parametrize("epochs", [7, 50, 100, 180])
def test_averaging_begins_after_the_epochs_that_were_asked_for(epochs):
    for percent in range(1, 100):
        recipe = Recipe(epochs=epochs, select="last", swa_start=percent / 100)
        assert recipe.averaged_from() == percent * epochs // 100


def test_milestones_that_are_parts_of_the_epochs_are_the_epochs_meant():
    for epochs in (30, 72, 100):
        for percent in range(1, 99):
            recipe = DetectionRecipe(epochs=epochs, schedule="step", relative_milestones=[percent / 100])
            assert recipe.milestones[0] * 100 == pytest.approx(percent * epochs, abs=1e-9)
            assert math.ceil(recipe.milestones[0]) == -(-percent * epochs // 100)


@pytest.mark.parametrize(("part", "count"), [(0.35, 90), (0.57, 50), (0.07, 50), (0.29, 50), (0.145, 100)])
def test_as_many_images_are_held_out_and_drawn_as_were_asked_for(part, count):
    table = pd.DataFrame({"image": [f"i{k}" for k in range(count)], "class": "a"})
    expected = half_even(round(part * 1000) * count, 1000)
    assert len(held_out(table, part, set())) == expected
    drawn = carve(dict.fromkeys(table["image"], "a"), {"test": part}, where="here")
    assert list(drawn.values()).count("test") == expected


def test_as_many_generated_images_are_added_as_were_asked_for(tmp_path):
    np.save(tmp_path / "samples.npy", np.zeros((60, 8, 8, 3), np.uint8))
    table = pd.DataFrame({"sample": range(60), "class": np.repeat(["a", "b", "c"], 20)})
    table.to_csv(tmp_path / "samples.csv", index=False)
    more = with_generated(splits(train=90), tmp_path / "samples.npy", 0.35)
    assert len(more.train) - 90 == 32  # 31.5, and binary fractions make it 31.499999999999996


def test_a_layer_is_as_wide_as_was_asked_for():
    sizes = {"img_size": 8, "patch_size": 4, "embed_dim": 100, "depth": 1, "num_heads": 2, "mlp_ratio": 0.29}
    with torch.device("meta"):
        network = registry.build(Model(name="norm_vit", arguments=sizes), 2)
    assert network.blocks[0].mlp.fc1.out_features == 29
