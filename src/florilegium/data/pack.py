"""Packed images: decoded once, all pixels of a data set in one .npy file of uint8.

Squares make one array (N, S, S, 3). Images with boxes are grouped by the shape that they are padded to, and make a
flat array: bucket after bucket, each (n, H, W, 3), with the image in the upper left corner and zeros beside it. Rows
are written in order, by plain writes: on a full disk a write fails with an error, where a memory map would kill the
process. No torch here, since figures read single images.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.config.pictures import DEFAULT, Pictures
from florilegium.core.errors import UserError
from florilegium.core.files import atomic, read_json
from florilegium.core.tables import read_table, write_table
from florilegium.data.decode import BadImage, Fit, check_skipped, in_processes, padded, resized, square

CHUNK = 32  # images that a worker takes at a time
# Of the table of images with boxes.
PLACE = ("bucket", "row", "padded_height", "padded_width")
SIDES = ("height", "width", "scale", "original_height", "original_width")
COLUMNS = ("image", *PLACE, *SIDES)

Decoder = Callable[[Path, Any], np.ndarray]  # of a path, and of what the task says about that image


@dataclass(frozen=True)
class Packed:
    """The result of packing."""

    images: tuple[str, ...]  # the packed ones, in the order of the rows
    skipped: dict[str, str]  # for each of the others the reason


# Squares


def pack(
    root: Path,
    images: Sequence[str],
    size: int,
    out: Path,
    *,
    workers: int = 1,
    corrupt: Literal["stop", "skip"] = "stop",
    pictures: Pictures = DEFAULT,
) -> Packed:
    """Pack `images` (paths below `root`) into `out`, an .npy of uint8 (N, size, size, 3), RGB, as `square` fits them.

    Beside it `<out>.csv` names the image of each row (sorted) and `<out>.skipped.csv` those that could not be
    decoded, with the reason. Each file is written whole or not at all. `workers` processes decode.

    Raises UserError if there are no images, or one is bad and `corrupt` is `stop`, or all are.
    """
    if not images:
        raise UserError(f"{root}: there are no images in it to pack; give another folder")
    tasks = [(name, size) for name in sorted(images)]
    decoder = partial(square, pictures=pictures)
    packed = write_pixels(
        root, tasks, decoder, out, lambda names: (len(names), size, size, 3), workers=workers, corrupt=corrupt
    )
    write_table(out.with_suffix(".csv"), ("image",), ((name,) for name in packed.images))
    return packed


def read_pixels(path: Path, images: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    """Single images of a packed array by name, uint8 (size, size, 3) each; the array is not loaded whole."""
    packed = np.load(path, mmap_mode="r")
    rows = {name: row for row, name in enumerate(read_table(path.with_suffix(".csv"))["image"])}
    return {image: np.asarray(packed[rows[image]]) for image in images}


# Images of any shape


def pack_buckets(
    root: Path,
    fits: Mapping[str, Fit],
    padding: Literal["least", "doubled"],
    out: Path,
    *,
    workers: int = 1,
    corrupt: Literal["stop", "skip"] = "stop",
    pictures: Pictures = DEFAULT,
) -> Packed:
    """Pack images (paths below `root`, with the size that each is resized to) into `out`.

    Beside it, `<out>.csv` gives the place of each image, with the columns COLUMNS, sorted by bucket and row,
    and `<out>.skipped.csv` lists the images that could not be decoded. Each file is written whole or not at all.
    `padding` is as in `DetectionData`.

    Raises UserError if an image is bad and `corrupt` is `stop`, or if all are.
    """
    shapes = {name: (padded(fit.height, padding), padded(fit.width, padding)) for name, fit in fits.items()}
    tasks = [(name, (fits[name], shapes[name])) for name in sorted(fits, key=lambda name: (shapes[name], name))]

    def size(names: Sequence[str]) -> tuple[int]:
        return (sum(3 * shapes[name][0] * shapes[name][1] for name in names),)

    decoder = partial(in_corner, pictures=pictures)
    packed = write_pixels(root, tasks, decoder, out, size, workers=workers, corrupt=corrupt)
    rows = []
    for bucket, (shape, names) in enumerate(groupby(packed.images, shapes.__getitem__)):
        for row, name in enumerate(names):
            of = fits[name]
            numbers = (bucket, row, *shape, of.height, of.width, of.scale, of.original_height, of.original_width)
            rows.append((name, *map(str, numbers)))
    write_table(out.with_suffix(".csv"), COLUMNS, rows)
    return packed


def in_corner(path: Path, target: tuple[Fit, tuple[int, int]], pictures: Pictures = DEFAULT) -> NDArray[np.uint8]:
    """The image at a size, in the upper left corner of zeros of a shape (H, W); raises BadImage."""
    pixels = resized(path, target[0], pictures)
    result = np.zeros((*target[1], 3), np.uint8)
    result[: pixels.shape[0], : pixels.shape[1]] = pixels
    return result


def open_packed(path: Path) -> tuple[list[NDArray[np.uint8]], pd.DataFrame]:
    """The buckets of a packed file, uint8 (n, H, W, 3) each, and its table, indexed by image.

    Buckets are mapped and not read, and nobody may write to them.
    """
    table = read_table(path.with_suffix(".csv"), {"image": str, "scale": float}, others=int)
    pixels = np.load(path, mmap_mode="r")
    buckets: list[NDArray[np.uint8]] = []
    start = 0
    for _, rows in table.groupby("bucket", sort=True):
        shape = (len(rows), int(rows["padded_height"].iloc[0]), int(rows["padded_width"].iloc[0]), 3)
        end = start + int(np.prod(shape))
        buckets.append(pixels[start:end].reshape(shape))
        start = end
    return buckets, table.set_index("image")


class BoxedPictures:
    """Single images of some splits of a data set, for figures; `truth` holds those that have pixels, and their
    objects, in COCO form and original pixels."""

    def __init__(self, pixels: Path, annotations: Path, splits: Sequence[str]) -> None:
        """Open `scenes<packing>.npy`, with its table, and `annotations.json`; pixels are mapped, not read."""
        content = read_json(annotations)
        self._buckets, self._table = open_packed(pixels)
        parts = [content["splits"][split] for split in splits]
        images = [i for part in parts for i in part["images"] if i["file_name"] in self._table.index]
        self._names: dict[int, str] = {image["id"]: image["file_name"] for image in images}
        objects = [a for part in parts for a in part["annotations"] if a["image_id"] in self._names]
        self.truth: dict[str, Any] = {"images": images, "annotations": objects, "categories": content["categories"]}

    def picture(self, image: int) -> tuple[NDArray[np.uint8], float]:
        """The image of that COCO id, uint8 (h, w, 3) without its padding, and its scale in packed pixels
        an original pixel."""
        row = self._table.loc[self._names[image]]
        packed = self._buckets[int(row["bucket"])][int(row["row"])]
        return np.asarray(packed[: int(row["height"]), : int(row["width"])]), float(row["scale"])


# Both


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

    `tasks` are the images' paths below `root`, each with the second argument of `decoder`; `shape` is that of the
    array of the images of these names.
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
