"""Packed pixels and the table of splits, read as the tensors that an experiment uses."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from florilegium.core.errors import UserError
from florilegium.core.files import read_json
from florilegium.core.rounding import twelve_digits
from florilegium.core.spec import DataUse

SAME_PICTURE = "same_picture"
RESIDENT_SHARE = 0.5


@dataclass(frozen=True)
class Images:
    """Labelled images: `pixels` uint8 (N, S, S, 3), `labels` int64 (N,), `names` of length N."""

    pixels: Tensor
    labels: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Splits:
    """The images that an experiment trains, validates and tests on; a label is an index into `classes`."""

    train: Images
    val: Images | None
    test: Images
    classes: tuple[str, ...]
    validated_on_test: bool = False
    """True if `val` holds the images of `test`."""


def load_splits(
    use: DataUse,
    *,
    seed: int = 0,
    pixels: Path,
    images: Path,
    dropped: Sequence[Path] = (),
    pairs: Path | None = None,
) -> Splits:
    """Read the splits that `use` names.

    Args:
        seed: of the held-out part alone; the runs of an experiment share it, so that their test
            images are the same.
        pixels: `pixels<size>.npy`, with the names of its rows in the `.csv` beside it.
        images: `images.csv`, with the class order in the `.json` beside it. Images of the table that
            were skipped as corrupt have no pixels and are left out.
        dropped: tables of images that training and validation must not see.
        pairs: the audit of the data set against itself; an image with a double elsewhere in the
            set is not held out.

    Raises:
        UserError: a split is empty, or a class is too small to hold out a part of it.
    """
    rows = {name: row for row, name in enumerate(_column(pixels.with_suffix(".csv"), "image"))}
    table = pd.read_csv(images, dtype=str, keep_default_na=False)
    table = table[table["image"].isin(rows)].sort_values("image")
    classes = tuple(read_json(images.with_suffix(".json"))["classes"])
    unseen = {name for path in dropped for name in _column(path, "image")}

    def of(splits: Iterable[str]) -> pd.DataFrame:
        return table[table["split"].isin(list(splits))]

    def without_dropped(part: pd.DataFrame) -> pd.DataFrame:
        return part[~part["image"].isin(unseen)]

    train = without_dropped(of(use.train))
    if use.holdout is None:
        val, test = without_dropped(of(use.val)), of(use.test)
    else:
        held = train["image"].isin(held_out(train, use.holdout, seed, _doubles(pairs), where=str(images)))
        train, test = train[~held], train[held]
        val = test

    array = np.load(pixels, mmap_mode="r")
    label = {name: number for number, name in enumerate(classes)}

    def take(part: pd.DataFrame) -> Images:
        chosen = array[[rows[name] for name in part["image"]]]
        labels = [label[name] for name in part["class"]]
        return Images(torch.from_numpy(chosen), torch.tensor(labels), tuple(part["image"]))

    for key, part in (("train", train), ("test", test)):
        if part.empty:
            wanted = ", ".join(getattr(use, key)) or "none"
            raise UserError(f"{images}: no image is left to {key} on; data.{key} names the splits: {wanted}")
    tested = take(test)
    if use.holdout is not None or use.choose_on_test:
        return Splits(take(train), tested, tested, classes, validated_on_test=True)
    return Splits(take(train), take(val) if len(val) else None, tested, classes)


def fits(pixels: Iterable[Tensor], device: torch.device) -> bool:
    """True if `pixels` take at most half of the free memory of `device`; always so on a CPU."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return sum(part.nbytes for part in pixels) <= RESIDENT_SHARE * free


def held_out(
    table: pd.DataFrame, part: float, seed: int, doubles: set[str], *, where: str = "images.csv"
) -> set[str]:
    """Names of the images to hold out: `part` of each class, at least one, and none of `doubles`.

    An image's rank is a hash of the seed and its own name, so that the leaky and the clean arm of an
    experiment, whose training images differ, hold out the same images as far as they can.
    """
    chosen: set[str] = set()
    for name, group in table.groupby("class", sort=True):
        count = max(1, round(twelve_digits(part * len(group))))
        if count >= len(group):
            raise UserError(
                f"{where}: class '{name}' has {len(group)} image(s), too few to hold out "
                f"data.holdout = {part} of them; add images or leave the class out"
            )
        free = [image for image in group["image"] if image not in doubles]
        chosen.update(sorted(free, key=lambda image: _rank(seed, image))[:count])
    return chosen


def _rank(seed: int, image: str) -> bytes:
    return hashlib.sha256(f"{seed}:{image}".encode()).digest()


def _doubles(pairs: Path | None) -> set[str]:
    if pairs is None:
        return set()
    table = pd.read_csv(pairs, dtype=str, keep_default_na=False)
    same = table[table["verdict"] == SAME_PICTURE]
    return set(same["image_a"]) | set(same["image_b"])


def _column(path: Path, name: str) -> list[str]:
    return pd.read_csv(path, dtype=str, keep_default_na=False)[name].tolist()
