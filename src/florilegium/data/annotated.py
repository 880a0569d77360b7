"""Annotated images as their files describe them, and their boxes checked."""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from florilegium.core.errors import UserError
from florilegium.core.system import say


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
                other = owners[picture.path]
                again = f"there twice, the second time as image {picture.id}"
                twice = again if other == split else f"an image of {split}, and already one of {other}"
                raise UserError(f"{picture.source}: {picture.path} is {twice}; name it once")
            owners[picture.path] = split


def refuse_repeated(kind: str, ids: Iterable[int | str], where: str) -> None:
    """Raise UserError for an id that comes a second time in a file or split.

    Ids need not differ between splits: many tools number each annotation file from one.
    """
    number, count = next(iter(Counter(ids).most_common(1)), (0, 0))
    if count > 1:
        raise UserError(f"{where}: the {kind} id {number} is there twice; give each {kind} an id of its own")


# Boxes

LEAST = 1.0  # pixels: a narrower or lower box has no centre that a network could learn


class BadBox(NamedTuple):
    """A box, the file `source` that holds it, and the reason why it is bad: a row of `bad_boxes.csv`."""

    source: str
    annotation: str  # its id
    image: str
    box: str
    reason: str

    def told(self) -> str:
        """The box in words."""
        return f"{self.source}: annotation {self.annotation} of {self.image}: {self.box} is {self.reason}"


def fault(box: Any, width: int, height: int) -> str | None:
    """The reason why a box (x, y, width, height; pixels) is bad in an image of that size; None for a good box."""
    if not four_numbers(box):
        return "not four numbers"
    if not finite(box):
        return "not finite"
    across, down = box[2:]
    if across < 0 or down < 0:
        return "inverted"
    if across == 0 or down == 0:
        return "empty"
    if across < LEAST or down < LEAST:
        return "below one pixel"
    _, _, across, down = clipped(box, width, height)
    return "outside the image" if across < LEAST or down < LEAST else None


def four_numbers(box: Any) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(type(number) in (int, float) for number in box)


def finite(box: list[float]) -> bool:
    """True if four numbers can be reckoned with."""
    return all(abs(number) < sys.float_info.max for number in box)


def clipped(box: list[float], width: int, height: int) -> list[float]:
    """The part of a box that lies in the image; a box inside keeps its numbers to the bit."""
    x, y, across, down = box
    if x >= 0 and y >= 0 and x + across <= width and y + down <= height:
        return box
    left, top = max(x, 0), max(y, 0)
    return [left, top, min(x + across, width) - left, min(y + down, height) - top]


def sift(annotated: Annotated, policy: Literal["stop", "drop"]) -> tuple[Annotated, list[BadBox], int]:
    """Remove bad boxes, and cut the others at the edges of their images. Sizes of all pictures must be known.

    Returns the data set, the bad boxes in order, and the number of boxes that were cut. Raises UserError if a box is
    bad and `policy` is `stop`; the log then lists all bad boxes.
    """
    bad: list[BadBox] = []
    parts: dict[str, Part] = {}
    cut = 0
    for split, part in annotated.parts.items():
        pictures = {picture.id: picture for picture in part.pictures}
        good = []
        for annotation in part.annotations:
            picture = pictures[annotation.image]
            assert picture.width is not None and picture.height is not None
            if reason := fault(annotation.box, picture.width, picture.height):
                bad.append(BadBox(picture.source, str(annotation.id), picture.path, repr(annotation.box), reason))
                continue
            inside = clipped(annotation.box, picture.width, picture.height)
            cut += inside is not annotation.box
            good.append(annotation if inside is annotation.box else replace(annotation, box=inside))
        parts[split] = replace(part, annotations=tuple(good))
    if bad and policy == "stop":
        for box in bad:
            say(box.told())
        first = bad[0]
        raise UserError(
            f"{first.source}: the box {first.box} of annotation {first.annotation} ({first.image}) is {first.reason}, "
            f"and {len(bad)} boxes are bad in all (listed above); mend or remove them, or leave them out (bad_boxes: "
            "drop in config.yaml, or --bad-boxes drop)"
        )
    if cut:
        total = sum(len(part.annotations) for part in parts.values())
        say(f"{cut} of {total} boxes reach over the edges of their images, and are cut there")
        if cut > total / 2:
            say("most boxes do so: COCO's are x, y, width, height and not corners, VOC's corners count from 1")
    return replace(annotated, parts=parts), bad, cut
