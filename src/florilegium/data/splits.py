"""A seeded, stratified split that depends on nothing but the images' own names.

An image's place in the draw is the hash of the seed and its file name, so that a split is the same
on every machine, however the files are packed, and one image more or less hardly moves the others.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from florilegium.core.errors import UserError
from florilegium.core.rounding import twelve_digits

SPLITS = ("train", "val", "test")
SEED = 0
OWN = "the project's own, seeded and stratified"


@dataclass(frozen=True)
class Labelled:
    """What a layout says of its images: class and split by image, and where the split comes from."""

    labels: dict[str, str]
    splits: dict[str, str]
    classes: tuple[str, ...]  # in label order, absent ones included
    origin: str
    words: dict[str, str] = field(default_factory=dict)  # what people call a class, where its name is a code


def carve(labels: Mapping[str, str], parts: Mapping[str, float], *, where: str) -> dict[str, str]:
    """Draw the splits `parts` (split: fraction) out of the images of each class; the rest is `train`.

    Args:
        labels: class by image.
        where: what the error sentence starts with.

    Returns:
        Split by image; every class has at least one image in each part and in train.

    Raises:
        UserError: a class has fewer images than there are splits.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for image in sorted(labels, key=_rank):
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
            for _ in range(max(1, round(twelve_digits(fraction * len(images))))):
                splits[next(drawn)] = split
    return splits


def _rank(image: str) -> tuple[str, str]:
    name = PurePosixPath(image).name
    return hashlib.sha256(f"{SEED}:{name}".encode()).hexdigest(), image
