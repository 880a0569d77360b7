"""Copies of many kinds are found among other pictures, and nothing else: what audit_recall.py measures, in small."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from florilegium.audit.comparison import CROP, SAME, Collection, compare
from florilegium.config.products import Audit
from tests.helpers.audit import hash_images, write

SIZE = (320, 240)
N = 3


def scene(seed: int) -> Image.Image:
    """A picture full of discs, another one for each seed."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", SIZE, tuple(random.integers(0, 256, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for x, y, radius, *colour in random.integers((0, 0, 4, 0, 0, 0), (*SIZE, 28, 256, 256, 256), (150, 6)).tolist():
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(colour))
    return image


def collage(image: Image.Image) -> Image.Image:
    whole = scene(99)
    whole.paste(image.resize((160, 120)), (140, 30))
    return whole


def captioned(image: Image.Image) -> Image.Image:
    written = Image.new("RGB", (320, 290), "white")
    written.paste(image)
    ImageDraw.Draw(written).text((10, 250), "a picture of discs", fill="black", font_size=30)
    return written


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "half of it": lambda image: image.crop((60, 50, 290, 217)),
    "white border": lambda image: ImageOps.expand(image, 50, "white"),
    "caption": captioned,
    "grey, rotated": lambda image: image.convert("L").rotate(15, Image.Resampling.BICUBIC).convert("RGB"),
    "darker and smaller": lambda image: ImageEnhance.Brightness(image).enhance(0.5).resize((160, 120)),
    "crop, flipped": lambda image: ImageOps.mirror(image.crop((0, 0, 240, 200))),
    "crop on its side": lambda image: image.crop((40, 40, 320, 240)).transpose(Image.Transpose.ROTATE_90),
    "pressed into a square": lambda image: image.crop((20, 0, 300, 240)).resize((224, 224)),
    "part of another": collage,
}


def collection(name: str, root: Path, images: dict[str, Image.Image]) -> Collection:
    """Pictures by `change/file`, with their local features; a change is a class."""
    hashes, _ = hash_images(root, write(root, images), crops=True)
    rows = [(image, "test", image.split("/")[0]) for image in images]
    return Collection.join(name, hashes, pd.DataFrame(rows, columns=["image", "split", "class"]), root)


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[Collection]:
    root = tmp_path_factory.mktemp("recall")
    images = {f"disc/{seed}.png": scene(seed) for seed in range(N)}
    changed = {f"{name}/{seed}.png": change(scene(seed)) for name, change in CHANGES.items() for seed in range(N)}
    changed["another/7.png"] = scene(7)
    return [collection("a", root / "a", images), collection("b", root / "b", changed)]


def called(sets: list[Collection], settings: Audit) -> list[tuple[str, str, str]]:
    """The pairs that an audit calls copies: a's picture, b's, the change."""
    pairs = compare(*sets, settings).pairs
    pairs = pairs[pairs["verdict"].isin([SAME, CROP])]
    images = (pairs[f"image_{side}"].str.split("/").str[-1] for side in "ab")
    return sorted(zip(*images, pairs["class_b"], strict=True))


def test_every_copy_of_every_kind_is_found_and_nothing_else(sets: list[Collection]) -> None:
    pictures = [f"{seed}.png" for seed in range(N)]
    assert called(sets, Audit()) == sorted((image, image, change) for image in pictures for change in CHANGES)


def test_without_crops_none_is_found_whose_frame_is_another(sets: list[Collection]) -> None:
    changes = {change for *_, change in called(sets, Audit(crops=False))}
    assert changes <= {"darker and smaller", "grey, rotated", "pressed into a square"}
