"""What does not train."""

import pytest
import torch
from torch import nn

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.models import registry
from florilegium.models.freeze import freeze, train_mode


def build(name: str, n_classes: int = 17) -> nn.Module:
    """The network, without its weights."""
    with torch.device("meta"):
        return registry.build(Model(name=name), n_classes)


def frozen(name: str, n_classes: int = 17, **changes: object) -> nn.Module:
    network = build(name, n_classes)
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


@pytest.mark.parametrize(
    ("name", "total", "probe"),
    [
        ("vit_large_patch16_384", 303_895_752, 205_000),
        ("cait_s36_384", 68_058_632, 77_000),
        ("deit_base_distilled_patch16_384", 86_399_632, 307_600),
        ("swin_large_patch4_window12_384", 195_505_916, 307_400),
    ],
)
def test_a_linear_probe_trains_the_heads_alone(name: str, total: int, probe: int):
    """The networks of study 2 with 200 classes: DeiT has two heads."""
    network = frozen(name, 200, freeze=["backbone"])
    assert sum(p.numel() for p in network.parameters()) == total
    assert trainable(network) == probe


@pytest.mark.parametrize("name", ["resnet18", "tiny_vit_5m_224", "seresnet50", "norm_vit_b32"])
def test_the_head_is_known_in_every_family(name: str):
    network = frozen(name, freeze=["backbone"])
    head = network.get_classifier()
    assert trainable(network) == sum(p.numel() for p in head.parameters()) == 17 * (head.in_features + 1)


@pytest.mark.parametrize("name", ["resnet18", "seresnet50"])
def test_a_residual_network_freezes_its_stem_with_the_first_stage(name: str):
    assert frozen_names(frozen(name, freeze_blocks=2)) == {"conv1", "bn1", "layer1", "layer2"}


def test_tinyvit_freezes_stages_alone():
    network = frozen("tiny_vit_5m_224", freeze_blocks=2)
    assert frozen_names(network, depth=2) == {"stages.0", "stages.1"}


@pytest.mark.parametrize(
    ("blocks", "names"),
    [
        (4, {"conv_stem", "bn1", "blocks.0", "blocks.1", "blocks.2", "blocks.3"}),
        (7, {"conv_stem", "bn1", *(f"blocks.{k}" for k in range(7)), "conv_head", "bn2"}),
    ],
)
def test_an_efficientnet_freezes_its_seven_stages_with_stem_and_end(blocks: int, names: set[str]):
    frozen_network = frozen("tf_efficientnet_lite0", freeze_blocks=blocks)
    own = {name for name, _ in frozen_network.named_parameters() if name.startswith("blocks")}
    found = frozen_names(frozen_network) - {"blocks"} | (frozen_names(frozen_network, depth=2) & names)
    assert found == names
    assert len({name.split(".")[1] for name in own}) == 7


@pytest.mark.parametrize(("name", "blocks"), [("cait_xxs24_224", 24 + 2), ("xcit_nano_12_p16_224", 12 + 2)])
def test_class_attention_counts_among_the_blocks(name: str, blocks: int):
    network = frozen(name, freeze_blocks=blocks)
    assert {n for n, p in network.named_parameters() if p.requires_grad} == {"head.weight", "head.bias"}


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


def test_the_head_of_a_network_that_cannot_tell_it_is_not_guessed():
    with pytest.raises(UserError, match=r"recipe\.freeze: backbone: the head of Sequential is not known"):
        freeze(nn.Sequential(nn.Linear(2, 2)), Recipe(epochs=1, freeze=["backbone"]))


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
        ("resnet18", {"freeze": ["backbon"]}, r"unknown module 'backbon', did you mean 'backbone'"),
        ("norm_vit_b32", {"freeze_blocks": 13}, r"freeze_blocks = 13: NormViT has 12 blocks; give at most 12"),
        ("resnet18", {"freeze_blocks": 4, "freeze": ["fc"]}, r"no parameter is left to train"),
    ],
)
def test_what_cannot_be_frozen_is_told_in_a_sentence(name: str, changes: dict, sentence: str):
    with pytest.raises(UserError, match=sentence):
        frozen(name, **changes)
