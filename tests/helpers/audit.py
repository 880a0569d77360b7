"""Pictures and collections that the audit's tests share."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from florilegium.audit import reading
from florilegium.audit.comparison import Collection
from florilegium.audit.hashing import Hashes

# What each transform means, in Pillow's own terms.
PILLOW = {
    "identity": [],
    "rotate90": [Image.Transpose.ROTATE_90],
    "rotate180": [Image.Transpose.ROTATE_180],
    "rotate270": [Image.Transpose.ROTATE_270],
    "flip": [Image.Transpose.FLIP_LEFT_RIGHT],
    "flip_rotate90": [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90],
    "flip_rotate180": [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180],
    "flip_rotate270": [Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_270],
}


def picture(seed: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """A smooth random RGB picture: no symmetry, much contrast, another one for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def transposed(image: Image.Image, transform: str) -> Image.Image:
    for step in PILLOW[transform]:
        image = image.transpose(step)
    return image


def write(root: Path, images: dict[str, Image.Image]) -> list[str]:
    """Save pictures by their path below `root`; returns the paths."""
    for name, image in images.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / name)
    return list(images)


def hash_images(root: Path, images: list[str], **options: Any) -> tuple[Hashes, dict[str, str]]:
    """Pictures below `root`, hashed and kept in a fresh folder beside it; and why some cannot be decoded."""
    kept, rows, broken = reading.hash_images(root, images, Path(tempfile.mkdtemp(dir=root.parent)), **options)
    return kept.hashes(rows), broken


def collection(name: str, root: Path, images: dict[str, Image.Image], **options: Any) -> Collection:
    """Pictures by `split/class/file`, saved and hashed."""
    hashes, _ = hash_images(root, write(root, images), **options)
    parts = [image.split("/") for image in images]
    table = pd.DataFrame(
        {"image": list(images), "split": [part[0] for part in parts], "class": [part[1] for part in parts]}
    )
    return Collection.join(name, hashes, table, root)
