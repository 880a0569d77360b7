"""Random rotation of whole batches, each image by an angle of its own."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def rotate(images: Tensor, degrees: float) -> None:
    """Turn each image of uint8 (B, 3, s, s) about its centre by up to `degrees` to either side, in place.

    Bilinear; what comes from outside an image is black. Angles are drawn on the host.
    """
    angles = (torch.rand(len(images)) * 2 - 1) * math.radians(degrees)
    images.copy_(turned(images, angles).round_())


def turned(images: Tensor, angles: Tensor) -> Tensor:
    """Images (B, 3, s, s) turned counterclockwise by `angles` (B,) in radians, in float32."""
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    rows = [torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)]
    matrices = torch.stack(rows, 1).to(images.device, non_blocking=True)  # (B, 2, 3)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)  # (B, s, s, 2)
    return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
