"""The eight flips and rotations of a square, on pictures and on their DCT coefficients.

A transform is named by what is done to picture a so that it shows picture b: `flip` mirrors left
and right, `rotate90` turns by 90 degrees counter-clockwise, and `flip_rotate90` flips first and then
turns. The type-II DCT turns a reversed axis into a change of sign of its odd frequencies, and a
transposed picture into transposed coefficients, so all eight pHashes follow from one DCT.
"""

import numpy as np
from numpy.typing import NDArray

NAMES = (
    "identity",
    "rotate90",
    "rotate180",
    "rotate270",
    "flip",
    "flip_rotate90",
    "flip_rotate180",
    "flip_rotate270",
)
IDENTITY = 0
SIDE = 32  # pixels of the thumbnail that pHash is made from
LOW = 8  # lowest frequencies that it keeps along each axis


def apply(pictures: NDArray[np.uint8], transform: int) -> NDArray[np.uint8]:
    """Square pictures (N, S, S) or (N, S, S, 3) after the transform NAMES[`transform`]."""
    flipped, turns = divmod(transform, 4)
    return np.rot90(pictures[:, :, ::-1] if flipped else pictures, turns, axes=(1, 2))


def low_frequencies(grey: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The 8 x 8 lowest coefficients, DC included, of the unnormalised 2-D DCT-II of (N, 32, 32)."""
    frequency, position = np.arange(LOW)[:, None], np.arange(SIDE)[None]
    basis = 2 * np.cos(np.pi * frequency * (2 * position + 1) / (2 * SIDE))  # (8, 32)
    return basis @ grey.astype(np.float64) @ basis.T  # type: ignore[no-any-return]


def transformed_hashes(grey: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """pHash of each thumbnail (N, 32, 32) after each transform: (8, N), in the order of NAMES."""
    signs = np.where(np.arange(LOW) % 2, -1.0, 1.0)
    upright = low_frequencies(grey)
    hashes = []
    for coefficients in (upright, upright * signs):
        for _ in range(4):
            hashes.append(pack_bits(coefficients > np.median(coefficients, axis=(1, 2), keepdims=True)))
            coefficients = coefficients.swapaxes(1, 2) * signs[:, None]
    return np.stack(hashes)


def pack_bits(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """(N, 8, 8) bits to N integers, the first bit the most significant, as imagehash prints them."""
    return np.packbits(bits.reshape(len(bits), 64), axis=1).view(">u8").astype(np.uint64).ravel()
