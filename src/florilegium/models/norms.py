"""Normalisation of a detector's feature maps, for steps of few images."""

from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FrozenBatchNorm(nn.Module):
    """Batch normalisation by the loaded statistics, which never change, while scale and shift train.

    As in the study. torchvision's layer of that name does not train scale and shift. It is no `BatchNorm2d`, so
    that nothing synchronises or resets it.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation (Wu & He 2018) of 32 groups, or of fewer where one would be a single channel."""
    return nn.GroupNorm(gcd(32, channels // 2) if channels % 2 == 0 else 1, channels)


NORMS = {"frozen_bn": FrozenBatchNorm, "bn": nn.BatchNorm2d, "gn": group_norm}
