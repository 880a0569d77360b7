"""Emblems: a plain outline filled with a pattern in two colours, on textured ground.

What an emblem is called is its pattern and its outline; colours are a hint, since each kind comes in two.
All drawing is integer arithmetic, as that of the flowers, so that a drawing has the same bytes on every
machine. A place inside an emblem is (u, v) from its middle, in 256ths of its radius.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np

from florilegium.data.scene import SUPERSAMPLING, tinted
from florilegium.rendering.objects import ground
from florilegium.rendering.picture import PALETTE, TURN, opposite, paint

Cover = Callable[[np.ndarray, np.ndarray], np.ndarray]  # u and v to bool, all (S, S)

OUTLINES: dict[str, Cover] = {
    "disc": lambda u, v: u**2 + v**2 < 240**2,
    "square": lambda u, v: np.maximum(abs(u), abs(v)) < 205,
    "triangle": lambda u, v: (v < 180) & (2 * abs(u) < v + 250),
    "cross": lambda u, v: (np.minimum(abs(u), abs(v)) < 85) & (np.maximum(abs(u), abs(v)) < 240),
    "ring": lambda u, v: (u**2 + v**2 < 250**2) & (u**2 + v**2 > 130**2),
}
PATTERNS: dict[str, Cover] = {
    "plain": lambda u, v: np.zeros(u.shape, bool),
    "striped": lambda u, v: (u + 1024) // 64 % 2 == 1,
    "checked": lambda u, v: ((u + 1024) // 80 + (v + 1024) // 80) % 2 == 1,
    "dotted": lambda u, v: ((u + 1024) % 120 - 60) ** 2 + ((v + 1024) % 120 - 60) ** 2 < 40**2,
}
KINDS = len(OUTLINES) * len(PATTERNS)  # their numbers have no common part, so a count goes through all pairs


@dataclass(frozen=True)
class Emblem:
    """What all pictures of one class share."""

    outline: str
    pattern: str
    colours: tuple[int, ...]  # indices into PALETTE, of which a picture has one

    @property
    def name(self) -> str:
        return f"{self.pattern}_{self.outline}"


@dataclass(frozen=True)
class Picture:
    """What one picture shows. `seed` draws everything that its kind leaves open."""

    kind: Emblem
    seed: str


def make_emblem(number: int, rng: Random) -> Emblem:
    """Kind `number` of KINDS, in two colours drawn from `rng`."""
    outlines, patterns = tuple(OUTLINES), tuple(PATTERNS)
    colours = tuple(rng.sample(range(len(PALETTE)), 2))
    return Emblem(outlines[number % len(outlines)], patterns[number % len(patterns)], colours)


def draw(picture: Picture, side: int) -> np.ndarray:
    """The picture before it is photographed, uint8 (SUPERSAMPLING * side, SUPERSAMPLING * side, 3)."""
    rng = Random(picture.seed)
    canvas = ground(side * SUPERSAMPLING, rng)
    u, v = _places(len(canvas), rng)
    field = rng.choice(picture.kind.colours)
    shade = 170 + (rng.choice((u, v, -u, -v)) >> 1) + rng.randint(-30, 30)  # lit from one side
    inside = OUTLINES[picture.kind.outline](u, v)
    figure = PATTERNS[picture.kind.pattern](u, v)
    for part, colour in ((inside & ~figure, field), (inside & figure, opposite(field))):
        shadow, light = (tinted(tone, 20, rng) for tone in PALETTE[colour])
        paint(canvas, part, shade, shadow, light)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _places(side: int, rng: Random) -> tuple[np.ndarray, np.ndarray]:
    """u and v of every pixel, int32 (side, side), of an emblem somewhere near the middle, a little turned."""
    x, y, radius = rng.randint(76, 180), rng.randint(76, 180), rng.randint(64, 116)
    angle = 2 * math.pi * rng.randint(-TURN // 16, TURN // 16) / TURN
    cosine, sine = round(1024 * math.cos(angle)), round(1024 * math.sin(angle))
    rows, columns = np.mgrid[0:side, 0:side].astype(np.int32)
    dx, dy = (2 * columns + 1) * 128 - x * side, (2 * rows + 1) * 128 - y * side  # 256ths of a pixel
    reach = 4 * radius * side  # so that the turned length comes in 256ths of the radius
    return (dx * cosine + dy * sine) // reach, (dy * cosine - dx * sine) // reach
