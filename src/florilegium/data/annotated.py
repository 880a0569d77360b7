"""Images with boxes in one form, into which every detection layout is read, before any check."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from florilegium.core.errors import UserError


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as its annotations describe it; sizes are None where they do not say them."""

    id: int
    path: str  # inside the data set
    width: int | None
    height: int | None
    source: str  # the file that annotates it


@dataclass(frozen=True, slots=True)
class Annotation:
    """One object. `box` is as in the file: x, y, width and height in pixels if the file is right."""

    id: int
    image: int
    category: int
    box: Any
    area: float | None = None
    crowd: bool = False  # neither trained on nor counted when it is missed
    extra: dict[str, int] = field(default_factory=dict)  # difficult, truncated


@dataclass(frozen=True)
class Part:
    """The images of one split; those of a test set may have been published without their objects."""

    pictures: tuple[Picture, ...]
    annotations: tuple[Annotation, ...]
    annotated: bool = True


@dataclass(frozen=True)
class Annotated:
    """A whole data set."""

    categories: dict[int, str]  # name by category id
    parts: dict[str, Part]  # by split
    origin: str  # of the splits


def refuse_doubles(parts: dict[str, Part]) -> None:
    """Raise UserError when one file is an image of two splits, or two images of one."""
    owners: dict[str, str] = {}
    for split, part in parts.items():
        for picture in part.pictures:
            if picture.path in owners:
                raise UserError(
                    f"{picture.source}: {picture.path} is an image of {split}, and already one of "
                    f"{owners[picture.path]}; name it once"
                )
            owners[picture.path] = split


def refuse_repeated(kind: str, ids: Iterable[int], where: str) -> None:
    """Raise UserError for the first id that comes a second time in a file or split.

    Ids need not differ between splits: many tools number each annotation file from one.
    """
    seen: set[int] = set()
    for number in ids:
        if number in seen:
            raise UserError(
                f"{where}: the {kind} id {number} is there twice; give each {kind} an id of its own"
            )
        seen.add(number)
