"""The proof that two pictures are one photograph: pixels that agree, block by block, where the two overlap."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from florilegium.audit.alignment import Alignment

BLOCK = 16  # pixels of a block's side
FLAT = 6.0  # grey levels of spread below which a block shows nothing
ALIKE = 0.9  # correlation of two blocks that show the same
EDGE = 3  # pixels at the edge of the overlap that hold some of what lies beside it
BLUR = 1.0  # pixels: fine detail differs with resolution and compression


@dataclass(frozen=True)
class Overlap:
    """What two aligned pictures share.

    `scale` is the linear size of a's content in b over the size of b, 1 where both show it equally large; `overlap`
    the area that lies in both over the area that lies in either. Of the overlap's blocks, those that are flat in both
    left out, `agreement` is the part that shows the same, and `correlation` the median correlation of their pixels.
    """

    scale: float
    overlap: float
    agreement: float
    correlation: float


def overlap(a: NDArray[np.uint8], b: NDArray[np.uint8], alignment: Alignment) -> Overlap:
    """Lay a over b, grey pictures (h, w), and compare them."""
    matrix = alignment.matrix
    height, width = b.shape
    size = abs(np.linalg.det(matrix[:, :2]))
    soft = cv2.GaussianBlur(a, (0, 0), BLUR * max(1.0, size**-0.5))  # so that shrinking it leaves no pattern
    laid = cv2.warpAffine(soft, matrix, (width, height), flags=cv2.INTER_LINEAR)
    inside = cv2.warpAffine(np.ones_like(a), matrix, (width, height), flags=cv2.INTER_NEAREST)
    both = float(inside.sum())
    inside = cv2.erode(inside, np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8), borderValue=0)
    area = a.size * size
    found = correlations(laid, cv2.GaussianBlur(b, (0, 0), BLUR * max(1.0, size**0.5)), inside)
    agreement, middle = (float((found >= ALIKE).mean()), float(np.median(found))) if len(found) else (0.0, 0.0)
    return Overlap((area / b.size) ** 0.5, both / (area + b.size - both), agreement, middle)


def correlations(a: NDArray[Any], b: NDArray[Any], inside: NDArray[Any]) -> NDArray[Any]:
    """(n,) the correlation of each block of two pictures (h, w) that lies inside and is not flat in both.

    Blocks are compared at their places alone. Two frames of a series fit each other, too, but for a pixel or two here
    and there, where one photograph fits everywhere.
    """
    at = tuple(slice(BLOCK // 2, n - BLOCK // 2 + 1, BLOCK) for n in b.shape)
    wholly = mean(inside.astype(np.float32))[at] > 0.99
    x, y = a.astype(np.float32), b.astype(np.float32)
    (centre_x, spread_x), (centre_y, spread_y) = moments(x), moments(y)
    common = (mean(x * y) - centre_x * centre_y)[at]
    shown = wholly & (np.maximum(spread_x, spread_y)[at] >= FLAT)
    return np.asarray(common[shown] / np.maximum((spread_x * spread_y)[at][shown], 1e-3))


def mean(values: NDArray[np.float32]) -> NDArray[Any]:
    """(h, w) the mean over the block around each pixel."""
    return cv2.boxFilter(values, -1, (BLOCK, BLOCK))


def moments(values: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(h, w) mean and standard deviation over the block around each pixel."""
    centre = mean(values)
    return centre, np.sqrt(np.maximum(mean(values * values) - centre * centre, 0))
