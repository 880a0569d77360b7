"""Attention of trained networks: of a transformer's tokens, block by block, and of the nodes of a head of attention."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from florilegium.config.products import Attention
from florilegium.core.errors import UserError
from florilegium.data.augment import EvalTransform, InputConfig, centre
from florilegium.data.crops import Buffers
from florilegium.explanation.records import AttentionRecord, NodeRecord
from florilegium.models.trained import Trained

BATCH = 16
NEEDED = ("qkv", "num_heads", "scale", "proj")  # of a layer whose matrix can be formed
Layer = Any  # timm's module of self-attention, which has these
TOLERANCE = 1e-2  # a fused kernel adds up in another order, and a GPU in fewer digits

Pictures = Mapping[str, NDArray[np.uint8]]
"""Packed pixels (S, S, 3) by the image's name."""


def survey(
    trained: Trained, settings: Attention, *, measured: Pictures, shown: Pictures, device: torch.device
) -> AttentionRecord:
    """Look at the attention of a ViT or DeiT, and leave it in evaluation mode on `device`.

    The numbers are means over the images `measured`, the maps those of the first one, the rollouts those of the images
    `shown`. Raises `UserError` for another kind of network, or one of fewer blocks or heads than `settings` asks for.
    """
    network, config = trained.network.eval().to(device), trained.config
    layers = attention_layers(network)
    settings.check(blocks=len(layers), heads=layers[0].num_heads)
    grid, transform = patch_grid(network), EvalTransform(config)
    images = transform(stacked(measured).to(device))  # (n, 3, s, s)
    maps = head_maps(network, images[:1], settings)
    return AttentionRecord(
        blocks=np.array(settings.blocks),
        head=np.array(settings.head),
        prefix=np.array(maps.shape[-1] - grid[0] * grid[1]),
        maps=half(maps),
        rollout=half(rollout(network, transform(stacked(shown).to(device)), grid)),
        images=as_fed(stacked(shown), config),
        names=np.array(list(shown)),
        table=measure(network, images),
    )


def head_maps(network: nn.Module, image: Tensor, settings: Attention) -> Tensor:
    """The weights of one head at the blocks of the settings, (blocks, N, N), for an image (1, 3, s, s)."""
    kept: dict[int, Tensor] = {}

    def keep(block: int, weights: Tensor) -> None:
        if block in settings.blocks:
            kept[block] = weights[0, settings.head]

    with torch.inference_mode(), observed(network, keep):
        network(image)
    return torch.stack([kept[block] for block in settings.blocks])


def rollout(network: nn.Module, images: Tensor, grid: tuple[int, int]) -> Tensor:
    """Attention rollout over the patches, (B, rows, columns), for images (B, 3, s, s)."""
    observer = Rollout()
    with torch.inference_mode(), observed(network, observer):
        network(images)
    return observer.over_patches(grid, answer_tokens(network, grid[0] * grid[1]))


def measure(network: nn.Module, images: Tensor) -> pd.DataFrame:
    """The table of `AttentionRecord`, for images (n, 3, s, s): how spread and how diagonal each head's attention is."""
    sums: dict[int, Tensor] = {}
    tokens = 0

    def add(block: int, weights: Tensor) -> None:
        nonlocal tokens
        tokens = weights.shape[-1]
        both = torch.stack([entropy(weights), diagonal(weights)]).double().sum(dim=1)  # (2, H)
        sums[block] = sums.get(block, 0) + both

    with torch.inference_mode(), observed(network, add):
        for batch in images.split(BATCH):
            network(batch)
    means = torch.stack([sums[block] for block in sorted(sums)]).cpu().numpy() / len(images)  # (blocks, 2, H)
    block, head = np.indices(means[:, 0].shape)
    return pd.DataFrame(
        {
            "block": block.ravel(),
            "head": head.ravel(),
            "entropy": means[:, 0].ravel(),
            "entropy_share": means[:, 0].ravel() / math.log(tokens),
            "diagonal": means[:, 1].ravel(),
            "n_images": len(images),
            "entropy_uniform": math.log(tokens),
            "diagonal_uniform": 1 / tokens,
        }
    )


def entropy(weights: Tensor) -> Tensor:
    """Mean row entropy in nats, (B, H), of weights (B, H, N, N): log N when uniform, 0 when one-hot."""
    rows: Tensor = torch.special.entr(weights).sum(dim=-1)
    return rows.mean(dim=-1)


def diagonal(weights: Tensor) -> Tensor:
    """Mean weight that a token gives itself, (B, H), of weights (B, H, N, N): 1 / N when uniform."""
    return weights.diagonal(dim1=-2, dim2=-1).mean(dim=-1)


# The matrices of a transformer


@contextmanager
def observed(network: nn.Module, see: Callable[[int, Tensor], None]) -> Iterator[None]:
    """Inside, every forward pass calls `see(block, weights)` for each block in turn.

    `weights` (B, H, N, N) holds a row of N weights, which sum to one, for each query token. The network's output does
    not change. Raises `UserError` if the network's attention is not plain self-attention in a list of blocks.
    """
    layers = enumerate(attention_layers(network))
    with hooked((layer, partial(_recompute, see=see, block=block)) for block, layer in layers):
        yield


@contextmanager
def hooked(hooks: Iterable[tuple[nn.Module, Callable[..., None]]]) -> Iterator[None]:
    """Inside, each module calls its hook with itself, its inputs and its output whenever it has run."""
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def attention_layers(network: nn.Module) -> list[Layer]:
    """`network.blocks[i].attn` in order; raises `UserError` where there is no such thing."""
    blocks = getattr(network, "blocks", ())
    layers = [getattr(block, "attn", None) for block in blocks if isinstance(blocks, nn.Sequential | nn.ModuleList)]
    if not layers or any(not hasattr(layer, name) for layer in layers for name in NEEDED):
        raise _unlike(network)
    return layers


def _recompute(
    layer: Layer, inputs: tuple[Tensor, ...], output: Tensor, *, see: Callable[[int, Tensor], None], block: int
) -> None:
    """Form the matrix of a layer that has just run, and check that it explains what came out."""
    tokens = inputs[0]  # (B, N, C)
    if tokens.dim() != 3:
        raise _unlike(layer)
    qkv = layer.qkv(tokens).unflatten(2, (3, layer.num_heads, -1)).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.unbind(0)  # (B, H, N, d) each
    query, key = _applied(layer, "q_norm", query), _applied(layer, "k_norm", key)
    weights = (query @ key.transpose(2, 3) * layer.scale).softmax(dim=-1)  # (B, H, N, N)
    mixed = (weights @ value).transpose(1, 2).flatten(2)  # (B, N, H d)
    explained = layer.proj(_applied(layer, "norm", mixed))
    if explained.shape != output.shape or (explained - output).norm() > TOLERANCE * output.norm():
        raise _unlike(layer)
    see(block, weights)


def _applied(layer: nn.Module, name: str, tokens: Tensor) -> Tensor:
    """`tokens` after a part that a layer may have or not."""
    part = getattr(layer, name, None)
    return tokens if part is None else part(tokens)


def _unlike(module: nn.Module) -> UserError:
    return UserError(
        f"attention: {type(module).__name__} does not attend by softmax(q k^T scale) in blocks[i].attn alone, as "
        "ViT and DeiT do, so its matrices are not known; take `attention` out of this experiment"
    )


class Rollout:
    """Attention rollout (Abnar and Zuidema 2020, section 3), an observer for `observed`.

    Heads are averaged, the residual connection is an identity of equal weight, and the product runs from the first
    block to the last: a row of `flow` (B, N, N) says how much of a last token comes from each token of the input.
    """

    def __init__(self) -> None:
        self.flow: Tensor | None = None

    def __call__(self, block: int, weights: Tensor) -> None:
        mean = weights.mean(dim=1)  # (B, N, N)
        here = 0.5 * (mean + torch.eye(mean.shape[-1], device=mean.device))
        self.flow = here if block == 0 or self.flow is None else here @ self.flow

    def over_patches(self, grid: tuple[int, int], read: slice) -> Tensor:
        """From the patches, which stand last, to the mean of the tokens `read`: (B, rows, columns)."""
        assert self.flow is not None
        row = self.flow[:, read].mean(dim=1)  # (B, N)
        return row[:, -grid[0] * grid[1] :].reshape(-1, *grid)


def answer_tokens(network: nn.Module, patches: int) -> slice:
    """The tokens that the head reads: the class token, and DeiT's distillation token beside it, or the patches.

    Registers (Darcet et al. 2024, "Vision Transformers Need Registers") stand between a class token and the
    patches, or first where there is none; no head reads them but one that pools all tokens. A head that pools by a
    maximum, or by attention of its own, is taken to read all patches alike.
    """
    pooled = getattr(network, "global_pool", "token" if hasattr(network, "cls_token") else "avg")
    if pooled == "token":
        return slice(0, 2 if hasattr(network, "head_dist") else 1)
    return slice(None) if getattr(network, "pool_include_prefix", False) else slice(-patches, None)


def patch_grid(network: nn.Module) -> tuple[int, int]:
    """Rows and columns of patches."""
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    if grid is None:
        raise UserError(
            f"attention: {type(network).__name__} has no patch_embed.grid_size, so its tokens have no place in the "
            "image; take `attention` out of this experiment"
        )
    return grid[0], grid[1]


# Attention of nodes


def survey_nodes(trained: Trained, *, measured: Pictures, shown: Pictures, device: torch.device) -> NodeRecord:
    """Look at a network's head of attention, and leave the network in evaluation mode on `device`.

    The numbers are means over the images `measured`, the maps those of the images `shown`. Raises `UserError` for a
    network without such a head.
    """
    network, transform = trained.network.eval().to(device), EvalTransform(trained.config)
    attend = getattr(network, "node_attention", None)
    if attend is None:
        raise UserError(
            f"attention.of = nodes: {type(network).__name__} has no head of attention over nodes; set it to tokens, "
            "or take attention out"
        )

    def weights(pictures: Pictures) -> Tensor:
        batches = transform(stacked(pictures).to(device)).split(BATCH)
        return torch.cat([attend(batch) for batch in batches])  # (n, heads, N, N)

    many = weights(measured)
    return NodeRecord(
        maps=half(weights(shown)),
        mean=half(many.mean(0)),
        images=as_fed(stacked(shown), trained.config),
        names=np.array(list(shown)),
        table=measure_nodes(many.double().cpu()),
    )


def measure_nodes(weights: Tensor) -> pd.DataFrame:
    """The table of `NodeRecord`, of weights (n, heads, N, N)."""
    nodes = weights.shape[-1]
    entropies = entropy(weights).mean(0).numpy()
    first = weights.argmax(-1)  # (n, heads, N)
    return pd.DataFrame(
        {
            "head": range(weights.shape[1]),
            "entropy": entropies,
            "entropy_share": entropies / math.log(nodes),
            "diagonal": diagonal(weights).mean(0).numpy(),
            "between_queries": _moved(weights, weights.mean(2, keepdim=True)),
            "between_images": _moved(weights, weights.mean(0, keepdim=True)),
            "same_first": (first == first[..., :1]).all(-1).double().mean(0).numpy(),
            "n_images": len(weights),
            "entropy_uniform": math.log(nodes),
            "diagonal_uniform": 1 / nodes,
        }
    )


def _moved(weights: Tensor, means: Tensor) -> NDArray[np.float64]:
    """Mean total variation between rows and their means, (heads,): the share of weight that lies elsewhere."""
    return ((weights - means).abs().sum(-1).mean((0, 2)) / 2).numpy()


def stacked(pictures: Pictures) -> Tensor:
    """uint8 (n, S, S, 3)."""
    return torch.from_numpy(np.stack(list(pictures.values())))


def as_fed(pixels: Tensor, config: InputConfig) -> NDArray[np.uint8]:
    """The part of stored pixels (n, S, S, 3) that the network is fed, uint8 (n, s, s, 3)."""
    unflipped = torch.zeros(len(pixels), dtype=torch.bool)
    return centre(pixels, unflipped, Buffers(), config).permute(0, 2, 3, 1).contiguous().numpy()


def half(values: Tensor) -> NDArray[np.float16]:
    """For pictures alone: half the bytes, three digits."""
    return values.cpu().numpy().astype(np.float16)
