"""Picture files of kinds that Pillow does not write: PNG and TIFF, byte by byte."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# First row, first column and the steps of the seven passes of an interlaced PNG file
PASSES = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int, depth: int = 8, colour: int = 2, interlaced: bool = False) -> bytes:
    return SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def scanlines(values: np.ndarray, depth: int) -> bytes:
    """The rows of `values`, (H, W) or (H, W, bands), each after the number of its filter."""
    rows = values.reshape(len(values), -1)
    if depth == 16:
        packed = rows.astype(">u2").view(np.uint8)
    else:
        bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
        packed = np.packbits(bits.reshape(len(rows), -1), axis=1)
    return np.concatenate([np.zeros((len(rows), 1), np.uint8), packed], axis=1).tobytes()


def png(
    values: np.ndarray, depth: int, colour: int, *, before: bytes = b"", after: bytes = b"", interlaced: bool = False
) -> bytes:
    """A PNG file of numbers of `depth` bits; `colour` is 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA; chunks stand before
    or after the pixels."""
    if interlaced:
        rows = b"".join(scanlines(values[top::down, left::right], depth) for top, left, down, right in PASSES)
    else:
        rows = scanlines(values, depth)
    start = header(values.shape[1], values.shape[0], depth, colour, interlaced)
    return start + before + chunk(b"IDAT", zlib.compress(rows)) + after + chunk(b"IEND", b"")


def tiff(
    values: np.ndarray,
    bits: int,
    photometric: int,
    *,
    order: str = "<",
    separate: bool = False,
    tags: Mapping[int, Sequence[int]] | None = None,
    data: bytes | None = None,
) -> bytes:
    """A TIFF file of numbers (H, W, bands) of 16 or 32 bits, or of `data` in any; photometric is 0 for white is zero,
    1 black is zero, 2 RGB, 5 CMYK; `order` "<" is Intel's, ">" Motorola's."""
    height, width, bands = values.shape
    if data is None:
        data = (values.transpose(2, 0, 1) if separate else values).astype(f"{order}u{bits // 8}").tobytes()
    parts, start = (bands if separate else 1), 8
    content = {
        256: [width],
        257: [height],
        258: [bits] * bands,
        259: [1],
        262: [photometric],
        277: [bands],
        278: [height],
        273: [start + part * (len(data) // parts) for part in range(parts)],
        279: [len(data) // parts] * parts,
        284: [2 if separate else 1],
        **(tags or {}),
    }
    place = start + len(data) + len(data) % 2
    behind, entries, more = place + 2 + 12 * len(content) + 4, b"", b""
    for tag, numbers in sorted(content.items()):
        field = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(field) > 4:
            field, more = struct.pack(f"{order}I", behind + len(more)), more + field
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + field
    file = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, place) + data
    directory = struct.pack(f"{order}H", len(content)) + entries + struct.pack(f"{order}I", 0)
    return file.ljust(place, b"\0") + directory + more


def saved(folder: Path, content: bytes, name: str = "picture") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def pixels(image: Image.Image) -> np.ndarray:
    """The pixels of an RGB picture as whole numbers, (H, W, 3)."""
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)
