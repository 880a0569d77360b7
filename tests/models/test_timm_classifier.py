"""Published weights in the forms that timm's own filters know."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from florilegium.config.data import Model
from florilegium.core.errors import UserError
from florilegium.models import registry
from florilegium.models.weights import load_into, save

SWIN = Model(
    name="swin_tiny_patch4_window7_224",
    arguments={"img_size": 56, "window_size": 7, "embed_dim": 8, "depths": [2, 1], "num_heads": [1, 2]},
)
TINY_VIT = Model(
    name="tiny_vit_5m_224",
    arguments={"embed_dims": [8, 16], "depths": [1, 1], "num_heads": [1, 2], "window_sizes": [7, 4]},
)
VIT = {"patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
DEIT = Model(name="deit_tiny_distilled_patch16_224", arguments={**VIT, "img_size": 16})


def start(model: Model, state: dict[str, Tensor], folder: Path, n_classes: int = 3) -> nn.Module:
    """A network that started from the file of a state."""
    save(state, folder / "published.safetensors")
    torch.manual_seed(1)
    network = registry.build(model, n_classes)
    load_into(network, folder / "published.safetensors", adapt=registry.adapter(model), new_head=True)
    return network


def state_of(model: Model, n_classes: int = 1000) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(registry.build(model, n_classes).state_dict())


@pytest.mark.parametrize(
    ("model", "computed"),
    [
        (
            SWIN,
            {"layers.0.blocks.1.attn_mask": (4, 49, 49), "layers.0.blocks.0.attn.relative_position_index": (49, 49)},
        ),
        (TINY_VIT, {"stages.1.blocks.0.attn.attention_bias_idxs": (16, 16)}),
    ],
    ids=["Swin", "TinyViT"],
)
def test_what_a_published_file_holds_and_is_computed_is_left_out(
    tmp_path: Path, model: Model, computed: dict[str, tuple[int, ...]]
):
    published = state_of(model)
    own = start(model, published | {key: torch.zeros(shape) for key, shape in computed.items()}, tmp_path).state_dict()
    assert not computed.keys() & own.keys()
    assert all(torch.equal(value, published[key]) for key, value in own.items() if not key.startswith("head."))
    assert len(own["head.fc.weight"]) == 3


def test_embeddings_of_positions_are_resized_as_timm_does(tmp_path: Path):
    large, small = (Model(name="vit_tiny_patch16_224", arguments={**VIT, "img_size": side}) for side in (64, 32))
    published = state_of(large)
    published["pos_embed"][:, 1:] = torch.arange(8.0).repeat_interleave(8)[None, :, None]  # the row, of 8 x 8
    grid = (
        start(small, {key: value.half() for key, value in published.items()}, tmp_path)
        .pos_embed[0, 1:]
        .unflatten(0, (4, 4))
    )
    assert grid.dtype == torch.float32
    assert torch.allclose(grid, grid[:, :1].expand_as(grid))
    rows = grid[:, 0, 0]
    assert rows.diff().min() > 1.5 and rows.mean().item() == pytest.approx(3.5, abs=1e-5)


def test_both_heads_of_a_distilled_network_are_new_where_the_classes_are_others(tmp_path: Path):
    published = state_of(DEIT)
    same = start(DEIT, published, tmp_path, 1000).state_dict()
    assert all(torch.equal(value, published[key]) for key, value in same.items())
    other = start(DEIT, published, tmp_path, 3)
    assert other.head.weight.shape == other.head_dist.weight.shape == (3, 16)
    assert torch.equal(other.blocks[0].mlp.fc1.weight, published["blocks.0.mlp.fc1.weight"])


def test_a_distillation_token_that_weights_lack_begins_as_the_class_token(tmp_path: Path):
    """So both heads read the same features, until they are trained."""
    vit = Model(name="vit_tiny_patch16_224", arguments={**VIT, "img_size": 64})
    network = start(DEIT, state_of(vit), tmp_path).eval()
    features = network.forward_features(torch.rand(2, 3, 16, 16))
    assert torch.allclose(features[:, 0], features[:, 1], atol=1e-6)
    plain = start(vit.model_copy(update={"arguments": {**VIT, "img_size": 16}}), state_of(vit), tmp_path)
    assert torch.equal(network.pos_embed[:, 1:], plain.pos_embed)


def test_a_file_without_a_head_is_enough(tmp_path: Path):
    published = {key: value for key, value in state_of(SWIN).items() if not key.startswith("head.")}
    assert torch.equal(start(SWIN, published, tmp_path).norm.weight, published["norm.weight"])


def test_what_timm_does_not_take_either_is_told_in_a_sentence(tmp_path: Path):
    lacking = {key: value for key, value in state_of(SWIN).items() if key != "norm.weight"}
    with pytest.raises(
        UserError, match=r"published.safetensors: lacks norm\.weight; name them in recipe\.allow_missing"
    ):
        start(SWIN, lacking, tmp_path)
    with pytest.raises(UserError, match="holds weights of another architecture"):
        start(SWIN, state_of(DEIT), tmp_path)
