"""Five ways of normalising a transformer, as small differences of one block (study 3).

A block of the network is y = sum1(x, attention(norm1(x))), then sum2(y, mlp(norm2(y))). Layer, batch and
group normalisation differ in `norm`; rescaling subtracts a mean instead of normalising, and weights the sums.
`METHODS` at the end is the summary. Batch and group normalisation are wrapped, so that their parameters have other
names than those of a layer normalisation and published weights are never loaded into them by mistake.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn

from florilegium.models.norm_vit_sizes import GROUPS

EPS = 1e-6


class BatchNorm(nn.Module):
    """Normalises each channel of (B, N, C) over all tokens of all images."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layer = nn.BatchNorm1d(dim, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(0, 1)).view_as(x)


class GroupNorm(nn.Module):
    """Normalises each quarter of the channels of an image in (B, N, C) over all its tokens: it mixes tokens."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layer = nn.GroupNorm(GROUPS, dim, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.transpose(1, 2)).transpose(1, 2)


class Recentre(nn.Module):
    """(B, N, C) minus a mean over images and tokens, plus a learned offset, without scaling.

    The mean is the average over the first eight training batches and constant from then on.
    """

    BATCHES: ClassVar[int] = 8
    mean: Tensor
    count: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(dim))
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.take_mean(x)
        return x + (self.offset - self.mean)

    @torch.no_grad()
    def take_mean(self, x: Tensor) -> Tensor:
        """Average in the batch if it is one of the first; returns that as a tensor, for which the host need not
        wait."""
        early = self.count < self.BATCHES
        running = self.mean + (x.float().mean((0, 1)) - self.mean) / (self.count + 1)
        self.mean.copy_(torch.where(early, running, self.mean))
        self.count.add_(early)
        return early


class PublishedRecentre(Recentre):
    """As study 3 ran it: batches of an evaluation count as well, and while the mean is being averaged the offset
    is multiplied by 0.01."""

    def forward(self, x: Tensor) -> Tensor:
        early = self.take_mean(x)
        return x + (torch.where(early, 0.01 * self.offset, self.offset) - self.mean)


class Sum(nn.Module):
    """The plain residual sum, x + h."""

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return x + h


class WeighedSum(nn.Module):
    """`identity` x + `scale` `residual` h, where the number `scale` is learned and starts at 1."""

    def __init__(self, identity: float, residual: float) -> None:
        super().__init__()
        self.identity, self.residual = identity, residual
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return self.identity * x + self.scale * self.residual * h


def plain_sums(k: int, depth: int) -> tuple[nn.Module, nn.Module]:
    return Sum(), Sum()


def published_sums(k: int, depth: int) -> tuple[nn.Module, nn.Module]:
    """Study 3 weights only the sum of the MLP, and counts blocks from 1."""
    return Sum(), WeighedSum((k / (k + 1)) ** 0.5, depth**-0.5)


def complete_sums(k: int, depth: int) -> tuple[nn.Module, nn.Module]:
    """Every branch is weighted so that squared weights add up to 1: after N = 2 depth branches each has the same
    share. Branch j of 1 to N has m = N - 2 + j, as in the authors' code."""
    branches = 2 * depth

    def unit(j: int) -> WeighedSum:
        m = branches - 2 + j
        return WeighedSum((m / (m + 1)) ** 0.5, (m + 1) ** -0.5)

    return unit(2 * k - 1), unit(2 * k)


@dataclass(frozen=True)
class Method:
    """The norm before a branch, the one before the head, and the two sums of block k of `depth`."""

    norm: Callable[[int], nn.Module]
    last: Callable[[int], nn.Module]
    sums: Callable[[int, int], tuple[nn.Module, nn.Module]] = plain_sums


LayerNorm = partial(nn.LayerNorm, eps=EPS)

# Rescaling: Shao et al. 2020, "Is normalization indispensable for training deep neural network?"
METHODS = {
    "ln": Method(LayerNorm, LayerNorm),
    "bn": Method(BatchNorm, BatchNorm),
    "gn": Method(GroupNorm, GroupNorm),
    "rescale": Method(PublishedRecentre, nn.Identity, published_sums),
    "rescale_full": Method(Recentre, Recentre, complete_sums),
}
