"""Perceptual hashes of pictures in their eight orientations, and the thumbnails that they are made from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fftpack import dct

from florilegium.audit.columns import Picked, PickedPoints

NAMES = ("identity", "rotate90", "rotate180", "rotate270", "flip", "flip_rotate90", "flip_rotate180", "flip_rotate270")
IDENTITY = 0
SIDE = 32  # pixels of the thumbnail that pHash is made from
LOW = 8  # lowest frequencies that it keeps along each axis
FLAT_SPREAD = 8  # grey levels between the darkest and the brightest pixel of a thumbnail


def apply(pictures: NDArray[np.uint8], transform: int) -> NDArray[np.uint8]:
    """Square pictures (N, S, S) or (N, S, S, 3) after the transform NAMES[`transform`]."""
    flipped, turns = divmod(transform, 4)
    return np.rot90(pictures[:, :, ::-1] if flipped else pictures, turns, axes=(1, 2))


def thumbnails(image: Image.Image) -> tuple[Image.Image, Image.Image]:
    """The grey 32 x 32 thumbnail that pHash starts from, and one of mean colours, of an RGB image."""
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return grey, image.resize((SIDE, SIDE), Image.Resampling.HAMMING)


def transformed_hashes(grey: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """pHash of each thumbnail (N, 32, 32) after each transform: (N, 8), in the order of NAMES.

    The first is that of `imagehash.phash`, bit for bit, which makes the same two transforms of one picture. The others
    follow from its coefficients: a flip changes the sign of the odd ones, a turn exchanges the axes as well.
    """
    signs = np.where(np.arange(LOW) % 2, -1.0, 1.0)
    upright = dct(dct(grey, axis=1), axis=2)[:, :LOW, :LOW]
    hashes = []
    for coefficients in (upright, upright * signs):
        for _ in range(4):
            median = np.median(coefficients.reshape(-1, LOW * LOW), axis=1)
            hashes.append(pack_bits(coefficients > median[:, None, None]))
            coefficients = coefficients.swapaxes(1, 2) * signs[:, None]
    return np.stack(hashes, axis=1)


def pack_bits(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """(N, 8, 8) bits to N integers, the first bit the most significant, as imagehash prints them."""
    return np.packbits(bits.reshape(len(bits), 64), axis=1).view(">u8").astype(np.uint64).ravel()


# The hashes of a data set


@dataclass(frozen=True)
class Hashes:
    """What is known of N pictures, in one order; `images` are paths inside the data set.

    `reliable` is False where pHash says nothing about the picture: where the thumbnail is flat, or so
    symmetric that coefficients tie with their median (a valid pHash has 32 of its 64 bits set).
    """

    images: NDArray[np.object_]  # (N,) texts
    hash: NDArray[np.uint64]  # (N, 8), in the order of NAMES
    reliable: NDArray[np.bool_]  # (N,)
    thumb: NDArray[np.uint8] | Picked  # (N, 32, 32, 3), mean colours; in a file unless few
    side: NDArray[np.uint32] | None = None  # (N, 2) width and height of the pictures, in pixels
    points: PickedPoints | None = None  # of N pictures, where local features were made

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: NDArray[np.intp]) -> "Hashes":
        """The images of `rows`, in that order."""
        thumb = self.thumb.take(rows) if isinstance(self.thumb, Picked) else self.thumb[rows]
        side = None if self.side is None else self.side[rows]
        points = None if self.points is None else self.points.take(rows)
        return Hashes(self.images[rows], self.hash[rows], self.reliable[rows], thumb, side, points)


def hashes_of(images: Sequence[str], pictures: Sequence[tuple[Image.Image, Image.Image]]) -> Hashes:
    """The hashes of `images` in memory, given as `thumbnails` makes them."""
    greys = np.array([np.asarray(grey) for grey, _ in pictures], np.uint8).reshape(-1, SIDE, SIDE)
    thumbs = np.array([np.asarray(thumb) for _, thumb in pictures], np.uint8).reshape(-1, SIDE, SIDE, 3)
    hashes = transformed_hashes(greys)
    reliable = (np.bitwise_count(hashes[:, IDENTITY]) == LOW * LOW // 2) & (np.ptp(greys, axis=(1, 2)) >= FLAT_SPREAD)
    return Hashes(np.array(images, object), hashes, reliable, thumbs)
