"""What does not train."""

import pytest
import torch
from torch import nn

from florilegium.core.errors import UserError
from florilegium.core.recipe import Recipe
from florilegium.core.spec import Model
from florilegium.models import registry
from florilegium.models.freeze import freeze, train_mode


def build(name: str) -> nn.Module:
    """The network with 17 classes, without its weights."""
    with torch.device("meta"):
        return registry.build(Model(name=name), 17)


def frozen(name: str, **changes: object) -> nn.Module:
    network = build(name)
    freeze(network, Recipe.model_validate({"epochs": 1} | changes))
    return network


def trainable(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def frozen_names(network: nn.Module, depth: int = 1) -> set[str]:
    return {".".join(n.split(".")[:depth]) for n, p in network.named_parameters() if not p.requires_grad}


@pytest.mark.parametrize(
    ("blocks", "parameters"),
    [
        (0, 85_811_729),
        (1, 77_981_201),
        (3, 63_805_457),
        (6, 42_541_841),
        (9, 21_278_225),
        (10, 14_190_353),
        (11, 7_102_481),
        (12, 13_073),
    ],
)
def test_trainable_parameters_of_a_partly_frozen_vit(blocks: int, parameters: int):
    """ViT-B/16 at 224 pixels with mmpretrain's `frozen_stages`: after 12, the head alone is left."""
    assert trainable(frozen("vit_base_patch16_224", freeze_blocks=blocks)) == parameters


@pytest.mark.parametrize("name", ["resnet18", "seresnet50"])
def test_a_residual_network_freezes_its_stem_with_the_first_stage(name: str):
    assert frozen_names(frozen(name, freeze_blocks=2)) == {"conv1", "bn1", "layer1", "layer2"}


def test_tinyvit_freezes_stages_alone():
    network = frozen("tiny_vit_5m_224", freeze_blocks=2)
    assert frozen_names(network, depth=2) == {"stages.0", "stages.1"}


def test_modules_are_frozen_by_name():
    network = frozen("resnet18", freeze=["conv1", "layer4.1", "fc.bias"])
    assert frozen_names(network, depth=2) == {"conv1.weight", "layer4.1", "fc.bias"}


def test_frozen_statistics_stay_and_others_move():
    network = registry.build(Model(name="resnet18", arguments={"channels": [8, 8, 8, 8]}), 3)
    freeze(network, Recipe(epochs=1, freeze_blocks=1))
    train_mode(network)
    before = {name: value.clone() for name, value in network.state_dict().items() if "running_mean" in name}
    network(torch.randn(4, 3, 32, 32))
    after = network.state_dict()
    moved = {name.split(".")[0] for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved == {"layer2", "layer3", "layer4"}


def test_drop_path_of_frozen_transformer_blocks_stays_at_work():
    network = registry.build(
        Model(name="vit_tiny_patch16_224", arguments={"img_size": 32, "depth": 2}), 3, drop_path=0.5
    )
    freeze(network, Recipe(epochs=1, freeze_blocks=2))
    train_mode(network)
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize(
    ("name", "changes", "sentence"),
    [
        ("resnet18", {"freeze": ["layr4"]}, r"recipe\.freeze: unknown module 'layr4', did you mean 'layer4'"),
        ("resnet18", {"freeze_blocks": 5}, r"freeze_blocks = 5: ResNet has 4 blocks; give at most 4"),
        ("vgg11", {"freeze_blocks": 1}, r"order of blocks in VGG is not known; name its modules"),
        ("resnet18", {"freeze_blocks": 4, "freeze": ["fc"]}, r"no parameter is left to train"),
    ],
)
def test_what_cannot_be_frozen_is_told_in_a_sentence(name: str, changes: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        frozen(name, **changes)
