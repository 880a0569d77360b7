"""Rows of arrays that stay in their files: images, or features, that need not fit into memory.

Where a mapped file is touched, the system reads its page, and either waits for the disk page after page or reads far
too much around it. So it is told which rows come next, in the order in which they lie there, and not to guess.
"""

import ctypes
import mmap
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from florilegium.data.crops import at_side

RANDOM, WILL_NEED = 1, 3  # of madvise, on Linux and macOS
READ = 1 << 17  # bytes of one request: the system cuts what is longer than its own reading ahead
PIECE = 1 << 26  # bytes that are taken at a time where all are


class Mapped:
    """Rows of arrays, one array after the other, that are read when they are taken.

    It is indexed as a tensor is, by a slice or by int64 (B,); the result is a tensor in memory. Squares of another side
    than those of the first array are resized to it.
    """

    device = torch.device("cpu")

    def __init__(self, arrays: Sequence[Tensor], rows: Sequence[Tensor]) -> None:
        """Of each of `arrays`, (n, ...), the rows, int64."""
        self.arrays, self.rows = tuple(arrays), torch.cat(list(rows))
        self.of_array = torch.repeat_interleave(torch.tensor([len(part) for part in rows]))
        self.shape = torch.Size((len(self.rows), *arrays[0].shape[1:]))
        self.dtype = arrays[0].dtype
        self.nbytes = self.shape.numel() * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        if not isinstance(index, slice):
            return self.take(index)
        index = torch.arange(len(self))[index]
        taken = self.take(index)
        self._will_read(index[index < len(self) - len(index)] + len(index))  # who goes through all reads these next
        return taken

    def take(self, index: Tensor, out: Tensor | None = None) -> Tensor:
        """The rows at `index`, int64 (B,), in `out`, (B, ...), where it is given."""
        if out is None:
            out = torch.empty((len(index), *self.shape[1:]), dtype=self.dtype)
        self._will_read(index)
        rows, of_array = self.rows[index], self.of_array[index]
        if len(self.arrays) == 1:
            np.take(self.arrays[0].numpy(), rows.numpy(), axis=0, out=out.numpy(), mode="clip")
            return out
        for number, array in enumerate(self.arrays):
            here = of_array == number
            out[here] = at_side(array[rows[here]], self.shape[1])
        return out

    def to(self, device: torch.device) -> Tensor:
        """All rows, in memory or on a device."""
        whole = torch.empty(self.shape, dtype=self.dtype, device=device)
        count = max(1, PIECE // max(1, self.nbytes // max(1, len(self))))
        for start in range(0, len(self), count):
            whole[start : start + count] = self[start : start + count].to(device)
        return whole

    def _will_read(self, index: Tensor) -> None:
        for number, array in enumerate(self.arrays):
            will_read(array, self.rows[index[self.of_array[index] == number]])


def joined(images: Tensor | Mapped, array: Tensor, rows: Tensor) -> Mapped:
    """`images`, and `rows` of an array after them."""
    if isinstance(images, Tensor):
        return Mapped([images, array], [torch.arange(len(images)), rows])
    return Mapped([*images.arrays, array], [*images.rows.split(images.of_array.bincount().tolist()), rows])


def mapped(array: NDArray[Any]) -> Tensor:
    """A mapped array as a tensor, which nobody may write to: it would end the process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        tensor = torch.from_numpy(array)
    _advise([tensor.data_ptr()], [tensor.nbytes], RANDOM)
    return tensor


def will_read(array: Tensor, rows: Tensor) -> None:
    """Let the system begin to read `rows`, int64 (B,), of a mapped array, and do not wait for it."""
    ordered = np.unique(rows.numpy())
    size = array.stride(0) * array.itemsize
    runs = np.flatnonzero(np.diff(ordered, prepend=-2) > 1)  # where neighbours in the file begin
    first = ordered[runs] * size
    length = np.diff(runs, append=len(ordered)) * size
    parts = -(-length // READ)
    part = np.arange(parts.sum()) - np.repeat(parts.cumsum() - parts, parts)
    start = np.repeat(first, parts) + part * READ
    rest = np.repeat(first + length, parts) - start
    _advise((array.data_ptr() + start).tolist(), np.minimum(READ, rest).tolist(), WILL_NEED)


def _advise(addresses: list[int], lengths: list[int], advice: int) -> None:
    madvise = _madvise()
    for address, length in zip(addresses, lengths, strict=True) if madvise else ():
        before = address % mmap.PAGESIZE
        madvise(address - before, length + before, advice)


@lru_cache(maxsize=1)
def _madvise() -> Any:
    """The C library's function of that name, where it has one."""
    if sys.platform == "win32":
        return None
    with suppress(OSError, AttributeError):
        function = ctypes.CDLL(None).madvise
        function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        return function
    return None
