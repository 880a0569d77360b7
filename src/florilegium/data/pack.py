"""Packed images: decoded once, all pixels of a data set in one .npy file.

Rows are written in order, by plain writes: on a full disk a write fails with an error, where a memory map would
kill the process.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.core.errors import UserError
from florilegium.core.files import atomic, write_table
from florilegium.data.decode import BadImage, check_skipped, in_processes, square

CHUNK = 32  # images that a worker takes at a time

Decoder = Callable[[Path, Any], np.ndarray]  # of a path, and of what the task says about that image


@dataclass(frozen=True)
class Packed:
    """The result of packing."""

    images: tuple[str, ...]  # the packed ones, in the order of the rows
    skipped: dict[str, str]  # for each of the others the reason


def read_pixels(path: Path, images: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    """Single images of a packed array by name, uint8 (size, size, 3) each; the array is not loaded whole."""
    packed = np.load(path, mmap_mode="r")
    rows = {name: row for row, name in enumerate(pd.read_csv(path.with_suffix(".csv"))["image"])}
    return {image: np.asarray(packed[rows[image]]) for image in images}


def pack(
    root: Path,
    images: Sequence[str],
    size: int,
    out: Path,
    *,
    workers: int = 1,
    corrupt: Literal["stop", "skip"] = "stop",
) -> Packed:
    """Pack `images` (paths below `root`) into `out`, an .npy of uint8 (N, size, size, 3), RGB.

    Beside it `<out>.csv` names the image of each row (sorted) and `<out>.skipped.csv` those that
    could not be decoded, with the reason. Each file is written whole or not at all.

    Args:
        size: side in pixels; see `decode.square` for the resizing.
        workers: processes that decode.
        corrupt: stop at an image that cannot be decoded, or leave it out.

    Raises:
        UserError: there are no images, or one is bad and `corrupt` is `stop`, or all are.
    """
    if not images:
        raise UserError(f"{root}: there are no images in it to pack; give another folder")
    tasks = [(name, size) for name in sorted(images)]
    packed = write_pixels(
        root, tasks, square, out, lambda names: (len(names), size, size, 3), workers=workers, corrupt=corrupt
    )
    write_table(out.with_suffix(".csv"), ("image",), ((name,) for name in packed.images))
    return packed


def write_pixels(
    root: Path,
    tasks: Sequence[tuple[str, Any]],
    decoder: Decoder,
    out: Path,
    shape: Callable[[Sequence[str]], tuple[int, ...]],
    *,
    workers: int,
    corrupt: str,
) -> Packed:
    """Write the pixels of each image, in order, into the .npy file `out`, and the skipped ones into a table.

    Args:
        tasks: for each image its path below `root`, and the second argument of `decoder`.
        shape: of the array of the images of these names.
    """
    pixels = decode_all(root, tasks, decoder, workers)
    packed: list[str] = []
    skipped: dict[str, str] = {}
    with atomic(out) as temporary, open(temporary, "wb") as file:
        _write_header(file, shape([name for name, _ in tasks]))
        for (name, _), result in zip(tasks, pixels, strict=True):
            if isinstance(result, str):
                skipped[name] = result
            else:
                packed.append(name)
                file.write(result.tobytes())
        check_skipped(root, len(tasks), skipped, corrupt)
        file.seek(0)
        _write_header(file, shape(packed))
    write_table(out.with_suffix(".skipped.csv"), ("image", "reason"), skipped.items())
    return Packed(tuple(packed), skipped)


def decode_all(
    root: Path, tasks: Sequence[tuple[str, Any]], decoder: Decoder, workers: int
) -> Iterator[np.ndarray | str]:
    """The pixels of each image, in order, or the reason why there are none."""
    chunks = [(root, tasks[i : i + CHUNK], decoder) for i in range(0, len(tasks), CHUNK)]
    for chunk in in_processes(decode_chunk, chunks, workers, title="decoding", unit=f"{CHUNK} images"):
        yield from chunk


def decode_chunk(chunk: tuple[Path, Sequence[tuple[str, Any]], Decoder]) -> list[np.ndarray | str]:
    """Decode a few images in this process; a pure function, so that workers can run it."""
    root, tasks, decoder = chunk
    results: list[np.ndarray | str] = []
    for name, argument in tasks:
        try:
            results.append(decoder(root / name, argument))
        except BadImage as error:
            results.append(str(error))
    return results


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Write the .npy header for uint8; NumPy pads it so that the first number does not change its length."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
