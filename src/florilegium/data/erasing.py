"""Random erasing (Zhong et al. 2020, "Random Erasing Data Augmentation", AAAI), with noise in each pixel."""

import torch
from torch import Tensor

from florilegium.data.crops import draw_boxes

AREA = (0.02, 1 / 3)
ASPECT = (0.3, 1 / 0.3)


def erase(batch: Tensor, probability: float) -> None:
    """Overwrite one rectangle in each chosen image of a normalised (B, 3, s, s) batch, in place.

    The noise is standard normal, which is how normalised pixels are distributed.
    """
    chosen = torch.rand(len(batch)) < probability
    boxes, valid = draw_boxes(len(batch), batch.shape[2], AREA, ASPECT)
    for i in (chosen & valid).nonzero().flatten().tolist():
        top, left, height, width = boxes[i].tolist()
        batch[i, :, top : top + height, left : left + width].normal_()
