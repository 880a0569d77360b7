"""Sheets of generated images, and animations."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from florilegium.config.recipes import GenerationRecipe
from florilegium.core.files import atomic
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


SIDE = 64  # pixels of a shown image, at least
GAP = 4
LABEL = 132  # pixels that the class names take on the left
INK = "#222222"


def grid(images: NDArray[np.uint8], names: Sequence[str]) -> Image.Image:
    """Images (C n, S, S, 3), n of each of the C classes `names`, a row a class with its name."""
    columns = len(images) // len(names)
    factor = max(1, SIDE // images.shape[1])
    side = images.shape[1] * factor
    sheet = Image.new("RGB", (LABEL + columns * (side + GAP), len(names) * (side + GAP) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        top = GAP + row * (side + GAP)
        draw.text((8, top + side / 2 - 8), fit(name), fill=INK, font=font())
        for column in range(columns):
            picture = Image.fromarray(images[row * columns + column])
            picture = picture.resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(picture, (LABEL + column * (side + GAP), top))
    return sheet


def save_picture(picture: Image.Image, path: Path) -> None:
    with atomic(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)


def save_animation(frames: NDArray[np.uint8], names: Sequence[str], path: Path) -> None:
    """Write a GIF of the frames (F, C n, S, S, 3) that pauses at the last one."""
    pictures = [grid(frame, names).quantize(128) for frame in frames]
    times = [80] * (len(pictures) - 1) + [2500]  # milliseconds
    with atomic(path) as temporary:
        pictures[0].save(temporary, format="GIF", save_all=True, append_images=pictures[1:], duration=times, loop=0)


@cache
def font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(13)


def fit(name: str) -> str:
    """`name`, shortened to the width of its margin."""
    while font().getlength(name) > LABEL - 16:
        name = f"{name[:-2]}…"
    return name
