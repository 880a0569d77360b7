"""Anchors: the boxes of fixed sizes and shapes, in every grid cell of every level of a pyramid, that a
detector scores and refines (Lin et al. 2017, "Focal Loss for Dense Object Detection", section 4).

As in the study's code, sizes stay fractions of a pixel and a box is centred on (i + 0.5) strides;
torchvision rounds the first and leaves out the half stride.
"""

from functools import lru_cache

import torch
from torch import Tensor

from florilegium.models.retinanet_arguments import AnchorSettings

STRIDES = (8, 16, 32, 64, 128)  # of the levels P3 to P7


@lru_cache(maxsize=64)
def anchors_of(settings: AnchorSettings, height: int, width: int, device: torch.device) -> Tensor:
    """All anchors of an image of that many pixels, (A, 4) float32 as x1, y1, x2, y2.

    Ordered by level, then row, then column, then ratio. The tensor of a shape and a device is cached and
    shared: do not change it in place.
    """
    levels = []
    for stride, size in zip(STRIDES, settings.sizes, strict=True):
        shapes = _shapes(settings, size)  # (K, 2)
        x, y = (torch.arange(-(-side // stride)) + 0.5 for side in (width, height))
        centres = torch.cartesian_prod(y, x).flip(1) * stride  # (H W, 2) as x, y
        corners = torch.cat([centres[:, None] - shapes / 2, centres[:, None] + shapes / 2], dim=2)
        levels.append(corners.reshape(-1, 4))  # (H W K, 4)
    return torch.cat(levels).to(device, torch.float32)


def _shapes(settings: AnchorSettings, size: float) -> Tensor:
    """Widths and heights of the anchors of one cell, (K, 2) float64: equal areas for all ratios of a scale."""
    sides = size * torch.tensor(settings.scales, dtype=torch.float64)
    roots = torch.tensor(settings.ratios, dtype=torch.float64).sqrt()[:, None]
    return torch.stack([(sides / roots).flatten(), (sides * roots).flatten()], dim=1)
