"""The pictures of the page, small enough to be sent: each as a WebP inside a `data:` address.

A drawing has few colours, and looks the same with the 96 that stand for them best; photographs are compressed as such.
"""

import base64
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

FEW_COLOURS = 10_000  # of a drawing, soft edges included; one photograph has more
COLOURS = 96
SHEET_WIDTH, SHEET_HEIGHT = 908, 720  # pixels: two thirds of a contact sheet's width, and its first rows


class Picture(NamedTuple):
    """A picture for the page.

    Attributes:
        address: its bytes.
        width: in pixels, as the height.
        said: its text for those who cannot see it.
        is_whole: False where only its upper part is there.
    """

    address: str
    width: int
    height: int
    said: str
    is_whole: bool = True


def figure(path: Path, said: str = "") -> Picture:
    """A figure, with the description that it carries unless there is another."""
    with Image.open(path) as image:
        said = said or str(image.info.get("Description", ""))
        pixels = image.convert("RGB")
    if pixels.getcolors(FEW_COLOURS):
        drawing = pixels.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).convert("RGB")
        return _picture(drawing, said, lossless=True, method=2, quality=60)
    return _picture(pixels, said, quality=55, method=4)


def sheet(path: Path, said: str) -> Picture:
    """A sheet of photographs, smaller; of a long one the upper rows, down to a white line."""
    with Image.open(path) as image:
        pixels = image.convert("RGB")
    pixels.thumbnail((SHEET_WIDTH, pixels.height))
    height = pixels.height
    if height > SHEET_HEIGHT:
        white = np.flatnonzero((np.asarray(pixels)[:SHEET_HEIGHT] == 255).all(axis=(1, 2)))
        height = int(white[-1]) if white.size else SHEET_HEIGHT
    is_whole = height == pixels.height
    return _picture(pixels.crop((0, 0, pixels.width, height)), said, quality=50, method=4)._replace(is_whole=is_whole)


def _picture(pixels: Image.Image, said: str, **options: int | bool) -> Picture:
    encoded = io.BytesIO()
    pixels.save(encoded, "WEBP", **options)
    address = "data:image/webp;base64," + base64.b64encode(encoded.getvalue()).decode("ascii")
    return Picture(address, pixels.width, pixels.height, said)
