"""Focal loss and smooth L1 over all anchors of a batch (Lin et al. 2017, sections 3 and 4).

Everything is dense and masked, so that the host never waits to learn how many anchors matched.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from florilegium.models.retinanet import IGNORED, Matched

BETA = 1 / 9  # where smooth L1 turns from a parabola into a line


def class_loss(logits: Tensor, labels: Tensor, *, alpha: float, gamma: float, clamp: float | None) -> Tensor:
    """The focal loss of each image, summed over its anchors and classes: (B,).

    Args:
        logits: (B, A, C).
        labels: (B, A) as in `Matched`; ignored anchors do not count.
        alpha: weight of the right class; every other class has 1 - alpha.
        gamma: exponent that lowers the loss of anchors that are nearly right.
        clamp: distance that probabilities keep from 0 and 1, as published; beyond it an anchor has no
            gradient. None: the loss is computed from logits, which needs no clamping.
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
    """The mean smooth L1 over a box's four deltas, summed over each image's positive anchors: (B,)."""
    losses = F.smooth_l1_loss(deltas, matched.deltas, beta=BETA, reduction="none").mean(dim=2)  # (B, A)
    return (losses * matched.positive).sum(dim=1)


def normalisers(matched: Matched, by: Literal["image", "batch"]) -> Tensor:
    """The divisor of each image's losses, (B,), at least 1.

    `image`, as published: the number of its positive anchors, so that the background of an image without
    objects weighs far more than that of others. `batch`: the mean of that number over the batch.
    """
    counts = matched.positive.sum(dim=1).float()
    return (counts if by == "image" else counts.mean().expand_as(counts)).clamp(min=1)
