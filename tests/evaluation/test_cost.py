"""Parameters and multiply-accumulates against sums over layers."""

from pathlib import Path

import pytest
import torch

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.evaluation import cost
from florilegium.models import registry
from florilegium.models.freeze import freeze


def build(name: str, n_classes: int, **arguments: object):
    with torch.device("meta"):
        return registry.build(Model(name=name, arguments=arguments), n_classes)


def resnet18_macs() -> int:
    stem = 112**2 * 64 * 3 * 7**2
    first = 4 * 56**2 * 64 * 64 * 9
    later = 0
    for side, width in ((28, 128), (14, 256), (7, 512)):
        halving = side**2 * (width // 2) * width * 9 + side**2 * (width // 2) * width
        later += halving + 3 * side**2 * width**2 * 9
    return stem + first + later + 512 * 1000


def vit_macs(tokens: int, width: int, depth: int, patch: int, n_classes: int) -> int:
    products = 3 * width + width + 2 * 4 * width  # queries, keys and values; projection; two layers of the MLP
    block = tokens * width * products + 2 * tokens**2 * width
    return (tokens - 1) * patch**2 * 3 * width + depth * block + width * n_classes


def test_a_residual_network():
    size = cost.size(build("resnet18", 1000), 224, 224)
    assert size == {
        "params": 11_689_512,
        "params_trainable": 11_689_512,
        "macs": resnet18_macs(),
        "params_per_class": 512 + 1,
        "buffer_bytes": 0,  # a checkpoint holds the statistics of its normalisation
    }
    assert size["macs"] == 1_814_073_344


def test_a_transformer_with_the_products_of_its_attention():
    size = cost.size(build("vit_base_patch16_224", 17), 224, 224)
    assert size["params"] == 85_811_729
    assert size["macs"] == vit_macs(197, 768, 12, 16, 17)


@pytest.mark.parametrize("norm", ["ln", "rescale"])
def test_a_transformer_of_study_3(norm: str):
    size = cost.size(build("norm_vit_b16", 10, norm=norm), 224, 224)
    assert size["macs"] == vit_macs(197, 768, 12, 16, 10)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("vit_large_patch16_384", 190.7e9),
        ("cait_s36_384", 48.0e9),
        ("deit_base_distilled_patch16_384", 55.5e9),
        ("swin_large_patch4_window12_384", 103.9e9),
    ],
)
def test_what_study_2_calls_flops(name: str, published: float):
    """Its figures are of other code, and rounded; ours agree with them to a hundredth."""
    assert cost.size(build(name, 200), 384, 384)["macs"] == pytest.approx(published, rel=0.01)


def test_what_is_frozen_still_costs_but_does_not_train():
    network = build("resnet18", 17)
    before = cost.size(network, 64, 64)
    freeze(network, Recipe(epochs=1, freeze_blocks=4))
    after = cost.size(network, 64, 64)
    assert after["params_trainable"] == 512 * 17 + 17
    assert (after["params"], after["macs"]) == (before["params"], before["macs"])


def test_measuring_leaves_the_weights_as_they_are():
    network = registry.build(Model(name="resnet18", arguments={"channels": [4, 4, 4, 4]}), 3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    cost.size(network, 32, 32)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux for the same figure")
def test_peak_memory_is_what_the_system_says():
    lines = Path("/proc/self/status").read_text().splitlines()
    kibibytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    assert cost.peak_memory_bytes(torch.device("cpu")) == pytest.approx(1024 * kibibytes, rel=0.05)
