"""The reader of pictures: a file as it is seen, upright, opaque and in 8 bits; many at a time in processes.

Audit, packing, prediction, evaluation and submission all read through `decode`, so that an audit compares what a
training sees. `kinds` says which files are pictures, `depth` what becomes of more than 8 bits.
"""

import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from florilegium.config.data import STRIDE
from florilegium.config.pictures import DEFAULT, Pictures
from florilegium.core.errors import UserError
from florilegium.core.system import bar
from florilegium.core.workers import worker_pool
from florilegium.data.depth import BadImage as BadImage
from florilegium.data.depth import eight_bits
from florilegium.data.kinds import FREQUENT, NAMED, RARE, content_is_image, head, unreadable_content
from florilegium.data.png import find_chunk

ORIENTATION = 0x0112  # the EXIF tag
XMP = ("xmp", "XML:com.adobe.xmp")  # blocks of other notes, as Pillow calls them
UNUSED = ("BMP", "DIB", "TGA")  # where a fourth band of zeros is room that nobody used, and not transparency
SIDEWAYS = (5, 6, 7, 8)
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
NAMED_BAD = 5  # bad images that an error sentence names
KEY = "pictures.max_megapixels in config.yaml, or --max-megapixels"

# Pillow warns of large pictures, which `decode` refuses itself by a limit that is a key, and of broken EXIF blocks. The
# filter is set once and not around each picture, since that is not safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode(path: Path, pictures: Pictures = DEFAULT) -> Image.Image:
    """The first frame of `path` as it is seen: RGB of 8 bits, upright by its EXIF tag, on the ground of `pictures`.

    The content says what kind of picture it is, whatever the suffix. Values of more than 8 bits are scaled by the depth
    that they use, see `depth`. Colour profiles are not applied.

    Raises:
        BadImage: the file is absent, no picture, cut short, of a kind without a known range of values, or larger than
            `pictures` allows.
    """
    most = pictures.max_megapixels * 1e6
    try:
        with _opened(path, most) as image:
            _check_size(image.size, pictures)
            turn = UPRIGHT.get(_orientation(image, path))
            covered = image.tile[0].extents if image.format == "GIF" and image.tile else None
            picture = _on_ground(eight_bits(image, lambda: _opened(path, most), path), pictures.rgb)
        if covered and covered != (0, 0, *picture.size):  # beside it Pillow shows the first colour of the palette
            ground = Image.new("RGB", picture.size, pictures.rgb)
            ground.paste(picture.crop(covered), covered)
            picture = ground
        return picture if turn is None else picture.transpose(turn)
    except BadImage:
        raise
    except UnidentifiedImageError:
        raise BadImage(what_it_is(path)) from None
    except Image.DecompressionBombError:
        raise BadImage(_too_large("it holds", pictures)) from None
    except Exception as error:  # Pillow's parsers raise whatever a damaged file makes them meet
        raise BadImage(_reason(error, path)) from error


def stored(path: Path) -> tuple[tuple[int, int], int] | None:
    """Width and height of a picture file as stored, and its EXIF orientation from 1 to 8; None if it is unreadable.

    The pixels are not decoded.
    """
    try:
        with _opened(path, None) as image:
            orientation = _orientation(image, path)
            width, height = image.size
            if image.format == "TIFF":  # whose size Pillow gives upright
                orientation = getattr(image, "tag_v2", {}).get(ORIENTATION, 1)
                width, height = (height, width) if orientation in SIDEWAYS else (width, height)
    except Exception:  # see `decode`
        return None
    return ((width, height), orientation if orientation in UPRIGHT else 1) if width and height else None


def measured(path: Path, *, upright: bool = False) -> tuple[int, int] | None:
    """Width and height as stored, or with `upright` as the picture is seen; None if unreadable."""
    if (found := stored(path)) is None:
        return None
    (width, height), orientation = found
    return (height, width) if upright and orientation in SIDEWAYS else (width, height)


def _opened(path: Path, most: float | None) -> ImageFile.ImageFile:
    """The file with its header read, in one of the formats that are read; `most` pixels bound pictures within it."""
    if not path.is_file():  # before it is opened: a pipe would wait for a writer
        raise BadImage(what_it_is(path))
    Image.MAX_IMAGE_PIXELS = most if most is None else max(1, int(most))
    try:
        image = Image.open(path, formats=FREQUENT)
    except UnidentifiedImageError:
        Image.init()
        named = [name for name, suffixes in NAMED.items() if path.suffix.lower() in suffixes]
        image = Image.open(path, formats=[name for name in (*RARE, *named) if name in Image.OPEN])
    for key in XMP:  # its orientation, which Pillow would take, is often of before an edit
        image.info.pop(key, None)
    if image.format == "TIFF":
        image.filename = ""  # else Pillow maps the file, and garbles what is turned sideways
    return image


def _check_size(size: tuple[int, int], pictures: Pictures) -> None:
    pixels = size[0] * size[1]
    if not pixels:
        raise BadImage("has no pixels")
    if pixels > pictures.max_megapixels * 1e6:
        raise BadImage(_too_large(f"its {size[0]} x {size[1]} pixels are", pictures))


def _too_large(found: str, pictures: Pictures) -> str:
    return f"{found} more than the {pictures.max_megapixels:g} megapixels that are read; raise {KEY}"


def _orientation(image: ImageFile.ImageFile, path: Path) -> int:
    """The EXIF orientation of an opened picture; 1 where there is none, or where its block is broken.

    Also 1 for TIFF, which Pillow itself turns while it decodes.
    """
    if image.format == "TIFF":
        return 1
    try:
        # not PNG's own method, which decodes all pixels to find a block behind them
        exif = Image.Image.getexif(image)
        if image.format == "PNG" and "exif" not in image.info and (data := find_chunk(path, b"eXIf")):
            exif = Image.Exif()
            exif.load(data)
        orientation = exif.get(ORIENTATION)
    except Exception:  # see `decode`
        return 1
    return orientation if isinstance(orientation, int) and orientation in UPRIGHT else 1


def _on_ground(image: Image.Image, ground: tuple[int, int, int]) -> Image.Image:
    """An RGB picture of one of 8 bits a band, with its transparent parts on a ground."""
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")  # which would copy
    if image.format in UNUSED and image.mode == "RGBA" and image.getextrema()[-1] == (0, 0):
        return image.convert("RGB")
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode != "RGBA":
        image = image.convert("RGBA")
    picture = Image.new("RGB", image.size, ground)
    picture.paste(image, mask=image)
    return picture


def what_it_is(path: Path) -> str:
    """Why a file is not read as a picture."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is a socket, pipe or device"
        return what if path.exists() else "there is no such file"
    start = head(path)
    if kind := unreadable_content(start):
        return f"is of a kind that is not read ({kind}); convert it to PNG or JPEG"
    if content_is_image(start):
        return "is damaged, or of a kind that Pillow does not read; save it again as PNG or JPEG"
    if start:
        return "not an image"
    return "cannot be read; give yourself the right to read it" if path.stat().st_size else "is empty"


def _reason(error: Exception, path: Path) -> str:
    text = str(error)
    if "MAX_TEXT" in text:
        return "its text or colour profile unpacks to more than a picture needs; save it again without"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read ({error.strerror})"
    if "truncated" in text.lower():
        return "is cut short; copy or download it again"
    return f"is damaged ({text.replace(str(path), 'the file') or type(error).__name__})"


def square(path: Path, size: int, pictures: Pictures = DEFAULT) -> np.ndarray:
    """The picture, short side resized to `size` and centre-cropped: uint8 (size, size, 3).

    Antialiased bicubic; crop and resize are one resampling of the centre square. Raises BadImage.
    """
    image = decode(path, pictures)
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


def resized(path: Path, target: Fit, pictures: Pictures = DEFAULT) -> np.ndarray:
    """The picture at the size of `target`, uint8 (H, W, 3); antialiased, bilinear.

    Raises BadImage, also if the picture has other sides than `target` says.
    """
    expected = (target.original_width, target.original_height)
    image = decode(path, pictures)
    if image.size != expected:
        raise BadImage(f"is {image.width} x {image.height} in place of {expected[0]} x {expected[1]}")
    return np.asarray(image.resize((target.width, target.height), Image.Resampling.BILINEAR))


# Many images

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_processes(
    function: Callable[[Task], Result], tasks: Sequence[Task], workers: int, *, title: str, unit: str
) -> Generator[Result, None, None]:
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
    named = [f"{name}: {reason}" for name, reason in list(skipped.items())[:NAMED_BAD]]
    more = f"; and {len(skipped) - NAMED_BAD} more" if len(skipped) > NAMED_BAD else ""
    sentence = f"{root}: {len(skipped)} of {total} images cannot be decoded ({'; '.join(named)}{more})"
    if len(skipped) == total:
        raise UserError(f"{sentence}; not one is left, replace them or give another folder")
    if corrupt == "stop":
        raise UserError(
            f"{sentence}; replace or remove them, or skip them (corrupt_images: skip in config.yaml, or --corrupt skip)"
        )
