"""Folders of images: a folder a class, and Tiny ImageNet."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from florilegium.config.data import Dataset
from florilegium.core.errors import UserError, unknown
from florilegium.data.decode import is_image
from florilegium.data.splits import OWN, SPLITS, Labelled, carve

PARTS = {"val": 0.15, "test": 0.15}


def label_folders(
    dataset: Dataset, images: Sequence[str], *, parts: Mapping[str, float] = PARTS, given: str = "folders"
) -> Labelled:
    """Class, and split where folders say it, of each image by the folders above it.

    Args:
        parts: what part of the training images a split gets that has no folder.
        given: what the origin of the splits is called that have one.

    Raises UserError for an image outside any class folder, for folders of a class that `classes`
    does not name, for other folders beside train, val and test, and for a class too small to split.
    """
    below = _unwrapped(images)
    tops = {path[0] for path in below.values()}
    has_splits = tops <= set(SPLITS) and any(len(path) > 2 for path in below.values())
    train_is_split = "train" in tops and all(len(p) > 2 for p in below.values() if p[0] == "train")
    if train_is_split and not has_splits:
        other = sorted(tops - set(SPLITS))[0]
        raise UserError(
            f"{dataset.title}: the folder '{other}' stands beside 'train', which holds folders; name the "
            "splits train, val and test, and keep nothing else beside them"
        )
    depth = 1 if has_splits else 0
    labels = {image: _class(dataset, path, depth, image) for image, path in below.items()}
    classes = dataset.classes or tuple(sorted(set(labels.values())))
    splits = {image: path[0] if has_splits else "train" for image, path in below.items()}
    missing = {split: part for split, part in parts.items() if split not in splits.values()}
    train = {image: labels[image] for image, split in splits.items() if split == "train"}
    drawn = carve(train, missing, where=dataset.title) if missing else {}
    origin = f"{given}; {next(iter(missing))} is {OWN}" if missing else given
    return Labelled(labels, splits | drawn, classes, origin if has_splits else OWN)


def _unwrapped(images: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The parts of each path below the folders that wrap everything."""
    below = {image: PurePosixPath(image).parts for image in images}
    while len({parts[0] for parts in below.values()}) == 1 and all(len(parts) > 2 for parts in below.values()):
        below = {image: parts[1:] for image, parts in below.items()}
    return below


def _class(dataset: Dataset, parts: tuple[str, ...], depth: int, image: str) -> str:
    if len(parts) < depth + 2:
        raise UserError(f"{dataset.title}: {image} lies in no class folder; move it into one, or remove it")
    if dataset.classes and parts[depth] not in dataset.classes:
        raise unknown("class", parts[depth], dataset.classes, f"{dataset.title}: {image}")
    return parts[depth]


TRAIN = re.compile(r"(?:.*/)?train/([^/]+)/images/[^/]+")
VAL = re.compile(r"(?:.*/)?val/images/[^/]+")
ANNOTATIONS, CLASSES, WORDS = "val_annotations.txt", "wnids.txt", "words.txt"
TINY_PARTS = {"val": 0.1}
ORIGIN = f"official train, and official val as test; val is {OWN}"


def is_member(path: str) -> bool:
    """True for the path of a labelled image."""
    return is_image(path) and bool(TRAIN.fullmatch(path) or VAL.fullmatch(path))


def label_tiny(dataset: Dataset, root: Path, paths: Sequence[str], images: Sequence[str]) -> Labelled:
    """Class and split of each image, and the words of the classes where `words.txt` is there.

    Raises UserError for an absent table, an image that the table does not cover, and a class that is
    not among `classes` (without those, among the lines of `wnids.txt`).
    """
    training = {image: match[1] for image in images if (match := TRAIN.fullmatch(image))}
    annotated = {line[0]: line[1] for line in _lines(dataset, root, paths, ANNOTATIONS, 2)}
    testing = {image: PurePosixPath(image).name for image in images if image not in training}
    uncovered = [image for image, name in testing.items() if name not in annotated]
    if uncovered:
        raise UserError(f"{root}: {ANNOTATIONS} does not cover {uncovered[0]}; remove that image or get the right file")
    labels = training | {image: annotated[name] for image, name in testing.items()}
    classes = dataset.classes or tuple(line[0] for line in _lines(dataset, root, paths, CLASSES, 1))
    strange = next((image for image in labels if labels[image] not in classes), None)
    if strange is not None:
        raise unknown("class", labels[strange], classes, f"{dataset.title}: {strange}")
    splits = carve(training, TINY_PARTS, where=dataset.title) | dict.fromkeys(testing, "test")
    has_words = any(PurePosixPath(path).name == WORDS for path in paths)
    words = {line[0]: line[1] for line in _lines(dataset, root, paths, WORDS, 2)} if has_words else {}
    names = {label: words[label].split(",")[0].strip() for label in classes if label in words}
    return Labelled(labels, splits, classes, ORIGIN, names)


def _lines(dataset: Dataset, root: Path, paths: Sequence[str], name: str, columns: int) -> list[list[str]]:
    """The lines of a table, cut at tabs."""
    matches = [path for path in paths if PurePosixPath(path).name == name]
    if not matches:
        raise UserError(f"{dataset.title}: {name} is not below {root}; fetch it, it is part of the data set")
    text = (root / matches[0]).read_text(encoding="utf-8", errors="replace")
    lines = [line.split("\t") for line in text.splitlines() if line.strip()]
    short = next((number for number, line in enumerate(lines, 1) if len(line) < columns), None)
    if short is not None:
        raise UserError(
            f"{root / matches[0]}: line {short} has less than {columns} columns; get the file from its makers"
        )
    return lines
