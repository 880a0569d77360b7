"""Crops of whole batches: boxes are drawn for all images at once, then cut and resampled.

Resampling is antialiased (the filter widens with the reduction, as Pillow's does). On a CPU each box
goes through torch's native `uint8` kernel into its place in a reused buffer. On a GPU a box is two small
matrices, one a side, and the batch is two batched matrix products, columns first as on a CPU: the same to a grey
level or two, no loop, no host wait.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

TRIES = 10
RESAMPLE = {
    "bilinear": torch.ops.aten._upsample_bilinear2d_aa.out,
    "bicubic": torch.ops.aten._upsample_bicubic2d_aa.out,
}
REACH = {"bilinear": 1.0, "bicubic": 2.0}


class Buffers:
    """Channels-last image tensors that are allocated once and handed out again."""

    def __init__(self) -> None:
        self.by_name: dict[str, Tensor] = {}

    def get(self, name: str, shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
        """A tensor (B, C, H, W) that shares memory with earlier ones of this name; not cleared."""
        buffer = self.by_name.get(name)
        if buffer is None or len(buffer) < shape[0] or buffer.shape[1:] != shape[1:] or buffer.device != device:
            buffer = torch.empty(shape, dtype=dtype, device=device, memory_format=torch.channels_last)
            self.by_name[name] = buffer
        return buffer[: shape[0]]


def draw_boxes(count: int, side: int, scale: tuple[float, float], ratio: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Random boxes (count, 4) as top, left, height, width in a square of `side` pixels, and their validity, bool.

    A box covers a uniform part of the area at a log-uniform aspect ratio (Szegedy et al. 2015); the
    first of ten tries that fits is taken. Where none fits, the box is invalid and covers all.
    """
    area = torch.empty(count, TRIES).uniform_(*scale) * side**2
    low, high = torch.tensor(ratio).log().tolist()
    aspect = torch.empty(count, TRIES).uniform_(low, high).exp()
    width, height = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (width >= 1) & (width <= side) & (height >= 1) & (height <= side)
    first = fits.int().argmax(1, keepdim=True)
    valid = fits.any(1)
    width = torch.where(valid, width.gather(1, first).squeeze(1), side).long()
    height = torch.where(valid, height.gather(1, first).squeeze(1), side).long()
    top = (torch.rand(count) * (side - height + 1)).long()
    left = (torch.rand(count) * (side - width + 1)).long()
    return torch.stack([top, left, height, width], 1), valid


def padded_crop(pixels: Tensor, flips: Tensor, buffers: Buffers, size: int, padding: int, interpolation: str) -> Tensor:
    """A random window of the image with a black border of `padding` pixels; (B, 3, size, size) uint8."""
    if pixels.shape[1] != size:
        pixels = resize(pixels, size, interpolation)
    padded = F.pad(pixels, (0, 0, padding, padding, padding, padding))
    top, left = torch.randint(0, 2 * padding + 1, (2, len(pixels)))
    return gather(padded, top, left, flips, size, buffers)


def gather(pixels: Tensor, top: Tensor, left: Tensor, flips: Tensor, size: int, buffers: Buffers) -> Tensor:
    """Windows of `size` at per-image corners, mirrored where `flips`, without resampling."""
    steps, device = torch.arange(size), pixels.device
    rows = (top[:, None] + steps).to(device, non_blocking=True)  # (B, size)
    columns = (left[:, None] + torch.where(flips[:, None], steps.flip(0), steps)).to(device, non_blocking=True)
    image = torch.arange(len(pixels), device=device)[:, None, None]
    out = buffers.get("uint8", torch.Size((len(pixels), 3, size, size)), torch.uint8, device)
    out.permute(0, 2, 3, 1).copy_(pixels[image, rows[:, :, None], columns[:, None, :]])
    return out


def resize(pixels: Tensor, side: int, interpolation: str) -> Tensor:
    """uint8 (B, S, S, 3) to uint8 (B, side, side, 3), antialiased."""
    whole = torch.tensor([0, 0, *pixels.shape[1:3]]).expand(len(pixels), 4)
    flips = torch.zeros(len(pixels), dtype=torch.bool)
    return crop_resize(pixels, whole, flips, side, interpolation, Buffers()).permute(0, 2, 3, 1)


def at_side(pixels: Tensor, side: int) -> Tensor:
    """uint8 (B, S, S, 3) as (B, side, side, 3): as they are, or resized."""
    return pixels if pixels.shape[1] == side else resize(pixels, side, "bilinear").contiguous()


def crop_resize(
    pixels: Tensor, boxes: Tensor, flips: Tensor, size: int, interpolation: str, buffers: Buffers
) -> Tensor:
    """Each image's box, (B, 4) on the host, resampled to (B, 3, size, size) and mirrored where `flips`."""
    images = pixels.permute(0, 3, 1, 2)
    out = buffers.get("uint8", torch.Size((len(pixels), 3, size, size)), torch.uint8, pixels.device)
    if pixels.device.type == "cpu":
        _by_kernel(images, boxes, flips, interpolation, out)
    else:
        by_matrices(images, boxes, flips, interpolation, out)
    return out


def _by_kernel(images: Tensor, boxes: Tensor, flips: Tensor, interpolation: str, out: Tensor) -> None:
    resample, size = RESAMPLE[interpolation], list(out.shape[2:])
    places, mirrored = boxes.tolist(), flips.tolist()

    def some(numbers: range) -> None:
        for i in numbers:
            top, left, height, width = places[i]
            box = images[i : i + 1, :, top : top + height, left : left + width]
            resample(box, size, False, None, None, out=out[i : i + 1])
            if mirrored[i]:
                out[i].copy_(out[i].flip(2))

    workers = torch.get_num_threads()
    shares = [range(start, len(out), workers) for start in range(workers)]
    if workers == 1:
        some(shares[0])
    else:
        list(_pool(workers).map(some, shares))


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    """The kernel itself is serial and frees the interpreter, so that threads over images scale."""
    return ThreadPoolExecutor(workers, thread_name_prefix="crop")


def by_matrices(images: Tensor, boxes: Tensor, flips: Tensor, interpolation: str, out: Tensor) -> None:
    """`crop_resize` as out = R (image Cᵀ), with one matrix of filter weights for columns and one for rows."""
    size, stored = out.shape[2], images.shape[2]
    top, left, height, width = boxes.to(images.device, torch.float32, non_blocking=True).unbind(1)
    rows = filter_weights(top, height, size, stored, interpolation)  # (B, size, S)
    columns = filter_weights(left, width, size, stored, interpolation)
    flips = flips.to(images.device, non_blocking=True)
    columns = torch.where(flips[:, None, None], columns.flip(1), columns)
    narrowed = images.float() @ columns[:, None].transpose(2, 3)  # (B, 3, S, size)
    if interpolation == "bicubic":
        _to_levels(narrowed)
    out.copy_(_to_levels(rows[:, None] @ narrowed))


def _to_levels(values: Tensor) -> Tensor:
    """To the nearest whole grey levels from 0 to 255, in place.

    A bicubic needs it between its two passes, too: there Pillow and the CPU's kernel store bytes, and
    what overshoots a hard edge both ways differs by tens of levels where only the result is cut. A
    triangle overshoots nothing.
    """
    return values.round_().clamp_(0, 255)


def filter_weights(start: Tensor, length: Tensor, size: int, stored: int, interpolation: str) -> Tensor:
    """Weights (B, size, stored) that resample the pixels from `start` on, `length` of them, to `size`."""
    scale = (length / size)[:, None, None]
    centre = start[:, None, None] + (torch.arange(size, device=start.device)[:, None] + 0.5) * scale
    pixel = torch.arange(stored, device=start.device) + 0.5
    distance = ((pixel - centre) / scale.clamp(min=1)).abs()
    first, last = start[:, None, None], (start + length)[:, None, None]
    inside = (pixel > first) & (pixel < last) & (distance < REACH[interpolation])
    weights = torch.where(inside, _filter(distance, interpolation), 0.0)
    return weights / weights.sum(2, keepdim=True)


def _filter(x: Tensor, interpolation: str) -> Tensor:
    """The triangle, or Keys's cubic (1981) with a = -1/2, of distances below their reach."""
    if interpolation == "bilinear":
        return 1 - x
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, far)
