"""What a batch asks of a GPU: operations against counts by other means, and the time that the longest bound gives."""

import math

import pytest
import torch
from torch import nn

from florilegium.config.data import Model
from florilegium.config.study import Card
from florilegium.estimation.hours import AROUND, CASTS, RANGES, kind_of, seconds
from florilegium.estimation.kernels import Kernels, Network, build, kernels_of
from florilegium.evaluation import cost
from florilegium.models import registry
from tests.helpers.h200 import measured, network

SIDES = (608, 1024)


def operations(net: Network, *, trains: bool = False) -> float:
    return kernels_of(net, 1, trains=trains).operations


def macs_by_layer(net: nn.Module, height: int, width: int) -> dict[nn.Module, int]:
    """Each convolution's output values, times what it adds up for one of them."""
    found: dict[nn.Module, int] = {}

    def add(layer: nn.Conv2d, given: object, out: torch.Tensor) -> None:
        each = layer.in_channels // layer.groups * math.prod(layer.kernel_size)
        found[layer] = found.get(layer, 0) + out.numel() * each

    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(add)
    with torch.no_grad():
        net(torch.empty(1, 3, height, width, device="meta"))
    return found


def test_a_detector_costs_what_its_layers_add_up_to():
    with torch.device("meta"):
        built = registry.build(Model(name="retinanet_resnet50"), 5)
    by_layer = macs_by_layer(built.eval(), *SIDES)
    net = network("retinanet_resnet50", 5, SIDES)
    assert operations(net) == 2 * sum(by_layer.values())
    # Backwards each layer takes twice as much, but for the first, which has no gradient to hand on to the image.
    first = by_layer[built.backbone.conv1]
    assert operations(net, trains=True) == 2 * (3 * sum(by_layer.values()) - first)


def test_a_detector_costs_what_is_published_of_it():
    """MMDetection's documentation: 239.32 G multiply-accumulates for 80 classes at 1280 x 800."""
    assert operations(network("retinanet_resnet50", 80, (800, 1280))) == pytest.approx(2 * 239.32e9, rel=0.005)


def test_attention_is_counted_as_the_metrics_of_a_run_count_it_and_never_written_down():
    wide = network("vit_tiny_patch16_224", 5, (128, 128), img_size=128, patch_size=2, depth=1)
    model = Model(name="vit_tiny_patch16_224", arguments={"img_size": 128, "patch_size": 2, "depth": 1})
    assert operations(wide) == 2 * cost.size(registry.build(model, 5), 128, 128)["macs"]
    matrix = 3 * (64 * 64 + 1) ** 2  # heads x tokens x tokens
    assert kernels_of(wide, 1, trains=False).numbers < matrix


def test_what_is_frozen_has_no_backward_pass():
    model = '{"name": "vit_tiny_patch16_224", "arguments": {"img_size": 32, "depth": 2}}'
    forward = operations(Network(model, 5, 32, 32))
    probe = operations(Network(model, 5, 32, 32, frozen=("backbone",)), trains=True)
    assert probe == forward + 2 * 192 * 5  # the head's own weights
    half = operations(Network(model, 5, 32, 32, frozen_blocks=1), trains=True)
    assert probe < half < operations(Network(model, 5, 32, 32), trains=True)


def test_half_of_an_acgan_draws():
    whole, half = (network("acgan", 10, (32, 32), part) for part in ("whole", "generator"))
    built = build(whole.model, 10, (), 0)
    shapes = [(128, 4 * 4 * 256, 1)] + [(a * 16, b, s * s) for a, b, s in ((256, 128, 4), (128, 64, 8), (64, 64, 16))]
    shapes.append((64 * 9, 3, 32 * 32))
    assert built.generator.first.out_features == shapes[0][1]
    # A transposed convolution spreads each of its inputs over 4 x 4 outputs.
    assert operations(half) == 2 * sum(math.prod(shape) for shape in shapes)
    assert operations(half) < operations(whole) / 2


CARD = Card(
    name="a card",
    teraflops_16bit=100.0,
    teraflops_tf32=50.0,
    teraflops_32bit=10.0,
    terabytes=1.0,
    launch_microseconds=10.0,
)


def test_a_step_takes_as_long_as_its_longest_bound():
    def took(precision: str = "fp32", trains: bool = False, **kernels: float) -> float:
        return seconds(Kernels(**kernels), CARD, precision, trains=trains)

    assert took(numbers=1e12) == 4 and took("bf16", numbers=1e12) == 2
    assert took(launches=1000) == pytest.approx(0.010)
    assert took(launches=1000, trains=True) == pytest.approx((1000 + AROUND) * 1e-5)
    assert took("fp16", launches=1000) == pytest.approx(1000 * CASTS * 1e-5)
    assert took(products=62e12) == pytest.approx(10) and took(convolutions=19e12) == pytest.approx(2)
    assert took("auto", products=26e12) == pytest.approx(1) and took("bf16", convolutions=16e12) == pytest.approx(1)
    both = took(products=62e12, convolutions=19e12, numbers=1e12, launches=1000)
    assert both == pytest.approx(12)


@pytest.mark.parametrize("kind", RANGES)
def test_the_range_is_that_of_all_that_was_measured(kind):
    """Neither narrower than the measurements, nor wide enough to hold whatever comes."""
    ratios = {one.name: one.ratio for one in measured() if one.kind == kind}
    low, high = min(ratios.values()), max(ratios.values())
    assert len(ratios) >= 3
    assert RANGES[kind] == pytest.approx((math.floor(low * 20) / 20, math.ceil(high * 20) / 20)), ratios


def test_a_classifier_is_of_the_kind_that_most_of_its_operations_are():
    assert kind_of("classification", Kernels(products=2, convolutions=1)) == "transformer"
    assert kind_of("classification", Kernels(products=1, convolutions=2)) == "convolutional"
    assert kind_of("detection", Kernels(products=2)) == "detector"
