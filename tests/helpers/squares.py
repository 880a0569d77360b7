"""A detector that finds red squares by their colour, and is a little off: what it says of a picture is known."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from florilegium.config.data import DetectionData
from florilegium.config.recipes import DetectionRecipe
from florilegium.models import trained
from florilegium.models.retinanet import encode
from tests.helpers.boxed import CONFIG

ANCHOR = 32.0


class RedSquares(nn.Module):
    """One anchor at each fourth pixel; that at the middle of what is red has the box, moved by a tenth of its width."""

    def anchors(self, inputs: Tensor) -> Tensor:
        rows, columns = (torch.arange(0, side, 4, dtype=torch.float32) for side in inputs.shape[2:])
        middles = torch.cartesian_prod(rows, columns).flip(1)
        return torch.cat([middles - ANCHOR / 2, middles + ANCHOR / 2], dim=1)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        anchors = self.anchors(inputs)
        logits = torch.full((len(inputs), len(anchors), 1), -20.0)
        deltas = torch.zeros(len(inputs), len(anchors), 4)
        for number, picture in enumerate(inputs):
            red = ((picture[0] > 0.5) & (picture[1] < 0)).nonzero().float()  # rows and columns
            if not len(red):
                continue
            (top, left), (bottom, right) = red.amin(0).tolist(), (red.amax(0) + 1).tolist()
            shift = (right - left) * (0.02 + 0.03 * (number % 4))
            box = torch.tensor([left + shift, top, right + shift, bottom])
            middle = (box[:2] + box[2:]) / 2
            nearest = int(((anchors[:, :2] + ANCHOR / 2 - middle) ** 2).sum(1).argmin())
            logits[number, nearest] = 1.0 + 0.1 * number
            deltas[number, nearest] = encode(box[None], anchors[nearest][None])[0]
        return logits, deltas


def use_detector(patch: pytest.MonkeyPatch, category_id: int = 1) -> Path:
    """Let every checkpoint be that detector of `square`; a path to give as a checkpoint."""
    data = DetectionData(dataset="squares", short_side=96, long_side=128)
    recipe = DetectionRecipe.model_validate({"epochs": 1, "batch_size": 4})
    found = trained.TrainedDetector(RedSquares(), ("square",), (category_id,), CONFIG, data, recipe)
    patch.setattr(trained, "load_trained_detector", lambda *_: found)
    patch.setattr(trained, "read_run", lambda path: (path, {}))
    patch.setattr(trained, "is_detector", lambda _: True)
    return Path("checkpoint.safetensors")
