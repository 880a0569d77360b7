"""Rendered sets of emblems that stand in for CIFAR-10, CIFAR-100 and Tiny ImageNet.

An emblem is a plain outline filled with a pattern in two colours, on textured ground. Its class is its
pattern and its outline; colours are a hint, since each kind comes in two. A place inside an emblem is
(u, v) from its middle, in 256ths of its radius. Drawing is integer arithmetic, as that of the flowers.

The first two sets are folders of splits and classes; the third has the layout of Tiny ImageNet, with codes
in place of class names, and words beside them. As in CIFAR, some test pictures are in the training split
again, encoded, exposed or mirrored differently. All that is planted is known by construction.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from florilegium.config.data import Rendering
from florilegium.core.files import write_text
from florilegium.core.system import bar
from florilegium.rendering import png
from florilegium.rendering.flowers import ORIGINAL, TAKEN
from florilegium.rendering.objects import COPIES, ground
from florilegium.rendering.picture import PALETTE, SUPERSAMPLING, TURN, opposite, paint, tinted

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
CLASSES = {"emblems10": 10, "emblems20": 20, "emblems12": 12}
LIKE_TINY_IMAGENET = "emblems12"
SIZES = range(24, 257)  # smaller, patterns look alike; larger ones take too long
TEST_PART = 5  # one picture of a class in so many is tested on
AGAIN = 8  # every so many test picture is in train again


@dataclass(frozen=True)
class Emblem:
    """The traits that all pictures of one class share."""

    outline: str
    pattern: str
    colours: tuple[int, ...]  # indices into PALETTE, of which a picture has one

    @property
    def name(self) -> str:
        return f"{self.pattern}_{self.outline}"


@dataclass(frozen=True)
class Picture:
    """The content of one picture. `seed` decides everything that its kind leaves open."""

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


@dataclass(frozen=True)
class Shot:
    """One file: what it shows, its class, and how it was taken."""

    image: str  # path inside the data set
    label: int
    picture: Picture
    taken: str = ORIGINAL  # a key of TAKEN


def render(rendering: Rendering, folder: Path) -> list[str]:
    """Draw every image of `rendering` below `folder`, with the tables of its layout; returns all paths, sorted."""
    planned = shots(rendering)
    for shot in bar(planned, "drawing", "image"):
        pixels = TAKEN[shot.taken](draw(shot.picture, rendering.size), shot.image)
        png.write(folder / shot.image, pixels)
    texts = tables(rendering, planned) if rendering.scene == LIKE_TINY_IMAGENET else {}
    for path, text in texts.items():
        write_text(folder / path, text)
    return sorted([*texts, *(shot.image for shot in planned)])


def shots(rendering: Rendering) -> list[Shot]:
    """All images of `rendering`, by split and class."""
    planned = []
    for label, kind in enumerate(kinds(rendering)):
        n_test = rendering.per_class // TEST_PART
        n_train = rendering.per_class - n_test
        train, test = (
            [Picture(kind, f"{rendering.seed}/{rendering.scene}/{split}/{label}/{i}") for i in range(count)]
            for split, count in (("train", n_train), ("test", n_test))
        )
        taken = [(picture, ORIGINAL) for picture in train]
        # What is there again, and where, differs from class to class: places are drawn for validation by name.
        place = Random(f"{rendering.seed}/{rendering.scene}/again/{label}")
        for i, picture in enumerate(test[label % AGAIN :: AGAIN]):
            taken.insert(place.randrange(n_train), (picture, COPIES[(label + i) % len(COPIES)]))
        planned += [
            Shot(_train(rendering, kind, label, i), label, picture, how) for i, (picture, how) in enumerate(taken)
        ]
        planned += [
            Shot(_test(rendering, kind, label * n_test + i, i), label, picture) for i, picture in enumerate(test)
        ]
    return planned


def kinds(rendering: Rendering) -> list[Emblem]:
    """The classes in label order."""
    return [
        make_emblem(number, Random(f"{rendering.seed}/{rendering.scene}/kind/{number}"))
        for number in range(CLASSES[rendering.scene])
    ]


def tables(rendering: Rendering, planned: Sequence[Shot]) -> dict[str, str]:
    """The text files of the layout of Tiny ImageNet, by path."""
    corner = rendering.size - 1
    tested = [shot for shot in planned if shot.image.startswith("val/")]
    annotations = (f"{Path(shot.image).name}\t{_code(shot.label)}\t0\t0\t{corner}\t{corner}\n" for shot in tested)
    words = enumerate(f"{kind.name.replace('_', ' ')}, emblem" for kind in kinds(rendering))
    return {
        "val/val_annotations.txt": "".join(annotations),
        "wnids.txt": "".join(f"{_code(label)}\n" for label in range(CLASSES[rendering.scene])),
        "words.txt": "".join(f"{_code(label)}\t{said}\n" for label, said in words),
    }


def _code(label: int) -> str:
    """A name of the form of WordNet's that no noun there has."""
    return f"n{90_000_000 + 1_001 * label}"


def _train(rendering: Rendering, kind: Emblem, label: int, number: int) -> str:
    if rendering.scene == LIKE_TINY_IMAGENET:
        return f"train/{_code(label)}/images/{_code(label)}_{number}.png"
    return f"train/{kind.name}/{number:04d}.png"


def _test(rendering: Rendering, kind: Emblem, overall: int, number: int) -> str:
    """The path of a test image; Tiny ImageNet numbers them through all classes."""
    if rendering.scene == LIKE_TINY_IMAGENET:
        return f"val/images/val_{overall}.png"
    return f"test/{kind.name}/{number:04d}.png"
