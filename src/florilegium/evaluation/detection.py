"""Detectors on a set of images: their detections in COCO's form, and the suppression of overlapping ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from florilegium.config.recipes import DetectionRecipe
from florilegium.core.system import bar
from florilegium.data.boxed import BoxedBatch, gather, normalise, send
from florilegium.evaluation.classification import autocast
from florilegium.models.retinanet import RetinaNet, clip, decode

if TYPE_CHECKING:
    from florilegium.data.augment import InputConfig
    from florilegium.data.boxed import BoxedImages

BATCH = 8


@dataclass(frozen=True)
class Answers:
    """Detections in COCO's results form, sorted by image and falling score, and the mean loss."""

    results: list[dict[str, Any]]
    loss: float | None


def detect(
    network: RetinaNet,
    images: BoxedImages,
    config: InputConfig,
    rule: Suppression,
    *,
    category_ids: tuple[int, ...],
    device: torch.device,
    precision: str = "fp32",
    loss: Callable[[Tensor, Tensor, Tensor, BoxedBatch], Tensor] | None = None,
) -> Answers:
    """Detect objects in `images`; leaves the network in evaluation mode.

    `loss` gives the summed loss of a batch from its logits, deltas, anchors and boxes, on the device.
    """
    network.eval()
    results: dict[int, list[dict[str, Any]]] = {}
    total = torch.zeros((), dtype=torch.float32, device=device)
    for index in bar(list(by_bucket(images, BATCH)), "detecting", "batch"):
        batch = send(gather(images, index), device)
        inputs = normalise(batch, config)
        with torch.no_grad():
            with autocast(device, precision):
                logits, deltas = network(inputs)
            anchors = network.anchors(inputs)
            if loss is not None:
                total += loss(logits, deltas, anchors, batch)
            detections = suppress(logits, deltas, anchors, batch.content, rule)
        for number, own in zip(index.tolist(), detections, strict=True):
            results[images.ids[number]] = in_original_pixels(own, images, number, category_ids)
    lines = [line for number in sorted(results) for line in results[number]]
    return Answers(lines, None if loss is None else total.item() / len(images))


def by_bucket(images: BoxedImages, batch_size: int) -> Iterator[Tensor]:
    """Every image once, int64 (b,), those of one shape together."""
    for bucket in images.bucket.unique().tolist():
        yield from (images.bucket == bucket).nonzero().flatten().split(batch_size)


def in_original_pixels(
    detections: Detections, images: BoxedImages, number: int, category_ids: tuple[int, ...]
) -> list[dict[str, Any]]:
    """COCO results of one image: corners to a hundredth of a pixel, never outside the image."""
    boxes = detections.boxes.double() / images.scale[number]
    boxes = clip(boxes, images.sizes[number].expand(len(boxes), 2))
    corners = [[round(value, 2) for value in box] for box in boxes.tolist()]
    scores, labels = detections.scores.tolist(), detections.labels.tolist()
    return [
        {
            "image_id": images.ids[number],
            "category_id": category_ids[label],
            "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
            "score": round(score, 6),
        }
        for (x1, y1, x2, y2), score, label in zip(corners, scores, labels, strict=True)
    ]


# Suppression

GRID = 2**16  # steps per pixel at which boxes are compared: float32 has no finer ones from 128 pixels on


@dataclass(frozen=True)
class Suppression:
    """The parameters of suppression."""

    score: float = 0.05
    """Least probability of a class."""
    iou: float = 0.5
    """IoU of two boxes of one class above which the less likely one is removed."""
    before: int | None = 1000
    """Number of the likeliest predictions of an image that enter; None: all above the score, as published."""
    after: int | None = 100
    """Most boxes of an image; None: all, as published."""


def suppression(recipe: DetectionRecipe) -> Suppression:
    """The parameters of the recipe."""
    return Suppression(recipe.score_threshold, recipe.suppression_iou, recipe.top_k, recipe.max_detections)


@dataclass(frozen=True)
class Detections:
    """The detections in one image, the likeliest first."""

    boxes: Tensor  # float32 (n, 4), pixels of the network's input
    scores: Tensor  # float32 (n,)
    labels: Tensor  # int64 (n,)


def suppress(logits: Tensor, deltas: Tensor, anchors: Tensor, content: Tensor, rule: Suppression) -> list[Detections]:
    """The detections in each image of a batch, on the host.

    Args:
        logits: (B, A, C).
        deltas: (B, A, 4), encoded boxes.
        anchors: (A, 4).
        content: (B, 2), height and width of each image inside its padding, to which boxes are clipped.
    """
    count, _, n_classes = logits.shape
    answers = logits.float().flatten(1)  # (B, A C)
    image, answer = _likely(answers, rule)
    values = answers[image, answer]
    anchor, label = answer // n_classes, answer % n_classes
    boxes = decode(deltas.float()[image, anchor], anchors[anchor])
    boxes = clip(boxes, content.to(boxes.device)[image])
    there = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    image, values, label, boxes = (part[there] for part in (image, values, label, boxes))
    kept = _kept(boxes, values, image * n_classes + label, rule.iou)
    image, values, label, boxes = (part[kept].cpu() for part in (image, values, label, boxes))
    order = values.sort(descending=True, stable=True).indices  # of equal ones the one that came first
    each = (order[image[order] == number][: rule.after] for number in range(count))
    return [Detections(boxes[own], values[own].double().sigmoid().float(), label[own]) for own in each]


def _kept(boxes: Tensor, logits: Tensor, groups: Tensor, iou: float) -> Tensor:
    """Indices of the predictions that remain, rising: those that no likelier one of their group overlaps too much.

    The result of a group must not depend on the others. torchvision shifts the boxes of each group apart and
    suppresses all at once: in float32 the shifted boxes are rounded, the more so the more groups there are; whole
    numbers in float64 are not. And a sigmoid's last digit depends on the position in a tensor, so likelihoods are
    compared as logits.
    """
    if boxes.device.type == "mps":  # has no float64
        return _kept(boxes.cpu(), logits.cpu(), groups.cpu(), iou).to(boxes.device)
    on_grid = (boxes.double() * GRID).round()
    kept: Tensor = batched_nms(on_grid, logits.double(), groups, iou)
    return kept.sort().values


def _likely(logits: Tensor, rule: Suppression) -> tuple[Tensor, Tensor]:
    """Indices of images and predictions, (n,) each, rising, whose logits (B, A C) are above the least score."""
    least = torch.tensor(rule.score, dtype=torch.float64).logit().item()
    if rule.before is None:
        image, answer = (logits > least).nonzero(as_tuple=True)
        return image, answer
    answers = logits.topk(min(rule.before, logits.shape[1]), dim=1, sorted=False).indices.sort(dim=1).values
    image, place = (logits.gather(1, answers) > least).nonzero(as_tuple=True)
    return image, answers[image, place]
