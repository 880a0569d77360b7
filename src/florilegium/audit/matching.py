"""Pairs of images that show the same picture: those near in hash, confirmed on the pixels of thumbnails."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from florilegium.audit.hashing import NAMES, Hashes, apply
from florilegium.audit.search import Candidates
from florilegium.config.products import Audit

CHUNK = 4096  # pairs whose pixels are compared at once: 24 MiB


@dataclass(frozen=True)
class Pairs:
    """Each pair once, under the transform that brings its pictures nearest."""

    a: NDArray[np.intp]  # (P,) rows of a
    b: NDArray[np.intp]  # (P,) rows of b
    transform: NDArray[np.intp]  # (P,) indices into NAMES
    hash_distance: NDArray[np.uint8]  # (P,)
    pixel_distance: NDArray[np.float64]  # (P,) in [0, 1]
    contrast_share: NDArray[np.float64]  # (P,) of the summed variances; near 1 for unrelated pictures
    same: NDArray[np.bool_]  # (P,) True if both show the same picture


def confirm(a: Hashes, b: Hashes, candidates: Candidates, settings: Audit) -> Pairs:
    """Each pair under its best transform; it shows the same picture when its pixels are near enough.

    Near in terms of a fixed threshold, and of the thumbnails' own contrast: pale pictures, such as small things in a
    blue sky, are near each other whatever they show, and flat ones are the same only when equal. The best transform
    has the smallest pixel distance, then the smallest hash distance, then the first name. Pairs come in order of
    their rows.
    """
    pixels = pixel_distances(a, b, candidates).round(6)
    order = np.lexsort((candidates.transform, candidates.distance, pixels, candidates.b, candidates.a))
    best = order[firsts(candidates.a[order], candidates.b[order])]
    rows_a, rows_b, pixels = candidates.a[best], candidates.b[best], pixels[best]
    contrast = variances(a, rows_a) + variances(b, rows_b)
    share = np.divide(pixels, contrast, out=np.zeros(len(best)), where=contrast > 0)
    distance = candidates.distance[best]
    near = distance <= settings.radius  # a proven crop may be beyond
    same = near & (pixels <= settings.pixel_threshold) & (share <= settings.contrast_share)
    return Pairs(rows_a, rows_b, candidates.transform[best], distance, pixels, share, same)


def firsts(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """(P,) True where a pair of rows is another one than that before it."""
    rows = np.stack([a, b])
    return np.append(True, (rows[:, 1:] != rows[:, :-1]).any(axis=0))[: len(a)]


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


def variances(hashes: Hashes, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """(P,) variance over the thumbnail's pixels in [0, 1], the mean of its three channels."""
    parts = [
        hashes.thumb[rows[start : start + CHUNK]].var(axis=(1, 2)).mean(axis=1) / 255**2
        for start in range(0, len(rows), CHUNK)
    ]
    return np.concatenate([np.empty(0), *parts])
