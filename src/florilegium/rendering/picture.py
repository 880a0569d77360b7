"""Colours, the ground and the camera that all renderings share: from a canvas to the pixels of a file.

All drawing is integer arithmetic on NumPy arrays, so that a rendering has the same bytes on every machine. Angles are
65536ths of a turn, lengths 256ths of the canvas side, colours 0-255.
"""

import math
from collections.abc import Callable
from random import Random

import numpy as np

TURN = 1 << 16
SUPERSAMPLING = 2  # pixels of the canvas, a side, for each of the picture
TEXTURE = 40  # mottles across a picture: too fine to be seen in the pixels that the demo trains on
MOTTLED = 60  # grey levels, either way
GRAIN = 10  # of a photograph, in grey levels

Colour = tuple[int, int, int]

# (shadow, light) of each colour
PALETTE: tuple[tuple[Colour, Colour], ...] = (
    ((168, 24, 52), (242, 78, 92)),  # crimson
    ((196, 60, 16), (255, 142, 52)),  # orange
    ((206, 142, 4), (255, 222, 64)),  # yellow
    ((190, 190, 204), (255, 255, 250)),  # white
    ((186, 72, 134), (252, 160, 202)),  # pink
    ((118, 20, 116), (206, 84, 196)),  # magenta
    ((76, 44, 158), (156, 120, 240)),  # violet
    ((34, 62, 172), (104, 148, 250)),  # blue
    ((196, 112, 88), (255, 200, 172)),  # salmon
    ((112, 18, 36), (180, 50, 60)),  # wine
)


def opposite(colour: int) -> int:
    """The palette's colour that is least like `colour`."""
    lights = np.array([light for _, light in PALETTE])
    return int(abs(lights - lights[colour]).sum(axis=1).argmax())


def tinted(colour: Colour, most: int, rng: Random) -> Colour:
    """`colour` with each part moved by at most `most`."""
    red, green, blue = (min(max(part + rng.randint(-most, most), 0), 255) for part in colour)
    return red, green, blue


def paint(part: np.ndarray, inside: np.ndarray, shade: np.ndarray, shadow: Colour, light: Colour) -> None:
    """Set `part` (h, w, 3) to a colour between `shadow` and `light` where `inside`."""
    shade = np.clip(shade[inside], 0, 255)[:, None]
    low, high = np.array(shadow, np.int32), np.array(light, np.int32)
    part[inside] = low + ((high - low) * shade >> 8)


def ground(side: int, rng: Random) -> np.ndarray:
    """Blurred patches of colour with stripes across, int32 (side, side, 3)."""
    coarse = np.frombuffer(rng.randbytes(5 * 5 * 3), np.uint8).reshape(5, 5, 3).astype(np.int32)
    patches = smooth(70 + (coarse * 90 >> 8), side)
    across, down, period = rng.randint(-3, 3), rng.randint(1, 3), rng.randint(10, 40) * side // 256
    line = across * np.arange(side)[None] + down * np.arange(side)[:, None]
    stripes = (line // max(period, 1)) % 2 * rng.randint(6, 26)
    return patches + stripes[..., None]


def smooth(grid: np.ndarray, side: int) -> np.ndarray:
    """Values at the corners of patches, int32 (n, n, C), as a picture (side, side, C) without steps."""
    place = np.arange(side) * (len(grid) - 1) * 256 // side  # 256ths of a patch
    low, part = place >> 8, (place & 255)[:, None]
    rows = (grid[low] * (256 - part[..., None]) + grid[low + 1] * part[..., None]) >> 8
    return (rows[:, low] * (256 - part) + rows[:, low + 1] * part) >> 8


def texture(side: int, rng: Random) -> np.ndarray:
    """Mottles around 0, int32 (side, side, 1): by them local features know one picture from all others."""
    grid = np.frombuffer(rng.randbytes(TEXTURE * TEXTURE), np.uint8).reshape(TEXTURE, TEXTURE, 1).astype(np.int32)
    return (smooth(grid, side) - 128) * MOTTLED >> 7


def offsets(side: int, x: int, y: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances of each pixel to the right of a point and below it, in 256ths of a pixel, int32 (side, side)."""
    rows, columns = np.mgrid[0:side, 0:side].astype(np.int32)
    return (2 * columns + 1) * 128 - x * side, (2 * rows + 1) * 128 - y * side


# The camera


def photograph(canvas: np.ndarray, seed: str, *, reduce: int = SUPERSAMPLING, grain: int = GRAIN) -> np.ndarray:
    """`canvas` averaged over `reduce` x `reduce` pixels, with grain: uint8 (S, S, 3)."""
    side = len(canvas) // reduce
    whole = canvas[: side * reduce, : side * reduce]
    parts = [whole[i::reduce, j::reduce].astype(np.int32) for i in range(reduce) for j in range(reduce)]
    pixels = (sum(parts) + len(parts) // 2) // len(parts)
    noise = np.frombuffer(Random(seed).randbytes(2 * side * side), np.uint8).astype(np.int32)
    noise = (noise.reshape(2, side, side, 1).sum(axis=0) - 255) * grain >> 8
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


# The ways in which copies of a picture differ: functions from a canvas, and a seed for the grain, to pixels,
# uint8 (S, S, 3).


def _encoded(canvas: np.ndarray, seed: str) -> np.ndarray:
    """Fewer levels, and colour at half the resolution, as a strong JPEG leaves it."""
    pixels = photograph(canvas, seed).astype(np.int32)
    half = len(pixels) // 2
    pixels = pixels[: 2 * half, : 2 * half]
    grey = pixels.sum(axis=2, keepdims=True) // 3
    coarse = (pixels - grey).reshape(half, 2, half, 2, 3).sum(axis=(1, 3)) // 4
    colour = coarse.repeat(2, axis=0).repeat(2, axis=1)
    return np.clip(grey // 8 * 8 + 4 + colour, 0, 255).astype(np.uint8)


def _brighter(canvas: np.ndarray, seed: str) -> np.ndarray:
    return np.clip(photograph(canvas, seed).astype(np.int32) * 9 // 8, 0, 255).astype(np.uint8)


def _cropped(canvas: np.ndarray, seed: str) -> np.ndarray:
    edge = len(canvas) // 64
    return photograph(canvas[edge : len(canvas) - edge, edge : len(canvas) - edge], seed)


# The ways in which a part of a picture is shown again: a hash sees none of them, local features see all. They are made
# from the picture, not photographed anew, so that they add no grain.


def _placed(canvas: np.ndarray, side: int, x: int, y: int, turn: int = 0) -> np.ndarray:
    """The square of `side` pixels at x, y, turned about its middle, as large as the whole canvas."""
    whole = len(canvas)
    angle = 2 * math.pi * turn / TURN
    cosine, sine = (round(1024 * value * side / whole) for value in (math.cos(angle), math.sin(angle)))
    rows, columns = np.mgrid[0:whole, 0:whole] * 2 + 1 - whole
    across = ((columns * cosine - rows * sine) >> 11) + x + side // 2
    down = ((columns * sine + rows * cosine) >> 11) + y + side // 2
    return canvas[np.clip(down, 0, whole - 1), np.clip(across, 0, whole - 1)]


def _window(canvas: np.ndarray, percent: int, seed: str) -> tuple[int, int, int]:
    """Side and corner of a square of `percent` of the area, off the middle."""
    side = math.isqrt(len(canvas) ** 2 * percent // 100) // 2 * 2
    rng, room = Random(f"{seed}/window"), len(canvas) - side
    return side, rng.choice((0, room)), rng.choice((0, room))


def _cut(percent: int) -> "Take":
    def cut(canvas: np.ndarray, seed: str) -> np.ndarray:
        side, x, y = _window(canvas, percent, seed)
        return photograph(canvas[y : y + side, x : x + side], seed, grain=0)

    return cut


def _zoomed(canvas: np.ndarray, seed: str) -> np.ndarray:
    return photograph(_placed(canvas, *_window(canvas, 70, seed)), seed, grain=0)


def _rotated(canvas: np.ndarray, seed: str) -> np.ndarray:
    """Turned by some ten degrees, and zoomed in until no corner is empty."""
    turn = Random(f"{seed}/turn").choice((-1, 1)) * TURN // 30
    side, x, y = _window(canvas, 75, seed)
    return photograph(_placed(canvas, side, x, y, turn), seed, grain=0)


def _bordered(canvas: np.ndarray, seed: str) -> np.ndarray:
    """On a plain page, a little aside."""
    whole, rng = len(canvas), Random(f"{seed}/border")
    small = whole * 13 // 16
    framed = np.full_like(canvas, rng.choice((8, 245)))
    y, x = (rng.choice((0, whole - small)) for _ in "yx")
    at = np.arange(small) * whole // small
    framed[y : y + small, x : x + small] = canvas[at][:, at]
    return photograph(framed, seed, grain=0)


def _captioned(canvas: np.ndarray, seed: str) -> np.ndarray:
    """Cut, and written on: three words, as bars, in a light strip below."""
    side, x, y = _window(canvas, 80, seed)
    rng, written = Random(f"{seed}/caption"), canvas[y : y + side, x : x + side].copy()
    top, tall = side * 9 // 10, side // 30
    written[top:] = 235
    for left in (side // 32, side * 11 // 32, side * 21 // 32):
        written[top + tall : top + 2 * tall, left : left + rng.randint(side // 8, side // 4)] = 90
    return photograph(written, seed, grain=0)


Take = Callable[[np.ndarray, str], np.ndarray]
ORIGINAL = "original"
COPIES: dict[str, Take] = {
    "encoded": _encoded,
    "brighter": _brighter,
    "cropped": _cropped,
    "resized": lambda canvas, seed: photograph(canvas, seed, reduce=2 * SUPERSAMPLING),
    "mirrored": lambda canvas, seed: photograph(canvas[:, ::-1], seed),
}
CROPS: dict[str, Take] = {
    "cut60": _cut(60),
    "zoomed": _zoomed,
    "bordered": _bordered,
    "cut75": _cut(75),
    "rotated": _rotated,
    "captioned": _captioned,
}
TAKEN: dict[str, Take] = {ORIGINAL: photograph, **COPIES, **CROPS}
COPIES_OF_EQUAL_SIZE = ("mirrored", "encoded", "brighter")
