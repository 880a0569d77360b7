"""The transformers of study 3 against their published sizes, timm's network, and hand-worked values."""

import copy

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from florilegium.config.data import Model
from florilegium.config.recipes import Recipe
from florilegium.core.errors import UserError
from florilegium.models import registry
from florilegium.models.freeze import freeze
from florilegium.models.norm_vit import METHODS, PublishedRecentre, Recentre

TINY = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}


def tiny(norm: str = "ln", n_classes: int = 5, seed: int = 0, **changes: object) -> nn.Module:
    torch.manual_seed(seed)
    return registry.build(Model(name="norm_vit", arguments={**TINY, "norm": norm, **changes}), n_classes)


def images(count: int = 4, seed: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n_classes", [10, 100])
@pytest.mark.parametrize(
    ("name", "ten"),
    [
        ("norm_vit_b16", 85_806_346),
        ("norm_vit_b32", 87_462_922),
        ("norm_vit_l16", 303_311_882),
        ("norm_vit_l32", 305_520_650),
    ],
)
@pytest.mark.parametrize(
    ("norm", "width_per_block", "scalars_per_block", "width_at_end"),
    [
        ("ln", 4, 0, 2),  # two norms of two vectors each
        ("bn", 4, 0, 2),
        ("gn", 4, 0, 2),
        ("rescale", 2, 1, 0),  # two offsets and one scale, nothing at the end
        ("rescale_full", 2, 2, 1),
    ],
)
def test_parameters_of_every_published_size(
    name: str, ten: int, n_classes: int, norm: str, width_per_block: int, scalars_per_block: int, width_at_end: int
):
    """With ten classes and layer normalisation: 85.8, 87.5, 303.3 and 305.5 million."""
    width, depth = (768, 12) if "_b" in name else (1024, 24)
    expected = ten + (n_classes - 10) * (width + 1)
    expected += depth * ((width_per_block - 4) * width + scalars_per_block) + (width_at_end - 2) * width
    with torch.device("meta"):
        network = registry.build(Model(name=name, arguments={"norm": norm}), n_classes)
    assert sum(p.numel() for p in network.parameters()) == expected


def test_the_published_count_of_large_16_is_of_a_hundred_classes():
    with torch.device("meta"):
        network = registry.build(Model(name="norm_vit_l16"), 100)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 303.4


def test_layer_normalised_it_is_timms_network():
    """The same names and shapes, and with the same weights the same logits."""
    ours = tiny().eval()
    theirs = timm.models.VisionTransformer(**TINY, num_classes=5, norm_layer=nn.LayerNorm).eval()
    nn.init.normal_(theirs.pos_embed)
    ours.load_state_dict(theirs.state_dict())
    for norm in theirs.modules():
        if isinstance(norm, nn.LayerNorm):
            norm.eps = 1e-6
    torch.testing.assert_close(ours(images()), theirs(images()), atol=1e-6, rtol=1e-5)
    theirs.load_state_dict(ours.state_dict())


def test_the_first_weights_are_the_studys():
    network = tiny(embed_dim=64, patch_size=4)
    assert not network.cls_token.any()
    assert not network.pos_embed.any()
    block = network.blocks[0]
    assert block.attn.qkv.weight.abs().max() <= 64**-0.5  # as of a layer with 64 inputs and 64 outputs
    assert block.attn.qkv.weight.std().item() == pytest.approx((1 / 64 / 3) ** 0.5, rel=0.05)
    assert block.mlp.fc1.weight.std().item() == pytest.approx((2 / (64 + 256)) ** 0.5, rel=0.05)
    assert 0 < block.mlp.fc2.bias.abs().max() < 1e-5


def test_dropout_is_where_the_study_had_it():
    """After the positions and both layers of an MLP; that of the recipe is before the head."""
    network = registry.build(Model(name="norm_vit", arguments=TINY), 5, dropout=0.3)
    rates = {name: m.p for name, m in network.named_modules() if isinstance(m, nn.Dropout)}
    assert rates == {"pos_drop": 0.1, "head_drop": 0.3, **{f"blocks.{i}.mlp.drop": 0.1 for i in range(3)}}


def test_drop_path_rises_to_its_rate():
    network = registry.build(Model(name="norm_vit", arguments=TINY), 5, drop_path=0.2)
    first, *others = (block.drop_path for block in network.blocks)
    assert isinstance(first, nn.Identity) and [drop.p for drop in others] == [0.1, 0.2]


def test_batch_normalisation_counts_a_channel_over_images_and_tokens():
    x = torch.randn(4, 7, 8) * 3 + 1
    mean, variance = x.mean((0, 1)), x.var((0, 1), unbiased=False)
    torch.testing.assert_close(METHODS["bn"].norm(8)(x), (x - mean) / (variance + 1e-6).sqrt())


def test_group_normalisation_counts_a_quarter_of_the_channels_over_the_tokens_of_an_image():
    x = torch.randn(3, 7, 8) * 3 + 1
    first = x[1, :, 2:4]  # the second group of the second image
    expected = (first - first.mean()) / (first.var(unbiased=False) + 1e-6).sqrt()
    torch.testing.assert_close(METHODS["gn"].norm(8)(x)[1, :, 2:4], expected)


def test_the_published_mean_is_taken_in_the_first_eight_forwards_of_any_kind():
    """And the offset, at a hundredth until then, jumps to its full size at the ninth."""
    module = PublishedRecentre(2).eval()
    nn.init.constant_(module.offset, 3.0)
    batches = torch.randn(10, 4, 5, 2) + 2
    for i in range(8):
        mean = batches[: i + 1].mean((0, 1, 2))
        torch.testing.assert_close(module(batches[i]), batches[i] + 0.03 - mean)
    for i in (8, 9):
        torch.testing.assert_close(module(batches[i]), batches[i] + 3 - batches[:8].mean((0, 1, 2)))
    assert module.count == 8


def test_the_complete_method_takes_its_mean_from_training_batches_alone():
    module = Recentre(2)
    batches = torch.randn(10, 4, 5, 2) + 2
    module.eval()
    assert torch.equal(module(batches[9]), batches[9])
    module.train()
    for batch in batches[:9]:
        module(batch)
    torch.testing.assert_close(module.mean, batches[:8].mean((0, 1, 2)))


def test_the_published_block_rescales_its_mlp_alone():
    """y = x + attention, then z = sqrt(k / (k + 1)) y + s / sqrt(L) MLP, blocks counted from 1."""
    network = tiny("rescale", dropout=0.0).eval()
    block = network.blocks[1]
    nn.init.constant_(block.sum2.scale, 0.7)
    for module in (block.norm1, block.norm2):
        module.count.fill_(8)
        nn.init.normal_(module.offset)
        module.mean.normal_()
    x = torch.randn(2, 5, 16)
    y = x + block.attn(x + block.norm1.offset - block.norm1.mean)
    z = (2 / 3) ** 0.5 * y + 0.7 * 3**-0.5 * block.mlp(y + block.norm2.offset - block.norm2.mean)
    torch.testing.assert_close(block(x), z)
    assert isinstance(network.norm, nn.Identity)


@pytest.mark.parametrize(("depth", "product"), [(12, 0.277350), (24, 0.2)])
def test_the_published_sums_fade_the_first_token_as_computed(depth: int, product: float):
    sums = [METHODS["rescale"].sums(k, depth)[1] for k in range(1, depth + 1)]
    assert torch.tensor([s.identity for s in sums]).prod() == pytest.approx(product, abs=1e-6)
    assert sums[0].residual == pytest.approx({12: 0.288675, 24: 0.204124}[depth], abs=1e-6)


def test_the_complete_sums_keep_the_variance_and_share_it_equally():
    branches = [s for k in range(1, 13) for s in METHODS["rescale_full"].sums(k, 12)]
    assert all(s.identity**2 + s.residual**2 == pytest.approx(1) for s in branches)
    shares = [
        s.residual * float(torch.tensor([later.identity for later in branches[i + 1 :]]).prod())
        for i, s in enumerate(branches)
    ]
    assert len(shares) == 24
    assert shares == pytest.approx([shares[0]] * 24)


@pytest.mark.parametrize("norm", METHODS)
def test_the_host_never_waits_for_the_device(norm: str):
    """A tensor of the meta device has no value, so that any look at one would raise."""
    with torch.device("meta"):
        network = tiny(norm)
        for mode in (True, False):
            assert network.train(mode)(torch.empty(2, 3, 16, 16)).shape == (2, 5)


@pytest.mark.parametrize("norm", METHODS)
def test_every_norm_learns_and_is_saved_whole(norm: str):
    network = tiny(norm, dropout=0.0)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    losses = []
    for _ in range(20):
        loss = F.cross_entropy(network(images()), torch.arange(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert all(p.grad is not None for p in network.parameters())
    other = tiny(norm, seed=9, dropout=0.0)
    other.load_state_dict(copy.deepcopy(network.state_dict()))
    assert torch.equal(other.eval()(images()), network.eval()(images()))


def test_its_input_is_the_studys():
    config = registry.input_config(Model(name="norm_vit_b16"), Recipe(epochs=1))
    assert (config.size, config.mean, config.std) == (224, (0.5,) * 3, (0.5,) * 3)
    assert config.interpolation == "bilinear"
    with pytest.raises(UserError, match=r"image_size = 32: norm_vit_b16 takes images of 224 pixels only"):
        registry.input_config(Model(name="norm_vit_b16"), Recipe(epochs=1, image_size=32))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"norm": "instance"}, r"norm = instance: must be one of ln, bn, gn, rescale, rescale_full"),
        ({"patch_size": 5}, r"patch_size = 5 does not divide img_size = 16"),
        ({"num_heads": 3}, r"num_heads = 3 does not divide embed_dim = 16"),
        ({"embed_dim": 18, "norm": "gn"}, r"embed_dim = 18: norm = gn needs a multiple of 4"),
        ({"width": 18}, r"unknown key 'width'"),
        ({"dropout": 1.0}, r"dropout = 1\.0: must be less than 1"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_built(changes: dict, sentence: str):
    model = Model(name="norm_vit", arguments=TINY | changes)
    with pytest.raises(UserError, match=rf"^model\.arguments: {sentence}"):
        registry.check(model)
    with pytest.raises(UserError, match=sentence):
        registry.build(model, 5)


def test_a_size_that_is_not_given_is_told():
    with pytest.raises(UserError, match=r"model\.arguments: the keys patch_size, .* are missing"):
        registry.check(Model(name="norm_vit"))
    with pytest.raises(UserError, match=r"unknown model 'norm_vit_b16\.in21k', did you mean 'norm_vit_b16'"):
        registry.check(Model(name="norm_vit_b16.in21k"))


@pytest.mark.parametrize("norm", METHODS)
def test_blocks_freeze_with_what_stands_before_them(norm: str):
    network = tiny(norm)
    freeze(network, Recipe(epochs=1, freeze_blocks=2))
    frozen = {".".join(n.split(".")[:2]) for n, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {"cls_token", "pos_embed", "patch_embed.proj", "blocks.0", "blocks.1"}
    with pytest.raises(UserError, match=r"freeze_blocks = 4: NormViT has 3 blocks; give at most 3"):
        freeze(network, Recipe(epochs=1, freeze_blocks=4))
