"""A rendered set of pictures with boxes, in COCO form: five kinds of simple objects on textured ground.

It stands in for the detection data. A kind is known by its shape, and mostly by its colours: some objects
have those of another kind. Some test and validation pictures are in the training split again, encoded,
exposed or mirrored differently, with their boxes, as happens where a set is gathered twice. All that is
planted is known by construction, so that an audit can be tested against it.

Drawing is integer arithmetic, as that of the flowers. Lengths are 256ths of the canvas side, colours 0-255.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from florilegium.config.data import Rendering
from florilegium.core.files import write_json
from florilegium.core.system import bar
from florilegium.rendering import png
from florilegium.rendering.flowers import ORIGINAL, TAKEN
from florilegium.rendering.picture import SUPERSAMPLING, Colour, tinted

# Class to (shadow, light) of the colours that it comes in.
KINDS: dict[str, tuple[tuple[Colour, Colour], ...]] = {
    "ball": (((150, 18, 30), (250, 86, 78)), ((170, 90, 0), (255, 176, 40))),
    "crate": (((92, 58, 26), (176, 124, 70)), ((120, 112, 20), (214, 204, 84))),
    "ring": (((20, 60, 150), (84, 150, 250)), ((12, 110, 120), (70, 214, 214))),
    "star": (((176, 140, 140), (255, 250, 236)), ((150, 40, 120), (250, 130, 214))),
    "wedge": (((16, 90, 30), (86, 200, 84)), ((60, 30, 120), (150, 104, 230))),
}
NAMES = tuple(KINDS)
RADII = (26, 58)
MOST = 3  # objects in a picture
TRIES = 20
DISGUISED = 0.3  # part of the objects that have the colours of another class
OVERLAP = 4  # of an object's side, one part of so many may be covered by the next
SIZES = range(64, 513)  # smaller, objects look alike; larger ones take too long
SPLIT_PARTS = {"train": 4, "val": 1, "test": 1}
AGAIN = {"val": 9, "test": 4}  # every so many pictures of a split is in train again
COPIES = ("mirrored", "encoded", "brighter")  # those that keep the size of a picture
BEGINNING = {"train": 1, "val": 100_001, "test": 200_001}  # first image id


@dataclass(frozen=True)
class Placed:
    """An object of a drawing: its class, and its box (left, top, right, bottom) in canvas pixels."""

    name: str
    box: tuple[int, int, int, int]


def draw(seed: str, first: str, side: int) -> tuple[np.ndarray, tuple[Placed, ...]]:
    """A picture with an object of the class `first` and up to two others of any.

    Returns the canvas, uint8 (SUPERSAMPLING * side, SUPERSAMPLING * side, 3), and its objects.
    """
    rng = Random(seed)
    canvas = ground(side * SUPERSAMPLING, rng)
    placed: list[Placed] = []
    for name in (first, *(rng.choice(NAMES) for _ in range(rng.randrange(MOST)))):
        mask = _placed(name, len(canvas), rng, [other.box for other in placed])
        if mask is not None:
            box = _extent(mask)
            dressed = rng.choice(NAMES) if rng.random() < DISGUISED else name
            _paint(canvas, mask, box, rng.choice(KINDS[dressed]), rng)
            placed.append(Placed(name, box))
    return np.clip(canvas, 0, 255).astype(np.uint8), tuple(placed)


def ground(side: int, rng: Random) -> np.ndarray:
    """Blurred patches of colour with stripes across, int32 (side, side, 3)."""
    coarse = np.frombuffer(rng.randbytes(5 * 5 * 3), np.uint8).reshape(5, 5, 3).astype(np.int32)
    coarse = 70 + (coarse * 90 >> 8)
    place = np.arange(side) * 4 * 256 // side  # 256ths of a patch
    low, part = place >> 8, (place & 255)[:, None]
    rows = (coarse[low] * (256 - part[..., None]) + coarse[low + 1] * part[..., None]) >> 8
    ground = (rows[:, low] * (256 - part) + rows[:, low + 1] * part) >> 8
    across, down, period = rng.randint(-3, 3), rng.randint(1, 3), rng.randint(10, 40) * side // 256
    line = across * np.arange(side)[None] + down * np.arange(side)[:, None]
    stripes = (line // max(period, 1)) % 2 * rng.randint(6, 26)
    return ground + stripes[..., None]


def _placed(name: str, side: int, rng: Random, others: Iterable[tuple[int, int, int, int]]) -> np.ndarray | None:
    """Where an object of that class lies, bool (side, side), nearly clear of the others; None if it does
    not find a place."""
    for _ in range(TRIES):
        radius = rng.randint(*RADII)
        x, y = (rng.randint(radius, 256 - radius) for _ in range(2))
        turn = rng.random()
        reach = [(centre - radius, centre + radius) for centre in (x, y)]
        if all(_clear(reach, [edge * 256 // side for edge in box]) for box in others):
            return _mask(name, side, x, y, radius, turn)
    return None


def _clear(reach: list[tuple[int, int]], other: list[int]) -> bool:
    """True if two boxes overlap little along one axis."""
    common = (min(high, other[axis + 2]) - max(low, other[axis]) for axis, (low, high) in enumerate(reach))
    return any(length * OVERLAP < min(high - low for low, high in reach) for length in common)


def _mask(name: str, side: int, x: int, y: int, radius: int, turn: float) -> np.ndarray:
    """The pixels of an object, bool (side, side); `turn` is a part of a whole one."""
    rows, columns = np.mgrid[0:side, 0:side]
    dx, dy = (2 * columns + 1) * 128 - x * side, (2 * rows + 1) * 128 - y * side  # 256ths of a pixel
    if name in ("ball", "ring"):
        distance = dx.astype(np.int64) ** 2 + dy.astype(np.int64) ** 2
        outer = (radius * side) ** 2
        return (distance <= outer) & ((name == "ball") | (distance * 3 >= outer))
    corners_of = {"star": [radius, radius * 105 // 256] * 5, "crate": [radius] * 4}
    lengths = corners_of.get(name, [radius] * 3)
    angles = [2 * math.pi * (turn + i / len(lengths)) for i in range(len(lengths))]
    corners = [
        (round(length * side * math.cos(a)), round(length * side * math.sin(a)))
        for length, a in zip(lengths, angles, strict=True)
    ]
    return _inside(dx.astype(np.int64), dy.astype(np.int64), corners)


def _inside(dx: np.ndarray, dy: np.ndarray, corners: list[tuple[int, int]]) -> np.ndarray:
    """True for points inside a polygon: a ray to their right crosses its edges an odd number of times."""
    inside = np.zeros(dx.shape, bool)
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        spans = (y1 > dy) != (y2 > dy)
        left = (dx - x1) * (y2 - y1) < (x2 - x1) * (dy - y1)
        inside ^= spans & (left if y2 > y1 else ~left)
    return inside


def _extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _paint(
    canvas: np.ndarray, mask: np.ndarray, box: tuple[int, int, int, int], colours: tuple[Colour, Colour], rng: Random
) -> None:
    """Fill a mask with a gradient from light above to shadow below."""
    shadow, light = (np.array(tinted(colour, 18, rng), np.int32) for colour in colours)
    _, top, _, bottom = box
    fall = np.clip((np.arange(len(canvas)) - top) * 256 // (bottom - top), 0, 256)
    shade = light + ((shadow - light) * fall[:, None] >> 8)  # (side, 3)
    canvas[mask] = np.broadcast_to(shade[:, None], canvas.shape)[mask]


@dataclass(frozen=True)
class Shot:
    """One file: what it shows and how it was taken."""

    image: str  # path inside the data set
    seed: str  # of what it shows
    first: str  # class of its first object
    taken: str = ORIGINAL  # a key of TAKEN


def render(rendering: Rendering, folder: Path) -> list[str]:
    """Draw every image of `rendering` below `folder`, and an annotation file a split; returns all paths, sorted."""
    paths = []
    for split, planned in shots(rendering).items():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, shot in enumerate(bar(planned, "drawing", "image"), start=BEGINNING[split]):
            canvas, placed = draw(shot.seed, shot.first, rendering.size)
            pixels = TAKEN[shot.taken](canvas, shot.image)
            png.write(folder / shot.image, pixels)
            height, width, _ = pixels.shape
            images.append({"id": number, "file_name": shot.image, "width": width, "height": height})
            annotations += [
                {"id": len(annotations) + i, "image_id": number, **_annotation(item, shot.taken, width)}
                for i, item in enumerate(placed, start=1)
            ]
        categories = [{"id": i, "name": name} for i, name in enumerate(NAMES, start=1)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_json(folder / f"{split}.json", content)
        paths += [f"{split}.json", *(shot.image for shot in planned)]
    return sorted(paths)


def shots(rendering: Rendering) -> dict[str, list[Shot]]:
    """All files of `rendering` by split; the copies come last in train."""
    total = rendering.per_class * len(NAMES)
    planned = {}
    for split, part in SPLIT_PARTS.items():
        count = total * part // sum(SPLIT_PARTS.values())
        planned[split] = [
            Shot(_path(split, i), f"{rendering.seed}/objects/{split}/{i}", NAMES[i % len(NAMES)]) for i in range(count)
        ]
    for shot in [shot for split, every in AGAIN.items() for shot in planned[split][::every]]:
        number = len(planned["train"])
        copy = COPIES[number % len(COPIES)]
        planned["train"].append(Shot(_path("train", number), shot.seed, shot.first, copy))
    return planned


def _annotation(placed: Placed, taken: str, width: int) -> dict[str, Any]:
    """An object as COCO has it, in pixels of the file."""
    left, top, right, bottom = (edge / SUPERSAMPLING for edge in placed.box)
    if taken == "mirrored":
        left, right = width - right, width - left
    box = [left, top, right - left, bottom - top]
    return {"category_id": NAMES.index(placed.name) + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}


def _path(split: str, number: int) -> str:
    return f"images/{split}/{number:04d}.png"
