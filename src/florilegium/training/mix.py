"""Mixup and CutMix of a batch with itself shifted by one, and the loss of a pair of targets."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from florilegium.config.recipes import Recipe


@dataclass(frozen=True)
class Targets:
    """Labels (B,) and the labels mixed in (B,); the first have the weight `share`, the others 1 - `share`."""

    labels: Tensor
    others: Tensor
    share: float = 1.0

    def __getitem__(self, part: slice) -> "Targets":
        return Targets(self.labels[part], self.others[part], self.share)


def mix(images: Tensor, labels: Tensor, recipe: Recipe) -> tuple[Tensor, Targets]:
    """Mix images (B, 3, s, s) as the recipe says; if it names both ways, each with probability 1/2.

    Mixup: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization". CutMix: Yun et al. 2019,
    "CutMix: Regularization Strategy to Train Strong Classifiers", whose share is the remaining area.
    """
    if not recipe.mixup and not recipe.cutmix:
        return images, Targets(labels, labels)
    cut = bool(recipe.cutmix) and (not recipe.mixup or bool(torch.rand(()) < 0.5))
    alpha = recipe.cutmix if cut else recipe.mixup
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    others = labels.roll(1)
    if not cut:
        return torch.lerp(images.roll(1, 0), images, share), Targets(labels, others, share)
    side = images.shape[2]
    top, bottom, left, right = _window(side, share)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images.roll(1, 0)[:, :, top:bottom, left:right]
    return mixed, Targets(labels, others, 1 - (bottom - top) * (right - left) / side**2)


def _window(side: int, share: float) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of a window that covers 1 - share of the image, clipped to its borders."""
    half = side * (1 - share) ** 0.5 / 2
    (y, x) = (torch.rand(2) * side).tolist()
    return tuple(min(max(round(edge), 0), side) for edge in (y - half, y + half, x - half, x + half))


def loss_of(logits: Tensor, targets: Targets, label_smoothing: float) -> Tensor:
    """Mean cross-entropy of (B, C) logits, in float32."""
    logits = logits.float()
    loss = F.cross_entropy(logits, targets.labels, label_smoothing=label_smoothing)
    if targets.share == 1:
        return loss
    other = F.cross_entropy(logits, targets.others, label_smoothing=label_smoothing)
    return targets.share * loss + (1 - targets.share) * other


def hits_of(logits: Tensor, targets: Targets) -> Tensor:
    """The number of right predictions, a scalar on the device; a mixed image counts by its shares."""
    predicted = logits.argmax(1)
    right = (predicted == targets.labels).sum()
    if targets.share == 1:
        return right
    return targets.share * right + (1 - targets.share) * (predicted == targets.others).sum()
