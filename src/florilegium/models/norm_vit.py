"""A vision transformer with a choice of five normalisations, as study 3 compared them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.config.data import Model
from florilegium.core.system import twelve_digits
from florilegium.data.augment import InputConfig
from florilegium.models.arguments import GROUPS, HALF, NormVitArguments, norm_vit_arguments

EPS = 1e-6


def build(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> nn.Module:
    """The network with random weights. `dropout` is the recipe's, before the head; that of the blocks is
    an argument of the model. Raises `UserError` for an argument that is wrong or missing."""
    return NormViT(norm_vit_arguments(model), n_classes, drop_path, dropout)


def own_input(model: Model) -> tuple[InputConfig, bool]:
    """The input of study 3: pixels in [-1, 1], resized bilinearly, of one size only."""
    return InputConfig(norm_vit_arguments(model).img_size, HALF, HALF, "bilinear"), True


class NormViT(nn.Module):
    """Images (B, 3, S, S) to logits (B, n_classes), read from the class token."""

    def __init__(self, sizes: NormVitArguments, n_classes: int, drop_path: float, dropout: float) -> None:
        super().__init__()
        dim, depth = sizes.embed_dim, sizes.depth
        method = METHODS[sizes.norm]
        self.patch_embed = PatchEmbed(sizes.img_size, sizes.patch_size, dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.patch_embed.num_patches, dim))
        self.pos_drop = nn.Dropout(sizes.dropout)
        rates = [drop_path * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.Sequential(*(Block(sizes, i + 1, rate) for i, rate in enumerate(rates)))
        self.norm = method.last(dim)
        self.head_drop = nn.Dropout(dropout)
        self.head = nn.Linear(dim, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch_embed(images)  # (B, N, C)
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)  # (B, 1 + N, C)
        x = self.norm(self.blocks(self.pos_drop(x + self.pos_embed)))
        return self.head(self.head_drop(x[:, 0]))

    def get_classifier(self) -> nn.Module:
        return self.head


class PatchEmbed(nn.Module):
    """Images (B, 3, S, S) to patches (B, N, C), row by row."""

    def __init__(self, img_size: int, patch_size: int, dim: int) -> None:
        super().__init__()
        self.grid_size = (img_size // patch_size, img_size // patch_size)
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        self.proj = nn.Conv2d(3, dim, patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(images).flatten(2).transpose(1, 2)


class Block(nn.Module):
    """Attention, then an MLP, each on a residual branch: block `k` of 1 to depth, on (B, N, C)."""

    def __init__(self, sizes: NormVitArguments, k: int, drop_path: float) -> None:
        super().__init__()
        dim, method = sizes.embed_dim, METHODS[sizes.norm]
        self.norm1 = method.norm(dim)
        self.attn = Attention(dim, sizes.num_heads)
        self.norm2 = method.norm(dim)
        self.mlp = Mlp(dim, int(twelve_digits(dim * sizes.mlp_ratio)), sizes.dropout)
        self.sum1, self.sum2 = method.sums(k, sizes.depth)
        self.drop_path = _stochastic_depth(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        x = self.sum1(x, self.drop_path(self.attn(self.norm1(x))))
        return self.sum2(x, self.drop_path(self.mlp(self.norm2(x))))


class Attention(nn.Module):
    """Self-attention over the tokens of (B, N, C).

    Queries, keys and values come from one matrix. Torch initialises weights by the number of inputs, which is
    the same for three separate matrices, so they start as the study's three do.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dim // num_heads) ** -0.5
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, dim = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.num_heads, dim // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, N, C / heads)
        x = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        return self.proj(x.transpose(1, 2).reshape(batch, tokens, dim))


class Mlp(nn.Module):
    """Two layers around a GELU, with dropout after each, on (B, N, C)."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.drop = nn.Dropout(dropout)
        for layer in (self.fc1, self.fc2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(F.gelu(self.fc1(x)))))


def _stochastic_depth(rate: float) -> nn.Module:
    """A module that drops a residual branch of an image with probability `rate` (Huang et al. 2016)."""
    if not rate:
        return nn.Identity()
    from torchvision.ops import StochasticDepth  # costs a second that few networks need to spend

    return StochasticDepth(rate, "row")


# Norms


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

    BATCHES = 8
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
        """Average in the batch if it is one of the first; returns true if it is, as a tensor that the host need not
        wait for."""
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


# Residual sums


class Sum(nn.Module):
    """The plain residual sum, x + h."""

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return x + h


class WeightedSum(nn.Module):
    """`identity` x + `scale` `residual` h, where the number `scale` is learned and starts at 1."""

    def __init__(self, identity: float, residual: float) -> None:
        super().__init__()
        self.identity, self.residual = identity, residual
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        return self.identity * x + self.scale * self.residual * h


def published_sums(k: int, depth: int) -> tuple[nn.Module, nn.Module]:
    """Study 3 weights only the sum of the MLP, and counts blocks from 1."""
    return Sum(), WeightedSum((k / (k + 1)) ** 0.5, depth**-0.5)


def complete_sums(k: int, depth: int) -> tuple[nn.Module, nn.Module]:
    """Every branch is weighted so that squared weights add up to 1: after N = 2 depth branches each has the same
    share. Branch j of 1 to N has m = N - 2 + j, as in the authors' code."""
    shares = (2 * depth - 2 + j for j in (2 * k - 1, 2 * k))
    first, second = (WeightedSum((m / (m + 1)) ** 0.5, (m + 1) ** -0.5) for m in shares)
    return first, second


@dataclass(frozen=True)
class Method:
    """The norm before a branch, the one before the head, and the two sums of block k of `depth`."""

    norm: Callable[[int], nn.Module]
    last: Callable[[int], nn.Module]
    sums: Callable[[int, int], tuple[nn.Module, nn.Module]] = lambda k, depth: (Sum(), Sum())


LayerNorm = partial(nn.LayerNorm, eps=EPS)

# Rescaling: Shao et al. 2020, "Is normalization indispensable for training deep neural network?"
METHODS = {
    "ln": Method(LayerNorm, LayerNorm),
    "bn": Method(BatchNorm, BatchNorm),
    "gn": Method(GroupNorm, GroupNorm),
    "rescale": Method(PublishedRecentre, nn.Identity, published_sums),
    "rescale_full": Method(Recentre, Recentre, complete_sums),
}
