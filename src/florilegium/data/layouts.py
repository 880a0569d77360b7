"""From a list of files to a table: image, class, split. One entry point for all layouts."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from florilegium.core.errors import UserError
from florilegium.core.sources import Dataset
from florilegium.data.cifar import label_cifar
from florilegium.data.decode import is_image
from florilegium.data.folders import label_folders
from florilegium.data.oxford import IMAGE_17, IMAGE_102, label_17, label_102
from florilegium.data.splits import SPLITS, Labelled
from florilegium.data.tiny_imagenet import is_member, label_tiny

VOC_IMAGE = re.compile(r"(?:.*/)?VOC\d{4}/JPEGImages/[^/]+\.jpg")
CIFAR = "its published archive, or one folder of images a class in train and in test"
WANTED = {
    "oxford17": "files named image_0001.jpg to image_1360.jpg",
    "oxford102": "files named image_00001.jpg to image_08189.jpg",
    "cifar10": CIFAR,
    "cifar100": CIFAR,
    "tiny_imagenet": "train/<wnid>/images and val/images",
    "folders": "one folder of images a class",
}
NUMBERED = {"oxford17": IMAGE_17, "oxford102": IMAGE_102}


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
    """The published files in whose place another was taken, from a data set's `files.json`."""
    return [origin["file"] for origin in listing["origin"] if origin.get("published") is False]


def recognise(layout: str, paths: Iterable[str]) -> list[str]:
    """Those of `paths` that are images of a data set of that layout, sorted; hidden files are not."""
    return sorted(path for path in paths if not _is_hidden(path) and _is_member(layout, path))


def index(dataset: Dataset, root: Path, paths: Sequence[str], split: int | None = None) -> Index:
    """Label the images among `paths` (files below `root`) as the data set's layout says.

    Args:
        split: which official split, counted from 1; None where there is but one, or none.

    Raises:
        UserError: there are no images, an image has no class or no split, the split number is
            unknown, or a class or a split is left without the images that it needs.
    """
    if split is not None and not 1 <= split <= dataset.official_splits:
        known = f"has 1 to {dataset.official_splits}" if dataset.official_splits else "has none"
        raise UserError(f"{dataset.title}: unknown official split {split}; the data set {known}")
    images = recognise(dataset.layout, paths)
    if not images:
        raise UserError(
            f"{dataset.title}: there are no images among the {len(paths)} files below {root}; layout "
            f"{dataset.layout} wants {WANTED[dataset.layout]}"
        )
    if dataset.layout == "oxford17":
        labelled = label_17(dataset, root, paths, images, split)
    elif dataset.layout == "oxford102":
        labelled = label_102(dataset, root, paths, images, split)
    elif dataset.layout == "tiny_imagenet":
        labelled = label_tiny(dataset, root, paths, images)
    elif dataset.layout in ("cifar10", "cifar100"):
        labelled = label_cifar(dataset, images)
    else:
        labelled = label_folders(dataset, images)
    return _index(dataset.title, labelled)


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(path).parts)


def _is_member(layout: str, path: str) -> bool:
    name = PurePosixPath(path).name
    if layout in NUMBERED:
        return NUMBERED[layout].fullmatch(name) is not None
    if layout == "voc":
        return VOC_IMAGE.fullmatch(path) is not None
    return is_member(path) if layout == "tiny_imagenet" else is_image(name)


def _index(title: str, labelled: Labelled) -> Index:
    rows = tuple((image, labelled.labels[image], labelled.splits[image]) for image in sorted(labelled.labels))
    present = {label for _, label, _ in rows}
    if len(present) < 2:
        raise UserError(f"{title}: all images are of one class, '{present.pop()}'; a second one is needed")
    trained = {label for _, label, split in rows if split == "train"}
    if present - trained:
        raise UserError(
            f"{title}: class '{sorted(present - trained)[0]}' has no image to train on; add some or leave the "
            "class out"
        )
    empty = set(SPLITS) - {split for _, _, split in rows}
    if empty:
        raise UserError(f"{title}: no image is in the split {sorted(empty)[0]}; add some")
    return Index(
        rows=rows,
        classes=tuple(c for c in labelled.classes if c in present),
        absent_classes=tuple(c for c in labelled.classes if c not in present),
        split_origin=labelled.origin,
        words={c: words for c, words in labelled.words.items() if c in present and c != words},
    )
