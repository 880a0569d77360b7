"""Rendered sets of emblems that stand in for CIFAR-10, CIFAR-100 and Tiny ImageNet.

The first two are folders of splits and classes; the third has the layout of Tiny ImageNet, codes in place
of class names and words beside them included. As in CIFAR, some test pictures are in the training split
again, encoded, exposed or mirrored differently. What is planted is known by construction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from florilegium.core.errors import UserError
from florilegium.core.files import write_text
from florilegium.core.progress import bar
from florilegium.core.sources import Rendering
from florilegium.data.copies import ORIGINAL, TAKEN
from florilegium.data.emblems import Emblem, Picture, draw, make_emblem
from florilegium.data.objects import COPIES
from florilegium.rendering import png

CLASSES = {"emblems10": 10, "emblems20": 20, "emblems12": 12}
LIKE_TINY_IMAGENET = "emblems12"
SIZES = range(24, 257)
TEST_PART = 5  # one picture of a class in so many is tested on
AGAIN = 8  # every so many test picture is in train again


@dataclass(frozen=True)
class Shot:
    """One file: what it shows, its class, and how it was taken."""

    image: str  # path inside the data set
    label: int
    picture: Picture
    taken: str = ORIGINAL  # a key of TAKEN


def render(rendering: Rendering, folder: Path) -> list[str]:
    """Draw every image of `rendering` below `folder`, with the tables of its layout; all paths, sorted.

    Raises UserError for a size at which the patterns cannot be told apart, or that takes too long.
    """
    if rendering.size not in SIZES:
        raise UserError(
            f"{rendering.scene}: rendered.size = {rendering.size} cannot be drawn; give {SIZES[0]} to {SIZES[-1]}"
        )
    planned = shots(rendering)
    for shot in bar(planned, "drawing", "image"):
        pixels = TAKEN[shot.taken](draw(shot.picture, rendering.size), shot.image)
        (folder / shot.image).parent.mkdir(parents=True, exist_ok=True)
        (folder / shot.image).write_bytes(png.encode(pixels))
    texts = tables(rendering, planned) if rendering.scene == LIKE_TINY_IMAGENET else {}
    for path, text in texts.items():
        write_text(folder / path, text)
    return sorted([*texts, *(shot.image for shot in planned)])


def shots(rendering: Rendering) -> list[Shot]:
    """All images of `rendering`, by split and class."""
    found = []
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
        found += [
            Shot(_train(rendering, kind, label, i), label, picture, how)
            for i, (picture, how) in enumerate(taken)
        ]
        found += [
            Shot(_test(rendering, kind, label * n_test + i, i), label, picture)
            for i, picture in enumerate(test)
        ]
    return found


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
    annotations = (
        f"{Path(shot.image).name}\t{_code(shot.label)}\t0\t0\t{corner}\t{corner}\n" for shot in tested
    )
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
