"""Batches of images with boxes for a detector, whatever the shapes of the images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from florilegium.data.augment import InputConfig, scale_and_shift
from florilegium.data.boxed_load import BoxedImages
from florilegium.data.load import fits


@dataclass(frozen=True)
class BoxedBatch:
    """B images on the device, with their boxes and labels."""

    pixels: Tensor  # uint8 (B, H, W, 3), a copy of its own
    boxes: Tensor  # float32 (B, G, 4); rows of zeros fill up images of fewer objects
    labels: Tensor  # int64 (B, G)
    content: Tensor  # int64 (B, 2) on the host: height and width of each image inside its padding


def place(scenes: BoxedImages, device: torch.device) -> BoxedImages:
    """`scenes` with their pixels on the device if they fit there, else as they are."""
    if not fits(scenes.pixels, device):
        return scenes
    return replace(scenes, pixels=tuple(part.to(device) for part in scenes.pixels))


def gather(images: BoxedImages, index: Tensor, device: torch.device) -> BoxedBatch:
    """The images at `index`, int64 (B,) on the host, all padded to the largest of them."""
    numbers: list[int] = index.tolist()
    boxes, labels = ([part[n] for n in numbers] for part in (images.boxes, images.labels))
    return BoxedBatch(
        _pixels(images, index).to(device, non_blocking=True),
        _stacked(boxes, torch.zeros(0, 4)).to(device, non_blocking=True),
        _stacked(labels, torch.zeros(0, dtype=torch.int64)).to(device, non_blocking=True),
        images.content[index],
    )


def flip(batch: BoxedBatch, chosen: Tensor) -> BoxedBatch:
    """Mirror the images where `chosen`, bool (B,) on the host, in place; the padding stays at the right.

    The rows of zeros among the boxes stay without area.
    """
    for number in chosen.nonzero().flatten().tolist():
        width = int(batch.content[number, 1])
        picture = batch.pixels[number, :, :width]
        picture.copy_(picture.flip(1))
    device = batch.boxes.device
    widths = batch.content[:, 1].float().to(device)[:, None]  # (B, 1)
    mirrored = chosen.to(device)[:, None, None]
    return replace(batch, boxes=torch.where(mirrored, flipped(batch.boxes, widths), batch.boxes))


def memory_format(device: torch.device) -> torch.memory_format:
    """The memory format in which a detector is fastest: on CPUs, gradients of wide convolutions over large
    maps take 1.6 times as long in channels-last memory."""
    return torch.contiguous_format if device.type == "cpu" else torch.channels_last


def normalise(batch: BoxedBatch, config: InputConfig) -> Tensor:
    """float32 (B, 3, H, W) in `memory_format`, (value / 255 - mean) / std, and zeros in the padding."""
    count, height, width, _ = batch.pixels.shape
    scale, shift = scale_and_shift(config, width, batch.pixels.device)
    content = batch.content.to(batch.pixels.device)
    rows = torch.arange(height, device=content.device) < content[:, :1]  # (B, H)
    columns = (torch.arange(3 * width, device=content.device) // 3) < content[:, 1:]  # (B, 3 W)
    images = batch.pixels.reshape(count, height, 3 * width).float().mul_(scale).add_(shift)
    images.mul_(rows[:, :, None]).mul_(columns[:, None])
    images = images.view(count, height, width, 3).permute(0, 3, 1, 2)
    return images.contiguous(memory_format=memory_format(images.device))


def flipped(boxes: Tensor, width: Tensor | float) -> Tensor:
    """Boxes (..., 4) in images of `width` pixels that are mirrored left to right."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=-1)


def _pixels(images: BoxedImages, index: Tensor) -> Tensor:
    """The pixels at `index`, uint8 (B, H, W, 3), where they lie: on the host, or on the device that `place` chose."""
    buckets, rows = images.bucket[index], images.row[index]
    used = buckets.unique().tolist()
    if len(used) == 1:
        source = images.pixels[used[0]]
        return source[rows.to(source.device)]
    shapes = [images.pixels[bucket].shape[1:3] for bucket in used]
    height, width = (max(sides) for sides in zip(*shapes, strict=True))
    pixels = images.pixels[used[0]].new_zeros(len(index), height, width, 3)
    for number, (bucket, row) in enumerate(zip(buckets.tolist(), rows.tolist(), strict=True)):
        picture = images.pixels[bucket][row]
        pixels[number, : picture.shape[0], : picture.shape[1]] = picture
    return pixels


def _stacked(parts: Sequence[Tensor], empty: Tensor) -> Tensor:
    """(B, most, ...) from B tensors of different lengths, filled up with zeros."""
    return torch.nn.utils.rnn.pad_sequence([*parts, empty], batch_first=True)[:-1]
