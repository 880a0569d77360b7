"""Columns of what is kept of pictures, left in files until rows of them are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from florilegium.audit.points import LENGTH, Points

POINT = np.dtype([("place", "<f4", 4), ("descriptor", "u1", LENGTH)])


@dataclass(frozen=True)
class Picked:
    """Rows of an array that is mapped into memory: its files' pages are read when `[...]` asks for them."""

    whole: NDArray[Any]
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.asarray(self.whole[self.rows[key]])

    def take(self, rows: NDArray[np.intp]) -> "Picked":
        return Picked(self.whole, self.rows[rows])


@dataclass(frozen=True)
class PickedPoints:
    """The local features of N pictures in a file of `POINT`s.

    They are read and not mapped, since the pages of a map that is read from end to end count as memory in use.
    """

    file: Path
    start: NDArray[np.int64]  # (N,) the place of the first
    count: NDArray[np.int64]  # (N,) how many there are

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, row: int) -> Points:
        """The features of one picture."""
        return _unpacked(self._read(int(self.start[row]), int(self.count[row])))

    def take(self, rows: NDArray[np.intp]) -> "PickedPoints":
        return PickedPoints(self.file, self.start[rows], self.count[rows])

    def gather(self, rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], Points]:
        """The features of many pictures, one after another, and for each the row that it belongs to."""
        return np.repeat(rows, self.count[rows]), _unpacked(self.packed(rows))

    def packed(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        """The features of many pictures as they are in the file, one picture after another."""
        runs = [self._read(start, count) for start, count in self._runs(rows)]
        return np.concatenate([np.empty(0, POINT), *runs])

    def _runs(self, rows: NDArray[np.intp]) -> Iterator[tuple[int, int]]:
        """Start and length of what lies together in the file, so that neighbours are one read."""
        start, count = self.start[rows], self.count[rows]
        apart = np.flatnonzero(start[1:] != start[:-1] + count[:-1]) + 1
        for first, last in zip([0, *apart], [*apart, len(rows)], strict=True):
            if total := int(count[first:last].sum()):
                yield int(start[first]), total

    def _read(self, start: int, count: int) -> NDArray[Any]:
        if not count:
            return np.empty(0, POINT)
        return np.fromfile(self.file, POINT, count, offset=start * POINT.itemsize)


def packed(points: list[Points]) -> NDArray[Any]:
    """The features of several pictures as `POINT`s, one picture after another."""
    found = np.empty(sum(map(len, points)), POINT)
    if len(found):
        found["place"] = np.concatenate([one.place for one in points])
        found["descriptor"] = np.concatenate([one.descriptor for one in points])
    return found


def _unpacked(found: NDArray[Any]) -> Points:
    return Points(np.ascontiguousarray(found["place"]), np.ascontiguousarray(found["descriptor"]))
