"""Single packed pictures with boxes, and what they show. Without torch, since figures are drawn from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.core.files import read_json
from florilegium.data.buckets import open_buckets


class ScenePictures:
    """The pictures of some splits of a data set.

    Attributes:
        truth: what they show, in COCO form and original pixels; images without pixels are left out.
    """

    def __init__(self, pixels: Path, annotations: Path, splits: Sequence[str]) -> None:
        """Open `scenes<packing>.npy`, its table in the `.csv` beside it, and `annotations.json`; pixels
        are mapped, not read."""
        content = read_json(annotations)
        table = pd.read_csv(pixels.with_suffix(".csv"), dtype={"image": str}, keep_default_na=False)
        self._buckets = open_buckets(pixels, table)
        self._table = table.set_index("image")
        parts = [content["splits"][split] for split in splits]
        images = [i for part in parts for i in part["images"] if i["file_name"] in self._table.index]
        self._names: dict[int, str] = {image["id"]: image["file_name"] for image in images}
        objects = [a for part in parts for a in part["annotations"] if a["image_id"] in self._names]
        self.truth: dict[str, Any] = {
            "images": images,
            "annotations": objects,
            "categories": content["categories"],
        }

    def picture(self, image: int) -> tuple[NDArray[np.uint8], float]:
        """A picture by its COCO id, uint8 (h, w, 3) without its padding, and packed pixels an original one."""
        row = self._table.loc[self._names[image]]
        packed = self._buckets[int(row["bucket"])][int(row["row"])]
        return np.asarray(packed[: int(row["height"]), : int(row["width"])]), float(row["scale"])
