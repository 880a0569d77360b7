"""The two frames of a photograph: pixels as they are stored, and the picture upright, as its EXIF tag says.

Cameras store what their sensor saw, and a number from 1 to 8 says how to hold it. Pictures are seen upright, as viewers
and annotation tools show them; a file whose boxes were drawn on the stored pixels is turned into that frame.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from florilegium.core.errors import UserError
from florilegium.core.system import bar, say
from florilegium.data.annotated import Picture
from florilegium.data.decode import SIDEWAYS, stored

AS_STORED = 1
BACK = {6: 8, 8: 6}  # all others undo themselves


class Frame(NamedTuple):
    """Width and height of a picture file as stored, and its EXIF orientation, from 1 to 8."""

    stored: tuple[int, int]
    orientation: int

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height as the picture is seen."""
        width, height = self.stored
        return (height, width) if self.orientation in SIDEWAYS else (width, height)

    def to_upright(self, box: Sequence[float]) -> list[float]:
        """A box x, y, width, height on the stored pixels in the upright picture."""
        return turned(box, self.orientation, self.stored)

    def to_stored(self, box: Sequence[float]) -> list[float]:
        """A box in the upright picture on the stored pixels."""
        return turned(box, BACK.get(self.orientation, self.orientation), self.upright)


def turned(box: Sequence[float], orientation: int, size: tuple[int, int]) -> list[float]:
    """A box x, y, width, height in a picture of `size`, after the turn that an EXIF orientation asks for."""
    x, y, width, height = box
    right, below = size[0] - x - width, size[1] - y - height
    return {
        1: [x, y, width, height],
        2: [right, y, width, height],
        3: [right, below, width, height],
        4: [x, below, width, height],
        5: [y, x, height, width],
        6: [below, x, height, width],
        7: [below, right, height, width],
        8: [y, right, height, width],
    }[orientation]


def frame_of(path: Path) -> Frame | None:
    """The frame of a picture file; None if it cannot be read."""
    found = stored(path)
    return None if found is None else Frame(*found)


class Seen(NamedTuple):
    """A picture as boxes relate to it."""

    size: tuple[int, int]  # width and height upright
    drawn: Frame | None = None  # the frame whose stored pixels its boxes were drawn on; None: the upright picture
    stated_stored: bool = False  # the annotation file gives the sides of the stored pixels, not of the upright picture


def seen(frame: Frame | None, stated: tuple[int | None, int | None], drawn_on: str | None) -> Seen | None:
    """What an annotation file that states a size means, None for a size that is unknown or does not fit.

    Boxes belong to the upright picture. With `drawn_on` "stored" they belong to the stored pixels, except where the
    stated size can only be that of the upright picture.
    """
    width, height = stated
    known = None if width is None or height is None else (width, height)
    if frame is None:
        return known and Seen(known)
    if known not in (None, frame.upright, frame.stored):
        return None
    turned = frame.stored != frame.upright
    on_stored = drawn_on == "stored" and frame.orientation != AS_STORED and not (turned and known == frame.upright)
    return Seen(frame.upright, frame if on_stored else None, turned and known == frame.stored)


def views(root: Path, pictures: Sequence[Picture], drawn_on: str | None) -> tuple[dict[int, Seen], list[Picture]]:
    """What annotations mean, by the ids of pictures below `root`; and those that cannot be read, and have no size.

    Raises UserError for images of another size than their annotations say.
    """
    found: dict[int, Seen] = {}
    unknown: list[Picture] = []
    wrong: list[tuple[Picture, Frame]] = []
    for picture in bar(pictures, "measuring", "image"):
        frame = frame_of(root / picture.path)
        view = seen(frame, (picture.width, picture.height), drawn_on)
        if view is not None:
            found[picture.id] = view
        elif frame is None:
            unknown.append(picture)
        else:
            wrong.append((picture, frame))
    if wrong:
        picture, frame = wrong[0]
        count = f"{len(wrong)} of {len(pictures)} images have another size than it says"
        first = "{}, {} x {} in place of {} x {}".format(picture.path, *frame.upright, picture.width, picture.height)
        way_out = "its boxes would be wrong, use the images that were annotated"
        raise UserError(f"{picture.source}: {count}, first {first}; {way_out}")
    _tell(pictures[0].source if pictures else "", found.values())
    return found, unknown


def _tell(where: str, found: Collection[Seen]) -> None:
    """Say how many pictures are turned where an annotation file leaves open what its boxes belong to."""
    stored, drawn = sum(view.stated_stored for view in found), sum(view.drawn is not None for view in found)
    if drawn:
        say(f"{where}: the boxes of {drawn} of {len(found)} images belong to the stored pixels, and are turned upright")
    elif stored:
        say(
            f"{where}: {stored} of {len(found)} images are turned by their EXIF tag, and have the sizes of the stored "
            "pixels; boxes are taken as drawn on the upright pictures (drawn_on: stored of the data set, or --drawn-on "
            "stored, turns them)"
        )
