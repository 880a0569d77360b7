"""Arithmetic of boxes, all of them x1, y1, x2, y2 in pixels."""

import math

import torch
from torch import Tensor
from torchvision.ops import box_iou

SCALE = (0.1, 0.1, 0.2, 0.2)
LARGEST = math.log(1000 / 16)  # of a predicted growth, so that no side becomes infinite


def pairwise_iou(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Intersection over union of boxes (B, G, 4) with anchors (A, 4): (B, G, A).

    A box without area, such as padding, has 0 with every anchor. So has an inverted one, on which the study
    trained.
    """
    iou = box_iou(boxes.flatten(0, 1), anchors).unflatten(0, boxes.shape[:2])
    return iou.nan_to_num_(0.0)  # 0 / 0 where the negative area of an inverted box cancels the anchor's


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """The deltas (..., A, 4) that a detector should predict at anchors (A, 4) for their objects, boxes (..., A, 4).

    Shifts of the centre in units of the anchor's sides, and logarithms of the sides' ratios, divided by
    0.1 and 0.2. A side counts as one pixel at least.
    """
    corner, side = boxes[..., :2], boxes[..., 2:] - boxes[..., :2]
    centre = corner + side / 2  # with negative sides as they are, as in the study's code
    own_side = anchors[:, 2:] - anchors[:, :2]
    shift = (centre - (anchors[:, :2] + own_side / 2)) / own_side
    growth = (side.clamp(min=1) / own_side).log()
    return torch.cat([shift, growth], dim=-1) / boxes.new_tensor(SCALE)


def decode(deltas: Tensor, anchors: Tensor) -> Tensor:
    """Boxes (..., 4) from deltas (..., 4) at anchors (..., 4); the inverse of `encode`."""
    deltas = deltas * deltas.new_tensor(SCALE)
    own_side = anchors[..., 2:] - anchors[..., :2]
    centre = anchors[..., :2] + own_side / 2 + deltas[..., :2] * own_side
    half = own_side * deltas[..., 2:].clamp(max=LARGEST).exp() / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def clip(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Boxes (N, 4) cut off at their images' borders; sizes (N, 2) are heights and widths."""
    limit = sizes.flip(1).repeat(1, 2).to(boxes.dtype)  # (N, 4) as w, h, w, h
    return torch.minimum(boxes.clamp(min=0), limit)
