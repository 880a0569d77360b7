"""Real images as the input of generators: in [-1, 1], not cropped, perhaps mirrored."""

from dataclasses import dataclass

import torch
from torch import Tensor

from florilegium.config.recipes import GenerationRecipe
from florilegium.data import crops
from florilegium.data.augment import InputConfig, centre, normalise


@dataclass(frozen=True)
class NoisyBatch:
    """Noisy images (B, 3, S, S), the noise in them, its step (B,) and the class (B,)."""

    images: Tensor
    target: Tensor
    steps: Tensor
    labels: Tensor


class TrainPictures:
    """uint8 (B, S, S, 3) to float (B, 3, s, s), channels last, each mirrored with the recipe's probability."""

    def __init__(self, recipe: GenerationRecipe, config: InputConfig) -> None:
        self.recipe, self.config = recipe, config
        self.buffers = crops.Buffers()

    def __call__(self, pixels: Tensor) -> Tensor:
        flips = torch.rand(len(pixels)) < self.recipe.flip
        return normalise(centre(pixels, flips, self.buffers, self.config), self.config, self.buffers)


def to_pixels(images: Tensor) -> Tensor:
    """Images (B, 3, S, S) in [-1, 1] as uint8 (B, S, S, 3) on the host."""
    scaled = images.float().add(1).mul(127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()
