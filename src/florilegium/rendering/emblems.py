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

from florilegium.config.datasets import Rendering
from florilegium.core.files import write_text
from florilegium.core.system import bar
from florilegium.data.png import write_png
from florilegium.rendering.picture import (
    COPIES_OF_EQUAL_SIZE,
    ORIGINAL,
    PALETTE,
    SUPERSAMPLING,
    TAKEN,
    TURN,
    ground,
    offsets,
    opposite,
    paint,
    tinted,
)

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


def draw(picture: Picture, side: int) -> np.ndarray:
    """The picture before it is photographed, uint8 (SUPERSAMPLING * side, SUPERSAMPLING * side, 3)."""
    rng = Random(picture.seed)
    canvas = ground(side * SUPERSAMPLING, rng)
    u, v = _places(len(canvas), rng)
    field = rng.choice(picture.kind.colours)
    shade = 170 + (rng.choice((u, v, -u, -v)) >> 1) + rng.randint(-30, 30)  # lit from one side
    inside = OUTLINES[picture.kind.outline](u, v)
    pattern = PATTERNS[picture.kind.pattern](u, v)
    for part, colour in ((inside & ~pattern, field), (inside & pattern, opposite(field))):
        shadow, light = (tinted(tone, 20, rng) for tone in PALETTE[colour])
        paint(canvas, part, shade, shadow, light)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _places(side: int, rng: Random) -> tuple[np.ndarray, np.ndarray]:
    """u and v of every pixel, int32 (side, side), of an emblem somewhere near the middle, a little turned."""
    x, y, radius = rng.randint(76, 180), rng.randint(76, 180), rng.randint(64, 116)
    angle = 2 * math.pi * rng.randint(-TURN // 16, TURN // 16) / TURN
    cosine, sine = round(1024 * math.cos(angle)), round(1024 * math.sin(angle))
    dx, dy = offsets(side, x, y)
    reach = 4 * radius * side  # so that the turned length comes in 256ths of the radius
    return (dx * cosine + dy * sine) // reach, (dy * cosine - dx * sine) // reach


@dataclass(frozen=True)
class Shot:
    """One file: its class, the picture in it, and the way in which it was taken."""

    image: str  # path inside the data set
    label: int
    picture: Picture
    taken: str = ORIGINAL  # a key of TAKEN


def render(rendering: Rendering, folder: Path) -> list[str]:
    """Draw every image of `rendering` below `folder`, with the tables of its layout; returns all paths, sorted."""
    planned = shots(rendering)
    for shot in bar(planned, "drawing", "image"):
        write_png(folder / shot.image, TAKEN[shot.taken](draw(shot.picture, rendering.size), shot.image))
    texts = tables(rendering, planned) if rendering.scene == LIKE_TINY_IMAGENET else {}
    for path, text in texts.items():
        write_text(folder / path, text)
    return sorted([*texts, *(shot.image for shot in planned)])


def shots(rendering: Rendering) -> list[Shot]:
    """All images of `rendering`, by split and class."""
    world, coded = f"{rendering.seed}/{rendering.scene}", rendering.scene == LIKE_TINY_IMAGENET
    planned = []
    for label, kind in enumerate(kinds(rendering)):
        n_test = rendering.per_class // TEST_PART
        n_train = rendering.per_class - n_test
        train, test = (
            [Picture(kind, f"{world}/{split}/{label}/{i}") for i in range(count)]
            for split, count in (("train", n_train), ("test", n_test))
        )
        taken = [(picture, ORIGINAL) for picture in train]
        # The copies and their places differ from class to class, since validation images are chosen by name.
        place = Random(f"{world}/again/{label}")
        for i, picture in enumerate(test[label % AGAIN :: AGAIN]):
            how = COPIES_OF_EQUAL_SIZE[(label + i) % len(COPIES_OF_EQUAL_SIZE)]
            taken.insert(place.randrange(n_train), (picture, how))
        for i, (picture, how) in enumerate(taken):
            path = f"{_code(label)}/images/{_code(label)}_{i}" if coded else f"{kind.name}/{i:04d}"
            planned.append(Shot(f"train/{path}.png", label, picture, how))
        for i, picture in enumerate(test):  # Tiny ImageNet numbers them through all classes
            path = f"val/images/val_{label * n_test + i}" if coded else f"test/{kind.name}/{i:04d}"
            planned.append(Shot(f"{path}.png", label, picture))
    return planned


def kinds(rendering: Rendering) -> list[Emblem]:
    """The classes in label order."""
    outlines, patterns = tuple(OUTLINES), tuple(PATTERNS)
    emblems = []
    for number in range(CLASSES[rendering.scene]):
        rng = Random(f"{rendering.seed}/{rendering.scene}/kind/{number}")
        colours = tuple(rng.sample(range(len(PALETTE)), 2))
        emblems.append(Emblem(outlines[number % len(outlines)], patterns[number % len(patterns)], colours))
    return emblems


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
