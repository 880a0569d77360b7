"""The splits of an experiment: packed images, with generated ones added, or features; in their files or in memory."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from florilegium.config.data import DataUse, DetectionData
from florilegium.core.errors import UserError
from florilegium.core.files import atomic, read_json, write_json
from florilegium.core.memory import free_memory
from florilegium.core.outputs import CROP, SAME
from florilegium.core.system import twelve_digits
from florilegium.core.tables import read_table, write_table
from florilegium.data.labels import share, shuffled
from florilegium.data.stored import ArrayFile, Stored, joined

PARTS = ("train", "val", "test")
HOST = torch.device("cpu")
RESIDENT_SHARE = 0.5


@dataclass(frozen=True)
class Images:
    """Labelled images: `pixels` uint8 (N, S, S, 3), `labels` int64 (N,), `names` of length N."""

    pixels: Tensor | Stored
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
    validated_on_test: bool = False  # True if `val` holds the images of `test`


def load_splits(
    use: DataUse, *, pixels: Path, images: Path, dropped: Sequence[Path] = (), pairs: Path | None = None
) -> Splits:
    """The splits that `use` names, of images that have pixels, which stay in their file.

    Args:
        pixels: `pixels<size>.npy`, with the names of its rows in the `.csv` beside it.
        images: `images.csv`, with the class order in the `.json` beside it.
        dropped: tables of images that training and validation must not see.
        pairs: the audit of the data set against itself: an image with a double elsewhere is not held out.

    Raises:
        UserError: a split is empty, or a class is too small to hold out a part of it.
    """
    rows = {name: row for row, name in enumerate(image_column(pixels.with_suffix(".csv")))}
    classes = tuple(read_json(images.with_suffix(".json"))["classes"])
    table = read_table(images)
    table = table[table["image"].isin(rows)].sort_values("image")
    seen = table[~table["image"].isin(unseen(use, dropped))]
    train, val = (seen[seen["split"].isin(splits)] for splits in (use.train, use.val))
    test = table[table["split"].isin(use.test)]
    if use.holdout is not None:
        doubles: set[str] = set()
        if pairs is not None:
            audited = read_table(pairs)
            same = audited[audited["verdict"].isin((SAME, CROP))]
            doubles = {*same["image_a"], *same["image_b"]}
        held = train["image"].isin(held_out(train, use.holdout, doubles, where=str(images)))
        train, test = train[~held], train[held]
    check_not_empty(use, images, train=train, test=test)

    array = ArrayFile(pixels)
    label = {name: number for number, name in enumerate(classes)}

    def loaded(part: pd.DataFrame) -> Images:
        names = part["image"].tolist()
        labels = torch.tensor([label[name] for name in part["class"].tolist()])
        return Images(Stored([(array, torch.tensor([rows[name] for name in names]))]), labels, tuple(names))

    tested = loaded(test)
    on_test = use.holdout is not None or use.choose_on_test
    validated = tested if on_test else None if val.empty else loaded(val)
    return Splits(loaded(train), validated, tested, classes, on_test)


def check_not_empty(use: DataUse | DetectionData, where: Path, **parts: Sized) -> None:
    """Raise UserError if one of the parts to train or test on has no image."""
    for key, part in parts.items():
        if not len(part):
            splits = ", ".join(getattr(use, key)) or "none"
            raise UserError(f"{where}: no image is left to {key} on; data.{key} names the splits: {splits}")


def fits(pixels: Iterable[Tensor | Stored], device: torch.device) -> bool:
    """True if `pixels` take at most half of the free memory of `device`; on a CPU, of what this process may use."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    return sum(part.nbytes for part in pixels) <= RESIDENT_SHARE * free


def resident(splits: Splits, processes: int = 1) -> Splits:
    """`splits` in memory, if all of their pixels fit there once for each of so many processes, else as they are."""
    parts = {name: images for name in PARTS if (images := getattr(splits, name)) is not None}
    once = {id(images): images for images in parts.values()}
    if not fits([images.pixels for images in once.values()] * processes, HOST):
        return splits
    loaded = {key: replace(images, pixels=images.pixels.to(HOST)) for key, images in once.items()}
    return replace(splits, **{name: loaded[id(images)] for name, images in parts.items()})


def held_out(table: pd.DataFrame, part: float, doubles: set[str], *, where: str = "images.csv") -> set[str]:
    """Names of the images to hold out: `part` of each class, at least one, and none of `doubles`.

    They are chosen by their own names, so that the leaky and the clean arm of an experiment, whose training
    images differ, hold out the same images as far as they can; so do all runs of an experiment.
    """
    chosen: set[str] = set()
    for name, group in table.groupby("class", sort=True):
        count = share(part, len(group))
        if count >= len(group):
            few = f"class '{name}' has {len(group)} image(s), too few to hold out data.holdout = {part} of them"
            raise UserError(f"{where}: {few}; add images or leave the class out")
        free = [image for image in group["image"] if image not in doubles]
        chosen.update(shuffled(free, key=str)[:count])
    return chosen


def unseen(use: DataUse | DetectionData, dropped: Sequence[Path]) -> set[str]:
    """The images in tables of the audit (columns image, reason, verdict) that `use` does not train or validate on."""
    tables = [read_table(path) for path in dropped]
    if use.clean_by == "hash":
        tables = [table[table["verdict"] == SAME] for table in tables]
    return {name for table in tables for name in table["image"]}


def image_column(table: Path) -> list[str]:
    """The names of the images in a table."""
    return list(read_table(table)["image"])


# Generated images


def with_generated(splits: Splits, samples: Path, share: float) -> Splits:
    """`splits` with generated images added to the training images, `share` times as many as there are of these.

    They are taken from `samples` (uint8 (M, S, S, 3), classes in the `.csv` beside it) as evenly over the classes as
    possible, the first of each, so that a larger share contains a smaller one. Raises UserError if there are fewer
    than that, or if a class is unknown.
    """
    wanted = round(twelve_digits(share * len(splits.train)))
    if not wanted:
        return splits
    table = read_table(samples.with_suffix(".csv"))
    unknown = sorted(set(table["class"]) - set(splits.classes))
    if unknown:
        foreign = f"holds images of '{unknown[0]}', which the data set does not know"
        raise UserError(f"{samples}: {foreign}; train on the generator's own data set")
    if wanted > len(table):
        raise UserError(
            f"{samples}: holds {len(table)} images and data.generated.share = {share:g} of {len(splits.train)} real "
            f"ones needs {wanted}; raise per_class in the generator's samples"
        )
    turn = table.groupby("class").cumcount().to_numpy()  # an image's number in its class
    rows = np.sort(np.argsort(turn, kind="stable")[:wanted])
    pixels = joined(splits.train.pixels, ArrayFile(samples), torch.from_numpy(rows))
    labels = torch.tensor([splits.classes.index(name) for name in table["class"].iloc[rows]])
    names = (*splits.train.names, *(f"generated/{row}" for row in rows.tolist()))
    train = Images(pixels, torch.cat([splits.train.labels, labels]), names)
    return replace(splits, train=train)


# Features


def parts_of(splits: Splits) -> dict[str, Images]:
    """The parts of `splits` that have images of their own: those of validation may be the test's."""
    names = [part for part in PARTS if part != "val" or not splits.validated_on_test]
    return {part: images for part in names if (images := getattr(splits, part)) is not None}


def write_features(folder: Path, splits: Splits, features: Iterator[Tensor], backbone: str) -> None:
    """Write the features of the images of `parts_of(splits)`, part after part: batches of float32 (B, H, F), the inputs
    of H heads. `backbone` is the hash of the network before these."""
    rows = [
        (part, name, splits.classes[label])
        for part, images in parts_of(splits).items()
        for name, label in zip(images.names, images.labels.tolist(), strict=True)
    ]
    with atomic(folder / "features.npy") as temporary, open(temporary, "wb") as file:
        first = next(features)
        form = {"descr": "<f4", "fortran_order": False, "shape": (len(rows), *first.shape[1:])}
        np.lib.format.write_array_header_1_0(file, form)
        for batch in chain([first], features):
            file.write(batch.numpy().tobytes())
    write_table(folder / "features.csv", ("part", "image", "class"), rows)
    validated = None if splits.val is None else "test" if splits.validated_on_test else "val"
    facts = {"backbone": backbone, "classes": list(splits.classes), "validated_on": validated}
    write_json(folder / "features.json", facts)


def load_features(folder: Path) -> Splits:
    """The splits with features, float32 (N, H, F), in place of pixels; they stay in their file."""
    table = read_table(folder / "features.csv")
    features = ArrayFile(folder / "features.npy")
    facts = read_json(folder / "features.json")
    number = {name: label for label, name in enumerate(facts["classes"])}

    def take(part: str) -> Images:
        chosen = table["part"] == part
        labels = torch.tensor([number[name] for name in table["class"][chosen].tolist()])
        rows = torch.from_numpy(np.flatnonzero(chosen))
        return Images(Stored([(features, rows)]), labels, tuple(table["image"][chosen].tolist()))

    parts = {part: take(part) for part in PARTS}
    validated = facts["validated_on"]
    val = parts[validated] if validated else None
    return Splits(parts["train"], val, parts["test"], tuple(facts["classes"]), validated == "test")
