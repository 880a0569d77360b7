"""All pairs of two sets of 64-bit numbers that differ in at most so many bits, without comparing every two.

Multi-index hashing (Norouzi, Punjani and Fleet, 2012, sections 2 and 3): the bits are dealt out to m bands. Two numbers
that differ in at most r bits differ in at most t_i bits of some band i, where the t_i + 1 sum to r + 1. So for every
band both sides are sorted by their bits in it, and each number meets those of the other side whose band is its own
after a change of at most t_i bits.

The bits are dealt by how even they are, so that each band tells as much as another: numbers that share some bits, such
as a 16-bit value that a third of them has, do not crowd in one band. Where numbers crowd in every band, most are near.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from florilegium.core.system import bar

Numbers = NDArray[np.uint64]
Rows = NDArray[np.intp]
Found = Callable[[Rows, Rows], None]

BITS = 64
WIDEST = 22  # bits of a band, whose table of runs takes 4 bytes for each value
ROWS, COLUMNS = 64, 8192  # of a block of pairs that are all compared
STEP = 1 << 22  # pairs of a step in which all are compared
BLOCK = 1 << 17  # candidates that are compared at once: they stay in the processor's cache
PROBES = 16  # changes of a step
SAMPLE = 4096  # numbers that tell how even a bit is

# What a step costs, in nanoseconds of one core, to choose between plans that all find the same pairs.
COMPARED, CANDIDATE, LOOKED_UP, PROBE, SORTED, VALUE = 0.6, 2.5, 35, 50_000, 100, 4


def near(a: Numbers, b: Numbers, radius: int, found: Found, *, workers: int = 1) -> None:
    """Call `found(i, j)` with the rows of all pairs a[i], b[j] that differ in at most `radius` bits, each pair once.

    `found` is called many times, from `workers` threads, in no order; an error that it raises ends the search.
    """
    if len(a) > len(b):  # the longer side is the one whose runs are read
        near(b, a, radius, lambda j, i: found(i, j), workers=workers)
    elif len(a):
        with ThreadPoolExecutor(workers) as pool:
            steps = _steps(a, b, radius, pool)
            for _ in bar(pool.map(lambda step: step(found), steps), "comparing hashes", "step", len(steps)):
                pass


def _steps(a: Numbers, b: Numbers, radius: int, pool: ThreadPoolExecutor) -> "list[_All] | list[_Probes]":
    """The steps of the cheapest way to search; bands are sorted in the threads of `pool`."""
    bits, left = _varying(a, b, radius)
    if left < 0:
        return []
    plan = _plan(len(bits), left, len(a), len(b))
    if plan is None:
        rows = max(ROWS, STEP // len(b))
        return [_All(a, b, radius, start, start + rows) for start in range(0, len(a), rows)]
    width, reaches = plan
    hands = [bits[: len(reaches) * width][band :: len(reaches)] for band in range(len(reaches))]
    known = [(np.bitwise_or.reduce(np.uint64(1) << hand), reach) for hand, reach in zip(hands, reaches, strict=True)]
    earlier = [tuple(known[:band]) for band in range(len(reaches))]
    bands = list(pool.map(lambda hand, known: _Band.of(a, b, radius, hand, known), hands, earlier))
    return [
        _Probes(band, changes[start : start + PROBES])
        for band, changes in zip(bands, [_changes(width, reach) for reach in reaches], strict=True)
        for start in range(0, len(changes), PROBES)
    ]


def _varying(a: Numbers, b: Numbers, radius: int) -> tuple[Numbers, int]:
    """The places of the bits in which a side is not all alike, the most even first, and the radius that they have."""
    always = np.bitwise_and.reduce(a), np.bitwise_and.reduce(b)
    varying = (always[0] ^ np.bitwise_or.reduce(a)) | (always[1] ^ np.bitwise_or.reduce(b))
    radius -= int(np.bitwise_count((always[0] ^ always[1]) & ~varying))
    places = np.arange(BITS, dtype=np.uint64)
    places = places[(varying >> places) & np.uint64(1) == 1]
    ones = np.zeros(len(places))
    for numbers in (a, b):
        sample = numbers[:: max(1, len(numbers) // SAMPLE), None]
        ones += ((sample >> places) & np.uint64(1)).mean(axis=0)
    return places[np.argsort(abs(ones - 1), kind="stable")], radius


# Plans


@lru_cache(4096)
def _plan(n_bits: int, radius: int, n_a: int, n_b: int) -> tuple[int, tuple[int, ...]] | None:
    """The width of the bands and how many bits are changed in each; None where it is cheaper to compare all pairs."""
    best, cheapest = None, n_a * n_b * COMPARED
    for count in range(1, min(radius + 1, n_bits) + 1):
        reaches = tuple((radius + 1 + band) // count - 1 for band in range(count))  # which sum to radius + 1 - count
        for width in range(1, min(WIDEST, n_bits // count) + 1):
            probes = sum(_n_changes(width, reach) for reach in reaches)
            cost = probes * (PROBE + n_a * LOOKED_UP + n_a * n_b / 2**width * CANDIDATE)
            cost += count * ((n_a + n_b) * SORTED + 2**width * VALUE)
            if cost < cheapest:
                best, cheapest = (width, reaches), cost
    return best


@lru_cache
def _n_changes(width: int, reach: int) -> int:
    return sum(comb(width, changed) for changed in range(min(reach, width) + 1))


@lru_cache
def _changes(width: int, reach: int) -> NDArray[np.uint32]:
    """The numbers of `width` bits of which at most `reach` are set."""
    sets = (places for changed in range(min(reach, width) + 1) for places in combinations(range(width), changed))
    return np.fromiter((sum(1 << place for place in places) for places in sets), np.uint32)


# Steps


@dataclass(frozen=True)
class _All:
    """Compare some rows of a with all of b."""

    a: Numbers
    b: Numbers
    radius: int
    start: int
    stop: int

    def __call__(self, found: Found) -> None:
        a, b = self.a[: self.stop], self.b
        for start in range(self.start, len(a), ROWS):
            for column in range(0, len(b), COLUMNS):
                different = np.bitwise_count(a[start : start + ROWS, None] ^ b[None, column : column + COLUMNS])
                if different.min() <= self.radius:
                    i, j = np.nonzero(different <= self.radius)
                    found(i + start, j + column)


@dataclass(frozen=True)
class _Band:
    """Both sides in the order of their keys, the bits of one band.

    `known` are the masks of the bands before this one, each with its reach: pairs within it are found there.
    """

    a: Numbers
    b: Numbers
    rows_a: Rows
    rows_b: Rows
    keys: NDArray[np.uint32]  # of a
    starts: NDArray[np.int32]  # (2 ** width + 1,) where the run of each key starts in b
    radius: int
    known: tuple[tuple[np.uint64, int], ...]

    @classmethod
    def of(
        cls, a: Numbers, b: Numbers, radius: int, bits: Numbers, known: tuple[tuple[np.uint64, int], ...]
    ) -> "_Band":
        rows_a, keys_a = _sorted(a, bits)
        rows_b, keys_b = _sorted(b, bits)
        starts = np.append(0, np.cumsum(np.bincount(keys_b, minlength=2 ** len(bits)))).astype(np.int32)
        return cls(a[rows_a], b[rows_b], rows_a, rows_b, keys_a, starts, radius, known)

    def report(self, found: Found, i: Rows, j: Rows) -> None:
        """Pass on those of some near pairs that no earlier band finds."""
        different = self.a[i] ^ self.b[j]
        new = np.ones(len(i), np.bool_)
        for mask, reach in self.known:
            new &= np.bitwise_count(different & mask) > reach
        if new.any():
            found(self.rows_a[i[new]], self.rows_b[j[new]])


def _sorted(numbers: Numbers, bits: Numbers) -> tuple[Rows, NDArray[np.uint32]]:
    """The order of some bits, and the bits in that order."""
    keys = np.zeros(len(numbers), np.uint32)
    for place, bit in enumerate(bits):
        keys |= (((numbers >> bit) & np.uint64(1)) << np.uint64(place)).astype(np.uint32)
    order = np.argsort(keys.astype(np.uint16) if len(bits) <= 16 else keys, kind="stable")  # 16 bits: a radix sort
    return order, keys[order]


@dataclass(frozen=True)
class _Probes:
    """Compare each number of a with those of b whose key is its own after one of some changes."""

    band: _Band
    changes: NDArray[np.uint32]

    def __call__(self, found: Found) -> None:
        for change in self.changes:
            keys = self.band.keys ^ change
            first = self.band.starts[keys]
            sizes = self.band.starts[1:][keys] - first
            rows = np.flatnonzero(sizes)
            ends = np.cumsum(sizes[rows], dtype=np.int64)
            cuts = np.searchsorted(ends, np.arange(BLOCK, ends[-1] if len(ends) else 0, BLOCK))
            for some in np.split(rows, cuts):
                self._compare(some, first[some], sizes[some], found)

    def _compare(self, rows: Rows, first: NDArray[np.int32], sizes: NDArray[np.int32], found: Found) -> None:
        """Compare each of some rows of a with `sizes` rows of b from `first` on."""
        ends = np.cumsum(sizes, dtype=np.intp)
        columns = np.repeat(first - (ends - sizes), sizes)
        columns += np.arange(len(columns))
        different = np.repeat(self.band.a[rows], sizes)
        different ^= self.band.b[columns]
        at = np.flatnonzero(np.bitwise_count(different) <= self.band.radius)
        if len(at):
            self.band.report(found, rows[np.searchsorted(ends, at, side="right")], columns[at])
