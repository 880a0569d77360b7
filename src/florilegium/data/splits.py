"""Seeded, stratified draws of images that depend on nothing but the images' own names.

An image's place in a draw is a hash of the seed and its name, so that a split is the same on every machine,
however the files are packed, and one image more or less hardly moves the others.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from florilegium.core.errors import UserError
from florilegium.core.system import twelve_digits

SPLITS = ("train", "val", "test")
SEED = 0
OWN = "the project's own, seeded and stratified"


@dataclass(frozen=True)
class Labelled:
    """Images as their layout labels them."""

    labels: dict[str, str]  # class by image
    splits: dict[str, str]  # split by image
    classes: tuple[str, ...]  # in label order, absent ones included
    origin: str  # of the splits
    words: dict[str, str] = field(default_factory=dict)  # readable names of classes that are called by a code


def carve(labels: Mapping[str, str], parts: Mapping[str, float], *, where: str) -> dict[str, str]:
    """Draw the splits `parts` (split: fraction) out of the images of each class; the rest is `train`.

    Args:
        labels: class by image.
        where: the start of the error sentence.

    Returns:
        Split by image; every class has at least one image in each part and in train.

    Raises:
        UserError: a class has fewer images than there are splits.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for image in shuffled(labels, lambda image: PurePosixPath(image).name):
        members[labels[image]].append(image)
    splits = dict.fromkeys(labels, "train")
    for label, images in sorted(members.items()):
        if len(images) <= len(parts):
            raise UserError(
                f"{where}: class '{label}' has too few images to split, {len(images)} where "
                f"{len(parts) + 1} are needed (one each for train, {', '.join(parts)}); add images or "
                "leave the class out"
            )
        drawn = iter(images)
        for split, fraction in parts.items():
            for _ in range(share(fraction, len(images))):
                splits[next(drawn)] = split
    return splits


def shuffled(images: Iterable[str], key: Callable[[str], str]) -> list[str]:
    """`images` in a random order that the texts `key(image)` alone decide; equal ones go by the image."""
    return sorted(images, key=lambda image: (hashlib.sha256(f"{SEED}:{key(image)}".encode()).digest(), image))


def share(fraction: float, count: int) -> int:
    """`fraction` of `count` images as a whole number, at least one."""
    return max(1, round(twelve_digits(fraction * count)))
