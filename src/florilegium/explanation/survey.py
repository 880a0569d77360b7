"""What one trained transformer attends to: maps, rollouts, and numbers over many images."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from florilegium.config.products import Attention
from florilegium.core.errors import UserError
from florilegium.data.augment import EvalTransform, InputConfig, centre
from florilegium.data.crops import Buffers
from florilegium.explanation.attended import Attended
from florilegium.explanation.attention import (
    Rollout,
    answer_tokens,
    attention_layers,
    diagonal,
    entropy,
    heads,
    observed,
)

BATCH = 16


Pictures = Mapping[str, NDArray[np.uint8]]
"""Packed pixels (S, S, 3) by the image's name."""


def survey(
    network: nn.Module,
    config: InputConfig,
    settings: Attention,
    *,
    measured: Pictures,
    shown: Pictures,
    device: torch.device,
) -> Attended:
    """Look at the attention of a trained ViT or DeiT, and leave it in evaluation mode on `device`.

    Args:
        config: how the network's images are prepared.
        measured: the images that the numbers are means over; the maps are of the first one.
        shown: the images that rollouts are drawn over.

    Raises:
        UserError: another kind of network, or fewer blocks or heads than `settings` asks for.
    """
    network.eval().to(device)
    settings.check(type(network).__name__, blocks=len(attention_layers(network)), heads=heads(network))
    grid = patch_grid(network)
    transform = EvalTransform(config)
    images = transform(stacked(measured).to(device))  # (n, 3, s, s)
    maps = head_maps(network, images[:1], settings)
    return Attended(
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
    """The weights of one head at the blocks asked for, (blocks, N, N), for an image (1, 3, s, s)."""
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
    """How spread and how diagonal each head's attention is, as means over tokens and images.

    Returns:
        The table of `Attended`, for images (n, 3, s, s).
    """
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


def patch_grid(network: nn.Module) -> tuple[int, int]:
    """Rows and columns of patches."""
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    if grid is None:
        raise UserError(
            f"attention: {type(network).__name__} has no patch_embed.grid_size, so its tokens have no place in the "
            "image; take `attention` out of this experiment"
        )
    return grid[0], grid[1]


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
