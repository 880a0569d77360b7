"""Packed pixels and the table of splits, read as the tensors that an experiment uses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from florilegium.config.data import DataUse
from florilegium.core.errors import UserError
from florilegium.core.files import read_json
from florilegium.data.splits import share, shuffled

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
    use: DataUse, *, pixels: Path, images: Path, dropped: Sequence[Path] = (), pairs: Path | None = None
) -> Splits:
    """Read the splits that `use` names.

    Args:
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
    classes = tuple(read_json(images.with_suffix(".json"))["classes"])
    table = pd.read_csv(images, dtype=str, keep_default_na=False)
    table = table[table["image"].isin(rows)].sort_values("image")
    unseen = {name for path in dropped for name in _column(path, "image")}
    seen = table[~table["image"].isin(unseen)]
    train, val = (seen[seen["split"].isin(splits)] for splits in (use.train, use.val))
    test = table[table["split"].isin(use.test)]
    if use.holdout is not None:
        held = train["image"].isin(held_out(train, use.holdout, _doubles(pairs), where=str(images)))
        train, test = train[~held], train[held]
    for key, part in (("train", train), ("test", test)):
        if part.empty:
            wanted = ", ".join(getattr(use, key)) or "none"
            raise UserError(f"{images}: no image is left to {key} on; data.{key} names the splits: {wanted}")

    array = np.load(pixels, mmap_mode="r")
    tested = _loaded(test, array, rows, classes)
    on_test = use.holdout is not None or use.choose_on_test
    if on_test:
        validated: Images | None = tested
    else:
        validated = None if val.empty else _loaded(val, array, rows, classes)
    return Splits(_loaded(train, array, rows, classes), validated, tested, classes, on_test)


def fits(pixels: Iterable[Tensor], device: torch.device) -> bool:
    """True if `pixels` take at most half of the free memory of `device`; always so on a CPU."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return sum(part.nbytes for part in pixels) <= RESIDENT_SHARE * free


def _loaded(part: pd.DataFrame, array: np.ndarray, rows: Mapping[str, int], classes: Sequence[str]) -> Images:
    """The images of a part of the table, whose pixels lie in `rows` of `array`."""
    pixels = array[[rows[name] for name in part["image"]]]
    label = {name: number for number, name in enumerate(classes)}
    labels = torch.tensor([label[name] for name in part["class"]])
    return Images(torch.from_numpy(pixels), labels, tuple(part["image"]))


def held_out(table: pd.DataFrame, part: float, doubles: set[str], *, where: str = "images.csv") -> set[str]:
    """Names of the images to hold out: `part` of each class, at least one, and none of `doubles`.

    Images are drawn by their own names, so that the leaky and the clean arm of an experiment, whose training
    images differ, hold out the same images as far as they can; so do all runs of an experiment.
    """
    chosen: set[str] = set()
    for name, group in table.groupby("class", sort=True):
        count = share(part, len(group))
        if count >= len(group):
            raise UserError(
                f"{where}: class '{name}' has {len(group)} image(s), too few to hold out "
                f"data.holdout = {part} of them; add images or leave the class out"
            )
        free = [image for image in group["image"] if image not in doubles]
        chosen.update(shuffled(free, key=str)[:count])
    return chosen


def _doubles(pairs: Path | None) -> set[str]:
    if pairs is None:
        return set()
    table = pd.read_csv(pairs, dtype=str, keep_default_na=False)
    same = table[table["verdict"] == SAME_PICTURE]
    return set(same["image_a"]) | set(same["image_b"])


def _column(path: Path, name: str) -> list[str]:
    return pd.read_csv(path, dtype=str, keep_default_na=False)[name].tolist()
