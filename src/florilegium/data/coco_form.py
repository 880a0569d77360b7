"""One file in COCO form: its images and categories, and ids, sizes and names as converters write them.

Lin et al., Microsoft COCO: Common Objects in Context, 2014. A file holds `images` (id, file_name, width,
height), `categories` (id, name) and `annotations` (id, image_id, category_id, bbox as x, y, width, height
in pixels from the upper left corner, perhaps area and iscrowd). A test set may come without annotations.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florilegium.core.errors import UserError
from florilegium.core.names import class_name
from florilegium.data.annotated import refuse_repeated
from florilegium.data.json_files import read_foreign_json, whole, worded

SIDES = ("width", "height")

Key = int | str  # an id: a whole number, or a text that is none


@dataclass(frozen=True, slots=True)
class Listed:
    """An image as a file lists it."""

    id: int
    given: Any  # its id as the file has it
    file_name: str | None
    width: int | None
    height: int | None


@dataclass(frozen=True)
class CocoFile:
    """A file in COCO form, its annotations unread.

    Ids that are whole numbers in any form are these numbers; other texts are numbered in the order of the file, after
    the greatest number.
    """

    where: str  # as sentences call it
    images: tuple[Listed, ...]
    numbers: dict[Key, int]  # ids of images
    content: dict[str, Any]

    def names(self) -> dict[int, str]:
        """The file_name of each image; raises UserError where one has none."""
        for image in self.images:
            if image.file_name is None:
                raise UserError(f"{self.where}: image {worded(image.given)} has no file_name; name its file")
        return {image.id: str(image.file_name) for image in self.images}


class Categories:
    """The categories of one file or of several, which must number them alike."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}  # by id
        self.given: dict[int, Any] = {}  # ids as the file has them
        self.numbers: dict[Key, int] = {}

    def add(self, file: CocoFile) -> None:
        """Add those of a file; raises UserError where ids or names clash."""
        entries = entries_of(file.content, "categories", file.where)
        keys = keys_of(entries, "category", file.where)
        self.numbers |= numbered(keys, self.numbers)
        for key, entry in zip(keys, entries, strict=True):
            number, name = self.numbers[key], _name(entry, file.where)
            if self.names.setdefault(number, name) != name:
                clash = f"category {key} is '{name}', and '{self.names[number]}' in another file"
                raise UserError(f"{file.where}: {clash}; number the categories alike in all")
            self.given[number] = entry["id"]

    def used_in(self, annotations: Iterable[Mapping[str, Any]]) -> set[int]:
        """Those that annotations name, as far as these can be read."""
        keys = {as_key(annotation.get("category_id")) for annotation in annotations}
        return {number for key, number in self.numbers.items() if key in keys}

    def check_names(self, where: str, used: AbstractSet[int]) -> None:
        """Forget categories that are called like a used one, as project names of annotation services are.

        Raises UserError where two of one name are used.
        """
        owners: dict[str, int] = {}
        for number in sorted(self.names, key=lambda number: number not in used):
            name = self.names[number]
            other = owners.setdefault(name, number)
            if other != number and number in used:
                twice = f"two categories are called '{name}', one is {self.given[other]}"
                raise UserError(f"{where}: {twice}; rename one")
        self.names = {number: name for number, name in self.names.items() if owners[name] == number}


# One file


def read_coco_file(path: Path, where: str | None = None) -> CocoFile:
    """A file with its images; sentences call it `where`, or else by its path.

    Raises:
        UserError: it cannot be read, is not in COCO form, an id is there twice, or a size is no number of pixels.
    """
    where = str(path) if where is None else where
    content = read_foreign_json(path, where)
    if not isinstance(content, dict) or "images" not in content:
        raise UserError(f"{where}: not in COCO form, {_instead(content)}")
    entries = entries_of(content, "images", where)
    keys = keys_of(entries, "image", where)
    numbers = numbered(keys)
    images = tuple(_listed(entry, numbers[key], where) for key, entry in zip(keys, entries, strict=True))
    if not images:
        raise UserError(f"{where}: there are no images in it; get another file")
    return CocoFile(where, images, numbers, content)


def _instead(content: object) -> str:
    if isinstance(content, dict) and "shapes" in content:
        return "it is labelme's file of one image; convert all of them to one file"
    if isinstance(content, list):
        return "it holds a list, as a file of results does, and no list of images"
    return "it has no list of images; name another file"


def _listed(entry: dict[str, Any], id: int, where: str) -> Listed:
    name = entry.get("file_name")
    if name is None:
        name = entry.get("coco_url")  # LVIS names its images by their addresses alone
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise UserError(f"{where}: the file_name of image {worded(entry['id'])} is {worded(name)}; it must be a path")
    width, height = (_side(entry, side, where) for side in SIDES)
    return Listed(id, entry["id"], name, width, height)


def _side(entry: dict[str, Any], side: str, where: str) -> int | None:
    """A side in pixels; None where the file does not know it."""
    value = entry.get(side)
    if value is None or value == "":
        return None
    found = whole(value)
    if found is None or found < 0:
        what = f"the {side} of image {worded(entry['id'])} is {worded(value)}"
        raise UserError(f"{where}: {what}; it must be a whole number of pixels, or null where it is not known")
    return found or None


def entries_of(content: Mapping[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    """The objects of a list; one that is absent or null is empty."""
    entries = content.get(key)
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{where}: '{key}' is not a list of objects, as COCO form has it; write it again")
    return entries


def as_key(value: object) -> Key | None:
    """The id that a value is; None where it is none."""
    if isinstance(value, str) and whole(value) is None:
        return value if value.strip() else None
    return whole(value)


def key_of(value: object, key: str, of: str, where: str) -> Key:
    found = as_key(value)
    if found is None:
        known = "missing" if value is None else worded(value)
        raise UserError(f"{where}: the {key} of {of} is {known}; it must be a whole number or a text")
    return found


def keys_of(entries: Sequence[dict[str, Any]], kind: str, where: str) -> list[Key]:
    """The id of each object; raises UserError where one has none, or the same as another."""
    keys = [key_of(entry.get("id"), "id", f"{kind} {place}", where) for place, entry in enumerate(entries, 1)]
    refuse_repeated(kind, keys, where)
    return keys


def numbered(keys: Sequence[Key], known: Mapping[Key, int] | None = None) -> dict[Key, int]:
    """The number of each id, itself or, for a text, the next one after all others; `known` ones stay."""
    numbers: dict[Key, int] = {key: key for key in keys if isinstance(key, int)}
    result = {**(known or {}), **numbers}
    free = max([0, *result.values()])
    for key in keys:
        if key not in result:
            free += 1
            result[key] = free
    return result


def _name(entry: dict[str, Any], where: str) -> str:
    name = entry.get("name")
    if name is None or name == "":
        return str(entry["id"])
    if isinstance(name, list | dict | bool):
        raise UserError(f"{where}: the name of category {worded(entry['id'])} is {worded(name)}; it must be a text")
    try:
        return class_name(str(name))
    except UnicodeEncodeError:
        raise UserError(f"{where}: the name {worded(name)} of a category holds half a character; rename it") from None
