"""Pictures of more than 8 bits a band brought to 8, by the depth that they use.

Sensors and scanners give 10, 12 or 14 bits, which are mostly stored in 16: as 16 bits they would be nearly black.
So the depth is what the file declares, where it declares less than it has room for, and else the smallest of 8, 10, 12,
14 and 16 bits that holds the largest value of the picture (of all its colours together; transparency by itself).
Numbers in floating point are read where they lie in 0 to 1, or in 0 to 255.
"""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from florilegium.data.png import find_chunk

DEPTHS = (8, 10, 12, 14, 16)
FULL = 0xFFFF
ROWS = 256  # that are scaled at a time
WIDE = {f"{bands};16{order}" for bands in ("LA", "RGB", "RGBX", "RGBA", "RGBa", "CMYK") for order in "LBN"}
# Tags of TIFF
BITS, PHOTOMETRIC, LARGEST, PLANAR, FORMAT = 258, 262, 281, 284, 339
WHITE_IS_ZERO = 0
SEPARATE = SIGNED = 2
SIZES = b"\xff\x4f\xff\x51"  # the start of a code stream of JPEG 2000, with its first depth in byte 42

Values = NDArray[np.uint16]


class BadImage(ValueError):
    """A file that holds no usable picture; its text is the reason, without the path."""


def eight_bits(image: ImageFile.ImageFile, again: Callable[[], ImageFile.ImageFile], path: Path) -> Image.Image:
    """An opened picture, decoded, in 8 bits a band; one that has no more is only decoded.

    Args:
        image: its pixels are not decoded yet.
        again: opens the same file a second time.

    Raises:
        BadImage: the range of its values is not known. Pillow raises for damaged files.
    """
    raw = _raw_mode(image)
    if image.format == "PPM" and image.tile[0].codec_name == "ppm" and image.mode == "RGB" and _largest(image) > 0xFF:
        return _portable(image, path)
    if raw in WIDE or image.mode.startswith("I"):
        full, inverted = _declared(image, path), _tag(image, PHOTOMETRIC) == [WHITE_IS_ZERO]
        if raw in WIDE:
            return _colours(image, again, raw, full)
        image.load()
        return _grey(image, full, inverted)
    _refuse_misread(image)
    if raw in ("L;2", "L;4") and isinstance(key := image.info.get("transparency"), int):
        image.info["transparency"] = key * (85 if raw == "L;2" else 17)  # as Pillow spreads the pixels
    image.load()
    return _from_floats(image) if image.mode == "F" else image


def scaled(values: Values, full: int) -> NDArray[np.uint8]:
    """`values` up to `full` as 0 to 255, rounded."""
    table = ((np.arange(full + 1, dtype=np.int64) * 255 + full // 2) // full).astype(np.uint8)
    result = np.empty(values.shape, np.uint8)
    for start in range(0, len(values), ROWS):  # since the lookup makes 8 bytes of each value
        result[start : start + ROWS] = table[values[start : start + ROWS]]
    return result


def _full(values: Values, declared: int | None) -> int:
    """The value that means full intensity."""
    top = int(values.max())
    if declared is not None and top <= declared:
        return declared
    return next((1 << bits) - 1 for bits in DEPTHS if top < 1 << bits)


def _grey(image: Image.Image, declared: int | None, inverted: bool) -> Image.Image:
    values = np.asarray(image)
    if values.min() < 0 or values.max() > FULL:
        raise BadImage(
            "its pixels are integers below 0 or of more than 16 bits, whose range is not known; save it in 16"
        )
    values = values.astype(np.uint16, copy=False)
    grey = scaled(values, _full(values, declared))
    if inverted:
        grey = 255 - grey
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return Image.fromarray(grey)
    return _assembled("LA", np.dstack([grey, _opaque(values != key)]))


def _colours(
    image: ImageFile.ImageFile, again: Callable[[], ImageFile.ImageFile], raw: str, declared: int | None
) -> Image.Image:
    """A picture of several bands of 16 bits, of which Pillow itself keeps the upper 8.

    It is decoded a second time as if its bytes stood in the other order, which gives the lower 8.
    """
    _refuse_misread(image)
    mode, key = image.mode, image.info.get("transparency")
    if raw.startswith("LA"):  # four bytes a pixel, as RGBA has in 8 bits
        both = _decoded(image, "RGBA")
        mode, upper, lower = "LA", both[..., 0::2], both[..., 1::2]
    else:
        if raw.startswith("RGBa"):  # Pillow would divide by an alpha of 8 bits
            mode, raw = "RGBa", raw.replace("RGBa", "RGBA")
        order = raw[-1] if raw[-1] != "N" else sys.byteorder[0].upper()
        lower = _decoded(again(), raw[:-1] + ("B" if order == "L" else "L"))
        upper = _decoded(image, raw)
    values = upper.astype(np.uint16)
    values <<= 8
    values |= lower
    del upper, lower  # large pictures fill the memory
    if mode in ("LA", "RGBA"):
        colours, alpha = values[..., :-1], values[..., -1:]
        bands = [scaled(part, _full(part, declared)) for part in (colours, alpha)]
        return _assembled(mode, np.concatenate(bands, axis=-1))
    result = scaled(values, _full(values, declared))
    if mode == "RGB" and isinstance(key, tuple):
        return _assembled("RGBA", np.dstack([result, _opaque((values != np.array(key)).any(axis=-1))]))
    return _assembled(mode, result)


def _portable(image: ImageFile.ImageFile, path: Path) -> Image.Image:
    """A PPM file of 16 bits, of which Pillow keeps 8."""
    tile, (width, height) = image.tile[0], image.size
    values = np.fromfile(path, ">u2", width * height * 3, offset=tile.offset)
    if values.size < width * height * 3:
        raise ValueError("truncated")
    values = values.astype(np.uint16).reshape(height, width, 3)
    largest = _largest(image)
    return _assembled("RGB", scaled(values, _full(values, largest if largest < FULL else None)))


def _decoded(image: ImageFile.ImageFile, raw: str) -> NDArray[np.uint8]:
    """The bytes (H, W, bands) that Pillow takes from the file where its pixels are said to have the form `raw`."""
    image.tile = [
        tile._replace(args=raw if isinstance(tile.args, str) else (raw, *(tile.args or ())[1:])) for tile in image.tile
    ]
    with image:
        image.load()
        return np.asarray(image)


def _from_floats(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= 255:  # nor if one is no number
        found = f"from {low:g} to {high:g}" if math.isfinite(low + high) else "some of which are not finite"
        raise BadImage(f"its pixels are floating-point numbers {found}; scale them to 0 to 1, or to 0 to 255")
    return Image.fromarray(np.rint(values * np.float32(255 if high <= 1 else 1)).astype(np.uint8))


def _opaque(where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return where.astype(np.uint8) * np.uint8(255)


def _assembled(mode: str, bands: NDArray[np.uint8]) -> Image.Image:
    return Image.frombytes(mode, (bands.shape[1], bands.shape[0]), np.ascontiguousarray(bands).tobytes())


# What the file says of its values


def _declared(image: ImageFile.ImageFile, path: Path) -> int | None:
    """The value of full intensity that the file declares, if that is less than it has room for, or if Pillow has
    scaled the values to all 16 bits; else None."""
    if image.format == "PNG" and (significant := find_chunk(path, b"sBIT")):
        bits = max(significant[:1] if image.mode.startswith("I") else significant[:3])
        return 2**bits - 1 if 1 <= bits < 16 else None
    if image.format == "TIFF":
        bits = max(_tag(image, BITS), default=16)
        if bits < 16:
            return int(2**bits - 1)
        largest = max(_tag(image, LARGEST), default=0)
        return int(2 ** largest.bit_length() - 1) if 0 < largest < FULL else None
    if image.format == "PPM":
        return FULL if _largest(image) < FULL else None
    if image.format == "JPEG2000":
        with open(path, "rb") as file:
            start = file.read(1 << 16)
        at = start.find(SIZES)
        return FULL if at >= 0 and start[at + 42 : at + 43] < b"\x0f" else None
    return None


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """The form of the pixels in the file, as Pillow calls it."""
    arguments = image.tile[0].args if image.tile else None
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _largest(image: ImageFile.ImageFile) -> int:
    """The largest value that the header of a PPM file allows; all that 16 bits hold where Pillow does not tell."""
    arguments = image.tile[0].args
    return int(arguments[-1]) if isinstance(arguments, tuple) else FULL


def _tag(image: ImageFile.ImageFile, tag: int) -> list[int]:
    """The whole numbers of a tag of TIFF; none in other formats."""
    found = getattr(image, "tag_v2", {}).get(tag, ())
    return [number for number in (found if isinstance(found, tuple) else (found,)) if isinstance(number, int)]


def _refuse_misread(image: ImageFile.ImageFile) -> None:
    if SIGNED in _tag(image, FORMAT) and max(_tag(image, BITS), default=1) <= 8:
        raise BadImage("its pixels are signed numbers of 8 bits, which Pillow misreads; save it without signs")
    if _tag(image, PLANAR) == [SEPARATE] and len(_tag(image, BITS)) > 1 and max(_tag(image, BITS)) > 8:
        raise BadImage("its 16-bit colours lie in separate planes, which Pillow misreads; save it with them joined")
