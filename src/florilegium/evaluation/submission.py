"""Checks of a file of detections on a test set with secret annotations, for `florilegium check-submission`.

The form is that of COCO results: a JSON list of `image_id`, `category_id`, `bbox` (x, y, w, h in pixels of the
original image) and `score`, sorted by image and, in each, by falling score.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from florilegium.core.errors import UserError
from florilegium.core.files import read_json

KEYS = ("image_id", "category_id", "bbox", "score")
ROUNDING = 0.02  # pixels that a box may reach over the border, since corners are written with two decimals
SHOWN = 3  # images without a detection that a sentence names

Line = Mapping[str, Any]


def read_submission(path: Path) -> list[Line]:
    """The lines of a results file.

    Raises:
        UserError: there is no such file, it is no JSON list, or a line lacks a key or holds another kind of value.
    """
    lines = _json(path)
    if not isinstance(lines, list):
        raise UserError(f"{path}: holds no list; a results file is a JSON list of detections")
    for number, line in enumerate(lines, start=1):
        if problem := _form(line):
            raise UserError(f"{path}: detection {number} {problem}; write all of {', '.join(KEYS)}")
    return lines


def read_images(path: Path) -> tuple[dict[int, Mapping[str, Any]], set[int]]:
    """The images of an annotation file by id, and its category ids; annotations may be absent.

    Raises:
        UserError: it is no such file.
    """
    content = _json(path)
    try:
        images = {image["id"]: {key: image[key] for key in ("width", "height")} for image in content["images"]}
        return images, {category["id"] for category in content["categories"]}
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{path}: is no COCO file ({error} is missing or of another kind); it needs images with id, width "
            "and height, and categories with id"
        ) from None


def faults(lines: Sequence[Line], images: Mapping[int, Mapping[str, Any]], categories: set[int]) -> Iterator[str]:
    """A sentence for each kind of thing that is wrong, with how often and where first."""

    def outside(line: Line) -> bool:
        x, y, w, h = line["bbox"]
        size = images.get(line["image_id"])
        if size is None:
            return False
        return min(x, y) < -ROUNDING or x + w > size["width"] + ROUNDING or y + h > size["height"] + ROUNDING

    checks: list[tuple[Callable[[Line], bool], str]] = [
        (lambda line: line["image_id"] not in images, "an image_id that the annotations do not have"),
        (lambda line: line["category_id"] not in categories, "a category_id that the annotations do not have"),
        (lambda line: not 0 <= line["score"] <= 1, "a score that is not between 0 and 1"),
        (lambda line: not all(map(math.isfinite, line["bbox"])), "a bbox that is not finite"),
        (lambda line: min(line["bbox"][2:]) < 0, "a bbox of negative width or height: it must be x, y, w, h"),
        (outside, "a bbox that reaches out of its image: it must be in pixels of the original"),
    ]
    for wrong, problem in checks:
        numbers = [number for number, line in enumerate(lines, start=1) if wrong(line)]
        if numbers:
            line = lines[numbers[0] - 1]
            example = f"detection {numbers[0]}, {json.dumps({key: line[key] for key in KEYS})}"
            yield f"{len(numbers)} of {len(lines)} detections have {problem} (first: {example})"
    order = [(line["image_id"], -line["score"]) for line in lines]
    for number, (before, after) in enumerate(pairwise(order), start=2):
        if after < before:
            yield f"detection {number} is out of order; sort by image_id, and in each image by falling score"
            break
    missing = sorted(images.keys() - {line["image_id"] for line in lines})
    if missing:
        first = ", ".join(map(str, missing[:SHOWN])) + (" and more" if len(missing) > SHOWN else "")
        yield f"{len(missing)} of {len(images)} images have no detection ({first}); predict on all of them"


def _form(line: object) -> str | None:
    """The first fault in the form of a detection, or None."""
    if not isinstance(line, dict):
        return "is no mapping"
    for key in KEYS:
        if key not in line:
            return f"lacks {key}"
    if not all(_is_number(line[key], int) for key in ("image_id", "category_id")):
        return "has an id that is no whole number"
    if not _is_number(line["score"], (int, float)):
        return "has a score that is no number"
    box = line["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(v, (int, float)) for v in box):
        return "has a bbox that is not four numbers"
    return None


def _is_number(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _json(path: Path) -> Any:
    try:
        return read_json(path)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except ValueError as error:
        raise UserError(f"{path}: is no JSON ({error}); write it again") from None
