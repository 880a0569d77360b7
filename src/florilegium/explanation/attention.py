"""Attention matrices of a vision transformer, computed again from what its attention layers are given.

Training and evaluation run fused kernels, which never write a matrix down. Whoever wants to see one
asks for it here: hooks recompute softmax(q k^T scale) (Vaswani et al. 2017, section 3.2.1) a block at a
time, and nothing is kept that the observer does not keep.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from florilegium.core.errors import UserError

Observer = Callable[[int, Tensor], None]
NEEDED = ("qkv", "num_heads", "scale", "proj")
TOLERANCE = 1e-2  # a fused kernel adds up in another order, and a GPU in fewer digits


@contextmanager
def observed(network: nn.Module, see: Observer) -> Iterator[None]:
    """Inside, every forward pass calls `see(block, weights)` for each block in turn.

    `weights` (B, H, N, N) holds a row of N weights, which sum to one, for each query token. The
    network's output does not change, and its hooks are gone afterwards.

    Raises:
        UserError: the network's attention is not plain self-attention in a list of blocks.
    """
    layers = attention_layers(network)
    hooks = [
        layer.register_forward_hook(partial(_recompute, see=see, block=block))
        for block, layer in enumerate(layers)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def attention_layers(network: nn.Module) -> list[nn.Module]:
    """`network.blocks[i].attn` in order; raises `UserError` where there is no such thing."""
    blocks = getattr(network, "blocks", ())
    layers = [
        getattr(block, "attn", None) for block in blocks if isinstance(blocks, nn.Sequential | nn.ModuleList)
    ]
    if not layers or any(not hasattr(layer, name) for layer in layers for name in NEEDED):
        raise _unlike(network)
    return layers


def heads(network: nn.Module) -> int:
    """The number of attention heads in each block."""
    return int(attention_layers(network)[0].num_heads)


def _recompute(
    layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor, *, see: Observer, block: int
) -> None:
    """Form the matrix of a layer that has just run, and check that it explains what came out."""
    tokens = inputs[0]  # (B, N, C)
    if tokens.dim() != 3:
        raise _unlike(layer)
    qkv = layer.qkv(tokens).unflatten(2, (3, layer.num_heads, -1)).permute(2, 0, 3, 1, 4)
    query, key, value = qkv.unbind(0)  # (B, H, N, d) each
    query, key = _applied(layer, "q_norm", query), _applied(layer, "k_norm", key)
    weights = (query @ key.transpose(2, 3) * layer.scale).softmax(dim=-1)  # (B, H, N, N)
    mixed = (weights @ value).transpose(1, 2).flatten(2)  # (B, N, H d)
    explained = layer.proj(_applied(layer, "norm", mixed))
    if explained.shape != output.shape or (explained - output).norm() > TOLERANCE * output.norm():
        raise _unlike(layer)
    see(block, weights)


def _applied(layer: nn.Module, name: str, tokens: Tensor) -> Tensor:
    """A part that a layer may have or not, run over `tokens`."""
    part = getattr(layer, name, None)
    return tokens if part is None else part(tokens)


def _unlike(module: nn.Module) -> UserError:
    return UserError(
        f"attention: {type(module).__name__} does not attend by softmax(q k^T scale) in blocks[i].attn alone, as "
        "ViT and DeiT do, so its matrices are not known; take `attention` out of this experiment"
    )


def entropy(weights: Tensor) -> Tensor:
    """Mean row entropy in nats, (B, H), of weights (B, H, N, N): log N when uniform, 0 when one-hot."""
    return torch.special.entr(weights).sum(dim=-1).mean(dim=-1)


def diagonal(weights: Tensor) -> Tensor:
    """Mean weight that a token gives itself, (B, H), of weights (B, H, N, N): 1 / N when uniform."""
    return weights.diagonal(dim1=-2, dim2=-1).mean(dim=-1)


class Rollout:
    """Attention rollout (Abnar and Zuidema 2020, section 3), an observer for `observed`.

    Heads are averaged, the residual connection is an identity of equal weight, and the product runs
    from the first block to the last: a row of `flow` (B, N, N) says how much of a last token comes from
    each token of the input, and sums to one.
    """

    def __init__(self) -> None:
        self.flow: Tensor | None = None

    def __call__(self, block: int, weights: Tensor) -> None:
        mean = weights.mean(dim=1)  # (B, N, N)
        here = 0.5 * (mean + torch.eye(mean.shape[-1], device=mean.device))
        self.flow = here if block == 0 else here @ self.flow

    def over_patches(self, grid: tuple[int, int], read: slice) -> Tensor:
        """What the answer is read from, the tokens `read` alike, traced to the patches, which stand last;
        (B, rows, columns)."""
        assert self.flow is not None
        row = self.flow[:, read].mean(dim=1)  # (B, N)
        return row[:, -grid[0] * grid[1] :].unflatten(1, grid)


def answer_tokens(network: nn.Module, patches: int) -> slice:
    """The tokens that the head reads: the class token, and DeiT's distillation token beside it, or the patches.

    Registers (Darcet et al. 2024, "Vision Transformers Need Registers") stand between a class token and the
    patches, or first where there is none; no head reads them but one that pools all tokens. What
    pools by a maximum, or by attention of its own, is taken to read all patches alike.
    """
    pooled = getattr(network, "global_pool", "token" if hasattr(network, "cls_token") else "avg")
    if pooled == "token":
        return slice(0, 2 if hasattr(network, "head_dist") else 1)
    return slice(None) if getattr(network, "pool_include_prefix", False) else slice(-patches, None)
