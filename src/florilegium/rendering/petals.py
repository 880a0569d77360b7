"""A flower: its kind, rings of petals around a centre, and what stands around it.

The only real-valued functions fill two small tables that are rounded to integers; all else is integer arithmetic.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np

from florilegium.rendering.picture import PALETTE, SUPERSAMPLING, TURN, Colour, paint, texture, tinted

REACH = 512  # half side of the polar table, in pixels of the canvas
# (shadow, light)
CENTRES: tuple[tuple[Colour, Colour], ...] = (
    ((176, 112, 0), (252, 206, 40)),
    ((60, 32, 16), (132, 78, 36)),
    ((92, 116, 24), (190, 208, 80)),
    ((30, 16, 36), (86, 52, 92)),
    ((190, 178, 140), (255, 250, 222)),
)
# (top, bottom) of a background
BACKGROUNDS: tuple[tuple[Colour, Colour], ...] = (
    ((58, 104, 44), (24, 56, 22)),  # meadow
    ((150, 188, 226), (96, 138, 92)),  # sky over grass
    ((70, 78, 104), (30, 34, 52)),  # dusk
    ((122, 96, 70), (62, 46, 32)),  # earth
    ((196, 204, 188), (134, 150, 128)),  # mist
    ((96, 132, 92), (150, 160, 80)),  # late summer
)
GREENS: tuple[tuple[Colour, Colour], ...] = (
    ((22, 70, 24), (92, 152, 62)),
    ((44, 84, 40), (132, 172, 96)),
    ((20, 58, 44), (82, 138, 104)),
)


@dataclass(frozen=True)
class Outline:
    """A petal's half width along its length x in [0, 1]: width * sin(pi * x**peak) ** point, in lengths.

    `notch` above 0 draws the tip in (a heart), below 0 draws it out (a star).
    """

    counts: tuple[int, ...]
    width: float
    peak: float
    point: float
    notch: float


OUTLINES = {
    "star": Outline((5, 6, 8), 0.26, 1.1, 1.2, -0.22),
    "daisy": Outline((12, 16, 21), 0.11, 1.6, 0.5, 0.0),
    "cup": Outline((4, 5, 6), 0.52, 1.3, 0.6, 0.0),
    "rose": Outline((5, 7, 8), 0.46, 1.7, 0.45, 0.05),
    "bell": Outline((4, 5, 5), 0.42, 1.8, 0.6, 0.26),
    "lily": Outline((3, 6, 6), 0.24, 0.9, 0.9, -0.1),
}
LEAF = Outline((1,), 0.22, 0.9, 0.9, 0.0)


@dataclass(frozen=True)
class Kind:
    """The traits that all flowers of one kind share."""

    outline: str
    petals: int
    rings: int
    varieties: tuple[int, ...]  # indices into PALETTE
    centre: int  # index into CENTRES
    centre_radius: int  # 256ths of the petal's length
    eye: int | None  # palette index of the petals' base
    eye_radius: int  # 256ths of the petal's length
    vein: int  # how much darker the middle line is, 0-255


def make_kind(outline: str, rng: Random) -> Kind:
    """A kind of the given outline whose other traits are drawn from `rng`."""
    return Kind(
        outline=outline,
        petals=rng.choice(OUTLINES[outline].counts),
        rings={"rose": 3, "daisy": rng.choice((1, 2))}.get(outline, rng.choice((1, 1, 2))),
        varieties=tuple(rng.sample(range(len(PALETTE)), 2)),
        centre=rng.randrange(len(CENTRES)),
        centre_radius=rng.choice((34, 58, 86)),
        eye=rng.choice((None, rng.randrange(len(PALETTE)))),
        eye_radius=rng.choice((90, 130)),
        vein=rng.choice((0, 40, 90)),
    )


@dataclass(frozen=True)
class Picture:
    """The content of one picture. `seed` decides everything that the kind leaves open."""

    kind: Kind
    seed: str
    variety: int  # index into PALETTE
    aside: int | None = None  # how far another bloom stands beside the first one's place, 256ths of the side


def draw(picture: Picture, side: int) -> np.ndarray:
    """The picture before it is photographed, uint8 (SUPERSAMPLING * side, SUPERSAMPLING * side, 3)."""
    rng = Random(picture.seed)
    canvas = np.zeros((side * SUPERSAMPLING, side * SUPERSAMPLING, 3), np.int32)
    x, y, length = rng.randint(100, 156), rng.randint(96, 144), rng.randint(104, 140)
    _background(canvas, rng)
    canvas += texture(len(canvas), Random(f"{picture.seed}/ground"))
    green = rng.choice(GREENS)
    _stem(canvas, x, y, green, rng)
    if rng.random() < 0.3:  # a companion behind
        _bloom(canvas, picture, rng.randint(20, 236), rng.randint(30, 226), length * 5 // 9, rng)
    bloom = rng if picture.aside is None else Random(f"{picture.seed}/another")
    before = canvas.copy()
    _bloom(canvas, picture, x + (picture.aside or 0), y, length, bloom)
    canvas += texture(len(canvas), Random(f"{picture.seed}/bloom/{picture.aside}")) * (canvas != before)
    if rng.random() < 0.25:
        _leaf(canvas, rng.randint(0, 256), 262, rng.randint(110, 190), 3 * TURN // 4, green, rng)
    _light(canvas, rng)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _background(canvas: np.ndarray, rng: Random) -> None:
    """A gradient from above to below with discs of light out of focus."""
    side = len(canvas)
    top, bottom = (np.array(tinted(colour, 30, rng), np.int32) for colour in rng.choice(BACKGROUNDS))
    canvas[:] = (top + ((bottom - top) * np.arange(side)[:, None] // side))[:, None]
    for _ in range(rng.randint(4, 9)):
        x, y, radius = rng.randint(0, 256), rng.randint(0, 256), rng.randint(20, 70)
        colour = rng.choice((*(light for _, light in GREENS), (196, 190, 170), (84, 66, 56)))
        reach = max(radius * side >> 8, 1)
        rows, columns, _, distance = window(side, x, y, reach, 256)
        fade = np.clip(256 - distance * 16 // reach, 0, 64)
        blend(canvas[rows, columns], fade * rng.randint(3, 8) >> 2, colour)


def _stem(canvas: np.ndarray, x: int, y: int, green: tuple[Colour, Colour], rng: Random) -> None:
    """A curved stem from the bloom to the lower edge, with up to two leaves."""
    side = len(canvas)
    bend, half = rng.randint(-50, 50), max(5 * side >> 8, 1)
    rows = np.arange(y * side >> 8, side)
    fall = rows - rows[0] if len(rows) else rows
    middle = (x * side >> 8) + bend * fall * fall // (side * 256 // 2)
    across = np.abs(np.arange(side)[None] - middle[:, None])
    paint(canvas[rows[0] :], across <= half, 200 - across * 120 // half, *green)
    for _ in range(rng.randint(0, 2)):
        height = rng.randint(y, 250)
        start = x + bend * (height - y) ** 2 // (256 * 128)
        side_turn = rng.choice((TURN // 16, TURN * 7 // 16)) + rng.randint(-TURN // 20, TURN // 20)
        _leaf(canvas, start, height, rng.randint(60, 110), -side_turn % TURN, green, rng)


def _leaf(
    canvas: np.ndarray, x: int, y: int, length: int, heading: int, green: tuple[Colour, Colour], rng: Random
) -> None:
    heading += rng.randint(-TURN // 24, TURN // 24)
    draw_ring(canvas, Ring(x, y, length, (TURN // 2 - heading) % TURN, 1, LEAF, *green, vein=-60))


def _bloom(canvas: np.ndarray, picture: Picture, x: int, y: int, length: int, rng: Random) -> None:
    """A flower of the picture's kind: a shadow, rings of petals from the outside in, and the centre."""
    kind, outline = picture.kind, OUTLINES[picture.kind.outline]
    rotation, tilt = rng.randrange(TURN), rng.randint(168, 256)
    reach = max(length * len(canvas) >> 8, 1)
    rows, columns, _, distance = window(len(canvas), x + 8, y + 12, reach, tilt)
    blend(canvas[rows, columns], np.clip(256 - distance * 16 // reach, 0, 110), (8, 14, 8))  # its shadow
    shadow, light = (tinted(part, 16, rng) for part in PALETTE[picture.variety])
    eye = None if kind.eye is None else PALETTE[kind.eye][0]
    for ring in range(kind.rings):
        size = length * (10 - 3 * ring) // 10
        turned = (rotation + ring * TURN // (2 * kind.petals)) % TURN
        uneven = tuple(rng.randint(226, 272) for _ in range(kind.petals))
        petals = Ring(
            x, y, size, turned, kind.petals, outline, shadow, light, tilt, kind.vein, eye, kind.eye_radius, uneven
        )
        draw_ring(canvas, petals)
    draw_disc(canvas, x, y, length * kind.centre_radius >> 8, *CENTRES[kind.centre], tilt=tilt)


def _light(canvas: np.ndarray, rng: Random) -> None:
    """Light from one side, warmer or colder, and a little darkness towards the corners."""
    side = len(canvas)
    ramp = (np.arange(side) * 256 // side - 128).astype(np.int32)
    exposure = rng.randint(220, 296)
    gain = exposure + (rng.randint(-60, 60) * ramp[:, None] >> 8) + (rng.randint(-60, 60) * ramp[None] >> 8)
    gain = gain - ((ramp[:, None] ** 2 + ramp[None] ** 2) * 40 >> 15)
    warmth = rng.randint(-16, 16)
    canvas *= gain[..., None] + np.array([warmth, 0, -warmth], np.int32)
    canvas >>= 8


# Petals and discs


@dataclass(frozen=True)
class Ring:
    """Petals around a point. Lengths in 256ths of the canvas side, `tilt` in 256ths (256: seen from above)."""

    x: int
    y: int
    length: int
    rotation: int
    petals: int
    outline: Outline
    shadow: Colour
    light: Colour
    tilt: int = 256
    vein: int = 0
    eye: Colour | None = None
    eye_radius: int = 0
    uneven: tuple[int, ...] = ()  # length and brightness of each petal, around 256


def draw_ring(canvas: np.ndarray, ring: Ring) -> None:
    """Draw `ring` onto `canvas`, int32 (S, S, 3), in place."""
    side = len(canvas)
    length = max(ring.length * side >> 8, 2)
    rows, columns, angle, distance = window(side, ring.x, ring.y, length + length // 4, ring.tilt)
    if not angle.size:
        return
    phase = (angle + ring.rotation) % TURN * ring.petals
    across = np.abs((phase & (TURN - 1)) - TURN // 2)  # 0 on the middle line, 32768 between petals
    uneven = np.array((ring.uneven or (256,)) * ring.petals, np.int32)[: ring.petals][phase >> 16]
    along = distance * 16 // length * 256 // uneven  # x * 256
    notch = round(ring.outline.notch * 256)
    along = along + (notch * (TURN // 2 - across) >> 15 if notch > 0 else -notch * across >> 15)
    np.minimum(along, 256, out=along)
    inside = across < profile(ring.outline, ring.petals)[along]
    shade = 70 + (along * 150 >> 8) - (across * 70 >> 15) + (uneven - 256)
    shade -= ring.vein * np.maximum(0, 5000 - across) // 5000
    paint(canvas[rows, columns], inside, shade, ring.shadow, ring.light)
    if ring.eye is not None:
        reach = np.maximum(0, ring.eye_radius - along) * 4
        blend(canvas[rows, columns], np.where(inside, np.minimum(reach, 230), 0), ring.eye)


def draw_disc(canvas: np.ndarray, x: int, y: int, radius: int, shadow: Colour, light: Colour, tilt: int) -> None:
    """Draw a flower's centre, brighter above and left, with a speckle of florets."""
    side = len(canvas)
    reach = max(radius * side >> 8, 1)
    rows, columns, angle, distance = window(side, x, y, reach, tilt)
    if not angle.size:
        return
    along = distance * 16 // reach
    florets = ((angle * 13 >> 13) + (along >> 5)) % 2 * 30
    lit = np.abs((angle + TURN // 8) % TURN - TURN // 2) >> 8  # 0 away from the light, 128 towards it
    paint(canvas[rows, columns], along < 256, 110 + lit - (along >> 1) + florets, shadow, light)


def window(side: int, x: int, y: int, reach: int, tilt: int) -> tuple[slice, slice, np.ndarray, np.ndarray]:
    """The part of a canvas within `reach` pixels of a point: its rows and columns, angle and distance there."""
    column, row = x * side >> 8, y * side >> 8
    rows = slice(max(row - reach, 0), max(min(row + reach, side), 0))
    columns = slice(max(column - reach, 0), max(min(column + reach, side), 0))
    angle, distance = polar()
    across = slice(columns.start - column + REACH, columns.stop - column + REACH)
    down: slice | np.ndarray
    if tilt == 256:
        down = slice(rows.start - row + REACH, rows.stop - row + REACH)
    else:
        down = (np.arange(rows.start, rows.stop) - row) * 256 // tilt + REACH
    return rows, columns, angle[down, across], distance[down, across]


@lru_cache(maxsize=1)
def polar() -> tuple[np.ndarray, np.ndarray]:
    """Angle (in turns / TURN) and distance (in 16ths of a pixel) from the middle, int32 (2 REACH, 2 REACH)."""
    y, x = np.mgrid[-REACH:REACH, -REACH:REACH].astype(np.float64) + 0.5
    angle = np.rint(np.arctan2(y, x) * (TURN / (2 * math.pi))).astype(np.int32) % TURN
    return angle, np.rint(np.sqrt(x * x + y * y) * 16).astype(np.int32)


@lru_cache(maxsize=256)
def profile(outline: Outline, petals: int) -> np.ndarray:
    """Half width of a petal in half pitches (32768 is where it meets the next), int32 (257,) over x * 256."""
    widths = []
    for i in range(257):
        x = max(i, 1) / 256
        width = outline.width * max(math.sin(math.pi * min(x, 1.0) ** outline.peak), 0.0) ** outline.point
        widths.append(min(round(math.atan2(width, x) * petals / math.pi * 32768), 32768))
    widths[-1] = -1
    return np.array(widths, np.int32)


def blend(part: np.ndarray, alpha: np.ndarray, colour: Colour) -> None:
    """Mix `colour` into `part` (h, w, 3) by `alpha` 0-256 (h, w)."""
    part += (np.array(colour, np.int32) - part) * alpha[..., None] >> 8
