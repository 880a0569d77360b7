"""Vision transformers that differ only in their normalisation (study 3).

The five kinds are in `florilegium.models.norm_vit_methods`. The network around them is the pre-norm
transformer of Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", initialised as in the code of
the study. Parameters have timm's names, so that with `norm: ln` weights fit in both directions.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from florilegium.config.data import Model
from florilegium.core.system import twelve_digits
from florilegium.data.augment import InputConfig
from florilegium.models.norm_vit_methods import METHODS
from florilegium.models.norm_vit_sizes import Arguments, arguments_of


def build(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> nn.Module:
    """The network with random weights. `dropout` is the recipe's, before the head; that of the blocks is
    an argument of the model. Raises `UserError` for an argument that is wrong or missing."""
    return NormViT(arguments_of(model), n_classes, drop_path, dropout)


def own_input(model: Model) -> tuple[InputConfig, bool]:
    """The input of study 3: pixels in [-1, 1], resized bilinearly, of one size only."""
    half = (0.5, 0.5, 0.5)
    return InputConfig(arguments_of(model).img_size, half, half, "bilinear"), True


class NormViT(nn.Module):
    """Images (B, 3, S, S) to logits (B, n_classes), read from the class token."""

    def __init__(self, sizes: Arguments, n_classes: int, drop_path: float, dropout: float) -> None:
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
        logits: Tensor = self.head(self.head_drop(x[:, 0]))
        return logits

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
        patches: Tensor = self.proj(images)  # (B, C, rows, columns)
        return patches.flatten(2).transpose(1, 2)


class Block(nn.Module):
    """Attention, then an MLP, each on a residual branch: block `k` of 1 to depth, on (B, N, C)."""

    def __init__(self, sizes: Arguments, k: int, drop_path: float) -> None:
        super().__init__()
        dim, method = sizes.embed_dim, METHODS[sizes.norm]
        self.norm1 = method.norm(dim)
        self.attn = Attention(dim, sizes.num_heads)
        self.norm2 = method.norm(dim)
        self.mlp = Mlp(dim, int(twelve_digits(dim * sizes.mlp_ratio)), sizes.dropout)
        self.sum1, self.sum2 = method.sums(k, sizes.depth)
        self.drop_path = stochastic_depth(drop_path)

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
        mixed: Tensor = self.proj(x.transpose(1, 2).reshape(batch, tokens, dim))
        return mixed


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
        hidden: Tensor = self.drop(F.gelu(self.fc1(x)))
        return self.drop(self.fc2(hidden))


def stochastic_depth(rate: float) -> nn.Module:
    """A module that drops a residual branch of an image with probability `rate` (Huang et al. 2016)."""
    if not rate:
        return nn.Identity()
    from torchvision.ops import StochasticDepth  # costs a second that few networks need to spend

    return StochasticDepth(rate, "row")
