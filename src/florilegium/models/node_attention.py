"""Three kinds of attention between the nodes of a graph, with everything else equal (study 4).

A head's weights A are a softmax over keys j of scores e_ij; the new features of query node i are the sum over j
of A_ij v_j. The values v are one projection that all heads share, and the outputs of the heads are concatenated
without another projection, as in the study and unlike Vaswani et al. 2017.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"gelu": nn.GELU, "leaky_relu": nn.LeakyReLU}


class NodeAttention(nn.Module, ABC):
    """Nodes (B, n, f) to nodes (B, n, f)."""

    def __init__(self, feats: int, heads: int, dropout: float, activation: str, active_values: bool) -> None:
        super().__init__()
        self.heads = heads
        self.value = nn.Linear(feats, feats // heads)
        self.activation = ACTIVATIONS[activation]()
        self.active_values = active_values
        self.drop = nn.Dropout(dropout)

    def forward(self, nodes: Tensor) -> Tensor:
        values = self.values(nodes)  # (B, n, d)
        weights = self.drop(self.scores(nodes, values).softmax(dim=-1))  # (B, h, n, n)
        return torch.einsum("bhij,bjd->bihd", weights, values).flatten(2)  # (B, n, h d)

    def values(self, nodes: Tensor) -> Tensor:
        """The values v, (B, n, d) with d = f / h."""
        values: Tensor = self.value(nodes)
        return values

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

    def __init__(self, feats: int, heads: int, dropout: float, activation: str, active_values: bool) -> None:
        super().__init__(feats, heads, dropout, activation, active_values)
        self.query = nn.Linear(feats // heads, heads)
        self.key = nn.Linear(feats // heads, heads)

    def scores(self, nodes: Tensor, values: Tensor) -> Tensor:
        q = self.query(values).transpose(1, 2)  # (B, h, n)
        k = self.key(values).transpose(1, 2)
        scores: Tensor = self.activation(q[:, :, None, :] + k[:, :, :, None])
        return scores


class ClassicalAttention(NodeAttention):
    """e_ij = q_i . k_j / sqrt(d) (Vaswani et al. 2017, section 3.2.1)."""

    def __init__(self, feats: int, heads: int, dropout: float, activation: str, active_values: bool) -> None:
        super().__init__(feats, heads, dropout, activation, active_values)
        self.query = nn.Linear(feats, feats)
        self.key = nn.Linear(feats, feats)

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

    def __init__(self, feats: int, heads: int, dropout: float, activation: str, active_values: bool) -> None:
        super().__init__(feats, heads, dropout, activation, active_values)
        self.left = nn.Linear(feats // heads, feats)
        self.right = nn.Linear(feats // heads, feats)
        self.score = nn.Parameter(torch.empty(heads, feats // heads))
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
