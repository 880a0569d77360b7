"""Local features of a picture: what is left of it when it is cut, framed, written on, or turned a little."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SMALLEST = 48  # pixels of the shorter side; what is smaller has too few features to tell pictures apart
AREA = 160 * 214  # pixels of a picture whose features are found
COUNT = 128  # features of a picture, at most: the strongest
CONTRAST = 0.01  # weakest feature: soft pictures of a single flower have few strong ones
LENGTH = 128  # of a descriptor: 4 rows x 4 columns x 8 directions

cv2.setNumThreads(1)  # pictures are shared out among processes


@dataclass(frozen=True)
class Points:
    """SIFT features of one picture (Lowe, IJCV 2004), of its copy of `AREA` pixels (see `working`)."""

    place: NDArray[np.float32]  # (n, 4): x, y and diameter in pixels, angle in degrees, clockwise
    descriptor: NDArray[np.uint8]  # (n, 128)

    def __len__(self) -> int:
        return len(self.place)

    @cached_property
    def root(self) -> NDArray[np.float32]:
        """(n, 128) root descriptors."""
        return root(self.descriptor)

    def mirrored(self, width: int) -> "Points":
        """The features of the picture, `width` pixels wide, after a left-right flip."""
        x, y, size, angle = self.place.T
        return Points(np.stack([width - 1 - x, y, size, (180 - angle) % 360], axis=1), mirror(self.descriptor))


NONE = Points(np.empty((0, 4), np.float32), np.empty((0, LENGTH), np.uint8))


def working_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of a picture that is scaled to `AREA` pixels, its shape kept."""
    scale = (AREA / (width * height)) ** 0.5
    return max(1, round(width * scale)), max(1, round(height * scale))


def working(image: Image.Image) -> NDArray[np.uint8]:
    """An RGB image in grey and of its `working_size`: (h, w)."""
    size = working_size(*image.size)
    return np.asarray(image.convert("L").resize(size, Image.Resampling.BICUBIC, reducing_gap=3))


def describe(image: Image.Image) -> Points:
    """The features of an RGB image; none where its shorter side is below `SMALLEST`."""
    if min(image.size) < SMALLEST:
        return NONE
    found, descriptor = cv2.SIFT.create(COUNT, contrastThreshold=CONTRAST).detectAndCompute(working(image), None)
    if descriptor is None:
        return NONE
    place = np.array([(*point.pt, point.size, point.angle) for point in found], np.float32)
    return Points(place[:COUNT], descriptor[:COUNT].astype(np.uint8))


def root(descriptor: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 128) root descriptors of length 1: the dot product of two is their cosine (Arandjelovic & Zisserman, CVPR
    2012)."""
    values = descriptor.astype(np.float32)
    return np.asarray(np.sqrt(values / np.maximum(values.sum(axis=1, keepdims=True), 1)))


def mirror(descriptor: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, 128) descriptors of the same places after a flip: their cells and directions are exchanged."""
    cells = descriptor.reshape(-1, 4, 4, 8)[:, ::-1]
    return np.ascontiguousarray(cells[..., -np.arange(8) % 8]).reshape(-1, LENGTH)
