"""Attention matrices are those that the network's own layers use, and asking for them changes nothing."""

import math

import pytest
import torch
from torch import Tensor, nn

from florilegium.config.data import Model
from florilegium.config.products import Attention
from florilegium.core.errors import UserError
from florilegium.explanation.attention import Rollout, diagonal, entropy, head_maps, measure, observed, rollout
from florilegium.models import registry

SMALL = {"img_size": 16, "patch_size": 4, "embed_dim": 16, "depth": 3, "num_heads": 2}
GRID = (4, 4)


def network(name: str = "vit_tiny_patch16_224", **arguments: object) -> nn.Module:
    torch.manual_seed(0)
    found = registry.build(Model(name=name, arguments=arguments or SMALL), 3).eval()
    for parameter in found.parameters():  # far from the symmetric start, where all attention is uniform
        nn.init.normal_(parameter, std=0.4)
    return found


def images(count: int = 3, side: int = 16) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def seen(of: nn.Module, pictures: Tensor) -> list[Tensor]:
    """The matrices of all blocks, in order."""
    found: list[Tensor] = []
    with torch.inference_mode(), observed(of, lambda block, weights: found.append(weights)):
        of(pictures)
    return found


@pytest.mark.parametrize(
    "change", [{}, {"qk_norm": True}, {"scale_attn_norm": True}, {"class_token": False, "global_pool": "avg"}]
)
def test_matrices_are_those_of_the_layers_own_slow_path(change: dict[str, object]):
    """timm's unfused attention hands its matrix to a dropout layer, where it can be caught."""
    vit = network(**SMALL, **change)
    ours = seen(vit, images())
    theirs: list[Tensor] = []
    for block in vit.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda module, given, out: theirs.append(out))
    with torch.inference_mode():
        vit(images())
    assert len(ours) == len(theirs) == 3
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)
        torch.testing.assert_close(a.sum(-1), torch.ones(a.shape[:3]))


@pytest.mark.parametrize("norm", ["ln", "bn", "gn", "rescale", "rescale_full"])
def test_every_normalisation_of_study_3_is_seen(norm: str):
    """That the matrices explain what the layers gave out is checked whenever one is formed."""
    vit = network("norm_vit", **SMALL, norm=norm)
    found = seen(vit, images())
    assert [weights.shape for weights in found] == [(3, 2, 17, 17)] * 3
    torch.testing.assert_close(found[2].sum(-1), torch.ones(3, 2, 17))
    assert rollout(vit, images(), GRID).shape == (3, 4, 4)


def test_both_tokens_of_a_distilled_network_are_there():
    deit = network("deit_tiny_distilled_patch16_224", **SMALL)
    assert [weights.shape for weights in seen(deit, images())] == [(3, 2, 18, 18)] * 3
    assert rollout(deit, images(), GRID).shape == (3, 4, 4)


def test_the_output_is_the_same_and_no_hook_stays():
    vit = network()
    with torch.inference_mode():
        before = vit(images())
        with observed(vit, lambda block, weights: None):
            during = vit(images())
    with pytest.raises(ZeroDivisionError), observed(vit, lambda block, weights: 1 / 0):
        vit(images())
    assert torch.equal(before, during)
    assert not any(module._forward_hooks for module in vit.modules())


def test_a_head_worked_out_by_hand():
    """Two tokens, one head of two channels; queries are the tokens, keys their double, scale 1 / 2."""

    class Layer(nn.Module):
        num_heads, scale = 1, 0.5

        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.proj = nn.Linear(2, 6, bias=False), nn.Identity()
            eye = torch.eye(2)
            self.qkv.weight = nn.Parameter(torch.cat([eye, 2 * eye, eye]))

        def forward(self, x: Tensor) -> Tensor:
            a = math.e / (math.e + 1)  # softmax of (1, 0)
            return torch.tensor([[a, 1 - a], [1 - a, a]]) @ x

    hand = nn.Module()
    hand.blocks = nn.ModuleList([nn.Module()])
    hand.blocks[0].attn = Layer()
    hand.forward = lambda x: hand.blocks[0].attn(x)
    (weights,) = seen(hand, torch.eye(2)[None])
    torch.testing.assert_close(weights[0, 0], torch.tensor([[0.7310586, 0.2689414], [0.2689414, 0.7310586]]))
    assert diagonal(weights).item() == pytest.approx(0.7310586)
    assert entropy(weights).item() == pytest.approx(0.5822031)


def test_entropy_and_diagonal_at_both_ends():
    uniform, own = torch.full((1, 1, 5, 5), 0.2), torch.eye(5)[None, None]
    assert entropy(uniform).item() == pytest.approx(math.log(5)) and diagonal(uniform).item() == pytest.approx(0.2)
    assert entropy(own).item() == 0 and diagonal(own).item() == 1


def test_rollout_of_two_blocks_by_hand():
    """Three tokens, the first a class token; the heads of block 0 differ, and are averaged."""
    roll = Rollout()
    first = (torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]), torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]))
    roll(0, torch.stack(first)[None])
    roll(1, torch.tensor([[0.0, 0, 1], [0, 1, 0], [1, 0, 0]])[None, None])
    # Block 0: 0.75 I + 0.25 (shift). Block 1, class token: half itself, half token 2. Together:
    # 0.5 (0.75, 0.25, 0) + 0.5 (0.25, 0, 0.75).
    assert roll.flow is not None
    torch.testing.assert_close(roll.flow[0, 0], torch.tensor([0.5, 0.125, 0.375]))
    torch.testing.assert_close(roll.flow.sum(-1), torch.ones(1, 3))
    torch.testing.assert_close(roll.over_patches((1, 2), slice(0, 1)), torch.tensor([[[0.125, 0.375]]]))
    without_class_token = roll.over_patches((1, 3), slice(-3, None))
    torch.testing.assert_close(without_class_token[:, 0], roll.flow.mean(1))


READ = {
    "class": ({}, "vit_tiny_patch16_224", [0]),
    "class and registers": ({"reg_tokens": 3}, "vit_tiny_patch16_224", [0]),
    "registers": ({"class_token": False, "reg_tokens": 3, "global_pool": "avg"}, "vit_tiny_patch16_224", range(3, 19)),
    "one register": (
        {"class_token": False, "reg_tokens": 1, "global_pool": "avg"}, "vit_tiny_patch16_224", range(1, 17)
    ),
    "neither": ({"class_token": False, "global_pool": "avg"}, "vit_tiny_patch16_224", range(16)),
    "class, not read": ({"reg_tokens": 2, "global_pool": "avg"}, "vit_tiny_patch16_224", range(3, 19)),
    "all pooled": (
        {"reg_tokens": 2, "global_pool": "avg", "pool_include_prefix": True}, "vit_tiny_patch16_224", range(19)
    ),
    "registers by attention": (
        {"class_token": False, "reg_tokens": 2, "global_pool": "map"}, "vit_tiny_patch16_224", range(2, 18)
    ),
    "published with both": ({}, "vit_small_patch14_reg4_dinov2", [0]),
    "published with registers": ({}, "vit_medium_patch16_reg4_gap_256", range(4, 20)),
    "distilled": ({}, "deit_tiny_distilled_patch16_224", [0, 1]),
    "of study 3": ({}, "norm_vit", [0]),
}  # fmt: skip


@pytest.mark.parametrize(("change", "name", "read"), READ.values(), ids=list(READ))
def test_a_rollout_starts_at_the_tokens_that_the_answer_depends_on(change, name, read):
    """Which ones do is told by the gradient of the logits at the last block's output: no other token has any."""
    vit, pictures = network(name, **SMALL, **change), images(2)
    last: list[Tensor] = []
    vit.blocks[-1].register_forward_hook(lambda module, given, out: last.append(out))
    gradient = torch.autograd.grad(vit(pictures).square().sum(), last[0])[0]
    assert gradient.abs().sum(dim=(0, 2)).nonzero().flatten().tolist() == list(read)

    flow = torch.eye(last[0].shape[1]).expand(2, -1, -1)
    for weights in seen(vit, pictures):  # by hand: half the mean over heads, half itself, block by block
        flow = (weights.mean(1) / 2 + torch.eye(weights.shape[-1]) / 2) @ flow
    expected = flow[:, list(read)].mean(1)[:, -16:].view(2, 4, 4)
    torch.testing.assert_close(rollout(vit, pictures, GRID), expected)


def test_numbers_are_means_over_all_images_whatever_the_batch():
    vit, pictures = network(), images(19)
    table = measure(vit, pictures)
    assert list(zip(table["block"], table["head"], strict=True)) == [(b, h) for b in range(3) for h in range(2)]
    whole = torch.stack(seen(vit, pictures))  # (blocks, images, heads, N, N)
    by_hand = -(whole * whole.log()).sum(-1).mean(dim=(1, 3))
    assert table["entropy"].tolist() == pytest.approx(by_hand.flatten().tolist(), rel=1e-5)
    assert table["diagonal"].tolist() == pytest.approx(
        torch.einsum("bnhii->bh", whole).div(19 * 17).flatten().tolist(), rel=1e-5
    )
    assert table["entropy_share"].tolist() == pytest.approx((table["entropy"] / math.log(17)).tolist())
    assert set(table["n_images"]) == {19} and set(table["diagonal_uniform"]) == {1 / 17}


def test_maps_are_of_the_blocks_and_the_head_asked_for():
    vit = network()
    maps = head_maps(vit, images()[:1], Attention(blocks=(2, 0), head=1))
    torch.testing.assert_close(maps, torch.stack([seen(vit, images())[block][0, 1] for block in (2, 0)]))


@pytest.mark.parametrize(
    ("name", "arguments", "side"),
    [
        (
            "swin_tiny_patch4_window7_224",
            {"img_size": 32, "window_size": 4, "depths": [1, 1], "num_heads": [1, 1], "embed_dim": 8},
            32,
        ),
        ("cait_xxs24_224", {"img_size": 16, "patch_size": 4, "embed_dim": 16, "depth": 1, "num_heads": 2}, 16),
        ("beit_base_patch16_224", SMALL, 16),
        ("tiny_vit_5m_224", {"depths": [1, 1, 1, 1]}, 224),
        ("samvit_base_patch16_224", SMALL, 16),
        ("resnet18", {"layers": [1, 1, 1, 1], "channels": [4, 4, 4, 4]}, 32),
    ],
)
def test_other_networks_are_told_in_a_sentence(name: str, arguments: dict[str, object], side: int):
    with pytest.raises(UserError, match=r"does not attend by softmax.* take `attention` out of this experiment"):
        seen(network(name, **arguments), images(2, side))
