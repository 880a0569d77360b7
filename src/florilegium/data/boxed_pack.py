"""Images with boxes, packed: decoded once into one file, and grouped by the shape that they are padded to.

The file is a flat .npy of uint8: bucket after bucket, each (n, H, W, 3), with the image in the upper left
corner and zeros beside it. The table beside it gives the bucket and row of each image. Rows are written in
order, by plain writes: on a full disk a write fails with an error, where a memory map would kill the process.

No torch here, since figures read single images.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.core.files import atomic, read_json, write_table
from florilegium.data.decode import Fit, padded, resized
from florilegium.data.pack import Packed, check_skipped, decode_all, write_header, write_skipped

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
    names = sorted(fits, key=lambda name: (shapes[name], name))
    rows: list[tuple[str, ...]] = []
    skipped: dict[str, str] = {}
    taken: Counter[tuple[int, int]] = Counter()
    with atomic(out) as temporary, open(temporary, "wb") as file:
        write_header(file, (sum(3 * h * w for h, w in shapes.values()),))
        decoded = decode_all(root, [(name, fits[name]) for name in names], resized, workers)
        for name, result in zip(names, decoded, strict=True):
            if isinstance(result, str):
                skipped[name] = result
                continue
            shape = shapes[name]
            file.write(_padded(result, shape).tobytes())
            rows.append(_row(name, len(taken) - (shape in taken), taken[shape], shape, fits[name]))
            taken[shape] += 1
        if skipped:
            check_skipped(root, len(names), skipped, corrupt)
            file.seek(0)
            write_header(file, (sum(3 * h * w * n for (h, w), n in taken.items()),))
    write_table(out.with_suffix(".csv"), COLUMNS, rows)
    write_skipped(out, skipped)
    return Packed(tuple(row[0] for row in rows), skipped)


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


def _padded(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    height, width, _ = pixels.shape
    result = np.zeros((*shape, 3), np.uint8)
    result[:height, :width] = pixels
    return result


def _row(name: str, bucket: int, row: int, shape: tuple[int, int], fit: Fit) -> tuple[str, ...]:
    """A row of the table, with the columns COLUMNS."""
    numbers = (bucket, row, *shape, fit.height, fit.width, fit.scale, fit.original_height, fit.original_width)
    return (name, *map(str, numbers))
