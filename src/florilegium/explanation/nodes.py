"""What the nodes of a trained head of attention attend to, and whether that changes at all.

Brody, Alon and Yahav 2022, "How Attentive are Graph Attention Networks?", call attention static when all
nodes rank the others alike (definition 3.1), as those of the first graph attention must. Here that is
measured, and how far weights move from node to node and from image to image.
"""

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from florilegium.core.errors import UserError
from florilegium.data.augment import EvalTransform, InputConfig
from florilegium.explanation.attended_nodes import AttendedNodes
from florilegium.explanation.attention import diagonal, entropy
from florilegium.explanation.survey import BATCH, Pictures, as_fed, half, stacked


def survey_nodes(
    network: nn.Module,
    config: InputConfig,
    *,
    measured: Pictures,
    shown: Pictures,
    device: torch.device,
) -> AttendedNodes:
    """Look at a network's head of attention, and leave the network in evaluation mode on `device`.

    Args:
        config: how the network's images are prepared.
        measured: the images that the numbers are means over.
        shown: the images whose weights are kept.

    Raises:
        UserError: the network has no such head.
    """
    if not hasattr(network, "node_attention"):
        raise UserError(
            f"attention.of = nodes: {type(network).__name__} has no head of attention over nodes; set it to tokens, "
            "or take attention out"
        )
    network.eval().to(device)
    transform = EvalTransform(config)

    def weights(pictures: Pictures) -> Tensor:
        batches = transform(stacked(pictures).to(device)).split(BATCH)
        return torch.cat([network.node_attention(batch) for batch in batches])  # (n, heads, N, N)

    many = weights(measured)
    return AttendedNodes(
        maps=half(weights(shown)),
        mean=half(many.mean(0)),
        images=as_fed(stacked(shown), config),
        names=np.array(list(shown)),
        table=measure(many.double().cpu()),
    )


def measure(weights: Tensor) -> pd.DataFrame:
    """The table of `AttendedNodes`, of weights (n, heads, N, N)."""
    nodes = weights.shape[-1]
    entropies = entropy(weights).mean(0)
    return pd.DataFrame(
        {
            "head": range(weights.shape[1]),
            "entropy": entropies.numpy(),
            "entropy_share": entropies.numpy() / math.log(nodes),
            "diagonal": diagonal(weights).mean(0).numpy(),
            "between_queries": moved(weights, weights.mean(2, keepdim=True)).numpy(),
            "between_images": moved(weights, weights.mean(0, keepdim=True)).numpy(),
            "same_first": same_first(weights).numpy(),
            "n_images": len(weights),
            "entropy_uniform": math.log(nodes),
            "diagonal_uniform": 1 / nodes,
        }
    )


def moved(weights: Tensor, means: Tensor) -> Tensor:
    """Mean total variation between rows and their means, (heads,): the share of weight that lies elsewhere."""
    return (weights - means).abs().sum(-1).mean((0, 2)) / 2


def same_first(weights: Tensor) -> Tensor:
    """The share of images in which all nodes take most from the same one, (heads,)."""
    first = weights.argmax(-1)  # (n, heads, N)
    return (first == first[..., :1]).all(-1).double().mean(0)
