"""The size at which a detector sees an image, and images resized to it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from florilegium.config.data import STRIDE
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
    """The size with the short side `short_side`, or with the long side `long_side` where that is smaller."""
    scale = min(short_side / min(height, width), long_side / max(height, width))
    return Fit(height, width, max(round(height * scale), 1), max(round(width * scale), 1), scale)


def padded(side: int, padding: str) -> int:
    """`side` rounded up to a multiple of 32; with `DetectionData.padding` "doubled", always padded."""
    lacking = -side % STRIDE
    return side + (lacking or STRIDE if padding == "doubled" else lacking)


def resized(path: Path, target: Fit) -> np.ndarray:
    """The image at the size of `target`, uint8 (H, W, 3); antialiased, bilinear.

    It is turned by its EXIF tag only if it has the annotated sides then and not before. Raises BadImage,
    also if it has other sides either way.
    """
    wanted = (target.original_width, target.original_height)
    image = decode(path)
    if image.size != wanted:
        image = decode(path, exif_orientation=True)
    if image.size != wanted:
        raise BadImage(f"is {image.width} x {image.height} in place of {wanted[0]} x {wanted[1]}")
    return np.asarray(image.resize((target.width, target.height), Image.Resampling.BILINEAR))
