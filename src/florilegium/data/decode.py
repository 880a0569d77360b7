"""One image file to RGB pixels, or the reason why it cannot be read.

Files come from unknown makers: one may be cut short, be no image at all, unpack to gigabytes, or store
its colours as a palette, as CMYK or in 16 bits.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from florilegium.core.system import bar

Task = TypeVar("Task")
Result = TypeVar("Result")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm")


class BadImage(ValueError):
    """A file that holds no usable picture; its text is the reason, without the path."""


def is_image(path: Path | str) -> bool:
    """True for a file, not a hidden one, whose suffix is that of an image format that `decode` reads."""
    path = Path(path)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


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


def square(path: Path, size: int) -> np.ndarray:
    """The upright picture, short side resized to `size` and centre-cropped: uint8 (size, size, 3).

    Antialiased bicubic; crop and resize are one resampling of the centre square. Raises BadImage.
    """
    image = decode(path, exif_orientation=True)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box))


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


def in_processes(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int, *, title: str, unit: str
) -> Iterator[Result]:
    """`function` of every task, in order, in up to `workers` processes; with one, in this process.

    Args:
        title, unit: of the progress bar.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        yield from bar(map(function, tasks), title, unit, len(tasks))
        return
    # spawn: the parent may hold threads (BLAS, a trainer's), which a forked child must not inherit
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from bar(pool.map(function, tasks), title, unit, len(tasks))
