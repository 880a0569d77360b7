"""PNG files: written so that their bytes depend on the pixels alone, and their chunks found."""

import struct
import zlib
from pathlib import Path

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST_BLOCK = 0xFFFF
LARGEST_CHUNK = 1 << 20  # bytes of a chunk that `find_chunk` reads


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
    return SIGNATURE + b"".join(
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


def find_chunk(path: Path, kind: bytes) -> bytes | None:
    """The data of the first chunk of that kind in a PNG file, which may stand after the pixels; None without one.

    Nothing else of the file is read.
    """
    with open(path, "rb") as file:
        file.seek(len(SIGNATURE))
        while len(start := file.read(8)) == 8:
            length, name = struct.unpack(">I4s", start)
            if name == kind:
                return file.read(length) if length <= LARGEST_CHUNK else None
            if name == b"IEND":
                break
            file.seek(length + 4, 1)  # with its checksum
    return None
