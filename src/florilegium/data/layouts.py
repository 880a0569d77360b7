"""From a list of files to a table of images with class and split, for every layout."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError
from florilegium.data.cifar import label_cifar
from florilegium.data.extract import is_archive
from florilegium.data.kinds import is_image, sorted_out
from florilegium.data.labels import SPLITS, Labelled, is_tiny_image, label_folders, label_tiny
from florilegium.data.oxford import IMAGE_17, IMAGE_102, label_17, label_102

VOC_IMAGE = re.compile(r"(?:.*/)?JPEGImages/[^/]+")

# Tests of a path: is it an image of that layout? In all other layouts every picture is one. Apart from LABELLERS,
# since hashing and packing read images of all layouts and no labels.
MEMBERS: dict[str, Callable[[str], bool]] = {
    "oxford17": lambda path: IMAGE_17.fullmatch(PurePosixPath(path).name) is not None,
    "oxford102": lambda path: IMAGE_102.fullmatch(PurePosixPath(path).name) is not None,
    "tiny_imagenet": is_tiny_image,
    "voc": lambda path: VOC_IMAGE.fullmatch(path) is not None and is_image(path),
}
# Functions of the data set, the root of its files, their paths, those of its images, and the official split.
LABELLERS: dict[str, Callable[[Dataset, Path, Sequence[str], Sequence[str], int | None], Labelled]] = {
    "oxford17": label_17,
    "oxford102": label_102,
    "tiny_imagenet": lambda dataset, root, paths, images, split: label_tiny(dataset, root, paths, images),
    "cifar10": lambda dataset, root, paths, images, split: label_cifar(dataset, images),
    "cifar100": lambda dataset, root, paths, images, split: label_cifar(dataset, images),
    "folders": lambda dataset, root, paths, images, split: label_folders(dataset, images),
}
CIFAR = "its published archive, or one folder of images a class in train and in test"
EXPECTED = {
    "oxford17": "files named image_0001.jpg to image_1360.jpg",
    "oxford102": "files named image_00001.jpg to image_08189.jpg",
    "cifar10": CIFAR,
    "cifar100": CIFAR,
    "tiny_imagenet": "train/<wnid>/images and val/images",
    "folders": "one folder of images a class",
}


@dataclass(frozen=True)
class Index:
    """The images of a data set, sorted, each with its class and split."""

    rows: tuple[tuple[str, str, str], ...]  # image, class, split
    classes: tuple[str, ...]  # in label order, those that have images
    absent_classes: tuple[str, ...]
    split_origin: str
    words: dict[str, str]  # of classes whose name is a code

    def summary(self) -> dict[str, Any]:
        """The content of `images.json`."""
        count = Counter(split for _, _, split in self.rows)
        return {
            "n_images": len(self.rows),
            "n_classes": len(self.classes),
            "classes": list(self.classes),
            "absent_classes": list(self.absent_classes),
            "words": self.words,
            "split_origin": self.split_origin,
            **{f"n_{split}": count[split] for split in SPLITS},
        }


def other_files(listing: Mapping[str, Any]) -> list[str]:
    """Names of the published files that another one stands in for, from a data set's `files.json`."""
    return [origin["file"] for origin in listing["origin"] if origin.get("published") is False]


def recognise(layout: str, root: Path, paths: Iterable[str]) -> list[str]:
    """Those of `paths` (files below `root`) that are images of a data set of that layout, sorted."""
    if layout in MEMBERS:
        return sorted(filter(MEMBERS[layout], paths))
    return sorted_out(root, paths).images


def strangers(layout: str, root: Path, paths: Iterable[str]) -> dict[str, list[str]]:
    """Those of `paths` that `recognise` leaves out, by the reason; none in a layout that has other files, too."""
    return {} if layout in MEMBERS else sorted_out(root, paths).left_out


def index(dataset: Dataset, root: Path, paths: Sequence[str], split: int | None = None) -> Index:
    """Label the images among `paths` (files below `root`) as the data set's layout says.

    Args:
        split: number of the official split, from 1; None for a data set with one or none.

    Raises:
        UserError: there are no images, an image has no class or no split, the split number is
            unknown, or a class or a split is left without the images that it needs.
    """
    title = dataset.title
    if split is not None and not 1 <= split <= dataset.official_splits:
        known = f"has 1 to {dataset.official_splits}" if dataset.official_splits else "has none"
        raise UserError(f"{title}: unknown official split {split}; the data set {known}")
    images = recognise(dataset.layout, root, paths)
    if not images:
        packed = next(filter(is_archive, sorted(paths)), None)
        unpack = f"; unpack {packed}" if packed else ""
        raise UserError(
            f"{title}: there are no images among the {len(paths)} files below {root}; layout {dataset.layout} wants "
            f"{EXPECTED[dataset.layout]}{unpack}"
        )
    labelled = LABELLERS[dataset.layout](dataset, root, paths, images, split)
    rows = tuple((image, labelled.labels[image], labelled.splits[image]) for image in sorted(labelled.labels))
    present = {label for _, label, _ in rows}
    if len(present) < 2:
        raise UserError(f"{title}: all images are of one class, '{present.pop()}'; a second one is needed")
    if untrained := present - {label for _, label, part in rows if part == "train"}:
        raise UserError(f"{title}: class '{min(untrained)}' has no image to train on; add some or leave the class out")
    if empty := set(SPLITS) - {part for _, _, part in rows}:
        raise UserError(f"{title}: no image is in the split {min(empty)}; add some")
    return Index(
        rows=rows,
        classes=tuple(c for c in labelled.classes if c in present),
        absent_classes=tuple(c for c in labelled.classes if c not in present),
        split_origin=labelled.origin,
        words={c: words for c, words in labelled.words.items() if c in present and c != words},
    )
