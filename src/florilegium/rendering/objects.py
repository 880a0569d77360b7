"""Five kinds of simple objects on textured ground, drawn with the box of each.

A kind is known by its shape, and mostly by its colours: some objects have those of another kind.

All drawing is integer arithmetic, as that of the flowers, so that a drawing has the same bytes on every
machine. Lengths are 256ths of the canvas side, colours 0-255.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

import numpy as np

from florilegium.data.scene import SUPERSAMPLING, tinted
from florilegium.rendering.picture import Colour

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


@dataclass(frozen=True)
class Drawn:
    """An object of a drawing: its class, and its box (left, top, right, bottom) in canvas pixels."""

    name: str
    box: tuple[int, int, int, int]


def draw(seed: str, first: str, side: int) -> tuple[np.ndarray, tuple[Drawn, ...]]:
    """A picture with an object of the class `first` and up to two others of any.

    Returns the canvas, uint8 (SUPERSAMPLING * side, SUPERSAMPLING * side, 3), and its objects.
    """
    rng = Random(seed)
    canvas = ground(side * SUPERSAMPLING, rng)
    drawn: list[Drawn] = []
    for name in (first, *(rng.choice(NAMES) for _ in range(rng.randrange(MOST)))):
        mask = _placed(name, len(canvas), rng, [found.box for found in drawn])
        if mask is not None:
            box = _extent(mask)
            dressed = rng.choice(NAMES) if rng.random() < DISGUISED else name
            _paint(canvas, mask, box, rng.choice(KINDS[dressed]), rng)
            drawn.append(Drawn(name, box))
    return np.clip(canvas, 0, 255).astype(np.uint8), tuple(drawn)


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


def _placed(
    name: str, side: int, rng: Random, others: Iterable[tuple[int, int, int, int]]
) -> np.ndarray | None:
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
    """Whether two boxes have little in common along one axis."""
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
    if name == "star":
        lengths = [radius, radius * 105 // 256] * 5
    else:
        lengths = [radius] * (4 if name == "crate" else 3)
    angles = [2 * math.pi * (turn + i / len(lengths)) for i in range(len(lengths))]
    corners = [
        (round(length * side * math.cos(a)), round(length * side * math.sin(a)))
        for length, a in zip(lengths, angles, strict=True)
    ]
    return _inside(dx.astype(np.int64), dy.astype(np.int64), corners)


def _inside(dx: np.ndarray, dy: np.ndarray, corners: list[tuple[int, int]]) -> np.ndarray:
    """Whether points lie in a polygon: a ray to the right of them crosses its edges an odd number of times."""
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
    canvas: np.ndarray,
    mask: np.ndarray,
    box: tuple[int, int, int, int],
    colours: tuple[Colour, Colour],
    rng: Random,
) -> None:
    """Fill a mask with a gradient from light above to shadow below."""
    shadow, light = (np.array(tinted(colour, 18, rng), np.int32) for colour in colours)
    _, top, _, bottom = box
    fall = np.clip((np.arange(len(canvas)) - top) * 256 // (bottom - top), 0, 256)
    shade = light + ((shadow - light) * fall[:, None] >> 8)  # (side, 3)
    canvas[mask] = np.broadcast_to(shade[:, None], canvas.shape)[mask]
