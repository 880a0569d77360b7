"""A detector's predictions for scenes: detections in original pixels, and optionally the loss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn

from florilegium.core.system import bar
from florilegium.data.boxed import BoxedBatch, gather, normalise
from florilegium.evaluation.precision import autocast
from florilegium.evaluation.suppression import Found, Suppression, suppress
from florilegium.models.retinanet import clip

if TYPE_CHECKING:
    from florilegium.data.augment import InputConfig
    from florilegium.data.boxed import BoxedImages

BATCH = 8


class BatchLoss(Protocol):
    """The summed loss of a batch of images, on the device."""

    def __call__(self, logits: Tensor, deltas: Tensor, anchors: Tensor, batch: BoxedBatch) -> Tensor: ...


@dataclass(frozen=True)
class Answers:
    """Detections in COCO's results form, sorted by image and falling score, and the mean loss."""

    results: list[dict[str, Any]]
    loss: float | None


def detect(
    network: nn.Module,
    scenes: BoxedImages,
    config: InputConfig,
    rule: Suppression,
    *,
    category_ids: tuple[int, ...],
    device: torch.device,
    precision: str = "fp32",
    loss: BatchLoss | None = None,
) -> Answers:
    """Detect objects in `scenes`; leaves the network in evaluation mode."""
    network.eval()
    detections: list[Found] = [Found(torch.empty(0, 4), torch.empty(0), torch.empty(0))] * len(scenes)
    total = torch.zeros((), dtype=torch.float32, device=device)
    batches = list(by_bucket(scenes, BATCH))
    for index in bar(batches, "detecting", "batch"):
        batch = gather(scenes, index, device)
        images = normalise(batch, config)
        with torch.no_grad():
            with autocast(device, precision):
                logits, deltas = network(images)
            anchors = network.anchors(images)
            if loss is not None:
                total += loss(logits, deltas, anchors, batch)
            answers = suppress(logits, deltas, anchors, batch.content, rule)
        for number, answer in zip(index.tolist(), answers, strict=True):
            detections[number] = answer
    results = [
        line
        for number in sorted(range(len(scenes)), key=scenes.ids.__getitem__)
        for line in in_original_pixels(detections[number], scenes, number, category_ids)
    ]
    return Answers(results, None if loss is None else total.item() / len(scenes))


def by_bucket(scenes: BoxedImages, batch_size: int) -> Iterator[Tensor]:
    """Every image once, int64 (b,), those of one shape together."""
    for bucket in scenes.bucket.unique().tolist():
        yield from (scenes.bucket == bucket).nonzero().flatten().split(batch_size)


def in_original_pixels(
    found: Found, scenes: BoxedImages, number: int, category_ids: tuple[int, ...]
) -> list[dict[str, Any]]:
    """COCO results of one image: corners to a hundredth of a pixel, never outside the image."""
    boxes = found.boxes.double() / scenes.scale[number]
    boxes = clip(boxes, scenes.sizes[number].expand(len(boxes), 2))
    corners = [[round(value, 2) for value in box] for box in boxes.tolist()]
    return [
        {
            "image_id": scenes.ids[number],
            "category_id": category_ids[label],
            "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
            "score": round(score, 6),
        }
        for (x1, y1, x2, y2), score, label in zip(
            corners, found.scores.tolist(), found.labels.tolist(), strict=True
        )
    ]
