"""Attributions equal values worked out by hand, add up where they must, and orders of pixels are judged rightly."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.config.data import Model
from florilegium.config.products import METHODS as KNOWN
from florilegium.config.products import Attribution
from florilegium.core.errors import UserError
from florilegium.explanation.attention import rollout
from florilegium.explanation.attribution import METHODS, PoolByReLU, Subject, Unfit, explicit, last_stage
from florilegium.explanation.interpretation import POINTS, area, blurred, choose, curves, ranks
from florilegium.models import registry
from florilegium.report.scores import summarise

SIDE = 8


class Linear(nn.Module):
    """Two logits: the sum of weights times pixels, and nothing."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, images: Tensor) -> Tensor:
        score = self.inside(images * self.weights).sum((1, 2, 3))
        return torch.stack([score, torch.zeros_like(score)], 1)

    def inside(self, products: Tensor) -> Tensor:
        return products


class Quadratic(Linear):
    def inside(self, products: Tensor) -> Tensor:
        return products**2


@pytest.fixture
def image() -> Tensor:
    return torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def weights() -> Tensor:
    return torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def subject(network: nn.Module, side: int = SIDE, steps: int = 20) -> Subject:
    background = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(2))
    return Subject(network.eval(), background, steps)


def built(name: str, side: int = 32, **arguments: object) -> tuple[Subject, Tensor]:
    """A network whose normalisation has statistics of its own, and an image for it."""
    torch.manual_seed(0)
    network = registry.build(Model(name=name, arguments=arguments), 5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
            module.bias.data.normal_(0, 0.1)
    return subject(network, side), torch.randn(1, 3, side, side)


RESNET = ("resnet18", {"layers": [1, 1, 1, 1], "channels": [4, 8, 8, 8]})
CIFAR = ("cifar_resnet18", {"blocks": [1, 1, 1, 1], "widths": [4, 4, 8, 8]})
VIT = ("vit_tiny_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2})
SWIN = {"img_size": 32, "window_size": 4, "depths": [1, 1], "num_heads": [1, 1], "embed_dim": 16}


def test_every_method_of_the_settings_is_there():
    assert tuple(METHODS) == KNOWN


def test_a_linear_score_is_its_products(image: Tensor, weights: Tensor):
    of = subject(Linear(weights))
    expected = (weights * image[0]).sum(0)
    for method in ("integrated_gradients", "deeplift"):
        found = METHODS[method](of, image, 0)
        torch.testing.assert_close(found.values.float(), expected, atol=1e-4, rtol=1e-4)
        assert found.gap < 1e-4 and found.difference == pytest.approx(float(expected.sum()), abs=1e-4)
    largest = weights.abs().amax(0)
    torch.testing.assert_close(METHODS["saliency"](of, image, 0).values, largest)
    torch.testing.assert_close(METHODS["smoothgrad"](of, image, 0).values, largest)


def test_gradient_shap_of_a_linear_score_compares_with_the_background(image: Tensor, weights: Tensor):
    torch.manual_seed(0)
    np.random.seed(0)
    of = Subject(Linear(weights), torch.full((1, 3, SIDE, SIDE), 0.5), steps=30)
    found = METHODS["gradient_shap"](of, image, 0)
    torch.testing.assert_close(found.values.float(), (weights * (image[0] - 0.5)).sum(0), atol=1e-4, rtol=1e-4)
    assert found.gap < 1e-3


def test_integrated_gradients_of_a_square_are_exact(image: Tensor, weights: Tensor):
    """The integral of 2 a w² x² over a from 0 to 1 is w² x²; few points of Gauss and Legendre's give it."""
    of = subject(Quadratic(weights), steps=2)
    found = METHODS["integrated_gradients"](of, image, 0)
    torch.testing.assert_close(found.values.float(), (weights * image[0]).pow(2).sum(0), atol=1e-4, rtol=1e-4)
    assert found.gap < 1e-3
    saliency = METHODS["saliency"](of, image, 0).values
    torch.testing.assert_close(saliency, (2 * weights**2 * image[0]).abs().amax(0))


def test_points_are_doubled_until_the_gap_is_small():
    of, image = built(CIFAR[0], **CIFAR[1])
    found = METHODS["integrated_gradients"](replace(of, steps=25), image, 1)
    assert found.gap <= 0.01 * abs(found.difference)
    assert METHODS["integrated_gradients"](replace(of, steps=1), image, 1).gap > found.gap


def test_occlusion_is_the_mean_fall_of_the_windows_that_hold_a_pixel():
    """Only the pixel in the corner counts. Windows are 2 x 2 and one pixel apart: one holds the corner, two the
    pixels beside it, four the one across."""
    weights = torch.zeros(3, SIDE, SIDE)
    weights[:, 0, 0] = 1.0
    image = torch.full((1, 3, SIDE, SIDE), 2.0)
    found = METHODS["occlusion"](subject(Linear(weights)), image, 0).values
    expected = torch.zeros(SIDE, SIDE)
    expected[0, 0], expected[0, 1], expected[1, 0], expected[1, 1] = 6, 3, 3, 1.5
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("name", "arguments"), [RESNET, CIFAR])
def test_deeplift_adds_up_where_relus_work_in_place_or_twice_and_maxima_overlap(
    name: str, arguments: dict[str, object]
):
    of, image = built(name, **arguments)
    found = METHODS["deeplift"](of, image, 1)
    assert found.gap < 1e-4 * max(abs(found.difference), 1)
    assert float(found.values.sum()) == pytest.approx(found.difference, abs=1e-4)


def test_deeplift_says_where_it_has_no_rule():
    of, image = built(VIT[0], **VIT[1])
    for parameter in of.network.parameters():
        nn.init.normal_(parameter, std=0.4)
    with pytest.raises(Unfit, match="nonlinearities"):
        METHODS["deeplift"](of, image, 1)


@pytest.mark.parametrize(("name", "arguments"), [RESNET, CIFAR])
def test_a_network_taken_apart_computes_the_same(name: str, arguments: dict[str, object]):
    of, image = built(name, **arguments)
    twin = explicit(of.network, image)
    with torch.inference_mode():
        for _ in range(2):
            torch.testing.assert_close(twin(image), of.network(image))
    assert not any(getattr(module, "inplace", False) for module in twin.modules())
    assert any(getattr(module, "inplace", False) for module in of.network.modules()), "the network was changed"


@pytest.mark.parametrize("pool", [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 2, 1)])
def test_a_maximum_by_relus_is_the_maximum(pool: tuple[int, int, int]):
    images = torch.randn(2, 3, 9, 9) - 2
    plain = nn.MaxPool2d(*pool)
    torch.testing.assert_close(PoolByReLU(plain)(images), plain(images))


def test_grad_cam_of_a_hand_made_net():
    """One stage passes the first channel; the score is its mean, so that the map is the channel over its area."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer4 = nn.Conv2d(3, 1, 1, bias=False)
            self.layer4.weight.data = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)

        def forward(self, images: Tensor) -> Tensor:
            score = self.layer4(images).mean((1, 2, 3))
            return torch.stack([score, -score], 1)

    image = torch.randn(1, 3, 4, 4)
    of = subject(Net(), 4)
    torch.testing.assert_close(METHODS["grad_cam"](of, image, 0).values, image[0, 0].relu() / 16)
    torch.testing.assert_close(METHODS["grad_cam"](of, image, 1).values, (-image[0, 0]).relu() / 16)


def test_the_last_stage_is_the_last_one_with_places():
    of, image = built(RESNET[0], side=64, **RESNET[1])
    assert last_stage(of.network, image) is of.network.layer4
    assert last_stage(of.network, image[..., :32, :32]) is of.network.layer3  # layer4 has 1 x 1 there
    for transformer in (VIT, ("swin_tiny_patch4_window7_224", SWIN)):
        of, image = built(transformer[0], **transformer[1])
        with pytest.raises(Unfit, match="no stages of convolutions"):
            last_stage(of.network, image)


def test_a_rollout_is_that_of_the_attention_stage():
    of, image = built(VIT[0], **VIT[1])
    found = METHODS["attention_rollout"](of, image, 0).values
    expected = rollout(of.network, image, (4, 4))
    torch.testing.assert_close(found, F.interpolate(expected[None], (32, 32), mode="bilinear")[0, 0])
    of, image = built(RESNET[0], **RESNET[1])
    with pytest.raises(Unfit, match="do not attend"):
        METHODS["attention_rollout"](of, image, 0)


def test_deletion_and_insertion_of_a_hand_made_net():
    """A logit of 4 in the upper left quarter's mean, which is one there and nothing in the mean image."""

    class Net(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            score = 4 * images[:, :, :4, :4].mean((1, 2, 3))
            return torch.stack([score, torch.zeros_like(score)], 1)

    image = torch.zeros(1, 3, SIDE, SIDE)
    image[:, :, :4, :4] = 1
    best, worst = image[0, 0], -image[0, 0]
    places = ranks(best, torch.Generator().manual_seed(0))
    deleted, _ = curves(Net(), image, 0, places)
    share = torch.arange(POINTS + 1, dtype=torch.float64) / POINTS
    expected = torch.sigmoid(4 * (1 - 4 * share).clamp(min=0))  # a quarter of the pixels holds it all
    torch.testing.assert_close(deleted, expected, atol=1e-6, rtol=1e-6)
    assert area(deleted) == pytest.approx(float(np.trapezoid(expected, share)))
    _, inserted = curves(Net(), image, 0, places)
    blur = float(blurred(image)[:, :, :4, :4].mean())
    assert inserted[0].item() == pytest.approx(1 / (1 + math.exp(-4 * blur)), abs=1e-6)
    assert inserted[-1].item() == pytest.approx(1 / (1 + math.exp(-4)), abs=1e-6)
    opposite = curves(Net(), image, 0, ranks(worst, torch.Generator().manual_seed(0)))
    assert area(opposite[0]) > area(deleted) + 0.2 and area(opposite[1]) < area(inserted)


def test_ranks_fall_with_scores_and_ties_fall_to_chance():
    scores = torch.tensor([[0.0, 3.0], [2.0, 0.0]])
    found = [ranks(scores, torch.Generator().manual_seed(seed)) for seed in range(8)]
    assert all(places[0, 1] == 0 and places[1, 0] == 1 for places in found)
    assert {int(places[0, 0]) for places in found} == {2, 3}


def predictions(right: int, wrong: int) -> pd.DataFrame:
    rows = [(f"{i:02d}.png", "a", "a" if i < right else "b", 0.5) for i in range(right + wrong)]
    return pd.DataFrame(rows, columns=["image", "target", "prediction", "probability"])


@pytest.mark.parametrize(
    ("there", "asked", "expected"),
    [
        ((8, 8), {"images": 4}, ["00", "08", "04", "12"]),
        ((8, 1), {"images": 4}, ["00", "08", "02", "05"]),
        ((1, 8), {"images": 4}, ["00", "01", "03", "06"]),
        ((3, 0), {"images": 9, "shown": 3}, ["00", "01", "02"]),
        ((8, 8), {"images": 4, "sampled": "wrong"}, ["08", "10", "12", "14"]),
        ((8, 8), {"images": 4, "sampled": "right"}, ["00", "02", "04", "06"]),
        ((8, 8), {"names": [11, "03.png"]}, ["11", "03"]),
    ],
)
def test_right_and_wrong_images_take_turns(there: tuple[int, int], asked: dict[str, object], expected: list[str]):
    found = choose(predictions(*there), Attribution.model_validate({"shown": 1, **asked}))
    assert [name.removesuffix(".png") for name in found["image"]] == expected


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"names": ["rose.png"]}, r"attribution.names: unknown test image 'rose.png'"),
        ({"names": [16]}, r"attribution.names asks for image 16, and there are 16 test images; .* up to 15"),
        ({"sampled": "wrong", "shown": 9}, r"figures of 9 images, .* only 8 wrong images; ask for fewer"),
    ],
)
def test_images_that_are_not_there_are_told_in_a_sentence(asked: dict[str, object], sentence: str):
    with pytest.raises(UserError, match=sentence):
        choose(predictions(8, 8), Attribution.model_validate(asked))


def test_scores_are_means_with_intervals_and_paired_gains():
    areas = {"saliency": (0.1, 0.3), "random_pixels": (0.4, 0.7), "random_squares": (0.6, 0.8)}
    table = pd.DataFrame(
        [
            {"image": f"{i}.png", "method": method, "deletion": pair[i], "insertion": 1 - pair[i]}
            for i in range(2)
            for method, pair in areas.items()
        ]
    )
    scores = summarise(table).set_index(["measure", "method"])
    row = scores.loc[("deletion", "saliency")]
    half = 12.706205 * 0.1 / 2**0.5 * 2**0.5  # t of one degree of freedom, deviation 0.2 / sqrt 2
    assert row["mean"] == pytest.approx(0.2) and row["against"] == "random_pixels"
    assert row["ci_high"] - row["mean"] == pytest.approx(half, rel=1e-4)
    assert row["gain"] == pytest.approx(0.35) == scores.loc[("insertion", "saliency")]["gain"]
    assert math.isnan(scores.loc[("deletion", "random_pixels")]["gain"])
    assert summarise(table[table["image"] == "0.png"])["ci_low"].isna().all()
