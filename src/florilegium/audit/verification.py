"""Candidates confirmed on pixels: near in hash is a hint, near in every pixel is the same picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from florilegium.audit.hashing import Hashes
from florilegium.audit.matching import Candidates
from florilegium.audit.transforms import NAMES, apply

CHUNK = 4096  # pairs compared at once: 24 MiB of pixels


@dataclass(frozen=True)
class Pairs:
    """Each pair once, under the transform that brings its pictures nearest."""

    a: NDArray[np.intp]  # (P,) rows of a
    b: NDArray[np.intp]  # (P,) rows of b
    transform: NDArray[np.intp]  # (P,) indices into transforms.NAMES
    hash_distance: NDArray[np.uint8]  # (P,)
    pixel_distance: NDArray[np.float64]  # (P,) in [0, 1]
    same: NDArray[np.bool_]  # (P,) whether both show the same picture


def confirm(a: Hashes, b: Hashes, candidates: Candidates, threshold: float) -> Pairs:
    """Keep each pair's best transform; it shows the same picture when its pixels are near enough.

    The best transform has the smallest pixel distance, then the smallest hash distance, then the
    first name. Pairs come in order of their rows.
    """
    pixels = pixel_distances(a, b, candidates).round(6)
    order = np.lexsort((candidates.transform, candidates.distance, pixels, candidates.b, candidates.a))
    rows = np.stack([candidates.a, candidates.b])[:, order]
    first = np.append(True, (rows[:, 1:] != rows[:, :-1]).any(axis=0))[: len(order)]
    best = order[first]
    return Pairs(
        a=candidates.a[best],
        b=candidates.b[best],
        transform=candidates.transform[best],
        hash_distance=candidates.distance[best],
        pixel_distance=pixels[best],
        same=pixels[best] <= threshold,
    )


def pixel_distances(a: Hashes, b: Hashes, candidates: Candidates) -> NDArray[np.float64]:
    """(P,) mean squared difference of the thumbnails in [0, 1], a's after the candidate's transform."""
    distances = np.empty(len(candidates.a))
    for transform in range(len(NAMES)):
        under = np.flatnonzero(candidates.transform == transform)
        for start in range(0, len(under), CHUNK):
            rows = under[start : start + CHUNK]
            pictures = apply(a.thumb[candidates.a[rows]], transform).astype(np.int32)
            difference = pictures - b.thumb[candidates.b[rows]]
            distances[rows] = np.square(difference).mean(axis=(1, 2, 3)) / 255**2
    return distances
