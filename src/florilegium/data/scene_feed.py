"""Scenes as batches for a detector, whatever the shapes of their pictures."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from florilegium.data.augment import InputConfig, scale_and_shift
from florilegium.data.load import fits
from florilegium.data.scenes import Scenes


@dataclass(frozen=True)
class SceneBatch:
    """B pictures on the device, with what is known of them."""

    pixels: Tensor  # uint8 (B, H, W, 3), a copy of its own
    boxes: Tensor  # float32 (B, G, 4); rows of zeros fill up images of fewer objects
    labels: Tensor  # int64 (B, G)
    content: Tensor  # int64 (B, 2) on the host: height and width of each picture inside its padding


def place(scenes: Scenes, device: torch.device) -> Scenes:
    """`scenes` with their pixels on the device if they fit there, else as they are."""
    if not fits(scenes.pixels, device):
        return scenes
    return replace(scenes, pixels=tuple(part.to(device) for part in scenes.pixels))


def gather(scenes: Scenes, index: Tensor, device: torch.device) -> SceneBatch:
    """The pictures that `index`, int64 (B,) on the host, names; all padded to the largest of them."""
    numbers: list[int] = index.tolist()
    boxes, labels = ([part[n] for n in numbers] for part in (scenes.boxes, scenes.labels))
    return SceneBatch(
        _pixels(scenes, index).to(device, non_blocking=True),
        _stacked(boxes, torch.zeros(0, 4)).to(device, non_blocking=True),
        _stacked(labels, torch.zeros(0, dtype=torch.int64)).to(device, non_blocking=True),
        scenes.content[index],
    )


def flip(batch: SceneBatch, chosen: Tensor) -> SceneBatch:
    """Mirror the pictures that `chosen`, bool (B,) on the host, says, in place; their padding stays right.

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
    """In which a detector is fastest: on CPUs, gradients of wide convolutions over large maps take 1.6
    times as long in channels-last memory."""
    return torch.contiguous_format if device.type == "cpu" else torch.channels_last


def normalise(batch: SceneBatch, config: InputConfig) -> Tensor:
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


def _pixels(scenes: Scenes, index: Tensor) -> Tensor:
    """uint8 (B, H, W, 3), where the pixels are: the host, or the device that they were placed on."""
    buckets, rows = scenes.bucket[index], scenes.row[index]
    used = buckets.unique().tolist()
    if len(used) == 1:
        source = scenes.pixels[used[0]]
        return source[rows.to(source.device)]
    shapes = [scenes.pixels[bucket].shape[1:3] for bucket in used]
    height, width = (max(sides) for sides in zip(*shapes, strict=True))
    pixels = scenes.pixels[used[0]].new_zeros(len(index), height, width, 3)
    for number, (bucket, row) in enumerate(zip(buckets.tolist(), rows.tolist(), strict=True)):
        picture = scenes.pixels[bucket][row]
        pixels[number, : picture.shape[0], : picture.shape[1]] = picture
    return pixels


def _stacked(parts: Sequence[Tensor], empty: Tensor) -> Tensor:
    """(B, most, ...) from B tensors of different lengths, filled up with zeros."""
    return torch.nn.utils.rnn.pad_sequence([*parts, empty], batch_first=True)[:-1]
