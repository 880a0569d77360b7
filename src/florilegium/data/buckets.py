"""Pictures of any shape in one file: decoded once, and grouped by the shape that they are padded to.

The file is one .npy of uint8 without a shape of its own: bucket after bucket, each (n, H, W, 3) with the
picture in the upper left corner and zeros beside it. The table beside it says which picture lies where.
Rows are written in order, by plain writes: on a full disk a write fails with an error, where a memory map
would kill the process.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from florilegium.core.files import atomic
from florilegium.data.fit import Fit, padded, resized
from florilegium.data.pack import Packed, check_skipped, decode_all, write_header, write_skipped
from florilegium.data.tables import write_table

COLUMNS = (
    *("image", "bucket", "row", "padded_height", "padded_width"),
    *("height", "width", "scale", "original_height", "original_width"),
)


def pack_buckets(
    root: Path,
    fits: Mapping[str, Fit],
    padding: Literal["least", "doubled"],
    out: Path,
    *,
    workers: int = 1,
    corrupt: Literal["stop", "skip"] = "stop",
) -> Packed:
    """Pack images (paths below `root`, with the sizes that each is brought to) into `out`.

    Beside it `<out>.csv` says where each lies, with the columns COLUMNS, sorted by bucket and row, and
    `<out>.skipped.csv` names those that could not be decoded. Each file is written whole or not at all.

    Args:
        padding: as in `DetectionData`.
        workers: processes that decode.
        corrupt: what bad images do, stop everything or be left out.

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


def open_buckets(path: Path, table: pd.DataFrame) -> list[np.ndarray]:
    """The buckets of a packed file as uint8 (n, H, W, 3), mapped and not read; `table` is its table.

    They are copied where they are written to: the file stays as it is.
    """
    pixels = np.load(path, mmap_mode="c")
    found: list[np.ndarray] = []
    start = 0
    for _, part in table.groupby("bucket", sort=True):
        shape = (len(part), int(part["padded_height"].iloc[0]), int(part["padded_width"].iloc[0]), 3)
        end = start + int(np.prod(shape))
        found.append(pixels[start:end].reshape(shape))
        start = end
    return found


def _padded(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    height, width, _ = pixels.shape
    result = np.zeros((*shape, 3), np.uint8)
    result[:height, :width] = pixels
    return result


def _row(name: str, bucket: int, row: int, shape: tuple[int, int], fit: Fit) -> tuple[str, ...]:
    places = (bucket, row, *shape, fit.height, fit.width, fit.scale, fit.original_height, fit.original_width)
    return (name, *map(str, places))
