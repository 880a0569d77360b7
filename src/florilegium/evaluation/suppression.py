"""From a detector's answers to boxes: threshold, non-maximum suppression by class, and a limit."""

from dataclasses import dataclass

from torch import Tensor
from torchvision.ops import batched_nms

from florilegium.core.detection_recipe import DetectionRecipe
from florilegium.models.boxes import clip, decode


@dataclass(frozen=True)
class Suppression:
    """Which answers count."""

    score: float = 0.05
    """Least probability of a class."""
    iou: float = 0.5
    """Of two boxes of one class that overlap more than this, the likelier one stays."""
    before: int | None = 1000
    """Likeliest answers of an image that suppression sees; None: all above the score, as published."""
    after: int | None = 100
    """Most boxes of an image; None: all, as published."""


def suppression(recipe: DetectionRecipe) -> Suppression:
    """What the recipe says."""
    return Suppression(recipe.score_threshold, recipe.suppression_iou, recipe.top_k, recipe.max_detections)


@dataclass(frozen=True)
class Found:
    """The objects found in one image, the likeliest first."""

    boxes: Tensor  # float32 (n, 4), pixels of the network's input
    scores: Tensor  # float32 (n,)
    labels: Tensor  # int64 (n,)


def suppress(
    logits: Tensor, deltas: Tensor, anchors: Tensor, content: Tensor, rule: Suppression
) -> list[Found]:
    """What is found in each image of a batch, on the host.

    Args:
        logits: (B, A, C).
        deltas: (B, A, 4), coded boxes.
        anchors: (A, 4).
        content: (B, 2), height and width of each picture inside its padding: boxes are cut off there.
    """
    count, _, n_classes = logits.shape
    scores = logits.float().sigmoid().flatten(1)  # (B, A C)
    image, answer = _likely(scores, rule)
    values = scores[image, answer]
    anchor, label = answer // n_classes, answer % n_classes
    boxes = decode(deltas.float()[image, anchor], anchors[anchor])
    boxes = clip(boxes, content.to(boxes.device)[image])
    there = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
    image, values, label, boxes = (part[there] for part in (image, values, label, boxes))
    kept = batched_nms(boxes, values, image * n_classes + label, rule.iou)  # the likeliest first
    image, values, label, boxes = (part[kept].cpu() for part in (image, values, label, boxes))
    found = []
    for number in range(count):
        own = (image == number).nonzero().flatten()[: rule.after]
        found.append(Found(boxes[own], values[own], label[own]))
    return found


def _likely(scores: Tensor, rule: Suppression) -> tuple[Tensor, Tensor]:
    """Images and answers, (n,) each, whose scores (B, A C) are high enough."""
    if rule.before is None:
        image, answer = (scores > rule.score).nonzero(as_tuple=True)
        return image, answer
    best, answers = scores.topk(min(rule.before, scores.shape[1]), dim=1)
    image, place = (best > rule.score).nonzero(as_tuple=True)
    return image, answers[image, place]
