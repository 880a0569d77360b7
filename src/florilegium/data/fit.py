"""How a picture is brought to the size that a detector sees."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from florilegium.core.detection import STRIDE
from florilegium.data.decode import BadImage, decode


@dataclass(frozen=True)
class Fit:
    """Sides of a picture before and after, in pixels; both axes and all boxes are scaled by `scale`."""

    original_height: int
    original_width: int
    height: int
    width: int
    scale: float


def fit(height: int, width: int, short_side: int, long_side: int) -> Fit:
    """The size whose short side is `short_side`, or the largest whose long side is `long_side`."""
    scale = min(short_side / min(height, width), long_side / max(height, width))
    return Fit(height, width, max(round(height * scale), 1), max(round(width * scale), 1), scale)


def padded(side: int, padding: str) -> int:
    """`side` brought to a multiple of 32, as `DetectionData.padding` says."""
    lacking = -side % STRIDE
    return side + (lacking or STRIDE if padding == "doubled" else lacking)


def resized(path: Path, target: Fit) -> np.ndarray:
    """The picture at the size of `target`, uint8 (H, W, 3); antialiased, bilinear.

    It is turned as its EXIF tag says if only then it has the sides that were annotated. Raises BadImage,
    also where it has others.
    """
    wanted = (target.original_width, target.original_height)
    image = decode(path)
    if image.size != wanted:
        image = decode(path, exif_orientation=True)
    if image.size != wanted:
        raise BadImage(f"is {image.width} x {image.height} in place of {wanted[0]} x {wanted[1]}")
    return np.asarray(image.resize((target.width, target.height), Image.Resampling.BILINEAR))
