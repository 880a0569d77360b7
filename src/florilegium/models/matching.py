"""The matching of anchors with objects, for all images of a batch at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from florilegium.models.boxes import encode, pairwise_iou

BACKGROUND = -1
IGNORED = -2
POSITIVE_IOU, NEGATIVE_IOU = 0.5, 0.4


@dataclass(frozen=True)
class Matched:
    """The targets of each anchor of each image."""

    labels: Tensor
    """(B, A) int64: a class, `BACKGROUND`, or `IGNORED` for an anchor without loss."""
    deltas: Tensor
    """(B, A, 4): the encoded box of the object that overlaps most; it counts where the label is a class."""

    @property
    def positive(self) -> Tensor:
        return self.labels >= 0

    def __getitem__(self, part: slice) -> "Matched":
        return Matched(self.labels[part], self.deltas[part])


@torch.no_grad()
def match(boxes: Tensor, labels: Tensor, anchors: Tensor, *, low_quality: bool) -> Matched:
    """Match anchors (A, 4) to boxes (B, G, 4) of classes (B, G), padded with rows of zeros.

    An anchor is positive for the object that it overlaps most from an IoU of 0.5 on, background below 0.4, and
    ignored between. With `low_quality`, the anchors that overlap an object most are positive however small
    their IoU (torchvision's rule); as published, such objects are never learned.
    """
    if boxes.shape[1] == 0:
        boxes, labels = boxes.new_zeros(len(boxes), 1, 4), labels.new_zeros(len(labels), 1)
    iou = pairwise_iou(boxes, anchors)  # (B, G, A)
    best, which = iou.max(dim=1)  # (B, A)
    positive = best >= POSITIVE_IOU
    if low_quality:
        highest = iou.amax(dim=2, keepdim=True)  # (B, G, 1)
        positive |= ((iou == highest) & (highest > 0)).any(dim=1)
    targets = torch.where(best < NEGATIVE_IOU, BACKGROUND, IGNORED)
    targets = torch.where(positive, labels.gather(1, which), targets)
    objects = boxes.gather(1, which[..., None].expand(-1, -1, 4))  # (B, A, 4)
    return Matched(targets, encode(objects, anchors))
