"""Classes and splits of images: seeded stratified splits, folders of images, and Tiny ImageNet.

An image's place in a seeded split is a hash of the seed and its own name, so that a split is the same on every
machine, however the files are packed, and one image more or less hardly moves the others.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError, unknown
from florilegium.core.names import name_bytes, spelt
from florilegium.core.system import twelve_digits
from florilegium.data.kinds import is_image
from florilegium.data.splits import WORDS, Layout, by_folders

SPLITS = tuple(WORDS)
SEED = 0
OWN = "the project's own, seeded and stratified"


@dataclass(frozen=True)
class Labelled:
    """Images as their layout labels them."""

    labels: dict[str, str]  # class by image
    splits: dict[str, str]  # split by image
    classes: tuple[str, ...]  # in label order, absent ones included
    origin: str  # of the splits
    words: dict[str, str] = field(default_factory=dict)  # readable names of classes that are called by a code


# Seeded splits


def carve(labels: Mapping[str, str], parts: Mapping[str, float], *, where: str) -> dict[str, str]:
    """Take the splits `parts` (split: fraction) from the images of each class; the rest is `train`.

    `labels` are the classes by image, the result the splits; every class has at least one image in each part and in
    train. Raises UserError, which begins with `where`, for a class of fewer images than there are splits.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for image in shuffled(labels, lambda image: PurePosixPath(image).name):
        members[labels[image]].append(image)
    splits = dict.fromkeys(labels, "train")
    for label, images in sorted(members.items()):
        if len(images) <= len(parts):
            raise UserError(
                f"{where}: class '{label}' has too few images to split, {len(images)} where {len(parts) + 1} are "
                f"needed (one each for train, {', '.join(parts)}); add images or leave the class out"
            )
        remaining = iter(images)
        for split, fraction in parts.items():
            for _ in range(share(fraction, len(images))):
                splits[next(remaining)] = split
    return splits


def shuffled(images: Iterable[str], key: Callable[[str], str]) -> list[str]:
    """`images` in a random order that the texts `key(image)` alone decide; equal ones go by the image."""
    return sorted(images, key=lambda image: (hashlib.sha256(name_bytes(spelt(f"{SEED}:{key(image)}"))).digest(), image))


def share(fraction: float, count: int) -> int:
    """`fraction` of `count` images as a whole number, at least one."""
    return max(1, round(twelve_digits(fraction * count)))


# A folder a class

PARTS = {"val": 0.15, "test": 0.15}


def label_folders(
    dataset: Dataset, images: Sequence[str], *, parts: Mapping[str, float] = PARTS, given: str = "folders"
) -> Labelled:
    """Class, and split where folders say it, of each image by the folders above it.

    Args:
        parts: what part of the training images a split gets that has no folder.
        given: the origin of the splits that have one, in a word.

    Raises:
        UserError: an image lies outside any class folder, a folder's class is not among `classes`, there is no
            split to train on, a class is too small to split, or `by_folders` cannot tell splits from classes.
    """
    layout = by_folders(images, dataset.title, dataset.classes)
    there = set(layout.splits.values())
    has_splits = bool(there - {"train"})  # a folder `train` alone wraps everything
    labels = {image: _class(dataset, layout, image) for image in images}
    classes = dataset.classes or tuple(sorted(set(labels.values())))
    splits = {image: layout.splits[image] if has_splits else "train" for image in images}
    missing = {split: part for split, part in parts.items() if split not in splits.values()}
    train = {image: labels[image] for image, split in splits.items() if split == "train"}
    if not train:
        raise UserError(f"{dataset.title}: has the splits {layout.said} and none to train on; add a folder train")
    carved = carve(train, missing, where=dataset.title) if missing else {}
    if layout.said != ", ".join(split for split in SPLITS if split in there):
        given = f"{given}: {layout.said}"
    origin = f"{given}; {next(iter(missing))} is {OWN}" if missing else given
    return Labelled(labels, splits | carved, classes, origin if has_splits else OWN)


def _class(dataset: Dataset, layout: Layout, image: str) -> str:
    if image not in layout.labels:
        flat = f"; the folders {layout.said} are splits" if layout.said and not layout.labels else ""
        raise UserError(f"{dataset.title}: {image} lies in no class folder{flat}; move it into one, or remove it")
    label = layout.labels[image]
    if dataset.classes and label not in dataset.classes:
        raise unknown("class", label, dataset.classes, f"{dataset.title}: {image}")
    return label


# Tiny ImageNet

TRAIN = re.compile(r"(?:.*/)?train/([^/]+)/images/[^/]+")
VAL = re.compile(r"(?:.*/)?val/images/[^/]+")
ANNOTATIONS, CLASSES, TITLES = "val_annotations.txt", "wnids.txt", "words.txt"
TINY_PARTS = {"val": 0.1}
ORIGIN = f"official train, and official val as test; val is {OWN}"


def is_tiny_image(path: str) -> bool:
    """True for the path of a labelled image of Tiny ImageNet."""
    return is_image(path) and bool(TRAIN.fullmatch(path) or VAL.fullmatch(path))


def label_tiny(dataset: Dataset, root: Path, paths: Sequence[str], images: Sequence[str]) -> Labelled:
    """Class and split of each image, and the words of the classes where `words.txt` is there.

    Raises:
        UserError: a table is absent, the table of validation images does not cover an image, or a class is not
            among `classes` (without those, among the lines of `wnids.txt`).
    """
    training = {image: match[1] for image in images if (match := TRAIN.fullmatch(image))}
    annotated = {line[0]: line[1] for line in _lines(dataset, root, paths, ANNOTATIONS, 2)}
    testing = {image: PurePosixPath(image).name for image in images if image not in training}
    uncovered = next((image for image, name in testing.items() if name not in annotated), None)
    if uncovered is not None:
        raise UserError(f"{root}: {ANNOTATIONS} does not cover {uncovered}; remove that image or get the right file")
    labels = training | {image: annotated[name] for image, name in testing.items()}
    classes = dataset.classes or tuple(line[0] for line in _lines(dataset, root, paths, CLASSES, 1))
    strange = next((image for image in labels if labels[image] not in classes), None)
    if strange is not None:
        raise unknown("class", labels[strange], classes, f"{dataset.title}: {strange}")
    splits = carve(training, TINY_PARTS, where=dataset.title) | dict.fromkeys(testing, "test")
    lines = _lines(dataset, root, paths, TITLES, 2) if path_of(TITLES, paths) else []
    words = {line[0]: line[1].split(",")[0].strip() for line in lines}
    return Labelled(labels, splits, classes, ORIGIN, {name: words[name] for name in classes if name in words})


def path_of(name: str, paths: Iterable[str]) -> str | None:
    """The first of `paths` to a file called `name`; None without any."""
    return next((path for path in paths if PurePosixPath(path).name == name), None)


def _lines(dataset: Dataset, root: Path, paths: Sequence[str], name: str, columns: int) -> list[list[str]]:
    """The lines of a table, cut at tabs."""
    path = path_of(name, paths)
    if path is None:
        raise UserError(f"{dataset.title}: {name} is not below {root}; fetch it, it is part of the data set")
    text = (root / path).read_text(encoding="utf-8", errors="replace")
    lines = [line.split("\t") for line in text.splitlines() if line.strip()]
    short = next((number for number, line in enumerate(lines, 1) if len(line) < columns), None)
    if short is not None:
        raise UserError(f"{root / path}: line {short} has less than {columns} columns; get the file from its makers")
    return lines
