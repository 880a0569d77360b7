"""One picture of a flower: background, stem, bloom, what stands before it, light and noise."""

from dataclasses import dataclass
from random import Random

import numpy as np

from florilegium.rendering.picture import (
    CENTRES,
    OUTLINES,
    PALETTE,
    TURN,
    Colour,
    Kind,
    Outline,
    Ring,
    blend,
    draw_disc,
    draw_ring,
    window,
)

SUPERSAMPLING = 2
LEAF = Outline((1,), 0.22, 0.9, 0.9, 0.0)
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
class Picture:
    """What one picture shows. `seed` draws everything that the kind leaves open."""

    kind: Kind
    seed: str
    variety: int  # index into PALETTE


def draw(picture: Picture, side: int) -> np.ndarray:
    """The picture before it is photographed, uint8 (SUPERSAMPLING * side, SUPERSAMPLING * side, 3)."""
    rng = Random(picture.seed)
    canvas = np.zeros((side * SUPERSAMPLING, side * SUPERSAMPLING, 3), np.int32)
    x, y, length = rng.randint(100, 156), rng.randint(96, 144), rng.randint(104, 140)
    _background(canvas, rng)
    green = rng.choice(GREENS)
    _stem(canvas, x, y, green, rng)
    if rng.random() < 0.3:  # a companion behind
        _bloom(canvas, picture, rng.randint(20, 236), rng.randint(30, 226), length * 5 // 9, rng)
    _bloom(canvas, picture, x, y, length, rng)
    if rng.random() < 0.25:
        _leaf(canvas, rng.randint(0, 256), 262, rng.randint(110, 190), 3 * TURN // 4, green, rng)
    _light(canvas, rng)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def photograph(canvas: np.ndarray, seed: str, *, reduce: int = SUPERSAMPLING, grain: int = 10) -> np.ndarray:
    """`canvas` averaged over `reduce` x `reduce` pixels, with grain: uint8 (S, S, 3)."""
    side = len(canvas) // reduce
    whole = canvas[: side * reduce, : side * reduce]
    parts = [whole[i::reduce, j::reduce].astype(np.int32) for i in range(reduce) for j in range(reduce)]
    pixels = (sum(parts) + len(parts) // 2) // len(parts)
    noise = np.frombuffer(Random(seed).randbytes(2 * side * side), np.uint8).astype(np.int32)
    noise = (noise.reshape(2, side, side, 1).sum(axis=0) - 255) * grain >> 8
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


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
    shade = np.broadcast_to(200 - across * 120 // half, across.shape)
    low, high = (np.array(colour, np.int32) for colour in green)
    inside = across <= half
    canvas[rows[0] :][inside] = low + ((high - low) * shade[inside][:, None] >> 8)
    for _ in range(rng.randint(0, 2)):
        height = rng.randint(y, 250)
        start = x + bend * (height - y) ** 2 // (256 * 128)
        side_turn = rng.choice((TURN // 16, TURN * 7 // 16)) + rng.randint(-TURN // 20, TURN // 20)
        _leaf(canvas, start, height, rng.randint(60, 110), -side_turn % TURN, green, rng)


def _leaf(
    canvas: np.ndarray, x: int, y: int, length: int, heading: int, green: tuple[Colour, Colour], rng: Random
) -> None:
    heading += rng.randint(-TURN // 24, TURN // 24)
    draw_ring(
        canvas,
        Ring(x, y, length, (TURN // 2 - heading) % TURN, 1, LEAF, *green, vein=-60),
    )


def _bloom(canvas: np.ndarray, picture: Picture, x: int, y: int, length: int, rng: Random) -> None:
    """A flower of the picture's kind: a shadow, rings of petals from the outside in, and the centre."""
    kind, outline = picture.kind, OUTLINES[picture.kind.outline]
    rotation, tilt = rng.randrange(TURN), rng.randint(168, 256)
    _shadow(canvas, x + 8, y + 12, length, tilt)
    shadow, light = (tinted(part, 16, rng) for part in PALETTE[picture.variety])
    for ring in range(kind.rings):
        size = length * (10 - 3 * ring) // 10
        draw_ring(
            canvas,
            Ring(
                x,
                y,
                size,
                (rotation + ring * TURN // (2 * kind.petals)) % TURN,
                kind.petals,
                outline,
                shadow,
                light,
                tilt=tilt,
                vein=kind.vein,
                eye=None if kind.eye is None else PALETTE[kind.eye][0],
                eye_radius=kind.eye_radius,
                uneven=tuple(rng.randint(226, 272) for _ in range(kind.petals)),
            ),
        )
    draw_disc(canvas, x, y, length * kind.centre_radius >> 8, *CENTRES[kind.centre], tilt=tilt)


def tinted(colour: Colour, most: int, rng: Random) -> Colour:
    """`colour` with each part moved by at most `most`."""
    red, green, blue = (min(max(part + rng.randint(-most, most), 0), 255) for part in colour)
    return red, green, blue


def _shadow(canvas: np.ndarray, x: int, y: int, length: int, tilt: int) -> None:
    side = len(canvas)
    reach = max(length * side >> 8, 1)
    rows, columns, _, distance = window(side, x, y, reach, tilt)
    blend(canvas[rows, columns], np.clip(256 - distance * 16 // reach, 0, 110), (8, 14, 8))


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
