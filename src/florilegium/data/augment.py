"""Augmentation of whole batches, each image with random numbers of its own."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from florilegium.config.recipes import Recipe
from florilegium.core.system import twelve_digits
from florilegium.data import crops

AREA, ASPECT = (0.02, 1 / 3), (0.3, 1 / 0.3)  # of the rectangles that are erased
STRONGEST = 30  # magnitude of RandAugment
Operation = Callable[[Tensor, float], Tensor]


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

    Every image has its own crop, flip, angle, RandAugment operations and erased rectangle, from torch's default
    generator on the host: nobody waits for a device, and the same seed crops the same boxes on each. The result is
    overwritten by the next call.
    """

    def __init__(self, recipe: Recipe, config: InputConfig) -> None:
        self.recipe, self.config = recipe, config
        self.buffers = crops.Buffers()

    def __call__(self, pixels: Tensor) -> Tensor:
        flips = torch.rand(len(pixels)) < self.recipe.flip
        images = self._crop(pixels, flips)  # uint8 (B, 3, s, s)
        if self.recipe.rotation:
            rotate(images, self.recipe.rotation)
        if self.recipe.randaugment:
            images = randaugment(images, self.recipe.randaugment, self.recipe.randaugment_magnitude)
        batch = normalise(images, self.config, self.buffers)
        if self.recipe.random_erasing:
            erase(batch, self.recipe.random_erasing)
        return batch

    def _crop(self, pixels: Tensor, flips: Tensor) -> Tensor:
        recipe, size, interpolation = self.recipe, self.config.size, self.config.interpolation
        if recipe.crop == "centre":
            return centre(pixels, flips, self.buffers, self.config)
        if recipe.crop == "padded":
            return crops.padded_crop(pixels, flips, self.buffers, size, recipe.crop_padding, interpolation)
        boxes, _ = crops.draw_boxes(len(pixels), pixels.shape[1], recipe.crop_scale, recipe.crop_ratio)
        return crops.crop_resize(pixels, boxes, flips, size, interpolation, self.buffers)


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

    Resized to s / crop_pct (256 for 224 at the usual 0.875), of which the middle s is cut, with the roundings
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
    """uint8 (B, 3, s, s) to (value / 255 - mean) / std, in the float buffer of `buffers`."""
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


# Techniques


def erase(batch: Tensor, probability: float) -> None:
    """Overwrite one rectangle in each chosen image of a normalised (B, 3, s, s) batch, in place.

    The noise is standard normal, which is how normalised pixels are distributed.
    """
    chosen = torch.rand(len(batch)) < probability
    boxes, valid = crops.draw_boxes(len(batch), batch.shape[2], AREA, ASPECT)
    for i in (chosen & valid).nonzero().flatten().tolist():
        top, left, height, width = boxes[i].tolist()
        batch[i, :, top : top + height, left : left + width].normal_()


def rotate(images: Tensor, degrees: float) -> None:
    """Turn each image of uint8 (B, 3, s, s) about its centre by up to `degrees` to either side, in place.

    Bilinear, with black outside an image; angles are random numbers of the host.
    """
    angles = (torch.rand(len(images)) * 2 - 1) * math.radians(degrees)
    images.copy_(turned(images, angles).round_())


def turned(images: Tensor, angles: Tensor) -> Tensor:
    """Images (B, 3, s, s) turned counterclockwise by `angles` (B,) in radians, in float32."""
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    rows = [torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)]
    matrices = torch.stack(rows, 1).to(images.device, non_blocking=True)  # (B, 2, 3)
    grid = F.affine_grid(matrices, list(images.shape), align_corners=False)  # (B, s, s, 2)
    return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def randaugment(images: Tensor, operations: int, magnitude: int) -> Tensor:
    """Apply `operations` random operations to each image of uint8 (B, 3, s, s), in place.

    The host chooses them, and so knows without waiting for the device how many images share one.
    """
    table = list(operations_at(magnitude, images.shape[3]).values())
    for _ in range(operations):
        choice = torch.randint(len(table), (len(images),))
        direction = torch.where(torch.rand(len(images)) < 0.5, -1, 1)
        for number, operation in enumerate(table):
            for sign in (-1, 1):
                chosen = ((choice == number) & (direction == sign)).nonzero().flatten()
                if len(chosen):
                    index = chosen.to(images.device, non_blocking=True)
                    images[index] = operation(images[index], sign)
    return images


def operations_at(magnitude: int, size: int) -> dict[str, Operation]:
    """The fourteen operations at `magnitude` of 30 for images of `size` pixels.

    Each takes uint8 (n, 3, size, size) and a direction, -1 or 1, that only the symmetric ones obey.
    Ranges are those of torchvision's `RandAugment`, nearest-neighbour resampling and black fill included.
    """
    from torchvision.transforms.v2 import functional as tv  # costs two seconds: imported where it is used

    part = magnitude / STRONGEST
    shear = math.degrees(math.atan(0.3 * part))
    shift = int(150 / 331 * size * part)
    factor = 0.9 * part

    def affine(x: Tensor, angle: float, translate: list[int], shear: list[float]) -> Tensor:
        centre = [0.0, 0.0] if any(shear) else None
        moved: Tensor = tv.affine(x, angle=angle, translate=translate, scale=1.0, shear=shear, center=centre)
        return moved

    return {
        "Identity": lambda x, sign: x,
        "ShearX": lambda x, sign: affine(x, 0.0, [0, 0], [sign * shear, 0.0]),
        "ShearY": lambda x, sign: affine(x, 0.0, [0, 0], [0.0, sign * shear]),
        "TranslateX": lambda x, sign: affine(x, 0.0, [sign * shift, 0], [0.0, 0.0]),
        "TranslateY": lambda x, sign: affine(x, 0.0, [0, sign * shift], [0.0, 0.0]),
        "Rotate": lambda x, sign: tv.rotate(x, sign * 30.0 * part),
        "Brightness": lambda x, sign: tv.adjust_brightness(x, 1 + sign * factor),
        "Color": lambda x, sign: tv.adjust_saturation(x, 1 + sign * factor),
        "Contrast": lambda x, sign: tv.adjust_contrast(x, 1 + sign * factor),
        "Sharpness": lambda x, sign: tv.adjust_sharpness(x, 1 + sign * factor),
        "Posterize": lambda x, sign: tv.posterize(x, 8 - round(4 * part)),
        "Solarize": lambda x, sign: tv.solarize(x, 255 * (1 - part)),
        "AutoContrast": lambda x, sign: tv.autocontrast(x),
        "Equalize": lambda x, sign: tv.equalize(x),
    }
