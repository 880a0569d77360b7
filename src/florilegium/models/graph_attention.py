"""A residual network of small images with a head that attends over the cells of its last map, as nodes of a graph."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from florilegium.config.data import Model
from florilegium.data.augment import InputConfig
from florilegium.models.arguments import ATTENTION_RESNETS, HALF, AttentionArguments, attention_arguments, refuse_rates
from florilegium.models.resnet import CifarStages

PATCH = 2  # side in grid cells of the patch of the last map that becomes one node
ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "leaky_relu": nn.LeakyReLU}


def build(model: Model, n_classes: int, *, drop_path: float, dropout: float) -> nn.Module:
    """The network with random weights. `dropout` is the recipe's, before the last layer; that of the head
    is an argument. Raises `UserError` for an argument or a rate that it does not take."""
    arguments = attention_arguments(model)
    refuse_rates(model, drop_path=drop_path)
    return AttentionResNet(ATTENTION_RESNETS[model.name], arguments, n_classes, dropout)


def own_input(model: Model) -> tuple[InputConfig, bool]:
    """The input of study 4, pixels in [-1, 1]; of one size, which the number of nodes depends on."""
    return InputConfig(attention_arguments(model).img_size, HALF, HALF, "bilinear"), True


class AttentionResNet(CifarStages):
    """Images (B, 3, S, S) to logits (B, n_classes), read from the features of all nodes together."""

    def __init__(self, depth: int, arguments: AttentionArguments, n_classes: int, dropout: float) -> None:
        super().__init__(depth, arguments)
        self.head = Head(arguments, n_classes, dropout)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.last_map(images))

    @torch.no_grad()
    def node_attention(self, images: Tensor) -> Tensor:
        """Attention weights (B, heads, n, n) of query node i on key node j; nodes are squares of the image, by rows."""
        encoder = self.head.encoder
        return encoder.attn.weights(encoder.norm1(self.head.embed(self.last_map(images))))

    def get_classifier(self) -> nn.Module:
        return self.head.fc


class Head(nn.Module):
    """A map (B, f, H, W) to logits (B, n_classes)."""

    def __init__(self, arguments: AttentionArguments, n_classes: int, dropout: float) -> None:
        super().__init__()
        feats, nodes = arguments.widths[-1], arguments.nodes
        self.embed = NodeEmbed(feats, nodes)
        self.encoder = Encoder(feats, arguments)
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(nodes * feats, n_classes)

    def forward(self, features: Tensor) -> Tensor:
        nodes = self.encoder(self.embed(features))  # (B, n, f)
        return self.fc(self.drop(nodes.flatten(1)))


class NodeEmbed(nn.Module):
    """A map (B, f, H, W) to nodes (B, n, f), row by row: a convolution of patches, and a learned position."""

    def __init__(self, feats: int, nodes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(feats, feats, PATCH, stride=PATCH)
        self.position = nn.Parameter(torch.zeros(1, nodes, feats))

    def forward(self, features: Tensor) -> Tensor:
        return self.conv(features).flatten(2).transpose(1, 2) + self.position


class Encoder(nn.Module):
    """Attention, then an MLP as wide as its input, each on a residual branch of normed nodes (B, n, f)."""

    def __init__(self, feats: int, arguments: AttentionArguments) -> None:
        super().__init__()
        rate, activation = arguments.dropout, ACTIVATIONS[arguments.activation]
        self.norm1, self.norm2 = nn.LayerNorm(feats), nn.LayerNorm(feats)
        self.attn = KINDS[arguments.attention](feats, arguments)
        self.mlp = nn.Sequential(
            nn.Linear(feats, feats),
            activation(),
            nn.Dropout(rate),
            nn.Linear(feats, feats),
            activation() if arguments.extra_activations else nn.Identity(),
            nn.Dropout(rate),
        )

    def forward(self, nodes: Tensor) -> Tensor:
        nodes = nodes + self.attn(self.norm1(nodes))
        return nodes + self.mlp(self.norm2(nodes))


class NodeAttention(nn.Module, ABC):
    """Nodes (B, n, f) to nodes (B, n, f)."""

    def __init__(self, feats: int, arguments: AttentionArguments) -> None:
        super().__init__()
        self.heads, self.active_values = arguments.heads, arguments.extra_activations
        self.value = nn.Linear(feats, feats // self.heads)
        self.activation = ACTIVATIONS[arguments.activation]()
        self.drop = nn.Dropout(arguments.dropout)

    def forward(self, nodes: Tensor) -> Tensor:
        values = self.values(nodes)  # (B, n, d)
        weights = self.drop(self.scores(nodes, values).softmax(dim=-1))  # (B, h, n, n)
        return torch.einsum("bhij,bjd->bihd", weights, values).flatten(2)  # (B, n, h d)

    def values(self, nodes: Tensor) -> Tensor:
        """The values v, (B, n, d) with d = f / h."""
        return self.value(nodes)

    def weights(self, nodes: Tensor) -> Tensor:
        """Attention weights of query node i on key node j, (B, h, n, n); each row sums to one."""
        return self.scores(nodes, self.values(nodes)).softmax(dim=-1)

    @abstractmethod
    def scores(self, nodes: Tensor, values: Tensor) -> Tensor:
        """e_ij, (B, h, n, n)."""


class GraphAttention(NodeAttention):
    """e_ij = act(q_j + k_i), where q and k are projections of the values to one number per head.

    After Velickovic et al. 2018, "Graph Attention Networks", section 2.1. Where the activation is linear, k_i
    cancels in the softmax, and all nodes attend equally: Brody et al. 2022.
    """

    def __init__(self, feats: int, arguments: AttentionArguments) -> None:
        super().__init__(feats, arguments)
        self.query = nn.Linear(feats // self.heads, self.heads)
        self.key = nn.Linear(feats // self.heads, self.heads)

    def scores(self, nodes: Tensor, values: Tensor) -> Tensor:
        q, k = (part(values).transpose(1, 2) for part in (self.query, self.key))  # (B, h, n)
        return self.activation(q[:, :, None, :] + k[:, :, :, None])


class ClassicalAttention(NodeAttention):
    """e_ij = q_i . k_j / sqrt(d) (Vaswani et al. 2017, section 3.2.1)."""

    def __init__(self, feats: int, arguments: AttentionArguments) -> None:
        super().__init__(feats, arguments)
        self.query, self.key = nn.Linear(feats, feats), nn.Linear(feats, feats)

    def values(self, nodes: Tensor) -> Tensor:
        values = super().values(nodes)
        return self.activation(values) if self.active_values else values

    def scores(self, nodes: Tensor, values: Tensor) -> Tensor:
        q, k = (part(nodes).unflatten(2, (self.heads, -1)) for part in (self.query, self.key))
        return torch.einsum("bihd,bjhd->bhij", q, k) / q.shape[-1] ** 0.5


class GraphAttention2(NodeAttention):
    """e_ij = a . act(L v_i + R v_j), with a vector a and matrices L, R per head.

    Brody, Alon and Yahav 2022, "How Attentive are Graph Attention Networks?", equation 7: the activation comes
    before the last product, so that no part of a score cancels and each node can rank the others differently.
    """

    def __init__(self, feats: int, arguments: AttentionArguments) -> None:
        super().__init__(feats, arguments)
        width = feats // self.heads
        self.left, self.right = nn.Linear(width, feats), nn.Linear(width, feats)
        self.score = nn.Parameter(torch.empty(self.heads, width))
        nn.init.xavier_uniform_(self.score)

    def scores(self, nodes: Tensor, values: Tensor) -> Tensor:
        left, right = (part(values).unflatten(2, (self.heads, -1)) for part in (self.left, self.right))
        pairs = self.activation(left[:, :, None] + right[:, None])  # (B, n, n, h, d)
        return torch.einsum("bijhd,hd->bhij", pairs, self.score)


KINDS: dict[str, type[NodeAttention]] = {
    "graph": GraphAttention,
    "classical": ClassicalAttention,
    "gatv2": GraphAttention2,
}
