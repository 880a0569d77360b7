"""Focal loss and smooth L1 over all anchors of a batch (Lin et al. 2017, sections 3 and 4).

Everything is dense and masked, so that a device never waits to tell how many anchors matched.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from florilegium.models.matching import IGNORED, Matched

BETA = 1 / 9  # where smooth L1 turns from a parabola into a line


def class_loss(logits: Tensor, labels: Tensor, *, alpha: float, gamma: float, clamp: float | None) -> Tensor:
    """The focal loss of each image, summed over its anchors and classes: (B,).

    Args:
        logits: (B, A, C).
        labels: (B, A) as in `Matched`; ignored anchors do not count.
        alpha: weight of the right class; 1 - alpha is that of every other.
        gamma: how much less an anchor counts that is nearly right already.
        clamp: keeps probabilities this far from 0 and 1, as published; beyond it an anchor has no
            gradient. None computes with logits, which needs no such guard.
    """
    classes = torch.arange(logits.shape[2], device=logits.device)
    right = labels[..., None] == classes  # (B, A, C)
    if clamp is None:
        losses = sigmoid_focal_loss(logits, right.to(logits.dtype), alpha, gamma)
    else:
        p = logits.sigmoid().clamp(clamp, 1 - clamp)
        p = torch.where(right, p, 1 - p)  # of the right answer
        losses = torch.where(right, alpha, 1 - alpha) * (1 - p) ** gamma * -p.log()
    return (losses.sum(dim=2) * (labels != IGNORED)).sum(dim=1)


def box_loss(deltas: Tensor, matched: Matched) -> Tensor:
    """The mean smooth L1 of a box's four codes, summed over each image's positive anchors: (B,)."""
    losses = F.smooth_l1_loss(deltas, matched.deltas, beta=BETA, reduction="none").mean(dim=2)  # (B, A)
    return (losses * matched.positive).sum(dim=1)


def normalisers(matched: Matched, by: Literal["image", "batch"]) -> Tensor:
    """What each image's losses are divided by, (B,): never less than 1.

    `image`, as published: its own positive anchors, so that the background of an image without objects
    weighs as much as that of all others together. `batch`: the mean number of the batch's images.
    """
    counts = matched.positive.sum(dim=1).float()
    return (counts if by == "image" else counts.mean().expand_as(counts)).clamp(min=1)
