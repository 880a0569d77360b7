"""Two collections of labelled images compared, or one with itself: the table of pairs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from florilegium.audit.hashing import Hashes
from florilegium.audit.matching import search
from florilegium.audit.transforms import NAMES
from florilegium.audit.verification import confirm
from florilegium.config.products import Audit
from florilegium.core.errors import UserError

SAME, DIFFERENT = "same_picture", "different"
SPLITS = ("train", "val", "test")
HELD_OUT = SPLITS[1:]


def rank(split: str) -> int:
    """The index of a split in train, val, test; -1 for any other, such as that of a folder without splits."""
    return SPLITS.index(split) if split in SPLITS else -1


@dataclass(frozen=True)
class Collection:
    """A data set as the audit sees it: hashed images, each in a split and of a class."""

    name: str
    hashes: Hashes
    splits: NDArray[np.str_]  # (N,)
    classes: NDArray[np.str_]  # (N,)
    root: Path | None = None  # folder of the image files, for pictures

    @classmethod
    def join(cls, name: str, hashes: Hashes, table: pd.DataFrame, root: Path | None = None) -> "Collection":
        """The images that are in `hashes` and in `table` (columns image, class, split), by image.

        Raises UserError when there is none.
        """
        rows = pd.Index(hashes.images).get_indexer(table["image"])
        table, rows = table[rows >= 0], rows[rows >= 0]
        if not len(rows):
            raise UserError(f"{name}: its table and its hashes have no image in common; make both again")
        order = np.argsort(rows)
        splits, classes = (table[key].to_numpy(np.str_)[order] for key in ("split", "class"))
        return cls(name, hashes.take(rows[order]), splits, classes, root)


@dataclass(frozen=True)
class Comparison:
    """The result of an audit. `a` is trained on, `b` tested on; inside one set `b` is `a`.

    `pairs` has the columns image_a, split_a, class_a, image_b, split_b, class_b, hash_distance,
    transform, pixel_distance, contrast_share, verdict, by rising pixel distance. `nearest`, (N,), is
    the hash distance from each image of b to its nearest in a. `held_out` are the splits of b whose pictures
    must not be in a.
    """

    a: Collection
    b: Collection
    pairs: pd.DataFrame
    nearest: NDArray[np.uint8]
    settings: Audit
    held_out: tuple[str, ...] = HELD_OUT

    @property
    def inside(self) -> bool:
        return self.a is self.b

    @property
    def same(self) -> pd.DataFrame:
        """The pairs that show the same picture."""
        return self.pairs[self.pairs["verdict"] == SAME]

    def leaks(self) -> pd.DataFrame:
        """The pairs through which training images reach a test.

        Across two sets: b's image is held out. Inside one: the two images lie in different splits, or the
        set has a single split, since any split that is drawn from it may separate them.
        """
        same = self.same
        if not self.inside:
            return same[same["split_b"].isin(self.held_out)]
        if len(np.unique(self.a.splits)) == 1:
            return same
        return same[same["split_a"] != same["split_b"]]


def compare(
    a: Collection,
    b: Collection,
    settings: Audit,
    *,
    held_out: tuple[str, ...] = HELD_OUT,
    workers: int = 1,
) -> Comparison:
    """Every pair within the radius, with its verdict; pass `a` twice to search inside it."""
    candidates = search(
        a.hashes,
        None if b is a else b.hashes,
        radius=settings.radius,
        dihedral=settings.dihedral,
        workers=workers,
    )
    confirmed = confirm(a.hashes, b.hashes, candidates, settings)
    pairs = pd.DataFrame(
        {
            "image_a": a.hashes.images[confirmed.a],
            "split_a": a.splits[confirmed.a],
            "class_a": a.classes[confirmed.a],
            "image_b": b.hashes.images[confirmed.b],
            "split_b": b.splits[confirmed.b],
            "class_b": b.classes[confirmed.b],
            "hash_distance": confirmed.hash_distance,
            "transform": np.array(NAMES)[confirmed.transform],
            "pixel_distance": confirmed.pixel_distance,
            "contrast_share": confirmed.contrast_share,
            "verdict": np.where(confirmed.same, SAME, DIFFERENT),
        }
    ).sort_values(["pixel_distance", "image_a", "image_b"], ignore_index=True)
    return Comparison(a, b, pairs, candidates.nearest, settings, held_out)
