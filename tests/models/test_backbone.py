"""Networks of timm as backbones of a detector."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from florilegium.config.data import Model
from florilegium.core.errors import UserError
from florilegium.models import registry
from florilegium.models.weights import load_detector_weights, save

SLIM = {"pyramid_width": 16, "head_layers": 1}
NARROW = {"channels": [4, 4, 8, 8]}


def detector(backbone: str, arguments: dict[str, Any], **more: object) -> nn.Module:
    torch.manual_seed(1)
    chosen = {"backbone": backbone, "backbone_arguments": arguments, **SLIM, **more}
    model = Model(name="retinanet", arguments=chosen)
    registry.check(model, "detection")
    return registry.build(model, 3)


@pytest.mark.parametrize(
    ("backbone", "arguments"),
    [
        ("resnet18", NARROW),
        ("convnext_atto", {"depths": [1, 1, 1, 1], "dims": [4, 4, 8, 8]}),
        (
            "swin_tiny_patch4_window7_224",
            {"embed_dim": 4, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 1, 1], "strict_img_size": False},
        ),
    ],
)
def test_it_starts_from_a_classifiers_weights_and_answers_for_every_anchor(
    tmp_path: Path, backbone: str, arguments: dict[str, Any]
):
    torch.manual_seed(0)
    published = timm.create_model(backbone, **{k: v for k, v in arguments.items() if k != "strict_img_size"})
    save(published.state_dict(), tmp_path / "published.safetensors")
    network = detector(backbone, arguments).eval()
    load_detector_weights(network, tmp_path / "published.safetensors")
    images = torch.randn(1, 3, 64, 96)
    logits, _ = network(images)
    assert logits.shape == (1, len(network.anchors(images)), 3)
    maps = network.backbone(images)
    assert [tuple(m.shape[2:]) for m in maps] == [(8, 12), (4, 6), (2, 3)]
    state = published.state_dict()
    loaded = [value for key, value in network.backbone.state_dict().items() if key.endswith("weight")]
    assert all(any(torch.equal(value, other) for other in state.values()) for value in loaded)


def test_the_maps_are_those_of_the_classifier(tmp_path: Path):
    published = timm.create_model("resnet18", **NARROW).eval()
    save(published.state_dict(), tmp_path / "published.safetensors")
    network = detector("resnet18", NARROW).eval()
    load_detector_weights(network, tmp_path / "published.safetensors")
    images = torch.randn(1, 3, 64, 96)
    assert torch.allclose(network.backbone(images)[-1], published.forward_features(images), atol=1e-5)


def test_weights_of_another_network_are_refused(tmp_path: Path):
    save(timm.create_model("resnet34", **NARROW, layers=[1, 1, 1, 1]).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"other\.safetensors: lacks maps\."):
        load_detector_weights(detector("resnet18", NARROW), tmp_path / "other.safetensors")


@pytest.mark.parametrize(("other", "more"), [("resnet34", "layer1.2.bn1.bias"), ("seresnet18", "layer1.0.se.fc1.bias")])
def test_weights_of_a_network_that_holds_this_one_and_more_are_refused(tmp_path: Path, other: str, more: str):
    save(timm.create_model(other, **NARROW).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=rf"other\.safetensors: holds unexpected {more}, "):
        load_detector_weights(detector("resnet18", NARROW), tmp_path / "other.safetensors")


def test_statistics_stay_or_move_as_the_norm_says():
    for norm, moves in (("frozen_bn", False), ("bn", True)):
        network = detector("resnet18", NARROW, norm=norm).train()
        before = network.backbone.maps.bn1.running_mean.clone()
        network.class_head.answer.weight.data.normal_()
        network(torch.randn(2, 3, 64, 64) + 5)[0].sum().backward()
        assert torch.equal(network.backbone.maps.bn1.running_mean, before) is not moves
        assert network.backbone.maps.bn1.weight.grad.abs().sum() > 0


def test_group_norm_takes_the_place_of_batch_norm_and_activations_stay():
    with torch.device("meta"):
        changed, plain = (detector("tf_efficientnet_lite0", {}, norm=norm) for norm in ("gn", "bn"))
    kinds, before = ([type(module) for module in network.backbone.modules()] for network in (changed, plain))
    assert kinds.count(nn.GroupNorm) == sum(issubclass(kind, nn.BatchNorm2d) for kind in before) > 0
    assert not any(issubclass(kind, nn.BatchNorm2d) for kind in kinds)
    assert kinds.count(nn.ReLU6) == before.count(nn.ReLU6) > 0


def test_pixels_are_normalised_as_the_backbone_wants_them():
    for backbone, mean in (("tf_efficientnet_lite0", 0.5), ("resnet18", 0.485)):
        model = Model(name="retinanet", arguments={"backbone": backbone})
        assert registry.own_input(model).mean[0] == mean


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, r"^model\.arguments: the key backbone is missing; name a network of timm"),
        (
            {"backbone": "resnet19"},
            r"^model\.arguments\.backbone: unknown network 'resnet19', did you mean 'resnet18'\?; give",
        ),
        (
            {"backbone": "vit_tiny_patch16_224"},
            r"^model\.arguments\.backbone: vit_tiny_patch16_224 has no map of stride 8",
        ),
        (
            {"backbone": "resnet18", "blocks": [1, 1, 1, 1]},
            r"^model\.arguments\.blocks: retinanet takes no such argument",
        ),
        (
            {"backbone": "resnet18", "backbone_arguments": {"num_classes": 3}},
            r"^model\.arguments\.backbone_arguments\.num_classes: is set by the detector",
        ),
        (
            {"backbone": "resnet18", "backbone_arguments": {"chanels": 3}},
            r"^model\.arguments\.backbone: resnet18 gives no maps of features \(.*chanels",
        ),
    ],
)
def test_an_argument_that_does_not_fit_is_named(arguments: dict[str, Any], sentence: str):
    model = Model(name="retinanet", arguments=arguments)
    with pytest.raises(UserError, match=sentence):
        registry.check(model, "detection")
        registry.build(model, 3)


def test_a_residual_network_by_its_own_name_takes_no_backbone():
    with pytest.raises(UserError, match=r"^model\.arguments\.backbone: retinanet_resnet18 takes no such argument"):
        registry.check(Model(name="retinanet_resnet18", arguments={"backbone": "resnet18"}), "detection")
