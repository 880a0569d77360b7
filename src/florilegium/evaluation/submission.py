"""Test sets with secret annotations, and checks of a file of detections on one, for `florilegium submit` and
`check-submission`.

The form is that of COCO results: a JSON list of `image_id`, `category_id`, `bbox` (x, y, w, h in pixels of the
original image) and `score`, sorted by image and, in each, by falling score. Ids stand as in the annotation file, since
pycocotools compares them as they are.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from florilegium.core.errors import UserError, some
from florilegium.data.annotated import Part, Picture, finite, four_numbers, refuse_doubles
from florilegium.data.coco import find_below, pictures_of
from florilegium.data.coco_form import Categories, CocoFile, entries_of, read_coco_file
from florilegium.data.frames import views
from florilegium.data.json_files import read_foreign_json, whole, worded

KEYS = ("image_id", "category_id", "bbox", "score")
ROUNDING = 0.02  # pixels that a box may reach over the border, since corners are written with two decimals
SHOWN = 3  # images without a detection that a sentence names
ANNOTATIONS = {"annotations", "annotation", "anns", "ann", "labels"}  # folders that stand beside those of images

Line = Mapping[str, Any]
Size = tuple[int, int]


# Test sets


def read_test_set(path: Path) -> tuple[CocoFile, Categories]:
    """Images and categories of a COCO file, whose annotations may be absent; of two categories of one name they tell
    which is meant.

    Raises:
        UserError: it is no such file.
    """
    file, categories = read_coco_file(path), Categories()
    categories.add(file)
    if not categories.names:
        raise UserError(f"{path}: has no list of categories; results name them by its ids, so add it")
    used = categories.used_in(entries_of(file.content, "annotations", file.where))
    categories.check_names(str(path), used or categories.names.keys())
    return file, categories


def folder_of(annotations: Path) -> Path:
    """The folder below which the images of an annotation file lie: its own, or that around `annotations/`."""
    own = annotations.absolute().parent
    return next((folder.parent for folder in (own, own.parent) if folder.name.lower() in ANNOTATIONS), own)


def find_pictures(file: CocoFile, root: Path) -> tuple[Picture, ...]:
    """The images of a file, found below the folder `root`.

    Raises:
        UserError: there is no such folder, an image is not below it, or two are the same file.
    """
    pictures = pictures_of(file, find_below(file, root, Path(file.where).name))
    refuse_doubles({"the file": Part(pictures, ())})
    return pictures


def order(image_id: Any) -> tuple[bool, Any]:
    """The place of an image's detections in a file of results: numbers rise, and texts come after them."""
    number = whole(image_id)
    return (number is None, image_id if number is None else number)


# Checks


@dataclass(frozen=True)
class Expected:
    """What detections may name: image ids, each with the size of its image where that is known, and category ids."""

    sizes: dict[Any, Size | None]
    categories: set[Any]
    measured: bool = False  # the sizes are those of the image files


def expected(annotations: Path, images: Path | None, drawn_on: str | None) -> Expected:
    """What detections on the test set of an annotation file may name; sizes are those of the files below `images`, in
    the frame of the annotations, or without that folder as the file states them.

    Raises:
        UserError: it is no COCO file, or its images are not below `images`.
    """
    file, categories = read_test_set(annotations)
    sizes: dict[Any, Size | None] = {
        image.given: None if image.width is None or image.height is None else (image.width, image.height)
        for image in file.images
    }
    if images is not None:
        found, _ = views(images, find_pictures(file, images), drawn_on)
        for image in file.images:
            if view := found.get(image.id):
                sizes[image.given] = view.drawn.stored if view.drawn else view.size
    return Expected(sizes, set(categories.given.values()), images is not None)


def read_submission(path: Path) -> list[Any]:
    """The entries of a results file.

    Raises:
        UserError: there is no such file, or it is no JSON list.
    """
    lines = read_foreign_json(path)
    if not isinstance(lines, list):
        raise UserError(f"{path}: holds no list; a results file is a JSON list of detections")
    return lines


def faults(lines: Sequence[Any], test: Expected) -> Iterator[str]:
    """A sentence for each kind of thing that is wrong, with how often and where first."""
    forms = [(number, problem) for number, line in enumerate(lines, start=1) if (problem := _form(line))]
    if forms:
        number, problem = forms[0]
        first = f"first: detection {number} {problem}"
        yield f"{len(forms)} of {len(lines)} detections are in another form ({first}); write all of {', '.join(KEYS)}"
    malformed = {number for number, _ in forms}
    known = [(number, line) for number, line in enumerate(lines, start=1) if number not in malformed]

    def outside(line: Line) -> bool:
        size = test.sizes.get(line["image_id"])
        fits = size is None or not finite(line["bbox"]) or _inside(line["bbox"], size)
        return not fits and not _explained(line, test)

    checks: list[tuple[Callable[[Line], bool], str]] = [
        (lambda line: line["image_id"] not in test.sizes, "an image_id that the annotations do not have"),
        (lambda line: line["category_id"] not in test.categories, "a category_id that the annotations do not have"),
        (lambda line: not 0 <= line["score"] <= 1, "a score that is not between 0 and 1"),
        (lambda line: not finite(line["bbox"]), "a bbox that is not finite"),
        (lambda line: min(line["bbox"][2:]) < 0, "a bbox of negative width or height: it must be x, y, w, h"),
        (outside, "a bbox that reaches out of its image: it must be in pixels of the original"),
    ]
    for wrong, problem in checks:
        found = [(number, line) for number, line in known if wrong(line)]
        if found:
            number, line = found[0]
            example = f"detection {number}, {json.dumps({key: line[key] for key in KEYS})}"
            yield f"{len(found)} of {len(lines)} detections have {problem} (first: {example}){_hint(line, test)}"
    if known and all(0 <= value <= 1 for _, line in known for value in line["bbox"]):
        yield "all boxes lie in the first pixel of their images: bbox must be in pixels, and not in fractions of a side"
    for (_, before), (number, after) in pairwise(known):
        if (order(after["image_id"]), -after["score"]) < (order(before["image_id"]), -before["score"]):
            yield f"detection {number} is out of order; sort by image_id, and in each image by falling score"
            break


def remarks(lines: Sequence[Any], test: Expected) -> Iterator[str]:
    """A sentence for each thing that may well be right, of lines that are in the right form."""
    known = [line for line in lines if not _form(line)]
    missing = sorted(test.sizes.keys() - {line["image_id"] for line in known}, key=order)
    if missing:
        yield f"{len(missing)} of {len(test.sizes)} images have no detection ({some(missing, SHOWN)})"
    unmeasured = sorted((number for number, size in test.sizes.items() if size is None), key=order)
    if unmeasured:
        what = f"{len(unmeasured)} of {len(test.sizes)} images have no known size ({some(unmeasured, SHOWN)})"
        yield f"{what}, so their boxes were not held against it; give their folder as --images"
    turned = sum(_explained(line, test) for line in known)
    if turned:
        yield (
            f"{turned} boxes fit into their images only where these are turned by their EXIF tag; give the folder as "
            "--images to make sure"
        )


def _inside(box: Sequence[float], size: Size) -> bool:
    x, y, w, h = box
    return min(x, y) >= -ROUNDING and x + w <= size[0] + ROUNDING and y + h <= size[1] + ROUNDING


def _explained(line: Line, test: Expected) -> bool:
    """True for a box that lies outside the stated size, and inside the same picture on its side: no picture file was
    there to tell."""
    size = test.sizes.get(line["image_id"])
    if size is None or test.measured or not finite(line["bbox"]) or _inside(line["bbox"], size):
        return False
    return _inside(line["bbox"], size[::-1]) and min(line["bbox"][2:]) >= 0


def _hint(line: Line, test: Expected) -> str:
    """The form in which the annotations have an id that a line has as text, or the other way round."""
    for key, ids in (("image_id", test.sizes), ("category_id", test.categories)):
        if line[key] not in ids and (same := _alike(line[key], ids)) is not None:
            return f"; the {key} {worded(line[key])} is {worded(same)} there, which pycocotools holds for another"
    return ""


def _alike(value: Any, ids: Iterable[Any]) -> Any:
    number = whole(value)
    return None if number is None else next((other for other in ids if whole(other) == number), None)


def _form(line: object) -> str | None:
    """The first fault in the form of a detection, or None."""
    if not isinstance(line, dict):
        return "is no mapping"
    for key in KEYS:
        if key not in line:
            return f"lacks {key}"
    for key in ("image_id", "category_id"):
        if not isinstance(line[key], str) and (isinstance(line[key], bool) or whole(line[key]) is None):
            return f"has the {key} {worded(line[key])}, which is neither a whole number nor a text"
    if isinstance(line["score"], bool) or not isinstance(line["score"], int | float):
        return f"has the score {worded(line['score'])}, which is no number"
    if not four_numbers(line["bbox"]):
        return f"has the bbox {worded(line['bbox'])}, which is not four numbers"
    return None
