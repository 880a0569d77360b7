"""Generated images as pictures: grids with the names of classes, and animations."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from florilegium.core.files import atomic

SIDE = 64  # pixels of a shown image, at least
GAP = 4
LABEL = 132  # pixels that the class names take on the left
INK = "#222222"


def to_pixels(images: Tensor) -> Tensor:
    """Images (B, 3, S, S) in [-1, 1] as uint8 (B, S, S, 3) on the host."""
    scaled = images.float().add(1).mul(127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()


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
