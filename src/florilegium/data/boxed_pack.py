"""Images with boxes, packed: decoded once into one file, and grouped by the shape that they are padded to.

The file is a flat .npy of uint8: bucket after bucket, each (n, H, W, 3), with the image in the upper left
corner and zeros beside it. The table beside it gives the bucket and row of each image.

No torch here, since figures read single images.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.core.files import read_json, write_table
from florilegium.data.decode import Fit, padded, resized
from florilegium.data.pack import Packed, write_pixels

PLACE = ("bucket", "row", "padded_height", "padded_width")
SIDES = ("height", "width", "scale", "original_height", "original_width")
COLUMNS = ("image", *PLACE, *SIDES)


def pack_buckets(
    root: Path,
    fits: Mapping[str, Fit],
    padding: Literal["least", "doubled"],
    out: Path,
    *,
    workers: int = 1,
    corrupt: Literal["stop", "skip"] = "stop",
) -> Packed:
    """Pack images (paths below `root`, with the size that each is resized to) into `out`.

    Beside it, `<out>.csv` gives the place of each image, with the columns COLUMNS, sorted by bucket and row,
    and `<out>.skipped.csv` lists the images that could not be decoded. Each file is written whole or not at all.

    Args:
        padding: as in `DetectionData`.
        workers: processes that decode.
        corrupt: stop at an image that cannot be decoded, or leave it out.

    Raises:
        UserError: an image is bad and `corrupt` is `stop`, or all are.
    """
    shapes = {name: (padded(fit.height, padding), padded(fit.width, padding)) for name, fit in fits.items()}
    tasks = [(name, (fits[name], shapes[name])) for name in sorted(fits, key=lambda name: (shapes[name], name))]

    def size(names: Sequence[str]) -> tuple[int]:
        return (sum(3 * shapes[name][0] * shapes[name][1] for name in names),)

    packed = write_pixels(root, tasks, in_corner, out, size, workers=workers, corrupt=corrupt)
    rows = []
    for bucket, (shape, names) in enumerate(groupby(packed.images, shapes.__getitem__)):
        for row, name in enumerate(names):
            of = fits[name]
            numbers = (bucket, row, *shape, of.height, of.width, of.scale, of.original_height, of.original_width)
            rows.append((name, *map(str, numbers)))
    write_table(out.with_suffix(".csv"), COLUMNS, rows)
    return packed


def in_corner(path: Path, target: tuple[Fit, tuple[int, int]]) -> NDArray[np.uint8]:
    """The image at a size, in the upper left corner of zeros of a shape (H, W); raises BadImage."""
    pixels = resized(path, target[0])
    result = np.zeros((*target[1], 3), np.uint8)
    result[: pixels.shape[0], : pixels.shape[1]] = pixels
    return result


def open_packed(path: Path) -> tuple[list[NDArray[np.uint8]], pd.DataFrame]:
    """The buckets of a packed file, uint8 (n, H, W, 3) each, and its table, indexed by image.

    Buckets are mapped and not read. They are copied where they are written to: the file stays as it is.
    """
    table = pd.read_csv(path.with_suffix(".csv"), dtype={"image": str}, keep_default_na=False)
    pixels = np.load(path, mmap_mode="c")
    buckets: list[NDArray[np.uint8]] = []
    start = 0
    for _, rows in table.groupby("bucket", sort=True):
        shape = (len(rows), int(rows["padded_height"].iloc[0]), int(rows["padded_width"].iloc[0]), 3)
        end = start + int(np.prod(shape))
        buckets.append(pixels[start:end].reshape(shape))
        start = end
    return buckets, table.set_index("image")


class BoxedPictures:
    """Single images of some splits of a data set, for figures.

    Attributes:
        truth: the images that have pixels, and their objects, in COCO form and original pixels.
    """

    def __init__(self, pixels: Path, annotations: Path, splits: Sequence[str]) -> None:
        """Open `scenes<packing>.npy`, its table in the `.csv` beside it, and `annotations.json`; pixels
        are mapped, not read."""
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
