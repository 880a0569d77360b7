"""Batches on the device: gathered by the step from images that lie there or in memory, else ahead of it by a thread."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from florilegium.data.load import Images, fits
from florilegium.data.stored import Stored

AHEAD = 2  # batches that are gathered while a step is done


class Feed:
    """Batches from the indices of their images, int64 (B,) on the host."""

    def __init__(
        self, gather: Callable[[Tensor], Any], send: Callable[[Any], Any] = lambda batch: batch, *, ahead: bool
    ) -> None:
        """`gather` makes a batch on the host, in a thread where it may go `ahead`; `send` moves it to the device."""
        self._gather, self._send = gather, send
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feed") if ahead else None  # starts with its first task
        self._coming: deque[tuple[Tensor, Future[Any]]] = deque()

    def expect(self, batches: Sequence[Tensor], step: int) -> None:
        """Be told that `batches` are asked for in turn, that of `step` next: it and those after it are gathered now."""
        if self._thread is None:
            return
        while self._coming and self._coming[0][0] is not batches[step]:
            self._coming.popleft()[1].cancel()
        for index in batches[step + len(self._coming) : step + AHEAD + 1]:
            self._coming.append((index, self._thread.submit(self._gather, index)))

    def __call__(self, index: Tensor) -> Any:
        """The batch on the device; one that was not expected, or is asked for again, is gathered here."""
        if self._coming and self._coming[0][0] is index:
            return self._send(self._coming.popleft()[1].result())
        return self._send(self._gather(index))


def place(images: Images, device: torch.device) -> Images:
    """`images` on the device if they fit there, else as they are."""
    if device.type == "cpu" or not fits([images.pixels], device):
        return images
    return replace(images, pixels=images.pixels.to(device), labels=images.labels.to(device))


def feed_of(images: Images, device: torch.device) -> Feed:
    """Pixels (B, S, S, 3), or features, and labels (B,) of `images`; those of images in the memory of a CPU overwrite
    the batch before."""
    pixels, labels = images.pixels, images.labels
    if pixels.device.type != "cpu":
        return Feed(lambda index: index.to(device, non_blocking=True), lambda at: (pixels[at], labels[at]), ahead=False)
    buffer = torch.empty(0, dtype=pixels.dtype)
    ahead = device.type != "cpu" or (isinstance(pixels, Stored) and not pixels.is_small)

    def gather(index: Tensor) -> tuple[Tensor, Tensor]:
        shape = (len(index), *pixels.shape[1:])
        if ahead:
            # A new pinned tensor each time: torch keeps such memory, and knows when its copy is done.
            out = torch.empty(shape, dtype=pixels.dtype, pin_memory=device.type == "cuda")
        else:
            out = buffer.resize_(shape)
        if isinstance(pixels, Stored):
            return pixels.take(index, out), labels[index]
        return torch.index_select(pixels, 0, index, out=out), labels[index]

    def send(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        return tuple(part.to(device, non_blocking=True) for part in batch)

    return Feed(gather, send, ahead=ahead)
