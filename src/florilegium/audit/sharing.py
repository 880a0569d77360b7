"""Pairs of pictures that share local features: the candidates of the crop step.

Neighbouring features are found by sorting. A feature is described by the sides of random planes on which its
descriptor lies (Charikar, STOC 2002); features whose bits are sorted stand beside those with which they share the most
leading ones, and are compared with a fixed number of these, in several orders (the forest of Bawa et al., WWW 2005).
So the work grows with the number of features and not with that of pairs, however many of them are alike. Pictures
that are the same to the bit would fill the places beside a feature, and are looked up as one. A pair of
pictures is a candidate when two features agree in how they are turned and enlarged (Jegou et al., ECCV 2008).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from florilegium.audit.columns import PickedPoints
from florilegium.audit.points import LENGTH, mirror, root
from florilegium.core.system import bar

TABLES = 4  # orders of the features, each by 64 planes of its own
WINDOW = 3  # neighbours on either side in each order
NEAR = 70  # of the 256 bits, by which features of one place differ at most
VOTES = 2  # features that agree in turn and zoom
TURNS, ZOOM_STEP, ZOOMS = 12, 0.7, 16  # bins of a full turn, octaves of a bin, bins
BLOCK = 4096  # pictures that are looked up at once
SAMPLE = 100_000  # features whose mean is the origin of the planes


@dataclass(frozen=True)
class Shared:
    """Candidate pairs, each once; inside one set the first row is the lower one."""

    a: NDArray[np.intp]  # (P,) rows of a
    b: NDArray[np.intp]  # (P,) rows of b
    mirrored: NDArray[np.bool_]  # (P,) whether b shows a's mirror image

    def __len__(self) -> int:
        return len(self.a)


@dataclass(frozen=True)
class Features:
    """The features of some pictures, in one order."""

    picture: NDArray[np.intp]  # (n,)
    code: NDArray[np.uint64]  # (n, TABLES)
    angle: NDArray[np.float32]  # (n,) degrees
    size: NDArray[np.float32]  # (n,) octaves

    def take(self, rows: NDArray[np.intp]) -> "Features":
        return Features(self.picture[rows], self.code[rows], self.angle[rows], self.size[rows])


class Planes:
    """Random planes through the mean descriptor of a set."""

    def __init__(self, points: PickedPoints) -> None:
        step = max(1, int(points.count.sum()) // SAMPLE)
        _, sample = points.gather(np.arange(0, len(points), step))
        self.origin = sample.root.mean(axis=0)
        self.normals = np.random.default_rng(0).standard_normal((LENGTH, 64 * TABLES)).astype(np.float32)

    def code(self, descriptor: NDArray[np.uint8]) -> NDArray[np.uint64]:
        """(n, TABLES) the side of every plane, a bit each."""
        parts = [
            np.packbits((root(descriptor[start : start + BLOCK]) - self.origin) @ self.normals > 0, axis=1)
            for start in range(0, len(descriptor), BLOCK)
        ]
        return np.concatenate([np.empty((0, 8 * TABLES), np.uint8), *parts]).view(">u8").astype(np.uint64)

    def features(self, points: PickedPoints, rows: NDArray[np.intp], *, mirrored: bool = False) -> Features:
        """The features of the pictures of `rows`, or of their mirror images."""
        parts = []
        for start in range(0, len(rows), BLOCK):
            picture, found = points.gather(rows[start : start + BLOCK])
            angle, size = found.place[:, 3], np.log2(np.maximum(found.place[:, 2], 0.1))
            descriptor = mirror(found.descriptor) if mirrored else found.descriptor
            parts.append((picture, self.code(descriptor), 180 - angle if mirrored else angle, size))
        return Features(*map(np.concatenate, zip(*parts, strict=True)))


@dataclass(frozen=True)
class Doubles:
    """Pictures by their features: groups of those that have the same, to the bit."""

    rows: NDArray[np.intp]  # (N,) the pictures, one group's after another's
    start: NDArray[np.intp]  # (G,) where each group's start
    count: NDArray[np.intp]  # (G,)

    @classmethod
    def of(cls, points: PickedPoints) -> "Doubles":
        digests = []
        for start in range(0, len(points), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(points)))
            own = np.split(points.packed(rows), np.cumsum(points.count[rows])[:-1])
            digests += [blake2b(of.tobytes(), digest_size=16).digest() for of in own]
        _, first, group, count = np.unique(
            np.array(digests, "V16"), return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(first)  # groups in the order of their first pictures
        rows = np.argsort(np.argsort(order)[group], kind="stable")
        return cls(rows, np.cumsum(count[order]) - count[order], count[order])

    @property
    def first(self) -> NDArray[np.intp]:
        """(G,) one picture of each group."""
        return self.rows[self.start]


def sharing(a: PickedPoints, b: PickedPoints | None = None, *, workers: int = 1) -> Shared:
    """The pairs of pictures that share features, inside a when `b` is None; those that have the same features, to the
    bit, are no candidates inside one set, since their hashes are equal. `workers` are threads."""
    of_a = Doubles.of(a)
    of_b = of_a if b is None else Doubles.of(b)
    found = _sharing(a.take(of_a.first), None if b is None else b.take(of_b.first), workers)
    n_b = of_b.count[found.b]
    each = of_a.count[found.a] * n_b  # pairs of pictures of a pair of groups
    pair = np.repeat(np.arange(len(found)), each)
    place = np.arange(len(pair)) - np.repeat(np.cumsum(each) - each, each)
    rows_a = of_a.rows[of_a.start[found.a][pair] + place // n_b[pair]]
    rows_b = of_b.rows[of_b.start[found.b][pair] + place % n_b[pair]]
    if b is None:
        rows_a, rows_b = np.minimum(rows_a, rows_b), np.maximum(rows_a, rows_b)
    return Shared(rows_a, rows_b, found.mirrored[pair])


def _sharing(a: PickedPoints, b: PickedPoints | None, workers: int) -> Shared:
    """`sharing` of pictures of which no two have the same features."""
    other = a if b is None else b
    if not a.count.any() or not other.count.any():
        none = np.empty(0, np.intp)
        return Shared(none, none, none.astype(np.bool_))
    planes = Planes(a)
    known = planes.features(a, np.arange(len(a)))
    orders = [np.argsort(known.code[:, table], kind="stable").astype(np.uint32) for table in range(TABLES)]
    size = min(BLOCK, -(-len(other) // workers))
    blocks = [np.arange(start, min(start + size, len(other))) for start in range(0, len(other), size)]
    found = []
    with ThreadPoolExecutor(workers) as pool:
        look = partial(_look, planes, known, orders, other, inside=b is None)
        for pairs in bar(pool.map(look, blocks), "shared features", "block", len(blocks)):
            found.append(pairs)
    rows_a, rows_b, mirrored = np.concatenate([np.empty((3, 0), np.intp), *found], axis=1)
    if b is None:  # a pair is met from both of its pictures
        met = np.unique(np.stack([rows_a, rows_b, mirrored]), axis=1)
        rows_a, rows_b, mirrored = met
    return Shared(rows_a, rows_b, mirrored.astype(np.bool_))


def _look(
    planes: Planes,
    known: Features,
    orders: list[NDArray[np.uint32]],
    other: PickedPoints,
    rows: NDArray[np.intp],
    *,
    inside: bool,
) -> NDArray[np.intp]:
    """(3, P) candidate pairs of the pictures of `rows` with all known: a, b, mirrored."""
    found = []
    for mirrored in (False, True):
        asked = planes.features(other, rows, mirrored=mirrored)
        near = [_neighbours(known, asked, orders[table], table, inside) for table in range(TABLES)]
        pairs = np.unique(np.concatenate(near))  # a pair of features counts once
        i, j = pairs // len(asked.picture), pairs % len(asked.picture)
        a, b = _agreeing(known.take(i), asked.take(j), len(other))
        found.append(np.stack([np.minimum(a, b), np.maximum(a, b)] if inside else [a, b]))
        found[-1] = np.vstack([found[-1], np.full(len(a), mirrored)])
    return np.concatenate(found, axis=1)


def _neighbours(
    known: Features, asked: Features, order: NDArray[np.uint32], table: int, inside: bool
) -> NDArray[np.int64]:
    """Pairs of features that are near, those that stand beside each other in an order: known * len(asked) + asked."""
    queries = np.argsort(asked.code[:, table], kind="stable")
    sought = asked.code[queries, table]
    place = np.searchsorted(known.code[order, table], sought)
    near = []
    for step in range(-WINDOW, WINDOW):
        beside = place + step
        there = (beside >= 0) & (beside < len(order))
        i, j = order[beside[there]].astype(np.int64), queries[there]
        apart = np.bitwise_count(known.code[i] ^ asked.code[j]).sum(axis=1, dtype=np.uint16)
        close = apart <= NEAR
        if inside:
            close &= known.picture[i] != asked.picture[j]
        near.append(i[close] * len(queries) + j[close])
    return np.concatenate(near)


def _agreeing(one: Features, other: Features, n: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The pairs of pictures of whose n pairs of features `VOTES` agree in turn and zoom."""
    turn, zoom = (other.angle - one.angle) / (360 / TURNS), (other.size - one.size) / ZOOM_STEP
    pair = one.picture.astype(np.int64) * n + other.picture
    agreeing = []
    for shift in (0.0, 0.5):  # so that no two neighbours are parted by every grid
        bins = np.floor(turn + shift).astype(np.int64) % TURNS * ZOOMS
        bins += np.clip(np.floor(zoom + shift).astype(np.int64) + ZOOMS // 2, 0, ZOOMS - 1)
        votes, count = np.unique(pair * (TURNS * ZOOMS) + bins, return_counts=True)
        agreeing.append(votes[count >= VOTES] // (TURNS * ZOOMS))
    pairs = np.unique(np.concatenate(agreeing))
    return pairs // n, pairs % n
