"""Small data sets of pictures with boxes, in COCO form."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from florilegium.config.datasets import Dataset
from tests.helpers.data import encoded

CATEGORIES = [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}]


def coco(
    images: Iterable[tuple[int, str]], boxes: Iterable[tuple[int, int, list[float]]], size: tuple[int, int] = (40, 30)
) -> dict[str, Any]:
    """A file in COCO form: images (id, file name) of one size, and boxes (image, category, box)."""
    return {
        "images": [{"id": i, "file_name": n, "width": size[0], "height": size[1]} for i, n in images],
        "categories": [dict(category) for category in CATEGORIES],
        "annotations": [
            {"id": 10 * n, "image_id": image, "category_id": category, "bbox": box, "iscrowd": 0}
            for n, (image, category, box) in enumerate(boxes, start=1)
        ],
    }


def photo(seed: int, size: tuple[int, int] = (40, 30)) -> bytes:
    """A PNG of coarse noise, of which no two are alike."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return encoded(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC), "PNG")


def write(folder: Path, files: dict[str, Any]) -> list[str]:
    """Write bytes as they are and all else as JSON; the paths below `folder`, sorted."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def own_coco(folder: Path, **values: Any) -> Dataset:
    """A data set of a person's own in COCO form."""
    return Dataset(title="own", layout="coco", folder=str(folder), **values)


def tagged(size: tuple[int, int], box: list[int], orientation: int, kind: str = "PNG") -> bytes:
    """A picture file of `size` with a red square at `box` of its stored pixels, and an EXIF orientation."""
    x, y, width, height = box
    image = Image.new("RGB", size, (20, 20, 90))
    image.paste((250, 20, 20), (x, y, x + width, y + height))
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, kind, exif=exif, **({"quality": 95, "subsampling": 0} if kind == "JPEG" else {}))
