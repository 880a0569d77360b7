"""Which pictures are compared as parts of each other: few, whatever they share, and the same in any order."""

from pathlib import Path

import numpy as np
import pytest

from florilegium.audit.columns import PickedPoints, packed
from florilegium.audit.points import COUNT, LENGTH, Points
from florilegium.audit.sharing import sharing


def features(seed: int, n: int = COUNT) -> Points:
    random = np.random.default_rng(seed)
    place = random.uniform((0, 0, 2, 0), (210, 160, 20, 360), (n, 4)).astype(np.float32)
    return Points(place, random.gamma(0.6, 40, (n, LENGTH)).clip(0, 255).astype(np.uint8))


def some(points: Points, seed: int, n: int) -> Points:
    rows = np.random.default_rng(seed).permutation(len(points))[:n]
    return Points(points.place[rows], points.descriptor[rows])


def joined(*points: Points) -> Points:
    return Points(*(np.concatenate([getattr(of, key) for of in points]) for key in ("place", "descriptor")))


def stored(file: Path, pictures: list[Points]) -> PickedPoints:
    packed(pictures).tofile(file)
    count = np.array([len(points) for points in pictures], np.int64)
    return PickedPoints(file, np.cumsum(count) - count, count)


def found(a: PickedPoints, b: PickedPoints | None = None, workers: int = 1) -> list[tuple[int, int, bool]]:
    shared = sharing(a, b, workers=workers)
    return list(zip(shared.a.tolist(), shared.b.tolist(), shared.mirrored.tolist(), strict=True))


@pytest.fixture
def pictures() -> list[Points]:
    """Ten pictures; 10 is a part of 3, 11 of the mirror image of 4, and 12 has no features."""
    whole = [features(seed) for seed in range(10)]
    return [*whole, some(whole[3], 1, 40), some(whole[4], 2, 40).mirrored(214), features(99, 0)]


def test_parts_are_met_whole_and_mirrored_and_nothing_else(pictures, tmp_path):
    assert found(stored(tmp_path / "a", pictures)) == [(3, 10, False), (4, 11, True)]


@pytest.mark.parametrize("workers", [1, 3])
def test_pairs_are_the_same_whatever_the_order_and_the_workers(pictures, tmp_path, workers):
    order = np.random.default_rng(workers).permutation(len(pictures))
    shuffled = stored(tmp_path / "a", [pictures[row] for row in order])
    inside = {(*sorted((int(order[i]), int(order[j]))), mirrored) for i, j, mirrored in found(shuffled, None, workers)}
    assert inside == {(3, 10, False), (4, 11, True)}
    across = found(shuffled, stored(tmp_path / "b", pictures[10:]), workers)
    own = {(3, 0, False), (4, 1, True), (10, 0, False), (11, 1, False)}
    assert {(int(order[i]), j, mirrored) for i, j, mirrored in across} == own


def test_every_double_of_a_picture_is_met_by_its_part(tmp_path):
    """To the bit the same, they would take all places beside its features."""
    whole = features(1)
    a = stored(tmp_path / "a", [features(2), *[whole] * 30, features(3)])
    b = stored(tmp_path / "b", [features(4), some(whole, 1, 40), some(whole, 1, 40)])
    assert sorted(found(a, b)) == [(row, part, False) for row in range(1, 31) for part in (1, 2)]
    inside = stored(tmp_path / "c", [some(whole, 1, 40), *[whole] * 30, some(whole, 1, 40)])
    parts = {(0, row, False) for row in range(1, 31)} | {(row, 31, False) for row in range(1, 31)}
    assert set(found(inside)) == parts and len(found(inside)) == 60


def test_a_mark_on_all_pictures_makes_no_pair_of_every_two(tmp_path):
    mark, n = features(0, 20), 400
    marked = stored(tmp_path / "a", [joined(features(seed, 12), mark) for seed in range(1, n)])
    assert len(sharing(marked)) < 30 * n < n * n / 4


def test_nothing_is_met_where_nothing_is(tmp_path):
    none, one = stored(tmp_path / "none", []), stored(tmp_path / "one", [features(1)])
    empty = stored(tmp_path / "empty", [features(1, 0)] * 3)
    for a, b in ((none, None), (one, None), (empty, None), (none, one), (one, none), (empty, one), (one, empty)):
        assert not found(a, b)
