"""A ResNet for 32-pixel images whose last map becomes a small graph, with a head that attends over it (study 4).

The stages have the names of the plain network's, so that its weights fit: `fc.*` is then unexpected and
`head.*` missing. `recipe.freeze_blocks: 4` freezes all but the head.
"""

import torch
from torch import Tensor, nn

from florilegium.config.data import Model
from florilegium.data.augment import InputConfig
from florilegium.models.cifar_names import ATTENDING, STRIDE, HeadArguments, head_arguments_of
from florilegium.models.cifar_resnet import HALF, CifarStages, no_drop_path
from florilegium.models.node_attention import ACTIVATIONS, KINDS

PATCH = 2  # side in grid cells of the patch of the last map that becomes one node


def build(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> nn.Module:
    """The network with random weights. `dropout` is the recipe's, before the last layer; that of the head
    is an argument. Raises `UserError` for an argument or a rate that it does not take."""
    arguments = head_arguments_of(model)
    no_drop_path(model, drop_path)
    return AttendingResNet(ATTENDING[model.name], arguments, n_classes, dropout)


def own_input(model: Model) -> tuple[InputConfig, bool]:
    """The input of study 4, pixels in [-1, 1]; of one size, which the number of nodes depends on."""
    return InputConfig(head_arguments_of(model).img_size, HALF, HALF, "bilinear"), True


class AttendingResNet(CifarStages):
    """Images (B, 3, S, S) to logits (B, n_classes), read from the features of all nodes together."""

    def __init__(self, depth: int, arguments: HeadArguments, n_classes: int, dropout: float) -> None:
        super().__init__(depth, arguments)
        self.head = Head(arguments, n_classes, dropout)

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]
        logits: Tensor = self.head(self.last_map(images))
        return logits

    @torch.no_grad()
    def node_attention(self, images: Tensor) -> Tensor:
        """Attention weights (B, heads, n, n) of query node i on key node j; nodes are the image's squares, row by row."""
        encoder = self.head.encoder
        return encoder.attn.weights(encoder.norm1(self.head.embed(self.last_map(images))))

    def get_classifier(self) -> nn.Module:
        return self.head.fc


class Head(nn.Module):
    """A map (B, f, H, W) to logits (B, n_classes)."""

    def __init__(self, arguments: HeadArguments, n_classes: int, dropout: float) -> None:
        super().__init__()
        feats, nodes = arguments.widths[-1], (arguments.img_size // STRIDE) ** 2
        self.embed = NodeEmbed(feats, nodes)
        self.encoder = Encoder(feats, arguments)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(nodes * feats, n_classes)

    def forward(self, features: Tensor) -> Tensor:
        nodes = self.encoder(self.embed(features))  # (B, n, f)
        logits: Tensor = self.fc(self.drop(nodes.flatten(1)))
        return logits


class NodeEmbed(nn.Module):
    """A map (B, f, H, W) to nodes (B, n, f), row by row: a convolution of patches, and a learned position."""

    def __init__(self, feats: int, nodes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(feats, feats, PATCH, stride=PATCH)
        self.position = nn.Parameter(torch.zeros(1, nodes, feats))

    def forward(self, features: Tensor) -> Tensor:
        patches: Tensor = self.conv(features)  # (B, f, H / 2, W / 2)
        return patches.flatten(2).transpose(1, 2) + self.position


class Encoder(nn.Module):
    """Attention, then an MLP as wide as its input, each on a residual branch of normed nodes (B, n, f)."""

    def __init__(self, feats: int, arguments: HeadArguments) -> None:
        super().__init__()
        extra, rate = arguments.extra_activations, arguments.dropout
        self.norm1, self.norm2 = nn.LayerNorm(feats), nn.LayerNorm(feats)
        self.attn = KINDS[arguments.attention](feats, arguments.heads, rate, arguments.activation, extra)
        self.mlp = nn.Sequential(
            nn.Linear(feats, feats),
            ACTIVATIONS[arguments.activation](),
            nn.Dropout(rate),
            nn.Linear(feats, feats),
            ACTIVATIONS[arguments.activation]() if extra else nn.Identity(),
            nn.Dropout(rate),
        )

    def forward(self, nodes: Tensor) -> Tensor:
        nodes = nodes + self.attn(self.norm1(nodes))
        mixed: Tensor = nodes + self.mlp(self.norm2(nodes))
        return mixed
