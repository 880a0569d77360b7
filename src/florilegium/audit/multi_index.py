"""All pairs of two sets of 64-bit numbers that differ in at most so many bits, without comparing every two.

Multi-index hashing (Norouzi, Punjani and Fleet, 2012, sections 2 and 3): the bits are dealt out to m bands. Two numbers
that differ in at most r bits differ in at most t_i bits of some band i, where the t_i + 1 sum to r + 1. So for every
band both sides are sorted by their bits in it, and each number meets those of the other side whose band is its own
after a change of at most t_i bits. Two runs of numbers that share a band and are too long are searched in the same way
by their other bits, so that numbers that crowd together cost no more than others.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise
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
BLOCK = 1 << 17  # candidates that are compared at once: they stay in the processor's cache
FULL = 1 << 20  # pairs of two runs that are too long
SMALL = 1 << 22  # pairs that are compared sooner than a plan is made
WIDE = 1 << 30  # pairs of a part that all threads work on together
PROBES = 16  # of a task
SAMPLE = 4096  # numbers that tell how even a bit is

# What a step costs, in nanoseconds of one core, to choose between plans that all find the same pairs.
COMPARED, CANDIDATE, LOOKED_UP, PROBE, SORTED, VALUE = 0.6, 2.5, 35, 50_000, 100, 4


def near(a: Numbers, b: Numbers, radius: int, found: Found, *, workers: int = 1) -> None:
    """Call `found(i, j)` with the rows of all pairs a[i], b[j] that differ in at most `radius` bits, each pair once.

    `found` is called many times, from `workers` threads, in no order; an error that it raises ends the search.
    """
    if len(a) > len(b):  # the longer side is the one whose runs are read
        near(b, a, radius, lambda j, i: found(i, j), workers=workers)
        return
    wide, narrow = [_Part(_Side(a, np.arange(len(a))), _Side(b, np.arange(len(b))), radius)], []
    with ThreadPoolExecutor(workers) as pool:
        while wide:
            tasks = wide.pop().tasks(pool)
            for parts in bar(pool.map(lambda task: task(found), tasks), "comparing hashes", "step", len(tasks)):
                wide += [part for part in parts if part.n_pairs > WIDE]
                narrow += [part for part in parts if part.n_pairs <= WIDE]
        for _ in bar(pool.map(lambda part: _search(part, found), narrow), "comparing hashes", "run", len(narrow)):
            pass


def _search(part: "_Part", found: Found) -> None:
    """Search a part, and what is split off from it, in this thread."""
    parts = [part]
    while parts:
        for task in parts.pop().tasks():
            parts += task(found)


@dataclass(frozen=True)
class _Side:
    """Numbers and their rows in the set that was given."""

    values: Numbers
    rows: Rows

    def __len__(self) -> int:
        return len(self.values)

    def run(self, starts: NDArray[np.int32], key: int) -> "_Side":
        own = slice(starts[key], starts[key + 1])
        return _Side(self.values[own], self.rows[own])


@dataclass(frozen=True)
class _Part:
    """Two sides to compare; a pair that differs in at most `count` of the bits of a mask in `seen` is known already."""

    a: _Side
    b: _Side
    radius: int
    seen: tuple[tuple[np.uint64, int], ...] = ()

    @property
    def n_pairs(self) -> int:
        return len(self.a) * len(self.b)

    def tasks(self, pool: ThreadPoolExecutor | None = None) -> "list[_All] | list[_Probes]":
        """The steps of the cheapest way to search this part; its bands are sorted in the threads of `pool`."""
        if not self.n_pairs:
            return []
        bits, radius = _varying(self.a.values, self.b.values, self.radius)
        plan = _plan(len(bits), radius, len(self.a), len(self.b)) if self.n_pairs > SMALL else None
        if radius < 0:
            return []
        if plan is None:
            rows = max(ROWS, SMALL // len(self.b))
            return [_All(self, start, start + rows) for start in range(0, len(self.a), rows)]
        width, reaches = plan
        hands = [bits[: len(reaches) * width][band :: len(reaches)] for band in range(len(reaches))]
        seen = [(np.bitwise_or.reduce(np.uint64(1) << hand), reach) for hand, reach in zip(hands, reaches, strict=True)]
        parts = [_Part(self.a, self.b, self.radius, (*self.seen, *seen[:band])) for band in range(len(reaches))]
        bands = list((pool.map if pool else map)(_Band.of, parts, hands))
        return [
            _Probes(band, probes[start : start + PROBES])
            for band, reach in zip(bands, reaches, strict=True)
            for probes in [_changes(width, reach)]
            for start in range(0, len(probes), PROBES)
        ]

    def report(self, found: Found, i: Rows, j: Rows) -> None:
        """Pass on those of some near pairs that are not known already."""
        different = self.a.values[i] ^ self.b.values[j]
        new = np.ones(len(i), np.bool_)
        for mask, count in self.seen:
            new &= np.bitwise_count(different & mask) > count
        if new.any():
            found(self.a.rows[i[new]], self.b.rows[j[new]])


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

    part: _Part
    start: int
    stop: int

    def __call__(self, found: Found) -> list[_Part]:
        a, b = self.part.a.values[: self.stop], self.part.b.values
        for start in range(self.start, len(a), ROWS):
            for column in range(0, len(b), COLUMNS):
                different = np.bitwise_count(a[start : start + ROWS, None] ^ b[None, column : column + COLUMNS])
                if different.min() <= self.part.radius:
                    i, j = np.nonzero(different <= self.part.radius)
                    self.part.report(found, i + start, j + column)
        return []


@dataclass(frozen=True)
class _Band:
    """A part whose sides are sorted by some of their bits, the keys."""

    part: _Part
    keys: NDArray[np.uint32]  # (rows of a,)
    starts_a: NDArray[np.int32]  # (2 ** width + 1,) where the run of each key starts
    starts_b: NDArray[np.int32]
    crowded: bool  # False if no two runs are too long

    @classmethod
    def of(cls, part: _Part, bits: Numbers) -> "_Band":
        a, keys, starts_a = _sorted(part.a, bits)
        b, _, starts_b = _sorted(part.b, bits)
        longest = int(np.diff(starts_a).max()) * int(np.diff(starts_b).max())
        return cls(_Part(a, b, part.radius, part.seen), keys, starts_a, starts_b, longest > FULL)


def _sorted(side: _Side, bits: Numbers) -> tuple[_Side, NDArray[np.uint32], NDArray[np.int32]]:
    """A side in the order of its keys, these, and where the run of each key starts."""
    keys = np.zeros(len(side), np.uint32)
    for place, bit in enumerate(bits):
        keys |= (((side.values >> bit) & np.uint64(1)) << np.uint64(place)).astype(np.uint32)
    order = np.argsort(keys.astype(np.uint16) if len(bits) <= 16 else keys, kind="stable")  # 16 bits: a radix sort
    sizes = np.bincount(keys, minlength=2 ** len(bits))
    return _Side(side.values[order], side.rows[order]), keys[order], np.append(0, np.cumsum(sizes)).astype(np.int32)


@dataclass(frozen=True)
class _Probes:
    """Compare each number of a with those of b whose key is its own after one of some changes."""

    band: _Band
    changes: NDArray[np.uint32]

    def __call__(self, found: Found) -> list[_Part]:
        return [part for change in self.changes for part in self._probe(change, found)]

    def _probe(self, change: np.uint32, found: Found) -> list[_Part]:
        """Compare under one change; returns the parts of pairs of runs that are too long."""
        band = self.band
        keys = band.keys ^ change
        first = band.starts_b[keys]
        sizes = band.starts_b[1:][keys] - first
        parts = self._split(change, sizes) if band.crowded else []
        rows = np.flatnonzero(sizes)
        first, sizes = first[rows], sizes[rows]
        ends = np.cumsum(sizes, dtype=np.int64)
        if len(rows):
            cuts = np.searchsorted(ends, np.arange(BLOCK, ends[-1], BLOCK))
            for start, stop in pairwise(np.unique([0, *cuts, len(rows)])):
                self._compare(rows[start:stop], first[start:stop], sizes[start:stop], found)
        return parts

    def _split(self, change: np.uint32, sizes: NDArray[np.int32]) -> list[_Part]:
        """Take the pairs of runs that are too long out of `sizes`."""
        band, part = self.band, self.band.part
        own = band.starts_a[1:][band.keys] - band.starts_a[band.keys]
        full = own.astype(np.int64) * sizes > FULL
        keys = np.unique(band.keys[full])
        sizes[full] = 0
        runs = zip(keys, keys ^ change, strict=True)
        return [
            _Part(part.a.run(band.starts_a, k), part.b.run(band.starts_b, m), part.radius, part.seen) for k, m in runs
        ]

    def _compare(self, rows: Rows, first: NDArray[np.int32], sizes: NDArray[np.int32], found: Found) -> None:
        """Compare each of some rows of a with `sizes` rows of b from `first` on."""
        ends = np.cumsum(sizes, dtype=np.intp)
        part = self.band.part
        columns = np.repeat(first - (ends - sizes), sizes)
        columns += np.arange(ends[-1])
        different = np.repeat(part.a.values[rows], sizes)
        different ^= part.b.values[columns]
        at = np.flatnonzero(np.bitwise_count(different) <= part.radius)
        if len(at):
            part.report(found, rows[np.searchsorted(ends, at, side="right")], columns[at])
