"""Pairs of images whose hashes are near, in any of eight orientations, and how near each image's nearest is."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from florilegium.audit.hashing import IDENTITY, Hashes
from florilegium.audit.multi_index import near
from florilegium.core.errors import UserError
from florilegium.core.system import bar

FAR = 255  # the distance of an image that has no neighbour, or whose neighbour is not looked for
MOST = 50_000_000  # pairs, which take 2 GB
CHUNK = 1 << 18  # pairs that are listed at once
MEASURED = 2_000_000_000  # pairs that are compared to learn how near the nearest images are
ROWS, COLUMNS = 64, 8192  # of a block of these


@dataclass(frozen=True)
class Candidates:
    """Pairs whose hashes are near; a pair is listed once for each transform of a under which they are."""

    a: NDArray[np.intp]  # (P,) rows of a
    b: NDArray[np.intp]  # (P,) rows of b
    transform: NDArray[np.intp]  # (P,) indices into NAMES
    distance: NDArray[np.uint8]  # (P,) Hamming distance of the hashes
    nearest: NDArray[np.uint8]  # (rows of b,) least distance to an(other) image of a; FAR if there is none
    sampled: bool  # True if `nearest` is known of a random sample of b alone, and FAR elsewhere


def search(a: Hashes, b: Hashes | None = None, *, radius: int, dihedral: bool = True, workers: int = 1) -> Candidates:
    """All pairs at a Hamming distance of at most `radius`, inside a when `b` is None.

    Inside one set a pair is a row and a later row: each unordered pair once, and none with itself.
    An image whose pHash is not reliable pairs, at distance 0, only with those that have the same thumbnail,
    pixel for pixel: flat images of different colours never pair. `workers` are threads.
    Raises UserError if there are more than MOST pairs.
    """
    other = a if b is None else b
    pairs = _Pairs(a, radius, inside=b is None)
    hashes_a = a.hash.T if dihedral else a.hash.T[:1]  # (T, N)
    left, right = _by_hash(hashes_a, a.reliable), _by_hash(other.hash.T[:1], other.reliable)
    near(left.values, right.values, radius, lambda i, j: pairs.add(left, i, right, j), workers=workers)
    left, right = _by_thumbnail(a), _by_thumbnail(other)
    _, i, j = np.intersect1d(left.values, right.values, assume_unique=True, return_indices=True)
    pairs.add(left, i, right, j)
    rows_a, rows_b, transform, distance = pairs.listed()

    flat = ~other.reliable
    sample = _sample(len(other), len(a) * len(hashes_a))
    nearest = np.full(len(other), FAR, np.uint8)
    met = np.unique(np.concatenate([rows_a, rows_b]) if b is None else rows_b)
    nearest[met[flat[met]]] = 0
    nearest[~sample] = FAR
    asked = np.flatnonzero(sample & ~flat)
    nearest[asked] = _nearest(hashes_a, a.reliable, other.hash[asked, IDENTITY], asked if b is None else None, workers)
    return Candidates(rows_a, rows_b, transform, distance, nearest, sampled=not sample.all())


# Pairs of images from pairs of values


@dataclass(frozen=True)
class _Distinct:
    """Different values, and the images that have each, one value's after another's."""

    values: NDArray[np.uint64]  # (V,) rising
    start: NDArray[np.intp]  # (V,) where the images of each start
    count: NDArray[np.intp]  # (V,)
    rows: NDArray[np.intp]  # (K,) the images
    transform: NDArray[np.uint8]  # (K,) under which each has the value

    @classmethod
    def of(cls, values: NDArray[np.uint64], rows: NDArray[np.intp], transform: NDArray[np.uint8]) -> "_Distinct":
        order = np.argsort(values, kind="stable")
        distinct, start, count = np.unique(values[order], return_index=True, return_counts=True)
        return cls(distinct, start, count, rows[order], transform[order])


def _by_hash(hashes: NDArray[np.uint64], reliable: NDArray[np.bool_]) -> _Distinct:
    """The reliable images by each of their (T, N) hashes."""
    rows = np.flatnonzero(reliable)
    transform = np.arange(len(hashes), dtype=np.uint8).repeat(len(rows))
    return _Distinct.of(hashes[:, rows].ravel(), np.tile(rows, len(hashes)), transform)


def _by_thumbnail(hashes: Hashes) -> _Distinct:
    """The other images by a digest of their thumbnail: the rare two that share one are told apart by their pixels."""
    rows = np.flatnonzero(~hashes.reliable)
    digests = [blake2b(hashes.thumb[row].tobytes(), digest_size=8).digest() for row in rows]
    return _Distinct.of(np.frombuffer(b"".join(digests), np.uint64), rows, np.zeros(len(rows), np.uint8))


class _Pairs:
    """Collects pairs from several threads, in few bytes, until there are too many."""

    def __init__(self, a: Hashes, radius: int, inside: bool) -> None:
        self.a, self.radius, self.inside = a, radius, inside
        self.parts = [(np.empty((2, 0), np.int32), np.empty((2, 0), np.uint8))]  # rows; transform and distance
        self.n, self.lock = 0, Lock()

    def add(self, left: _Distinct, i: NDArray[np.intp], right: _Distinct, j: NDArray[np.intp]) -> None:
        """All images that have the values left[i] with all that have right[j]."""
        distance = np.bitwise_count(left.values[i] ^ right.values[j])
        ends = np.cumsum(left.count[i] * right.count[j])
        total = int(ends[-1]) if len(ends) else 0
        for start in range(0, total, CHUNK):
            places = np.arange(start, min(total, start + CHUNK))
            pair = np.searchsorted(ends, places, side="right")
            own, theirs = np.divmod(ends[pair] - 1 - places, right.count[j[pair]])
            own, theirs = left.start[i[pair]] + own, right.start[j[pair]] + theirs
            rows = np.stack([left.rows[own], right.rows[theirs]]).astype(np.int32)
            facts = np.stack([left.transform[own], distance[pair]])
            later = rows[0] < rows[1] if self.inside else slice(None)
            self._keep(rows[:, later], facts[:, later])

    def _keep(self, rows: NDArray[np.int32], facts: NDArray[np.uint8]) -> None:
        with self.lock:
            self.parts.append((rows, facts))
            self.n += rows.shape[1]
        if self.n > MOST and rows.size:
            name = self.a.images[np.bincount(rows[0]).argmax()]
            smaller = f", or set a radius below {self.radius}" if self.radius else ""
            raise UserError(
                f"{name}: with the doubles of this image more than {MOST:,} pairs are near in hash; keep one of them"
                f"{smaller}"
            )

    def listed(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.uint8]]:
        """Rows of a, rows of b, transforms and distances."""
        rows, facts = (np.concatenate(part, axis=1) for part in zip(*self.parts, strict=True))
        return rows[0].astype(np.intp), rows[1].astype(np.intp), facts[0].astype(np.intp), facts[1]


# How near the nearest is


def _sample(n: int, each: int) -> NDArray[np.bool_]:
    """Which of n images are compared with `each` hashes: all of them, or a random sample that stays below MEASURED."""
    chosen = np.zeros(n, np.bool_)
    chosen[np.random.default_rng(0).permutation(n)[: max(1, MEASURED // max(1, each))]] = True
    return chosen


def _nearest(
    hashes_a: NDArray[np.uint64],
    reliable: NDArray[np.bool_],
    hashes_b: NDArray[np.uint64],
    rows_b: NDArray[np.intp] | None,
    workers: int,
) -> NDArray[np.uint8]:
    """The least distance of each hash of b (M,) to one of a's (T, N); `rows_b` are its own in a, to leave out."""
    rows_a = np.flatnonzero(reliable)
    turns = np.ascontiguousarray(hashes_a[:, rows_a])
    own = np.full(len(hashes_b), -1) if rows_b is None else np.searchsorted(rows_a, rows_b)

    def block(start: int) -> NDArray[np.uint8]:
        hashes, place = hashes_b[start : start + ROWS, None], own[start : start + ROWS]
        least = np.full(len(hashes), FAR, np.uint8)
        for turn in turns:
            for column in range(0, len(rows_a), COLUMNS):
                different = np.bitwise_count(hashes ^ turn[None, column : column + COLUMNS])
                inside = np.flatnonzero((place >= column) & (place < column + different.shape[1]))
                different[inside, place[inside] - column] = FAR
                np.minimum(least, different.min(axis=1), out=least)
        return least

    starts = range(0, len(hashes_b), ROWS)
    with ThreadPoolExecutor(workers) as pool:
        parts = list(bar(pool.map(block, starts), "nearest images", "block", len(starts)))
    return np.concatenate([np.empty(0, np.uint8), *parts])
