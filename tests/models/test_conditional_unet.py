"""Study 4's U-Net: its size by hand, what its parts compute by other means, and what it cannot be built with."""

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from florilegium.config.data import Model
from florilegium.config.recipes import GenerationRecipe
from florilegium.core.errors import UserError
from florilegium.models import registry
from florilegium.models.checks import check_steps
from florilegium.models.conditional_unet import ConditionalUnet, Double, Halve, PixelAttention, step_table
from florilegium.plan.project import load_plan

PROJECT = Path(__file__).resolve().parents[2]


def slim(**changes: object) -> ConditionalUnet:
    torch.manual_seed(0)
    keys = {"image_size": 8, "channels": [8, 16], "layers_per_block": 1, "groups": 4, "timesteps": 20}
    return ConditionalUnet(3, **keys | changes).eval()


def seen(network: ConditionalUnet, step: int, label: int) -> torch.Tensor:
    image = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return network(image, torch.tensor([step]), torch.tensor([label]))


@pytest.mark.parametrize("arm", ["corrected", "as_published"])
def test_both_arms_have_the_parameters_of_the_study_s_network(arm):
    """Counted in the study's code, for ten classes and 500 steps."""
    e = load_plan(PROJECT, {"preset": "paper", "studies": ["generation"]}).find("generation", "diffusion", arm)
    check_steps(e.model, e.recipe)
    with torch.device("meta"):
        network = registry.build(e.model, 10, dropout=e.recipe.dropout)
    assert sum(p.numel() for p in network.parameters()) == 47_700_611


def test_parts_have_the_parameters_that_a_sum_by_hand_has():
    def convolution(before: int, after: int, side: int) -> int:
        return before * after * side * side + after

    def block(before: int, after: int, *, attends: bool) -> int:
        own = convolution(before, after, 3) + convolution(after, after, 3) + 2 * before + 2 * after
        told = 2 * (32 * after + after)
        shortcut = 0 if before == after else convolution(before, after, 1)
        return own + told + shortcut + attends * (4 * convolution(after, after, 1) + 2 * after)

    embeddings = 20 * 8 + 4 * 8 + 2 * (8 * 32 + 32 + 32 * 32 + 32)
    ends = convolution(3, 8, 3) + convolution(8, 3, 3) + 2 * 8
    down = block(8, 8, attends=False) + block(8, 16, attends=True)
    middle = block(16, 16, attends=True) + block(16, 16, attends=False)
    up = [(16 + 16, 16), (16 + 8, 16), (16 + 8, 8), (8 + 8, 8)]
    sides = convolution(8, 8, 3) + convolution(8, 8, 5) + convolution(16, 16, 3) + convolution(16, 16, 5)
    expected = embeddings + ends + down + middle + sum(block(*b, attends=False) for b in up) + sides
    assert sum(p.numel() for p in slim(attention=[1]).parameters()) == expected


def test_the_table_begins_with_sines_and_cosines_and_is_learned():
    table = step_table(7, 6).weight
    expected = [[wave(t * 10_000 ** (-2 * k / 6)) for k in range(3) for wave in (math.sin, math.cos)] for t in range(7)]
    torch.testing.assert_close(table.detach(), torch.tensor(expected))
    assert table.requires_grad


def test_what_it_sees_depends_on_the_step_and_the_class():
    network = slim()
    here = seen(network, 3, 1)
    assert not torch.allclose(here, seen(network, 4, 1), atol=1e-5)
    assert not torch.allclose(here, seen(network, 3, 2), atol=1e-5)
    assert torch.equal(here, seen(network, 3, 1)) and here.shape == (1, 3, 8, 8)


def test_no_class_is_zero_and_is_never_learned():
    network = slim()
    entries = network.classes[0].weight
    seen(network, 3, network.hidden_class).sum().backward()
    assert not entries[network.hidden_class].any() and not entries.grad.any()
    seen(network, 3, 1).sum().backward()
    assert entries.grad[1].any() and not entries.grad[network.hidden_class].any()


def test_attention_is_a_softmax_over_all_pixels_in_one_head():
    torch.manual_seed(0)
    part, x = PixelAttention(8, 4), torch.randn(2, 8, 3, 3)
    normed = F.group_norm(x, 4, part.norm.weight, part.norm.bias)
    q, k, v = (of(normed).reshape(2, 8, 9) for of in (part.query, part.key, part.value))
    weights = torch.softmax(torch.einsum("bci,bcj->bij", q, k) / math.sqrt(8), -1)
    mixed = torch.einsum("bij,bcj->bci", weights, v).reshape(2, 8, 3, 3)
    torch.testing.assert_close(part(x), x + part.out(mixed), atol=1e-5, rtol=1e-4)


def test_a_level_is_halved_and_doubled():
    x = torch.randn(1, 4, 8, 8)
    assert Halve(4)(x, x, x).shape == (1, 4, 4, 4) and Double(4)(x, x, x).shape == (1, 4, 16, 16)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"image_size": 30}, r"image_size = 30 cannot be halved 3 times"),
        ({"attention": [4]}, r"no level 4 of 4"),
        ({"channels": [48, 64]}, r"divisible"),
        ({"channels": [7, 14], "groups": 7}, r"the first, 7, is odd"),
        ({"chanels": [32]}, r"chanels"),
    ],
)
def test_networks_that_cannot_be_built(keys, said):
    with pytest.raises(UserError, match=f"model.arguments: diffusion_unet(:| cannot be built).*{said}"):
        registry.build(Model(name="diffusion_unet", arguments=keys), 10)


def test_more_steps_than_the_table_has_are_told_before_anything_is_trained():
    recipe = GenerationRecipe.model_validate({"epochs": 1, "timesteps": 1000})
    with pytest.raises(UserError, match=r"^recipe.timesteps = 1000: .* 500 steps apart; set model\.arg"):
        check_steps(Model(name="diffusion_unet"), recipe)
    check_steps(Model(name="diffusion_unet", arguments={"timesteps": 1000}), recipe)
    check_steps(Model(name="acgan"), recipe)
