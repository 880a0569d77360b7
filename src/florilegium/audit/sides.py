"""The two pictures of a pair as they are laid side by side, and the outline of what the other one shows."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from florilegium.audit.comparison import Collection
from florilegium.audit.hashing import IDENTITY, NAMES, apply
from florilegium.core.outputs import CROP
from florilegium.data.decode import BadImage, decode

Outline = list[tuple[float, float]]
"""Corners of a polygon in a picture, whose sides are 1 long: x to the right, y down."""

WHOLE: Outline = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


def turn_of(pair: Mapping[str, Any], side: str) -> int:
    """The transform under which a picture is shown, an index into NAMES: a is turned as b is, b stays."""
    return NAMES.index(str(pair["transform"])) if side == "a" else IDENTITY


def picture(collection: Collection, image: str, transform: int, longest: int) -> Image.Image:
    """A picture after a transform, its longer side scaled to `longest` pixels.

    It is read from the file below the collection's root; where that is absent or broken, its 32-pixel thumbnail is
    enlarged.
    """
    found = None
    if collection.root is not None:
        with suppress(BadImage):  # it is gone, or was written to since it was hashed
            found = decode(collection.root / image, collection.pictures)
    if found is None:
        row = np.flatnonzero(collection.hashes.images == image)[0]
        found = Image.fromarray(collection.hashes.thumb[row])
    scale = longest / max(found.size)
    size = (max(1, round(found.width * scale)), max(1, round(found.height * scale)))
    found = found.resize(size, Image.Resampling.BICUBIC, reducing_gap=3)
    return Image.fromarray(apply(np.asarray(found)[None], transform)[0])


def outlines(pair: Mapping[str, Any]) -> dict[str, Outline]:
    """For each side of a crop the part that the other picture shows, as the picture is shown; empty for other pairs."""
    if pair["verdict"] != CROP:
        return {}
    matrix = np.array(pair["frame"], float).reshape(2, 3)
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    in_a, in_b = clipped(mapped(WHOLE, back)), clipped(mapped(WHOLE, matrix))
    return {"a": turned(in_a, turn_of(pair, "a")), "b": in_b}


def mapped(outline: Outline, matrix: NDArray[np.float64]) -> Outline:
    """The outline under the (2, 3) map `matrix`."""
    places = np.column_stack([np.array(outline), np.ones(len(outline))]) @ matrix.T
    return [(float(x), float(y)) for x, y in places]


def turned(outline: Outline, transform: int) -> Outline:
    """The outline in a picture that `hashing.apply` has turned."""
    flipped, turns = divmod(transform, 4)
    if flipped:
        outline = [(1 - x, y) for x, y in outline]
    for _ in range(turns):
        outline = [(y, 1 - x) for x, y in outline]
    return outline


def clipped(outline: Outline) -> Outline:
    """The part of a convex outline inside the picture (Sutherland & Hodgman, CACM 1974): one side after the other."""
    for axis in (0, 1):
        for sign, border in ((1.0, 0.0), (-1.0, -1.0)):  # what lies at 0 or beyond, then at 1 or before
            kept: Outline = []
            for start, end in zip([*outline[-1:], *outline[:-1]], outline, strict=True):
                before, after = (sign * place[axis] - border for place in (start, end))
                if before * after < 0:
                    share = before / (before - after)
                    kept.append((start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])))
                if after >= 0:
                    kept.append(end)
            outline = kept
    return outline
