"""Classifiers on a set of images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from florilegium.data.load import Images

EVALUATION_BATCH = 64
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """A context in which a forward pass multiplies in `precision`; of no effect for fp32."""
    return torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32")


@dataclass(frozen=True)
class Scores:
    """Mean cross-entropy, fractions of right answers, and the answers and logits, which lie on the CPU."""

    loss: float
    top1: float
    top5: float
    predictions: Tensor  # (N,) int64
    probabilities: Tensor  # (N,) float32, of the predicted class
    logits: Tensor | None  # (N, C) float32; None where they were not to be kept


def evaluate(
    network: nn.Module,
    images: Images,
    transform: Callable[[Tensor], Tensor],
    *,
    device: torch.device,
    precision: str = "fp32",
    batch_size: int = EVALUATION_BATCH,
    keep_logits: bool = False,
) -> Scores:
    """Score `network` on `images`, and leave it in evaluation mode.

    With fewer than five classes, `top5` counts among all of them. The host waits for the device once, at the end.
    Logits are kept on request alone: those of ImageNet take gigabytes.
    """
    network.eval()
    labels = images.labels.to(device)  # (N,)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    kept: list[Tensor] = []
    for start in range(0, len(labels), batch_size):
        pixels = images.pixels[start : start + batch_size].to(device, non_blocking=True)
        inputs = transform(pixels)  # (B, 3, s, s), or (B, H, F) of features
        with torch.inference_mode(), autocast(device, precision):
            logits = network(inputs).float()  # (B, C)
        best = logits.topk(min(5, logits.shape[1]), dim=1).indices  # (B, 5)
        target = labels[start : start + batch_size, None]
        if keep_logits:
            kept.append(logits)
        found.append((best, logits.softmax(dim=1).gather(1, best[:, :1]), logits.log_softmax(dim=1).gather(1, target)))
    best, probability, log_likelihood = (torch.cat(parts) for parts in zip(*found, strict=True))
    right = best == labels[:, None]
    return Scores(
        # The mean over all, in the order in which the cross-entropy of all logits takes it.
        loss=F.nll_loss(log_likelihood, torch.zeros_like(labels)).item(),
        top1=right[:, 0].double().mean().item(),
        top5=right.any(dim=1).double().mean().item(),
        predictions=best[:, 0].cpu(),
        probabilities=probability[:, 0].cpu(),
        logits=torch.cat(kept).cpu() if keep_logits else None,
    )
