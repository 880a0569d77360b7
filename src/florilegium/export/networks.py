"""Trained networks as they are handed on: what goes in and comes out of them, in numbers and in words."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from florilegium.core.system import twelve_digits
from florilegium.data.augment import InputConfig
from florilegium.data.decode import padded
from florilegium.evaluation.detection import suppression
from florilegium.models.retinanet import RetinaNet, decode
from florilegium.models.trained import Trained, TrainedDetector, load_trained, load_trained_detector


@dataclass(frozen=True)
class Portable:
    """A network of which everything that a stranger's program must know is said.

    `preprocessing` and `answers` are JSON values: what is done to a picture, and what the outputs mean.
    """

    network: nn.Module
    """In evaluation mode, on the CPU."""
    classes: tuple[str, ...]
    config: InputConfig
    side: int
    """Height and width in pixels of what the network is given."""
    outputs: tuple[str, ...]
    preprocessing: Mapping[str, Any]
    answers: Mapping[str, Any]


def load_portable(checkpoint: Path, *, detects: bool) -> Portable:
    """The network in `checkpoint`; raises `UserError` as `load_trained` does."""
    if detects:
        return portable_detector(load_trained_detector(checkpoint))
    return portable_classifier(load_trained(checkpoint))


def portable_classifier(trained: Trained) -> Portable:
    """Images (B, 3, S, S) to `logits` (B, C)."""
    config = trained.config
    preprocessing = {
        **_of_every_picture(trained),
        "resize": math.floor(twelve_digits(config.size / config.crop_pct)),
        "crop": config.size,
        "stored_side": trained.storage_size,
        "steps": "turn upright by EXIF; lay on ground; RGB; cut the middle square; resize it, antialiased; cut the "
        "middle crop; divide by 255; subtract mean; divide by std",
    }
    answers = {"logits": "one for each class, in the order of classes; a softmax makes them probabilities"}
    return Portable(trained.network, trained.classes, config, config.size, ("logits",), preprocessing, answers)


def portable_detector(trained: TrainedDetector) -> Portable:
    """Images (B, 3, S, S) to `boxes` (B, A, 4) and `scores` (B, A, C) before the suppression of overlapping ones.

    S is the largest side that the packed images of its training have, so that every picture fits.
    """
    side = padded(trained.data.long_side, trained.data.padding)
    rule = suppression(trained.recipe)
    preprocessing = {
        **_of_every_picture(trained),
        "short_side": trained.data.short_side,
        "long_side": trained.data.long_side,
        "side": side,
        "steps": "turn upright by EXIF; lay on ground; RGB; resize to short_side, or less where the long side would "
        "exceed long_side, antialiased; divide by 255; subtract mean; divide by std; fill up with zeros below and to "
        "the right",
    }
    answers = {
        "boxes": "left, top, right and bottom in pixels of the input, of each anchor",
        "scores": "probability of each class, in the order of classes, of each anchor",
        "suppression": asdict(rule),
        "steps": "take the likeliest `before` pairs of an anchor and a class above `score`; clip their boxes to the "
        "picture; of two of one class that overlap by more than `iou` the less likely one goes; keep the likeliest "
        "`after`; divide boxes by the scale of the picture",
    }
    network = WithBoxes(trained.network, side)
    return Portable(network, trained.classes, trained.config, side, ("boxes", "scores"), preprocessing, answers)


def _of_every_picture(trained: Trained | TrainedDetector) -> dict[str, Any]:
    config = trained.config
    return {
        "layout": "batch, channels, height, width",
        "channels": "RGB",
        "ground": trained.pictures.ground,
        "mean": list(config.mean),
        "std": list(config.std),
        "interpolation": config.interpolation,
    }


class WithBoxes(nn.Module):
    """A detector that answers with boxes and probabilities in place of deltas and logits."""

    anchors: Tensor

    def __init__(self, network: RetinaNet, side: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("anchors", network.anchors(torch.empty(1, 3, side, side)).clone())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits, deltas = self.network(images)
        return decode(deltas, self.anchors), logits.sigmoid()


def pictures(portable: Portable, count: int) -> Tensor:
    """Pictures of noise as the network is given them, float32 (count, 3, S, S): the same each time."""
    generator = torch.Generator().manual_seed(count)
    pixels = torch.randint(0, 256, (count, 3, portable.side, portable.side), generator=generator, dtype=torch.uint8)
    mean, std = (torch.tensor(values)[:, None, None] for values in (portable.config.mean, portable.config.std))
    return (pixels / 255 - mean) / std
