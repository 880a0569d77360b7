"""A network is called by its published name where it is that network, and by what it is elsewhere."""

from typing import Any

import pytest

from florilegium.config.data import Model
from florilegium.config.networks import is_same, own_size, title_of


def model(name: str, **arguments: Any) -> Model:
    return Model(name=name, arguments=arguments)


VIT, RESNET = model("vit_base_patch16_224.orig_in21k_ft_in1k"), model("resnet18")
CASES = [
    (model("vit_base_patch16_224", depth=4, embed_dim=64), VIT, "ViT-B/16", "ViT, 4 blocks of 64 (for ViT-B/16)"),
    (model("vit_base_patch16_224", depth=1), VIT, "ViT-B/16", "ViT, 1 block (for ViT-B/16)"),
    (model("vit_base_patch16_224", img_size=64), VIT, "ViT-B/16", "ViT-B/16"),
    (model("vit_base_patch16_224"), VIT, "ViT-B/16", "ViT-B/16"),
    (model("vit_base_patch16_224", qkv_bias=False), VIT, "ViT-B/16", "ViT-B/16 with another qkv_bias (for ViT-B/16)"),
    (model("convnext_tiny"), VIT, "ViT-B/16", "convnext_tiny (for ViT-B/16)"),
    (
        model("deit_small_patch16_224", patch_size=14, img_size=98), VIT, "ViT-B/16",
        "deit_small_patch16_224 with patch_size 14 (for ViT-B/16)",
    ),
    (
        model("deit_small_distilled_patch16_224", trained_heads="class"),
        model("deit_base_distilled_patch16_384", trained_heads="class"), "DeiT-B",
        "deit_small_distilled_patch16_224 (for DeiT-B)",
    ),
    (
        model("norm_vit", norm="bn", depth=4, embed_dim=64), model("norm_vit_b16", norm="bn"), "ViT-B/16",
        "ViT, 4 blocks of 64 (for ViT-B/16)",
    ),
    (
        model("resnet18", layers=[1, 1, 1, 1], channels=[16, 32, 64, 192]), RESNET, "ResNet-18",
        "ResNet, widths 16-32-64-192 (for ResNet-18)",
    ),
    (model("resnet18", layers=[1, 1, 1, 1]), RESNET, "ResNet-18", "ResNet, blocks 1-1-1-1 (for ResNet-18)"),
    (
        model("seresnet50", channels=[8, 16]), model("seresnet50"), "SE-ResNet-50",
        "SE-ResNet, widths 8-16 (for SE-ResNet-50)",
    ),
    (
        model("cifar_resnet18", widths=[8, 16]), model("cifar_resnet18"), "ResNet-18",
        "ResNet, widths 8-16 (for ResNet-18)",
    ),
    (
        model("tiny_vit_5m_224", embed_dims=[16, 32], depths=[1, 1]), model("tiny_vit_5m_224"), "TinyViT-5M",
        "TinyViT, widths 16-32 (for TinyViT-5M)",
    ),
    (
        model("swin_large_patch4_window12_384", embed_dim=24, depths=[1, 1]), model("swin_large_patch4_window12_384"),
        "Swin-L", "Swin, blocks 1-1 from 24 channels (for Swin-L)",
    ),
    (
        model("cait_s36_384", embed_dim=64, depth=3), model("cait_s36_384"), "CaiT-S36",
        "CaiT, 3 blocks of 64 (for CaiT-S36)",
    ),
    (
        model("retinanet_resnet18", widths=[16, 32], norm="gn"), model("retinanet_resnet18"), "RetinaNet on ResNet-18",
        "RetinaNet on a ResNet, widths 16-32 (for RetinaNet on ResNet-18)",
    ),
    (
        model("diffusion_unet", image_size=16, channels=[16, 32]), model("diffusion_unet"), "the study's U-Net",
        "U-Net, widths 16-32 (for the study's U-Net)",
    ),
    (model("acgan", width=16), model("acgan"), "ACGAN of width 64", "ACGAN, width 16 (for ACGAN of width 64)"),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "published", "name", "said"), CASES)
def test_names_are_true(ours: Model, published: Model, name: str, said: str) -> None:
    assert title_of(ours, published, name) == said
    assert is_same(ours, published) == (said == name)


def test_without_a_study_to_compare_with_a_name_is_taken_as_it_is() -> None:
    assert title_of(RESNET, None, "my network") == "my network"


@pytest.mark.parametrize(
    ("of", "size"),
    [(VIT, 224), (model("deit_base_distilled_patch16_384.fb_in1k"), 384),
     (model("deit_base_distilled_patch16_384", img_size=32), 32),
     (model("norm_vit_l16"), 224), (RESNET, 224), (model("cifar_resnet18"), None), (model("acgan", image_size=16), 16)],
)  # fmt: skip
def test_sizes_that_networks_take_by_themselves(of: Model, size: int | None) -> None:
    assert own_size(of) == size
