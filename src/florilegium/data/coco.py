"""Annotation files in COCO form: one a split, with folders of images anywhere beside them.

Lin et al., Microsoft COCO: Common Objects in Context, 2014. A file holds `images` (id, file_name, width,
height), `categories` (id, name) and `annotations` (id, image_id, category_id, bbox as x, y, width, height
in pixels from the upper left corner, perhaps area and iscrowd). A test set may come without annotations.
"""

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from florilegium.config.data import Dataset
from florilegium.core.errors import UserError
from florilegium.data.annotated import Annotated, Annotation, Part, Picture, refuse_doubles, refuse_repeated
from florilegium.data.kinds import is_image
from florilegium.data.labels import SPLITS

ORIGIN = "annotation files"
EXTRA = ("difficult", "truncated")
SIDES = ("width", "height")

Paths = Mapping[str, Sequence[tuple[str, ...]]]  # the parts of the paths of image files, by file name


def read_coco(dataset: Dataset, root: Path, paths: Sequence[str]) -> Annotated:
    """The annotation files among `paths` (files below `root`), one a split.

    Raises:
        UserError: there is no file for training or more than one for a split, a file is not in COCO form,
            an id is there twice, an annotation names an unknown image or category, or an image is not
            among `paths`.
    """
    images: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for image in filter(is_image, paths):
        parts_of_path = PurePosixPath(image).parts
        images[parts_of_path[-1]].append(parts_of_path)
    categories: dict[int, str] = {}
    parts: dict[str, Part] = {}
    for split, path in _files(dataset, root, paths).items():
        content = _content(root / path, path)
        _add_categories(categories, content, path)
        parts[split] = _part(content, path, split, categories, images)
    if dataset.classes and set(dataset.classes) != set(categories.values()):
        raise UserError(
            f"{dataset.title}: classes are {', '.join(dataset.classes)}, and the annotation files have "
            f"{', '.join(categories.values())}; mend `classes` or leave it out"
        )
    refuse_doubles(parts)
    return Annotated(dict(sorted(categories.items())), parts, ORIGIN)


def _files(dataset: Dataset, root: Path, paths: Sequence[str]) -> dict[str, str]:
    """The annotation file of each split that has one."""
    named = dataset.annotations or {}
    advice = "the annotation file of each split at `annotations` of the data set"
    files: dict[str, str] = {}
    for split in (split for split in SPLITS if not named or split in named):
        name = named.get(split, f"{split}.json")
        candidates = [path for path in paths if path == name or path.endswith(f"/{name}")]
        if len(candidates) > 1:
            both = " and ".join(candidates[:2])
            raise UserError(f"{dataset.title}: {both} could both be the annotations of {split}; name {advice}")
        if candidates:
            files[split] = candidates[0]
        elif named or split == "train":
            raise UserError(f"{dataset.title}: there is no {name} below {root}; add it, or name {advice}")
    if "train" not in files:
        raise UserError(f"{dataset.title}: `annotations` names no file to train on; add train")
    return files


def _content(path: Path, where: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not valid JSON ({error}); write it again") from None
    if not isinstance(content, dict) or "images" not in content:
        raise UserError(f"{where}: not in COCO form, it has no list of images")
    return content


def _add_categories(known: dict[int, str], content: dict[str, Any], where: str) -> None:
    """Add the categories of one file to those of the files before it."""
    for entry in _entries(content, "categories", "category", where):
        number, name = entry["id"], str(entry.get("name", entry["id"]))
        if known.setdefault(number, name) != name:
            clash = f"category {number} is '{name}', and '{known[number]}' in another file"
            raise UserError(f"{where}: {clash}; number the categories alike in all")
    for number, name in known.items():
        if list(known.values()).count(name) > 1:
            raise UserError(f"{where}: two categories are called '{name}', one is {number}; rename one")


def _part(content: dict[str, Any], where: str, split: str, categories: dict[int, str], images: Paths) -> Part:
    pictures, missing = [], []
    for entry in _entries(content, "images", "image", where):
        name = entry.get("file_name")
        if not isinstance(name, str):
            raise UserError(f"{where}: image {entry['id']} has no file_name")
        path = _path_of(name, images, where, split)
        if path is None:
            missing.append(name)
            continue
        sides = (None if entry.get(side) is None else _integer(entry, side, "image", where) for side in SIDES)
        pictures.append(Picture(entry["id"], path, *sides, where))
    if missing:
        raise UserError(
            f"{where}: {len(missing)} of {len(missing) + len(pictures)} images are not among the data set's files, "
            f"first '{missing[0]}'; put them there, or mend file_name"
        )
    if not pictures:
        raise UserError(f"{where}: there are no images in it")
    known = {picture.id for picture in pictures}
    entries = _entries(content, "annotations", "annotation", where)
    if not entries and split != "test":
        raise UserError(f"{where}: there are no annotations in it; only a test set may go without")
    annotations = tuple(_annotation(entry, where, known, categories) for entry in entries)
    return Part(tuple(pictures), annotations, annotated=bool(annotations))


def _annotation(entry: dict[str, Any], where: str, images: set[int], categories: dict[int, str]) -> Annotation:
    number, image, category = (_integer(entry, key, "annotation", where) for key in ("id", "image_id", "category_id"))
    if image not in images:
        raise UserError(f"{where}: annotation {number} is of image {image}, which is not in the file")
    if category not in categories:
        known = ", ".join(f"{known} {name}" for known, name in categories.items()) or "none"
        raise UserError(f"{where}: annotation {number} is of the unknown category {category} (known: {known})")
    area = entry.get("area")
    return Annotation(
        number,
        image,
        category,
        entry.get("bbox"),
        area=float(area) if isinstance(area, int | float) and 0 <= area < math.inf else None,
        crowd=bool(entry.get("iscrowd")),
        extra={key: int(bool(entry[key])) for key in EXTRA if key in entry},
    )


def _entries(content: dict[str, Any], key: str, kind: str, where: str) -> list[dict[str, Any]]:
    """The objects of a list, each with an integer id of its own."""
    entries = content.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{where}: '{key}' is not a list of objects, as COCO form has it")
    refuse_repeated(kind, [_integer(entry, "id", kind, where) for entry in entries], where)
    return entries


def _integer(entry: dict[str, Any], key: str, kind: str, where: str) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{where}: the {key} of {kind} {entry.get('id')} is {value!r}; it must be an integer")
    return value


def _path_of(file_name: str, images: Paths, where: str, split: str) -> str | None:
    """The path of an image file that ends with `file_name`.

    Of several, the one beside the annotation file `where`, or in a folder named like the split or that file.
    Raises UserError when that leaves several.
    """
    end = PurePosixPath(file_name.replace("\\", "/")).parts
    candidates = [parts for parts in images.get(end[-1] if end else "", ()) if parts[-len(end) :] == end]
    if len(candidates) > 1:
        source = PurePosixPath(where)
        beside = [parts for parts in candidates if parts == (*source.parent.parts, *end)]
        named = [parts for parts in candidates if {split, source.stem} & set(parts[:-1])]
        candidates = beside or named or candidates
    if len(candidates) > 1:
        first, second = ("/".join(parts) for parts in candidates[:2])
        raise UserError(f"{where}: '{file_name}' may be {first} or {second}; name its folder in file_name")
    return "/".join(candidates[0]) if candidates else None
