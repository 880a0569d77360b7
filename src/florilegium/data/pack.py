"""Packed images: all pixels of a data set in one array."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.core.errors import UserError
from florilegium.core.files import atomic, write_table
from florilegium.data.decode import BadImage, in_processes, square


def read_pixels(path: Path, images: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    """Single images of a packed array by name, uint8 (size, size, 3) each; the array is not loaded whole."""
    packed = np.load(path, mmap_mode="r")
    rows = {name: row for row, name in enumerate(pd.read_csv(path.with_suffix(".csv"))["image"])}
    return {image: np.asarray(packed[rows[image]]) for image in images}


CHUNK = 32  # images that a worker takes at a time
NAMED = 5  # bad images that an error sentence names


@dataclass(frozen=True)
class Packed:
    """The result of packing."""

    images: tuple[str, ...]  # the packed ones, in the order of the rows
    skipped: dict[str, str]  # for each of the others the reason


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
    names = sorted(images)
    packed: list[str] = []
    skipped: dict[str, str] = {}
    with atomic(out) as temporary, open(temporary, "wb") as file:
        write_header(file, (len(names), size, size, 3))
        decoded = decode_all(root, [(name, size) for name in names], square, workers)
        for name, result in zip(names, decoded, strict=True):
            if isinstance(result, str):
                skipped[name] = result
            else:
                packed.append(name)
                file.write(result.tobytes())
        if skipped:
            check_skipped(root, len(names), skipped, corrupt)
            file.seek(0)
            write_header(file, (len(packed), size, size, 3))
    write_table(out.with_suffix(".csv"), ("image",), ((name,) for name in packed))
    write_skipped(out, skipped)
    return Packed(tuple(packed), skipped)


def decode_all(
    root: Path, images: Sequence[tuple[str, Any]], decoder: Callable[[Path, Any], np.ndarray], workers: int
) -> Iterator[np.ndarray | str]:
    """The pixels of each image, in order, or the reason why there are none.

    Args:
        images: for each its path below `root`, and the second argument of `decoder`.
    """
    chunks = [(root, images[i : i + CHUNK], decoder) for i in range(0, len(images), CHUNK)]
    for chunk in in_processes(decode_chunk, chunks, workers, title="decoding", unit=f"{CHUNK} images"):
        yield from chunk


def decode_chunk(
    task: tuple[Path, Sequence[tuple[str, Any]], Callable[[Path, Any], np.ndarray]],
) -> list[np.ndarray | str]:
    """Decode a few images in this process; a pure function, so that workers can run it."""
    root, images, decoder = task
    results: list[np.ndarray | str] = []
    for name, argument in images:
        try:
            results.append(decoder(root / name, argument))
        except BadImage as error:
            results.append(str(error))
    return results


def write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """Write the .npy header for uint8 of that shape; NumPy pads it so that the first number does not change
    its length."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def write_skipped(out: Path, skipped: Mapping[str, str]) -> None:
    """The images that could not be decoded, with the reasons, in a table beside the packed pixels."""
    write_table(out.with_suffix(".skipped.csv"), ("image", "reason"), skipped.items())


def check_skipped(root: Path, total: int, skipped: Mapping[str, str], corrupt: str) -> None:
    """Raise UserError if no image is left, or if `corrupt` is "stop". There is at least one in `skipped`."""
    named = [f"{name}: {reason}" for name, reason in list(skipped.items())[:NAMED]]
    more = f"; and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
    sentence = f"{root}: {len(skipped)} of {total} images cannot be decoded ({'; '.join(named)}{more})"
    if len(skipped) == total:
        raise UserError(f"{sentence}; not one is left, replace them")
    if corrupt == "stop":
        raise UserError(f"{sentence}; replace or remove them, or set corrupt_images: skip in config.yaml")
