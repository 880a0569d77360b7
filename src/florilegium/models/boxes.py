"""Arithmetic of boxes, all of them x1, y1, x2, y2 in pixels."""

import math

import torch
from torch import Tensor

SCALE = (0.1, 0.1, 0.2, 0.2)
LARGEST = math.log(1000 / 16)  # a side grows at most so much, and never to infinity


def pairwise_iou(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Intersection over union of boxes (B, G, 4) with anchors (A, 4): (B, G, A).

    A box without area, as padding is, has 0 with every anchor. So has one whose corners are in the
    wrong order: the study trained on such boxes.
    """
    b, a = boxes[:, :, None], anchors[None, None]
    width = (torch.minimum(b[..., 2], a[..., 2]) - torch.maximum(b[..., 0], a[..., 0])).clamp(min=0)
    height = (torch.minimum(b[..., 3], a[..., 3]) - torch.maximum(b[..., 1], a[..., 1])).clamp(min=0)
    common = width * height  # (B, G, A)
    return common / (_area(b) + _area(a) - common).clamp(min=1e-8)


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """What a detector should answer at anchors (A, 4) whose objects are boxes (..., A, 4).

    Shifts of the centre in units of the anchor's sides, and logarithms of the sides' ratios, divided by
    0.1 and 0.2. A side counts as one pixel at least.
    """
    corner, side = boxes[..., :2], boxes[..., 2:] - boxes[..., :2]
    centre = corner + side / 2  # of the sides as they are, even of negative ones: so did the study
    own_side = anchors[:, 2:] - anchors[:, :2]
    shift = (centre - (anchors[:, :2] + own_side / 2)) / own_side
    growth = (side.clamp(min=1) / own_side).log()
    return torch.cat([shift, growth], dim=-1) / boxes.new_tensor(SCALE)


def decode(deltas: Tensor, anchors: Tensor) -> Tensor:
    """The boxes (..., 4) that answers (..., 4) at anchors (..., 4) mean; the inverse of `encode`."""
    deltas = deltas * deltas.new_tensor(SCALE)
    own_side = anchors[..., 2:] - anchors[..., :2]
    centre = anchors[..., :2] + own_side / 2 + deltas[..., :2] * own_side
    half = own_side * deltas[..., 2:].clamp(max=LARGEST).exp() / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def clip(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Boxes (N, 4) cut off at their images' borders; sizes (N, 2) are heights and widths."""
    limit = sizes.flip(1).repeat(1, 2).to(boxes.dtype)  # (N, 4) as w, h, w, h
    return torch.minimum(boxes.clamp(min=0), limit)


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
