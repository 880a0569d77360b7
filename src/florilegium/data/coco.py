"""Data sets in COCO form: the annotation file of each split, and the objects in it.

Converters write numbers and flags as text, leave out what they do not know, and give outlines in place of boxes; what
is read here is the same for training, evaluation and submission.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from florilegium.config.datasets import Dataset
from florilegium.core.errors import UserError, some
from florilegium.core.system import say
from florilegium.core.walk import walk
from florilegium.data.annotated import Annotated, Annotation, Part, Picture, refuse_doubles, refuse_repeated
from florilegium.data.coco_form import Categories, CocoFile, Key, entries_of, key_of, numbered, read_coco_file
from florilegium.data.coco_splits import ADVICE, annotation_files, split_of_file
from florilegium.data.image_names import ImageNames
from florilegium.data.json_files import flag, number, worded
from florilegium.data.layouts import recognise
from florilegium.data.outlines import box_of

ORIGIN = "annotation files"
EXTRA = ("difficult", "truncated")
PATH = 200  # characters of a path that it shows
# Keys of the annotations in COCO's other files.
NO_BOXES = {"segments_info": "COCO's panoptic segmentation", "caption": "COCO's captions"}

Finder = Callable[[CocoFile, str, str], dict[int, str]]
"""The path of each image by its id, of a file, its own path and its split."""


# Annotations


def read_annotations(file: CocoFile, categories: Categories) -> tuple[Annotation, ...]:
    """The objects of a file.

    A box is as in the file, numbers in texts read; where there is none, it is that of the outline.

    Raises:
        UserError: an id is there twice, an annotation is of an unknown image or category, or a flag is neither yes nor
            no.
    """
    entries = entries_of(file.content, "annotations", file.where)
    for field, kind in NO_BOXES.items():
        if entries and field in entries[0]:
            raise UserError(f"{file.where}: it holds {kind}, and no boxes; name the file of instances")
    keys = [
        None if entry.get("id") is None else key_of(entry["id"], "id", f"annotation {place}", file.where)
        for place, entry in enumerate(entries, 1)
    ]
    known = [key for key in keys if key is not None]
    refuse_repeated("annotation", known, file.where)
    numbers = numbered(known)
    free = max([0, *numbers.values()])
    reader = _Reader(file, categories)
    found = []
    for key, entry in zip(keys, entries, strict=True):
        free += key is None
        found.append(reader.read(entry, free if key is None else numbers[key], free if key is None else key))
    reader.tell()
    return tuple(found)


class _Reader:
    """Reads annotations, and counts what it had to make up."""

    def __init__(self, file: CocoFile, categories: Categories) -> None:
        self.file, self.categories = file, categories
        self.outlined = 0
        self.areas: list[tuple[Key, object]] = []  # annotations whose area is no area

    def read(self, entry: dict[str, Any], number: int, key: Key) -> Annotation:
        image = self._of(entry, "image_id", self.file.numbers, key)
        category = self._of(entry, "category_id", self.categories.numbers, key)
        flags = {name: int(self._flag(entry, name, key)) for name in EXTRA if name in entry}
        if self._flag(entry, "ignore", key):
            flags["difficult"] = 1
        return Annotation(
            number,
            image,
            category,
            self._box(entry),
            area=self._area(entry, key),
            crowd=self._flag(entry, "iscrowd", key),
            extra=flags,
        )

    def tell(self) -> None:
        """Say what was made up."""
        if self.outlined:
            say(f"{self.file.where}: {self.outlined} objects have no bbox; it is the box around their segmentation")
        if self.areas:
            key, value = self.areas[0]
            count = f"{len(self.areas)} objects have an area that is none (first {worded(value)}, annotation {key})"
            say(f"{self.file.where}: {count}; it is that of their boxes")

    def _of(self, entry: dict[str, Any], name: str, numbers: Mapping[Key, int], key: Key) -> int:
        value = key_of(entry.get(name), name, f"annotation {key}", self.file.where)
        if value in numbers:
            return numbers[value]
        if name == "image_id":
            raise UserError(
                f"{self.file.where}: annotation {key} is of image {worded(value)}, which is not in the file; add the "
                "image, or remove its annotations"
            )
        names = [f"{self.categories.given[n]} {name}" for n, name in self.categories.names.items()]
        known = f"known: {some(names)}" if names else "the file has no list of categories"
        raise UserError(f"{self.file.where}: annotation {key} is of the unknown category {worded(value)} ({known})")

    def _flag(self, entry: dict[str, Any], name: str, key: Key) -> bool:
        value = entry.get(name)
        found = flag(value)
        if found is None:
            raise UserError(f"{self.file.where}: the {name} of annotation {key} is {worded(value)}; it must be 0 or 1")
        return found

    def _box(self, entry: dict[str, Any]) -> Any:
        box = entry.get("bbox")
        if box is None or box == []:
            found = box_of(entry.get("segmentation"))
            self.outlined += found is not None
            return found
        if isinstance(box, list) and any(isinstance(value, str) for value in box):
            values = [number(value) if isinstance(value, str) else value for value in box]
            return box if None in values else values
        return box

    def _area(self, entry: dict[str, Any], key: Key) -> float | None:
        value = entry.get("area")
        if value is None or value == "":
            return None
        found = number(value)
        if found is None or found < 0:
            self.areas.append((key, value))
            return None
        return float(found)


# A data set


def read_coco(dataset: Dataset, root: Path, paths: Sequence[str]) -> Annotated:
    """The annotation files among `paths` (files below `root`), one a split.

    Raises:
        UserError: there is no file for training or more than one for a split, a file is not in COCO form,
            an id is there twice, an annotation names an unknown image or category, or an image is not
            among `paths`.
    """
    title = dataset.title or str(root)
    files = annotation_files(dataset, root, paths)
    if "train" not in files:
        raise UserError(f"{title}: {_nothing_to_train_on(dataset, root, paths)}")
    return read_parts(dataset, root, files, among(dataset, root, paths))


def read_parts(dataset: Dataset, root: Path, files: Mapping[str, str], find: Finder, below: str = "") -> Annotated:
    """The parts of a data set, from the annotation file (below `root`) of each.

    `find` finds the images of a file; sentences put `below` before the names of the files. Raises UserError as
    `read_coco`.
    """
    title = dataset.title or str(root)
    categories = Categories()
    parts: dict[str, Part] = {}
    for split, path in files.items():
        file = read_coco_file(root / path, below + path)
        categories.add(file)
        parts[split] = _part(file, find(file, path, split), categories, split)
    used = {annotation.category for part in parts.values() for annotation in part.annotations}
    categories.check_names(title if len(files) > 1 else below + next(iter(files.values())), used)
    names = categories.names
    if dataset.classes and set(dataset.classes) != set(names.values()):
        raise UserError(
            f"{title}: classes are {some(dataset.classes)}, and the annotation files have {some(names.values())}; "
            "mend `classes` or leave it out"
        )
    refuse_doubles(parts)
    return Annotated(dict(sorted(names.items())), parts, ORIGIN)


def _nothing_to_train_on(dataset: Dataset, root: Path, paths: Sequence[str]) -> str:
    if dataset.annotations:
        return "`annotations` names no file to train on; add train"
    candidates = [path for path in paths if path.lower().endswith(".json")]
    seen = f" ({len(candidates)} JSON files: {some(candidates, 3)})" if candidates else ""
    return f"there is no train.json below {root}{seen}; add it, or {ADVICE}"


def _part(file: CocoFile, found: Mapping[int, str], categories: Categories, split: str) -> Part:
    annotations = read_annotations(file, categories)
    if not annotations and split != "test":
        raise UserError(
            f"{file.where}: there are no annotations in it; only a test set may go without, so add them, or move the "
            "file away"
        )
    return Part(pictures_of(file, found), annotations, annotated=bool(annotations))


# Images


def among(dataset: Dataset, root: Path, paths: Sequence[str]) -> Finder:
    """Finds images among the files `paths` below `root`."""
    images = recognise(dataset.layout, root, paths)
    return lambda file, path, split: find_images(file, ImageNames(images, path, split))


def find_below(file: CocoFile, root: Path, source: str) -> dict[int, str]:
    """The path of each image of one file, `source`, by its id: the name itself where all are files below `root`, or
    else the file that it may mean.

    Raises:
        UserError: there is no such folder, or what `find_images` refuses.
    """
    names = {number: PurePosixPath(name.replace("\\", "/")) for number, name in file.names().items()}
    if all(_is_below(root, name) for name in names.values()):
        return {number: name.as_posix() for number, name in names.items()}
    images = ImageNames(recognise("coco", root, walk(root).files), source, split_of_file(source), file.where)
    return find_images(file, images, f"below {root}")


def _is_below(root: Path, name: PurePosixPath) -> bool:
    try:
        return not name.is_absolute() and ".." not in name.parts and (root / name).is_file()
    except (OSError, ValueError):  # too long, or with a NUL
        return False


def find_images(file: CocoFile, images: ImageNames, place: str = "among the data set's files") -> dict[int, str]:
    """The path of each image by its id; sentences call the `place` where they are looked for.

    Raises:
        UserError: an image has no file_name, is not there, or may be several files.
    """
    names = file.names()
    found = {number: images.find(name) for number, name in names.items()}
    missing = [names[number] for number, path in found.items() if path is None]
    if missing:
        count = f"{len(missing)} of {len(names)} images are not {place}, first {worded(missing[0], PATH)}"
        raise UserError(f"{file.where}: {count}; put them there, or mend file_name")
    images.tell()
    return {number: path for number, path in found.items() if path is not None}


def pictures_of(file: CocoFile, found: Mapping[int, str]) -> tuple[Picture, ...]:
    """The images of a file at the paths that were found."""
    return tuple(Picture(image.id, found[image.id], image.width, image.height, file.where) for image in file.images)
