"""Training images on the device, a batch at a time."""

from dataclasses import replace

import torch
from torch import Tensor

from florilegium.data.load import Images, fits


def place(images: Images, device: torch.device) -> Images:
    """`images` on the device if they fit there, else as they are."""
    if not fits([images.pixels], device):
        return images
    return replace(images, pixels=images.pixels.to(device), labels=images.labels.to(device))


class Feed:
    """Batches of `images` on `device`; on a CPU a batch overwrites the one before."""

    def __init__(self, images: Images, device: torch.device) -> None:
        self.images, self.device = images, device
        self.buffer = torch.empty(0, dtype=images.pixels.dtype)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels (B, S, S, 3), or features, and labels (B,) of the images at `index`, int64 (B,) on the host."""
        pixels, labels = self.images.pixels, self.images.labels
        if pixels.device.type != "cpu":
            index = index.to(self.device, non_blocking=True)
            return pixels[index], labels[index]
        if self.device.type == "cpu":
            self.buffer.resize_(len(index), *pixels.shape[1:])
            return torch.index_select(pixels, 0, index, out=self.buffer), labels[index]
        # A new pinned tensor each time: torch keeps such memory, and knows when its copy is done.
        pinned = torch.empty(
            (len(index), *pixels.shape[1:]), dtype=pixels.dtype, pin_memory=self.device.type == "cuda"
        )
        torch.index_select(pixels, 0, index, out=pinned)
        return pinned.to(self.device, non_blocking=True), labels[index].to(self.device, non_blocking=True)
