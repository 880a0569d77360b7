"""Boxes of outlines, held against pycocotools' boxes of the same masks."""

from typing import Any

import numpy as np
import pytest
from pycocotools import mask as tools

from florilegium.data.outlines import box_of


def masks() -> list[np.ndarray]:
    """Random blobs, single pixels, whole rows and columns, all and the corners."""
    draw = np.random.default_rng(0)
    found = []
    for size in ((1, 1), (1, 7), (7, 1), (13, 9), (40, 60)):
        for density in (0.02, 0.3, 1.0):
            found.append((draw.random(size) < density).astype(np.uint8))
        for row, column in ((0, 0), (-1, -1), (size[0] // 2, slice(None)), (slice(None), size[1] // 2)):
            single = np.zeros(size, np.uint8)
            single[row, column] = 1
            found.append(single)
    long = np.zeros((700, 900), np.uint8)  # runs of more than one character
    long[3:690, 100:800] = 1
    return [*found, long]


def run_lengths(mask: np.ndarray) -> list[int]:
    """Column by column, by turns outside and inside."""
    flat = mask.T.reshape(-1)
    ends = [*(np.flatnonzero(np.diff(flat)) + 1).tolist(), len(flat)]
    lengths = np.diff([0, *ends]).tolist()
    return [0, *lengths] if flat[0] else lengths


@pytest.mark.parametrize("mask", masks())
def test_the_box_of_a_mask_is_that_of_pycocotools(mask: np.ndarray) -> None:
    packed = tools.encode(np.asfortranarray(mask))
    expected = tools.toBbox(packed).tolist() if mask.any() else None
    assert box_of({"size": list(mask.shape), "counts": packed["counts"].decode()}) == expected
    assert box_of({"size": list(mask.shape), "counts": run_lengths(mask)}) == expected


@pytest.mark.parametrize(
    "polygons",
    [
        [[10, 5, 30, 5, 30, 25.5, 10, 25.5]],
        [10, 5, 30, 5, 30, 25.5, 10, 25.5],
        [[10, 25.5, 12, 6, 11, 7], [13, 5, 30, 9, 14, 8]],
        [["10", "5"], ["30", "5.0"], [30, 25.5]],
    ],
)
def test_the_box_of_polygons_reaches_to_their_outermost_corners(polygons: Any) -> None:
    assert box_of(polygons) == [10, 5, 20, 20.5]


@pytest.mark.parametrize(
    "segmentation",
    [
        None,
        [],
        [[]],
        "",
        "polygon",
        [[1, 2, 3, 4]],
        [[1, 2, 3, 4, 5]],
        [[1, 2, 3, 4, float("nan"), 6]],
        [[1, 2, None, 4, 5, 6]],
        {},
        {"counts": "PPYo0", "size": None},
        {"counts": None, "size": [4, 4]},
        {"counts": [2, 3], "size": [0, 4]},
        {"counts": [2, 30], "size": [4, 4]},
        {"counts": [2, -1, 4], "size": [4, 4]},
        {"counts": "\x00\x01", "size": [4, 4]},
        {"counts": "o" * 5000, "size": [4, 4]},
        {"counts": "Ü", "size": [4, 4]},
        {"counts": [16], "size": [4, 4]},
    ],
)
def test_an_outline_that_cannot_be_read_has_no_box(segmentation: Any) -> None:
    assert box_of(segmentation) is None
