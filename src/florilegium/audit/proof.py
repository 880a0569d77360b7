"""The proof that two pictures are one photograph: pixels that agree, block by block, where the two overlap."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from florilegium.audit.alignment import Alignment

BLOCK = 16  # pixels of a block's side
SHIFT = 2  # pixels that a block may lie beside its place, since no lens and no map is exact
FLAT = 6.0  # grey levels of spread below which a block shows nothing
ALIKE = 0.75  # correlation of two blocks that show the same
EDGE = 3  # pixels at the edge of the overlap that hold some of what lies beside it
BLUR = 1.0  # pixels: fine detail differs with resolution and compression


@dataclass(frozen=True)
class Overlap:
    """What two aligned pictures share.

    `scale` is the linear size of a's content in b over the size of b, 1 where both show it equally large; `overlap`
    the area that lies in both over the area that lies in either; `agreement` the part of the overlap's blocks, of
    those that are not flat in both, that show the same; `blocks` their number.
    """

    scale: float
    overlap: float
    agreement: float
    blocks: int


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
    agree, shown = blocks(laid, cv2.GaussianBlur(b, (0, 0), BLUR * max(1.0, size**0.5)), inside)
    return Overlap(
        (area / b.size) ** 0.5, both / (area + b.size - both), float(agree.mean()) if len(agree) else 0.0, shown
    )


def blocks(a: NDArray[Any], b: NDArray[Any], inside: NDArray[Any]) -> tuple[NDArray[np.bool_], int]:
    """Which blocks of two pictures (h, w) show the same, of those inside that are not flat in both; their number."""
    at = tuple(slice(BLOCK // 2 + SHIFT, n - BLOCK // 2 - SHIFT, BLOCK) for n in b.shape)
    wholly = mean(inside.astype(np.float32))[at] > 0.99
    x, y = a.astype(np.float32), b.astype(np.float32)
    centre_y, spread_y = moments(y)
    best = np.full(wholly.shape, -1.0, np.float32)
    spread_x = np.zeros_like(best)
    for down in range(-SHIFT, SHIFT + 1):
        for right in range(-SHIFT, SHIFT + 1):
            moved = np.roll(x, (down, right), axis=(0, 1))
            centre, spread = moments(moved)
            common = (mean(moved * y) - centre * centre_y)[at]
            spread_x = np.maximum(spread_x, spread[at])
            np.maximum(best, common / np.maximum(spread[at] * spread_y[at], 1e-3), out=best)
    shown = wholly & (np.maximum(spread_x, spread_y[at]) >= FLAT)
    return best[shown] >= ALIKE, int(shown.sum())


def mean(values: NDArray[np.float32]) -> NDArray[Any]:
    """(h, w) the mean over the block around each pixel."""
    return cv2.boxFilter(values, -1, (BLOCK, BLOCK))


def moments(values: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(h, w) mean and standard deviation over the block around each pixel."""
    centre = mean(values)
    return centre, np.sqrt(np.maximum(mean(values * values) - centre * centre, 0))
