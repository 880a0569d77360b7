"""Tiny ImageNet (Le and Yang 2015): 200 classes of ImageNet at 64 pixels, in its official layout.

    train/<wnid>/images/*.JPEG     val/images/*.JPEG with val/val_annotations.txt
    wnids.txt, words.txt           test/images/*.JPEG, whose labels are not published: ignored

The makers' validation images are the only labelled ones to test on, and are the test split here;
validation is a seeded stratified tenth of their training images. A part of the classes is legal.
"""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from florilegium.config.data import Dataset
from florilegium.core.errors import UserError, unknown
from florilegium.data.decode import is_image
from florilegium.data.splits import OWN, Labelled, carve

TRAIN = re.compile(r"(?:.*/)?train/([^/]+)/images/[^/]+")
VAL = re.compile(r"(?:.*/)?val/images/[^/]+")
ANNOTATIONS, CLASSES, WORDS = "val_annotations.txt", "wnids.txt", "words.txt"
PARTS = {"val": 0.1}
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
        raise UserError(
            f"{root}: {ANNOTATIONS} does not cover {uncovered[0]}; remove that image or get the right file"
        )
    labels = training | {image: annotated[name] for image, name in testing.items()}
    classes = dataset.classes or tuple(line[0] for line in _lines(dataset, root, paths, CLASSES, 1))
    strange = next((image for image in labels if labels[image] not in classes), None)
    if strange is not None:
        raise unknown("class", labels[strange], classes, f"{dataset.title}: {strange}")
    splits = carve(training, PARTS, where=dataset.title) | dict.fromkeys(testing, "test")
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
