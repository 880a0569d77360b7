"""From packed pixels to a network's input, a whole batch at once.

The geometry and the colours of an image are changed in `uint8`, in a buffer that is kept from batch to
batch (fresh pages cost a CPU more than the resampling itself), then the batch is normalised.
"""

import math
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

import torch
from torch import Tensor

from florilegium.config.recipes import Recipe
from florilegium.core.system import twelve_digits
from florilegium.data import crops
from florilegium.data.erasing import erase
from florilegium.data.randaugment import randaugment
from florilegium.data.rotation import rotate


@dataclass(frozen=True)
class InputConfig:
    """The input of a network: side in pixels, and mean and standard deviation of pixels in [0, 1].

    `crop_pct` is the part of an image's side that a test keeps, in (0, 1]; 1 is the whole image.
    """

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Literal["bilinear", "bicubic"]
    crop_pct: float = 1.0


class TrainTransform:
    """uint8 (B, S, S, 3) to random float (B, 3, s, s), channels last.

    Every image has its own crop, flip, angle, RandAugment operations and erased rectangle. All are drawn on
    the host from torch's default generator: a device never waits to tell a size, and the same
    seed crops the same boxes on each. The result is overwritten by the next call.
    """

    def __init__(self, recipe: Recipe, config: InputConfig) -> None:
        self.recipe, self.config = recipe, config
        self.buffers = crops.Buffers()
        self.crop = {
            "random_resized": partial(
                crops.random_resized_crop,
                size=config.size,
                scale=recipe.crop_scale,
                ratio=recipe.crop_ratio,
                interpolation=config.interpolation,
            ),
            "padded": partial(
                crops.padded_crop,
                size=config.size,
                padding=recipe.crop_padding,
                interpolation=config.interpolation,
            ),
            "centre": partial(centre, config=config),
        }[recipe.crop]

    def __call__(self, pixels: Tensor) -> Tensor:
        flips = torch.rand(len(pixels)) < self.recipe.flip
        images = self.crop(pixels, flips=flips, buffers=self.buffers)  # uint8 (B, 3, s, s)
        if self.recipe.rotation:
            rotate(images, self.recipe.rotation)
        if self.recipe.randaugment:
            images = randaugment(images, self.recipe.randaugment, self.recipe.randaugment_magnitude)
        batch = normalise(images, self.config, self.buffers)
        if self.recipe.random_erasing:
            erase(batch, self.recipe.random_erasing)
        return batch


class EvalTransform:
    """uint8 (B, S, S, 3) to float (B, 3, s, s), channels last, without chance; a new tensor each call."""

    def __init__(self, config: InputConfig) -> None:
        self.config = config

    def __call__(self, pixels: Tensor) -> Tensor:
        buffers = crops.Buffers()
        flips = torch.zeros(len(pixels), dtype=torch.bool)
        return normalise(centre(pixels, flips, buffers, self.config), self.config, buffers)


def centre(pixels: Tensor, flips: Tensor, buffers: crops.Buffers, config: InputConfig) -> Tensor:
    """The middle of each image, (B, 3, s, s) uint8.

    Resized to s / crop_pct (256 for 224 at the customary 0.875), of which the middle s is cut, with the roundings
    of timm's and torchvision's transforms: the same part of the image is seen whatever side is stored.
    """
    size = config.size
    side = math.floor(twelve_digits(size / config.crop_pct))
    if pixels.shape[1] != side:
        pixels = crops.resize(pixels, side, config.interpolation)
    margin = round((side - size) / 2)
    corner = torch.full((len(pixels),), margin)
    return crops.gather(pixels, corner, corner, flips, size, buffers)


def normalise(images: Tensor, config: InputConfig, buffers: crops.Buffers) -> Tensor:
    """uint8 (B, 3, s, s) to (value / 255 - mean) / std, in the kept float buffer."""
    batch = buffers.get("float", images.shape, torch.float32, images.device)
    scale, shift = scale_and_shift(config, config.size, images.device)
    _rows(batch).copy_(_rows(images)).mul_(scale).add_(shift)
    return batch


@lru_cache(maxsize=64)
def scale_and_shift(config: InputConfig, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The factor and the summand that normalise a row of `width` RGB pixels, each (3 * width,).

    Applied to whole rows they are four times faster than as three numbers.
    """
    mean, std = torch.tensor(config.mean), torch.tensor(config.std)
    scale, shift = 1 / (255 * std), -mean / std
    return scale.repeat(width).to(device), shift.repeat(width).to(device)


def _rows(images: Tensor) -> Tensor:
    """(B, 3, s, s) in channels-last memory, seen as (B, s, 3 s)."""
    return images.permute(0, 2, 3, 1).view(len(images), images.shape[2], -1)
