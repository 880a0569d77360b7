"""Image files: recognised, measured, decoded and fitted, many at a time in processes; and written as PNG."""

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from florilegium.config.data import STRIDE
from florilegium.core.errors import UserError
from florilegium.core.system import bar
from florilegium.core.workers import worker_pool

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm")
ORIENTATION = 0x0112  # the EXIF tag
SIDEWAYS = (5, 6, 7, 8)
NAMED = 5  # bad images that an error sentence names


class BadImage(ValueError):
    """A file that holds no usable picture; its text is the reason, without the path."""


def is_image(path: Path | str) -> bool:
    """True for a file, not a hidden one, whose suffix is that of an image format that `decode` reads."""
    path = Path(path)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def measured(path: Path, *, upright: bool = False) -> tuple[int, int] | None:
    """Width and height as stored, or with `upright` after the rotation in the EXIF tag; None if unreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
                turned = upright and image.getexif().get(ORIENTATION) in SIDEWAYS
    except Exception:  # Pillow's parsers raise whatever a damaged file makes them meet
        return None
    return (height, width) if turned else (width, height)


def decode(path: Path, *, exif_orientation: bool = False) -> Image.Image:
    """The first frame of `path` as a loaded RGB image; alpha is dropped, 16 bits become 8.

    Args:
        exif_orientation: turn the picture as its EXIF tag says.

    Raises:
        BadImage: the file is absent, no image, cut short, of a kind without a known range of values,
            or larger than Pillow's limit against decompression bombs (about 89 million pixels).
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                image.load()
                if exif_orientation:
                    ImageOps.exif_transpose(image, in_place=True)
                return _to_rgb(image)
    except UnidentifiedImageError:
        raise BadImage("not an image") from None
    except FileNotFoundError:
        raise BadImage("there is no such file") from None
    except Exception as error:  # Pillow's parsers raise whatever a damaged file makes them meet
        raise BadImage(str(error).replace(str(path), "the file") or type(error).__name__) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise BadImage("its pixels are floating-point numbers, whose range is not known")
    if image.mode.startswith("I"):  # Pillow would clip 16-bit values at 255
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise BadImage("its pixels are integers of more than 16 bits, whose range is not known")
        return Image.fromarray((values // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def square(path: Path, size: int) -> np.ndarray:
    """The upright picture, short side resized to `size` and centre-cropped: uint8 (size, size, 3).

    Antialiased bicubic; crop and resize are one resampling of the centre square. Raises BadImage.
    """
    image = decode(path, exif_orientation=True)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box))


# Images of any shape


@dataclass(frozen=True)
class Fit:
    """Sides of a picture before and after, in pixels; both axes and all boxes are scaled by `scale`."""

    original_height: int
    original_width: int
    height: int
    width: int
    scale: float


def fit(height: int, width: int, short_side: int, long_side: int) -> Fit:
    """The size with the short side `short_side`, or with the long side `long_side` where that is smaller."""
    scale = min(short_side / min(height, width), long_side / max(height, width))
    return Fit(height, width, max(round(height * scale), 1), max(round(width * scale), 1), scale)


def padded(side: int, padding: str) -> int:
    """`side` rounded up to a multiple of 32; with `DetectionData.padding` "doubled", always padded."""
    lacking = -side % STRIDE
    return side + (lacking or STRIDE if padding == "doubled" else lacking)


def resized(path: Path, target: Fit) -> np.ndarray:
    """The image at the size of `target`, uint8 (H, W, 3); antialiased, bilinear.

    It is turned by its EXIF tag only if it has the annotated sides then and not before. Raises BadImage,
    also if it has other sides either way.
    """
    expected = (target.original_width, target.original_height)
    image = decode(path)
    if image.size != expected:
        image = decode(path, exif_orientation=True)
    if image.size != expected:
        raise BadImage(f"is {image.width} x {image.height} in place of {expected[0]} x {expected[1]}")
    return np.asarray(image.resize((target.width, target.height), Image.Resampling.BILINEAR))


# Many images

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_processes(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int, *, title: str, unit: str
) -> Iterator[Result]:
    """`function` of every task, in order, in up to `workers` processes; with one, in this process. `title` and `unit`
    are the progress bar's."""
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from bar(map(function, tasks), title, unit, len(tasks))
        return
    with worker_pool(workers) as pool:
        yield from bar(pool.map(function, tasks), title, unit, len(tasks))


def check_skipped(root: Path, total: int, skipped: Mapping[str, str], corrupt: str) -> None:
    """Raise UserError if none of `total` images is left, or if some were `skipped` and `corrupt` is "stop"."""
    if not skipped:
        return
    named = [f"{name}: {reason}" for name, reason in list(skipped.items())[:NAMED]]
    more = f"; and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
    sentence = f"{root}: {len(skipped)} of {total} images cannot be decoded ({'; '.join(named)}{more})"
    if len(skipped) == total:
        raise UserError(f"{sentence}; not one is left, replace them or give another folder")
    if corrupt == "stop":
        raise UserError(
            f"{sentence}; replace or remove them, or skip them (corrupt_images: skip in config.yaml, or --corrupt skip)"
        )


# PNG

LARGEST_BLOCK = 0xFFFF


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write `pixels`, uint8 (H, W, 3), as a PNG file; its folder is made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(pixels))


def encode_png(pixels: np.ndarray) -> bytes:
    """A PNG file of `pixels`, uint8 (H, W, 3), whose bytes depend on the pixels alone.

    Image libraries compress with whatever zlib they were built with, so that equal pixels give other bytes on
    another machine. Here they are stored uncompressed (RFC 1950 and 1951, stored blocks).
    """
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)  # filter 0
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB, not interlaced
    chunks = {b"IHDR": header, b"IDAT": _stored(rows.tobytes()), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )


def _stored(data: bytes) -> bytes:
    """`data` as a zlib stream of stored blocks."""
    blocks = []
    for start in range(0, len(data), LARGEST_BLOCK):
        block = data[start : start + LARGEST_BLOCK]
        last = start + LARGEST_BLOCK >= len(data)
        blocks.append(struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block)
    return b"\x78\x01" + b"".join(blocks) + struct.pack(">I", zlib.adler32(data))
