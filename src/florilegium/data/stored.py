"""Rows of arrays that stay in their files: images, or features, that need not fit into memory.

They are read, and not mapped: pages of a map count as the process's own memory, a disk that fails ends the process, and
what is touched page by page is waited for page by page. The system is told which rows come next, in the order in which
they lie in the file, and reads these alone. Only rows of a page at most are mapped, and let go soon: a call of the
system for each would cost more than they do.
"""

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from florilegium.core.errors import UserError
from florilegium.data.crops import at_side

AHEAD = 1 << 17  # bytes of one request: the system cuts what is longer than its own reading ahead
PIECE = 1 << 26  # bytes that are taken at a time where all are
LET_GO = 1024  # rows of a map; the system maps up to sixteen pages around each


class ArrayFile:
    """An .npy file, (n, ...), of which rows are read."""

    def __init__(self, path: Path) -> None:
        array = np.load(path, mmap_mode="r")  # refuses a file that is shorter than it says
        self.path, self.shape = path, array.shape
        self.dtype = torch.from_numpy(np.empty(0, array.dtype)).dtype
        self._start, self._size = array.offset, array[:1].nbytes
        self._file, self._lock = open(path, "rb", buffering=0), Lock()  # noqa: SIM115
        self._advise(0, 0, "RANDOM")
        self.is_small = self._size <= mmap.PAGESIZE
        self._map, self._mapped = array if self.is_small else None, 0
        self._advise_map("RANDOM")

    def expect(self, rows: NDArray[np.int64]) -> None:
        """Let the system begin to read these rows, and do not wait for it."""
        ordered = np.unique(rows)
        for first, count in _runs(ordered):
            start, end = (self._start + row * self._size for row in (ordered[first], ordered[first] + count))
            for piece in range(start, end, AHEAD):
                self._advise(piece, min(AHEAD, end - piece), "WILLNEED")

    def read(self, rows: NDArray[np.int64], out: NDArray[np.generic]) -> None:
        """Read the rows into `out`, (B, ...)."""
        if self._map is not None:
            if os.fstat(self._file.fileno()).st_size < self._start + self.shape[0] * self._size:
                raise self._cut()  # else the process would end
            np.take(self._map, rows, axis=0, out=out, mode="clip")
            self._mapped += len(rows)
            if self._mapped > LET_GO:
                self._advise_map("DONTNEED")
                self._mapped = 0
            return
        flat = out.reshape(-1).view(np.uint8).data
        runs = _runs(rows)
        if len(runs) > 1:
            self.expect(rows)
        for first, count in runs:
            part = flat[first * self._size : (first + count) * self._size]
            with self._lock:
                self._file.seek(self._start + int(rows[first]) * self._size)
                while part:
                    if not (done := self._file.readinto(part)):
                        raise self._cut()
                    part = part[done:]

    def _cut(self) -> UserError:
        return UserError(f"{self.path}: was cut while it was read; remove it and make it again")

    def _advise(self, start: int, length: int, advice: str) -> None:
        if hasattr(os, "posix_fadvise"):  # not on macOS and Windows
            os.posix_fadvise(self._file.fileno(), start, length, getattr(os, f"POSIX_FADV_{advice}"))

    def _advise_map(self, advice: str) -> None:
        if self._map is not None and isinstance(self._map.base, mmap.mmap) and hasattr(self._map.base, "madvise"):
            self._map.base.madvise(getattr(mmap, f"MADV_{advice}"))


def _runs(rows: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The first place and the number of rows of each run of neighbours in the file."""
    first = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
    return list(zip(first.tolist(), np.diff(first, append=len(rows)).tolist(), strict=True))


class Stored:
    """Rows of files and of tensors, one after the other, that are read when they are taken.

    It is indexed as a tensor is, by a slice or by int64 (B,); the result is a tensor in memory. Squares of another side
    than those of the first part are resized to it.
    """

    device = torch.device("cpu")

    def __init__(self, parts: Sequence[tuple[ArrayFile | Tensor, Tensor]]) -> None:
        """Each part, (n, ...), with the rows of it, int64."""
        self.parts = tuple(parts)
        self.ends = torch.tensor([len(rows) for _, rows in parts]).cumsum(0)
        self.shape = torch.Size((int(self.ends[-1]), *parts[0][0].shape[1:]))
        self.dtype = parts[0][0].dtype
        self.nbytes = self.shape.numel() * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        if not isinstance(index, slice):
            return self.take(index)
        index = torch.arange(len(self))[index]
        taken = self.take(index)
        following = index[index < len(self) - len(index)] + len(index)  # who goes through all reads these next
        for part, rows, _ in self._divided(following):
            if isinstance(part, ArrayFile):
                part.expect(rows.numpy())
        return taken

    def take(self, index: Tensor, out: Tensor | None = None) -> Tensor:
        """The rows at `index`, int64 (B,), in `out`, (B, ...), where it is given."""
        if out is None:
            out = torch.empty((len(index), *self.shape[1:]), dtype=self.dtype)
        for part, rows, places in self._divided(index):
            whole = places is None and part.shape[1:] == self.shape[1:]
            found = out if whole else torch.empty((len(rows), *part.shape[1:]), dtype=self.dtype)
            if isinstance(part, ArrayFile):
                part.read(rows.numpy(), found.numpy())
            else:
                torch.index_select(part, 0, rows, out=found)
            if not whole:
                out[places] = at_side(found, self.shape[1])
        return out

    @property
    def is_small(self) -> bool:
        """True if a row takes less time than a thread that takes it."""
        return all(not isinstance(part, ArrayFile) or part.is_small for part, _ in self.parts)

    def to(self, device: torch.device) -> Tensor:
        """All rows, in memory or on a device."""
        whole = torch.empty(self.shape, dtype=self.dtype, device=device)
        count = max(1, PIECE * len(self) // max(1, self.nbytes))
        for start in range(0, len(self), count):
            whole[start : start + count] = self[start : start + count].to(device)
        return whole

    def _divided(self, index: Tensor) -> list[tuple[ArrayFile | Tensor, Tensor, Tensor | None]]:
        """The parts that hold rows at `index`, with these rows and their places in `index`; None: all places."""
        if len(self.parts) == 1:
            part, rows = self.parts[0]
            return [(part, rows[index], None)]
        of_part = torch.bucketize(index, self.ends, right=True)
        found: list[tuple[ArrayFile | Tensor, Tensor, Tensor | None]] = []
        for number, (part, rows) in enumerate(self.parts):
            places = (of_part == number).nonzero().flatten()
            if len(places):
                before = int(self.ends[number]) - len(rows)
                found.append((part, rows[index[places] - before], places))
        return found


def joined(images: Tensor | Stored, part: ArrayFile, rows: Tensor) -> Stored:
    """`images`, and rows of a file after them."""
    parts = [(images, torch.arange(len(images)))] if isinstance(images, Tensor) else images.parts
    return Stored([*parts, (part, rows)])
