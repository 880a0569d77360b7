"""Position embeddings of a vision transformer, from one grid of patches to another."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.core.system import say


def fit_positions(
    network: nn.Module, found: dict[str, Tensor], *, corner_to_corner: bool = False
) -> dict[str, Tensor]:
    """`found`, with `pos_embed` (1, tokens, C) resized to the network's grid of patches.

    The entries of class tokens stay as they are; those of patches are interpolated as an image
    (Dosovitskiy et al. 2021, section 3.2), bilinearly. The code that published the `.npz` weights aligns the
    centres of the outermost patches (`scipy.ndimage.zoom`); otherwise the edges of the two grids are aligned, as
    for resized images. Embeddings of no square grid or of another width stay as they are.
    """
    own, theirs = getattr(network, "pos_embed", None), found.get("pos_embed")
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    if own is None or theirs is None or grid is None or own.ndim != 3 or theirs.ndim != 3:
        return found
    tokens = own.shape[1] - grid[0] * grid[1]
    side = math.isqrt(max(theirs.shape[1] - tokens, 0))
    square = side * side == theirs.shape[1] - tokens
    if own.shape == theirs.shape or own.shape[2] != theirs.shape[2] or not side or not square:
        return found
    say(f"position embeddings are resized from {side} x {side} patches to {grid[0]} x {grid[1]}")
    image = theirs[:, tokens:].unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, C, rows, columns)
    resized = F.interpolate(image.float(), grid, mode="bilinear", align_corners=corner_to_corner)
    patches = resized.flatten(2).transpose(1, 2).to(theirs.dtype)  # (1, rows * columns, C)
    return {**found, "pos_embed": torch.cat([theirs[:, :tokens], patches], dim=1)}
