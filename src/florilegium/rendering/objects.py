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

from florilegium.config.datasets import Rendering
from florilegium.core.files import write_json
from florilegium.core.system import bar
from florilegium.data.png import write_png
from florilegium.rendering.picture import (
    COPIES_OF_EQUAL_SIZE,
    ORIGINAL,
    SUPERSAMPLING,
    TAKEN,
    Colour,
    ground,
    offsets,
    paint,
    tinted,
)

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
            rows, columns = np.flatnonzero(mask.any(axis=1)).tolist(), np.flatnonzero(mask.any(axis=0)).tolist()
            top, bottom = rows[0], rows[-1] + 1
            dressed = rng.choice(NAMES) if rng.random() < DISGUISED else name
            shadow, light = (tinted(colour, 18, rng) for colour in rng.choice(KINDS[dressed]))
            fall = (np.arange(len(canvas))[:, None] - top) * 256 // (bottom - top)  # from light above to shadow below
            paint(canvas, mask, np.broadcast_to(fall, mask.shape), light, shadow)
            placed.append(Placed(name, (columns[0], top, columns[-1] + 1, bottom)))
    return np.clip(canvas, 0, 255).astype(np.uint8), tuple(placed)


def _placed(name: str, side: int, rng: Random, others: Iterable[tuple[int, int, int, int]]) -> np.ndarray | None:
    """The pixels of an object of that class, bool (side, side), nearly clear of the others; None without a place."""
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
    dx, dy = (offset.astype(np.int64) for offset in offsets(side, x, y))
    if name in ("ball", "ring"):
        distance = dx**2 + dy**2
        outer = (radius * side) ** 2
        return (distance <= outer) & ((name == "ball") | (distance * 3 >= outer))
    lengths = {"star": [radius, radius * 105 // 256] * 5, "crate": [radius] * 4, "wedge": [radius] * 3}[name]
    angles = [2 * math.pi * (turn + i / len(lengths)) for i in range(len(lengths))]
    corners = [
        (round(length * side * math.cos(a)), round(length * side * math.sin(a)))
        for length, a in zip(lengths, angles, strict=True)
    ]
    return _inside(dx, dy, corners)


def _inside(dx: np.ndarray, dy: np.ndarray, corners: list[tuple[int, int]]) -> np.ndarray:
    """True for points inside a polygon: a ray to their right crosses its edges an odd number of times."""
    inside = np.zeros(dx.shape, bool)
    for (x1, y1), (x2, y2) in zip(corners, corners[1:] + corners[:1], strict=True):
        spans = (y1 > dy) != (y2 > dy)
        left = (dx - x1) * (y2 - y1) < (x2 - x1) * (dy - y1)
        inside ^= spans & (left if y2 > y1 else ~left)
    return inside


@dataclass(frozen=True)
class Shot:
    """One file: the picture in it, and the way in which it was taken."""

    image: str  # path inside the data set
    seed: str  # of the picture
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
            write_png(folder / shot.image, pixels)
            height, width, _ = pixels.shape
            images.append({"id": number, "file_name": shot.image, "width": width, "height": height})
            for item in placed:
                ids = {"id": len(annotations) + 1, "image_id": number}
                annotations.append(ids | _annotation(item, shot.taken, width))
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
        planned[split] = [
            Shot(f"images/{split}/{i:04d}.png", f"{rendering.seed}/objects/{split}/{i}", NAMES[i % len(NAMES)])
            for i in range(total * part // sum(SPLIT_PARTS.values()))
        ]
    for shot in [shot for split, every in AGAIN.items() for shot in planned[split][::every]]:
        number = len(planned["train"])
        copy = COPIES_OF_EQUAL_SIZE[number % len(COPIES_OF_EQUAL_SIZE)]
        planned["train"].append(Shot(f"images/train/{number:04d}.png", shot.seed, shot.first, copy))
    return planned


def _annotation(placed: Placed, taken: str, width: int) -> dict[str, Any]:
    """An object as COCO has it, in pixels of the file."""
    left, top, right, bottom = (edge / SUPERSAMPLING for edge in placed.box)
    if taken == "mirrored":
        left, right = width - right, width - left
    box = [left, top, right - left, bottom - top]
    return {"category_id": NAMES.index(placed.name) + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
