"""What lies in a folder, or a COCO file, that somebody wants to begin with: told before anything is written."""

import math
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError, counted, some
from florilegium.core.names import shown
from florilegium.core.walk import walk
from florilegium.data.annotations import check
from florilegium.data.coco_splits import split_of_file
from florilegium.data.extract import is_archive
from florilegium.data.json_files import read_foreign_json
from florilegium.data.kinds import content_is_image, head, say_left_out, sorted_out
from florilegium.data.labels import SPLITS
from florilegium.data.layouts import MEMBERS, Index
from florilegium.data.layouts import index as table_of

FEW, ENOUGH = 10, 400  # pictures of a class to train on, and to test on, below which a remark is due
SHOWN = 3  # faults that a sentence names
VOC_FILE = re.compile(r"(.*/)?Annotations/[^/]+\.xml")
YOLO_FILE, YOLO_PICTURE = re.compile(r"(.*/)?labels/.*\.txt"), re.compile(r"(.*/)?images/.*")
ANNOTATION_FOLDERS = ("annotations", "labels")


@dataclass(frozen=True)
class Found:
    """Pictures with classes or boxes, as the workflow will read them."""

    folder: Path
    dataset: Dataset
    classes: tuple[str, ...]
    images: dict[str, int]
    """By split, none of them 0."""
    origin: str
    """Of the splits, in words."""
    least: tuple[str, int]
    """The class of the fewest pictures, or objects, to train on, and how many."""
    boxes: int = 0
    faults: tuple[str, ...] = ()
    """What the workflow would stop at: boxes without area, or files that are no pictures by their first bytes."""

    @property
    def place(self) -> Path:
        """What names it: the folder, or the file of the boxes where that is all that was given."""
        only = self.dataset.annotations
        return self.folder / only["train"] if only else self.folder

    @property
    def has_boxes(self) -> bool:
        return self.dataset.has_boxes

    def told(self) -> str:
        """What was found, in a sentence."""
        splits = ", ".join(f"{count:,} {split}" for split, count in self.images.items())
        of = f", {counted(self.boxes, 'box', 'boxes')}" if self.has_boxes else ""
        total = counted(sum(self.images.values()), "picture")
        return f"{total} of {counted(len(self.classes), 'class', 'classes')}{of}: {splits} ({self.origin})"

    def remarks(self) -> list[str]:
        """What a person should know before a training, in sentences."""
        name, least = self.least
        things, n = ("boxes" if self.has_boxes else "pictures"), self.images["test"]
        few = [f"class '{shown(name)}' has {least} of the {things} to train on, the fewest"] if least < FEW else []
        if not self.has_boxes and n < ENOUGH:
            points = round(100 * 1.96 * math.sqrt(0.25 / n))
            few.append(
                f"{counted(n, 'test picture')} tell an accuracy to within {points} points at best (95 %); more help"
            )
        if self.faults:
            what = "boxes are bad" if self.has_boxes else "files are no pictures, though their names say so"
            few.append(f"{len(self.faults)} {what}, and will be left out: {some(self.faults, SHOWN)}")
        return few


def find(path: Path, project: Path) -> Found:
    """What lies at `path`: a folder of pictures, a COCO file, or a folder with such files.

    Raises:
        UserError: there is nothing that can be trained and tested on, or it cannot be told what it is.
    """
    if not path.exists():
        raise UserError(f"{path}: there is no such folder or file; mend the path")
    whole = path.resolve()
    if project.resolve().is_relative_to(whole):
        raise UserError(f"{path}: the project itself lies in this folder; give the folder of the pictures alone")
    try:
        str(whole).encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f"{shown(str(path))}: its path holds bytes that are no UTF-8; rename the folder") from None
    if path.is_file():
        return _annotated_file(whole)
    walked = walk(whole)
    title, folder = shown(whole.name), str(whole)
    if _has_annotations(whole, walked.files):
        return _boxed(whole, Dataset(title=title, layout="coco", folder=folder), walked.files)
    if any(map(VOC_FILE.fullmatch, walked.files)) and any(map(MEMBERS["voc"], walked.files)):
        return _boxed(whole, Dataset(title=title, layout="voc", folder=folder), walked.files)
    yolo = next(filter(YOLO_FILE.fullmatch, walked.files), None)
    if yolo and any(map(YOLO_PICTURE.fullmatch, walked.files)):
        raise UserError(f"{path}: {yolo} looks like boxes in YOLO's form, which is not read; convert them to COCO's")
    found = sorted_out(whole, walked.files)
    say_left_out(path, walked.left_out | found.left_out, sys.stderr)
    if not found.images:
        packed = next(filter(is_archive, walked.files), None)
        way_out = f"unpack {packed}, or give" if packed else "give"
        raise UserError(f"{path}: holds no pictures that can be read; {way_out} a folder with a folder for each class")
    return _labelled(whole, Dataset(title=title, layout="folders", folder=folder), walked.files)


def _annotated_file(path: Path) -> Found:
    """A single COCO file; its pictures lie beside it, or beside its folder where that is one of annotations."""
    if path.suffix.lower() != ".json":
        if is_archive(path.name):
            raise UserError(f"{path}: is an archive; unpack it, and give its folder")
        raise UserError(f"{path}: is neither a folder nor a COCO file (.json); give one of them")
    if not _is_coco(path):
        raise UserError(f"{path}: is no COCO file, since it has no `images` and `annotations`; give one that has")
    folder = path.parent
    if folder.name.lower() in ANNOTATION_FOLDERS:
        folder = folder.parent
    annotations: dict[Any, str] = {"train": path.relative_to(folder).as_posix()}
    dataset = Dataset(title=shown(path.stem), layout="coco", folder=str(folder), annotations=annotations)
    return _boxed(folder, dataset, walk(folder).files)


def _has_annotations(folder: Path, files: list[str]) -> bool:
    """True for a folder whose JSON files hold boxes; beside pictures in class folders may lie any others."""
    tables = [name for name in files if name.lower().endswith(".json")]
    likely = [name for name in tables if split_of_file(name)] or tables[:1] * (len(tables) == 1)
    return any(_is_coco(folder / name, must_be=split_of_file(name) is not None) for name in likely)


def _is_coco(path: Path, *, must_be: bool = True) -> bool:
    """True for a file in COCO form; one that cannot be read is none, unless its name says that it `must_be`."""
    try:
        content = read_foreign_json(path)
    except UserError:
        if must_be:
            raise
        return False
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def _boxed(folder: Path, dataset: Dataset, files: list[str]) -> Found:
    checked = check(dataset, folder, files, "drop")
    index, names = checked.index(), checked.annotated.categories
    shown_in = Counter(names[a.category] for a in checked.annotated.parts["train"].annotations if not a.crowd)
    if not shown_in:
        raise UserError(f"{folder}: no picture to train on has a box; add some")
    return Found(
        folder=folder,
        dataset=dataset,
        classes=index.classes,
        images=_counts(index),
        origin=index.split_origin,
        least=_least(shown_in),
        boxes=checked.counts()["n_boxes"],
        faults=tuple(bad.told() for bad in checked.bad),
    )


def _labelled(folder: Path, dataset: Dataset, files: list[str]) -> Found:
    index = table_of(dataset, folder, files)
    faults = tuple(shown(name) for name, _, _ in index.rows if not looks_right(folder / name))
    in_train = Counter(label for _, label, split in index.rows if split == "train")
    counts = _counts(index)
    return Found(folder, dataset, index.classes, counts, index.split_origin, _least(in_train), faults=faults)


def looks_right(path: Path) -> bool:
    """True for a file that is a picture by its first bytes, too."""
    return content_is_image(head(path), path.suffix.lower())


def _counts(index: Index) -> dict[str, int]:
    counts = Counter(split for _, _, split in index.rows)
    return {split: counts[split] for split in SPLITS}


def _least(counts: Counter[str]) -> tuple[str, int]:
    return min(counts.items(), key=lambda item: (item[1], item[0]))
