"""Pairs of images that show the same picture: near in hash first, then confirmed on the pixels of thumbnails.

The search is exact. Every hash is compared with every other, in blocks that stay in the processor's cache; a tree
would be slower: at 64 bits and a useful radius a search visits most of its nodes.
"""

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from florilegium.audit.hashing import IDENTITY, NAMES, Hashes, apply
from florilegium.config.products import Audit

ROWS, COLUMNS = 64, 8192  # of a block
FAR = 255  # the distance of a pair that is not compared
CHUNK = 4096  # pairs whose pixels are compared at once: 24 MiB


@dataclass(frozen=True)
class Candidates:
    """Pairs whose hashes are near; a pair is listed once for each transform of a under which they are."""

    a: NDArray[np.intp]  # (P,) rows of a
    b: NDArray[np.intp]  # (P,) rows of b
    transform: NDArray[np.intp]  # (P,) indices into NAMES
    distance: NDArray[np.uint8]  # (P,) Hamming distance of the hashes
    nearest: NDArray[np.uint8]  # (rows of b,) distance to the nearest image of a, FAR if there is none


@dataclass(frozen=True)
class _Sweep:
    """A comparison of all hashes of a with all of b, in blocks of rows."""

    hashes_a: NDArray[np.uint64]  # (T, N), one row a transform
    hashes_b: NDArray[np.uint64]  # (M,)
    radius: int
    inside: bool

    def rows(self, start: int) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
        """Compare rows start ... start + ROWS of a with every row of b (inside: with later ones).

        Returns (4, P): a, b, transform, distance; and (M,) the least distance met by each image.
        """
        nearest = np.full(len(self.hashes_b), FAR, np.uint8)
        near = [np.empty((4, 0), np.intp)]
        for transform, column, distances in self._blocks(start):
            height, width = distances.shape
            if self.inside:
                below = np.arange(start, start + height)[:, None] >= np.arange(column, column + width)
                distances[below] = FAR
                own = nearest[start : start + height]
                np.minimum(own, distances.min(axis=1), out=own)
            theirs = nearest[column : column + width]
            least = distances.min(axis=0)
            np.minimum(theirs, least, out=theirs)
            if least.min() <= self.radius:
                i, j = np.nonzero(distances <= self.radius)
                near.append(np.stack([i + start, j + column, np.full_like(i, transform), distances[i, j]]))
        return np.concatenate(near, axis=1), nearest

    def _blocks(self, start: int) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
        for transform, hashes in enumerate(self.hashes_a):
            rows = hashes[start : start + ROWS, None]
            for column in range(start if self.inside else 0, len(self.hashes_b), COLUMNS):
                columns = self.hashes_b[None, column : column + COLUMNS]
                yield transform, column, np.bitwise_count(rows ^ columns)


def search(a: Hashes, b: Hashes | None = None, *, radius: int, dihedral: bool = True, workers: int = 1) -> Candidates:
    """All pairs at a Hamming distance of at most `radius`, inside a when `b` is None.

    Inside one set a pair is a row and a later row: each unordered pair once, and none with itself.
    An image whose pHash is not reliable pairs, at distance 0, only with those that have the same thumbnail,
    pixel for pixel: flat images of different colours never pair. `workers` are threads.
    """
    other = a if b is None else b
    rows_a, rows_b = np.flatnonzero(a.reliable), np.flatnonzero(other.reliable)
    hashes = a.hash[rows_a].T[: None if dihedral else 1]
    sweep = _Sweep(hashes, other.hash[rows_b, IDENTITY], radius, inside=b is None)
    nearest = np.full(len(other), FAR, np.uint8)
    near = []
    with ThreadPoolExecutor(workers) as pool:
        for pairs, least in pool.map(sweep.rows, range(0, len(rows_a), ROWS)):
            nearest[rows_b] = np.minimum(nearest[rows_b], least)
            pairs[:2] = rows_a[pairs[0]], rows_b[pairs[1]]
            near.append(pairs)
    equal = _equal_thumbnails(a, b)
    nearest[equal[1]] = 0
    if b is None:
        nearest[equal[0]] = 0
    i, j, transform, distance = np.concatenate([*near, equal], axis=1)
    return Candidates(i, j, transform, distance.astype(np.uint8), nearest)


def _equal_thumbnails(a: Hashes, b: Hashes | None) -> NDArray[np.intp]:
    """(4, P) pairs of unreliable images that show the same thumbnail, as `_Sweep.rows` gives them."""
    other = a if b is None else b
    alike: dict[bytes, list[int]] = defaultdict(list)
    for row in np.flatnonzero(~other.reliable):
        alike[other.thumb[row].tobytes()].append(int(row))
    pairs = [
        (int(i), j, IDENTITY, 0)
        for i in np.flatnonzero(~a.reliable)
        for j in alike.get(a.thumb[i].tobytes(), ())
        if b is not None or i < j
    ]
    return np.array(pairs, np.intp).reshape(-1, 4).T


# Confirmation on pixels


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
    rows = np.stack([candidates.a, candidates.b])[:, order]
    best = order[np.append(True, (rows[:, 1:] != rows[:, :-1]).any(axis=0))[: len(order)]]
    rows_a, rows_b, pixels = candidates.a[best], candidates.b[best], pixels[best]
    contrast = variances(a, rows_a) + variances(b, rows_b)
    share = np.divide(pixels, contrast, out=np.zeros(len(best)), where=contrast > 0)
    same = (pixels <= settings.pixel_threshold) & (share <= settings.contrast_share)
    return Pairs(rows_a, rows_b, candidates.transform[best], candidates.distance[best], pixels, share, same)


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
