from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from florilegium.audit import multi_index
from florilegium.audit import search as module
from florilegium.audit.hashing import Hashes
from florilegium.audit.multi_index import near
from florilegium.audit.search import FAR, search
from florilegium.core.errors import UserError
from tests.helpers.audit import hash_images, picture, write


def numbers(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, n, np.uint64)


def changed(values: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The values with `count` bits flipped, other ones in each."""
    places = np.random.default_rng(seed).permuted(np.tile(np.arange(64, dtype=np.uint64), (len(values), 1)), axis=1)
    return values ^ np.bitwise_or.reduce(np.uint64(1) << places[:, :count], axis=1) if count else values.copy()


def found_by_index(a: np.ndarray, b: np.ndarray, radius: int, workers: int = 1) -> np.ndarray:
    """(P, 2) pairs in order."""
    parts = [np.empty((0, 2), np.intp)]
    near(a, b, radius, lambda i, j: parts.append(np.stack([i, j], axis=1)), workers=workers)
    pairs = np.concatenate(parts)
    return pairs[np.lexsort(pairs.T[::-1])]


def found_by_all(a: np.ndarray, b: np.ndarray, radius: int) -> np.ndarray:
    """The same by comparing every two."""
    parts = [
        np.argwhere(np.bitwise_count(a[i : i + 64, None] ^ b) <= radius) + np.array([i, 0])
        for i in range(0, len(a), 64)
    ]
    return np.concatenate(parts)


@pytest.fixture
def no_shortcut(monkeypatch):
    """Small sets are searched by bands, too."""
    monkeypatch.setattr(multi_index, "BLOCK", 1 << 10)
    monkeypatch.setattr(multi_index, "PROBE", 0)
    monkeypatch.setattr(multi_index, "COMPARED", 1000)
    multi_index._plan.cache_clear()
    yield
    multi_index._plan.cache_clear()


def test_neighbours_at_every_distance_are_found_among_twenty_thousand():
    a, b = numbers(20_000, 1), numbers(20_000, 2)
    for distance in range(13):
        b[distance * 100 : distance * 100 + 100] = changed(a[distance * 100 : distance * 100 + 100], distance, distance)
    pairs = found_by_index(a, b, 10, workers=2)
    planted = pairs[(pairs[:, 0] == pairs[:, 1]) & (pairs[:, 0] < 1300), 0]
    assert planted.tolist() == list(range(1100)), "distances 0 ... 10, and not 11 and 12"
    assert np.array_equal(pairs, found_by_all(a, b, 10))


SETS = {
    "uniform": lambda n, seed: numbers(n, seed),
    "half of the bits are set": lambda n, seed: changed(np.zeros(n, np.uint64), 32, seed),
    "a third shares a band": lambda n, seed: np.where(
        np.arange(n) % 3 == 0, numbers(n, seed) >> np.uint64(16), numbers(n, seed)
    ),
    "differ in the low bits": lambda n, seed: numbers(n, seed) & np.uint64(0xFFFFF),
    "sides differ in fixed bits": lambda n, seed: numbers(n, seed) & np.uint64(0xFFFFFF) | np.uint64(seed << 60),
    "clusters": lambda n, seed: changed(numbers(20, 0)[np.arange(n) % 20], 3 + seed, seed),
    "few words": lambda n, seed: (
        numbers(30, 0)[np.random.default_rng(seed).integers(0, 30, n)] & np.uint64(0xFFFFFFFF)
        | numbers(30, 7)[np.random.default_rng(seed + 5).integers(0, 30, n)] << np.uint64(32)
    ),
    "equal": lambda n, seed: np.zeros(n, np.uint64),
    "opposite": lambda n, seed: np.full(n, 0 if seed == 1 else 2**64 - 1, np.uint64),
}


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("radius", [0, 1, 2, 5, 10, 16, 33, 64])
def test_the_index_finds_what_a_comparison_of_all_finds(kind, radius, no_shortcut):
    a, b = SETS[kind](400, 1), SETS[kind](500, 2)
    assert np.array_equal(found_by_index(a, b, radius), found_by_all(a, b, radius))
    assert np.array_equal(found_by_index(b, a, radius, workers=2), found_by_all(b, a, radius))


def test_nothing_is_found_where_nothing_is():
    for n, m in ((0, 0), (0, 3), (3, 0)):
        assert not len(found_by_index(numbers(n, 1), numbers(m, 2), 64))


def crowded(n: int, seed: int) -> np.ndarray:
    """A third of the numbers differ in 48 bits alone."""
    values = numbers(n, seed)
    values[::3] &= np.uint64(2**48 - 1)
    return values


def of_few_words(n: int, seed: int) -> np.ndarray:
    """Each 16 bits are one of thirty words."""
    words = numbers(30, 0) & np.uint64(0xFFFF)
    drawn = np.random.default_rng(seed).integers(0, 30, (4, n))
    return sum(words[drawn[band]] << np.uint64(16 * band) for band in range(4))


@pytest.mark.parametrize("kind", [crowded, of_few_words])
def test_numbers_that_crowd_cost_little_more_than_others(kind, monkeypatch):
    """Counted in compared pairs: a ninth of all, if the bands were the 64 bits in their order."""
    compared = []
    count = np.bitwise_count
    monkeypatch.setattr(multi_index, "np", SimpleNamespace(**vars(np)))
    monkeypatch.setattr(multi_index.np, "bitwise_count", lambda bits: compared.append(np.size(bits)) or count(bits))
    a, b = kind(30_000, 1), kind(30_000, 2)
    found_by_index(a, b, 4)
    assert sum(compared) < len(a) * len(b) / 100


# Images


def around(n: int, seed: int) -> Hashes:
    """n images around a few, one in twenty of them flat and of one of three colours."""
    random = np.random.default_rng(seed)
    hashes = changed(numbers(8, 9)[random.integers(0, 8, n)], 6, seed)[:, None].repeat(8, axis=1)
    for turn in range(1, 8):
        hashes[:, turn] = changed(hashes[:, 0] << np.uint64(turn), turn, seed)
    thumb = random.integers(0, 3, (n, 1, 1, 1), np.uint8).repeat(2, axis=1)
    return Hashes(np.array([f"{seed}_{row}" for row in range(n)]), hashes, random.random(n) > 0.05, thumb)


def expected(a: Hashes, b: Hashes | None, radius: int, turns: int) -> tuple[set, list[int]]:
    """All pairs by loops over Python integers, and the distance of each image of b to its nearest."""
    other = a if b is None else b
    pairs, nearest = set(), [FAR] * len(other)
    for i, j in product(range(len(a)), range(len(other))):
        if (b is None and i == j) or a.reliable[i] != other.reliable[j]:
            continue
        listed = b is not None or i < j
        if a.reliable[i]:
            distances = [(int(a.hash[i, t]) ^ int(other.hash[j, 0])).bit_count() for t in range(turns)]
        else:
            distances = [0] if (a.thumb[i] == other.thumb[j]).all() else []
        nearest[j] = min([nearest[j], *distances])
        pairs |= {(i, j, t, d) for t, d in enumerate(distances) if listed and d <= radius}
    return pairs, nearest


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize(("radius", "dihedral", "workers"), [(10, True, 2), (0, True, 1), (12, False, 1)])
def test_search_finds_exactly_the_pairs_of_a_comparison_of_all(
    no_shortcut, monkeypatch, inside, radius, dihedral, workers
):
    monkeypatch.setattr(module, "CHUNK", 7)
    monkeypatch.setattr(module, "ROWS", 7)
    monkeypatch.setattr(module, "COLUMNS", 16)
    a, b = around(120, 1), None if inside else around(90, 2)
    pairs, nearest = expected(a, b, radius, 8 if dihedral else 1)
    found = search(a, b, radius=radius, dihedral=dihedral, workers=workers)
    listed = list(zip(found.a, found.b, found.transform, found.distance, strict=True))
    assert len(pairs) > 3
    assert len(listed) == len(set(listed)) and set(listed) == pairs
    assert found.nearest.tolist() == nearest and not found.sampled


def test_equal_hashes_are_listed_once_each():
    hashes = np.zeros((5, 8), np.uint64)
    same = Hashes(np.array(list("vwxyz")), hashes, np.ones(5, np.bool_), np.zeros((5, 1, 1, 3), np.uint8))
    assert len(search(same, radius=3, dihedral=False).a) == 10
    assert len(search(same, same, radius=3).a) == 8 * 25


def test_a_set_too_large_for_all_is_sampled_for_its_nearest(monkeypatch):
    monkeypatch.setattr(module, "MEASURED", 8 * 120 * 30)
    a, b = around(120, 1), around(90, 2)
    found = search(a, b, radius=10)
    known = found.nearest != FAR
    assert found.sampled and 20 < known.sum() <= 30
    assert found.nearest[known].tolist() == np.array(expected(a, b, 10, 8)[1])[known].tolist()


def test_too_many_pairs_end_in_a_sentence_that_names_an_image(monkeypatch):
    monkeypatch.setattr(module, "MOST", 1000)
    hashes = np.zeros((60, 8), np.uint64)
    hashes[:20] = numbers(20, 1)[:, None]
    names = np.array([f"{row}.png" for row in range(60)])
    for reliable in (True, False):
        alike = Hashes(names, hashes, np.full(60, reliable), np.zeros((60, 1, 1, 3), np.uint8))
        with pytest.raises(UserError, match=r"^\d+\.png: .* more than 1,000 pairs .* keep one"):
            search(alike, alike, radius=10, workers=2)


def test_flat_images_meet_only_their_equals(tmp_path):
    colours = {"navy.png": "navy", "white.png": "white", "teal.png": "teal", "teal_again.png": "teal"}
    flat = {name: Image.new("RGB", (40, 40), colour) for name, colour in colours.items()}
    hashes, _ = hash_images(tmp_path, write(tmp_path, flat | {"photo.png": picture(0)}))
    assert len(set(hashes.hash[~hashes.reliable, 0].tolist())) == 1, "they would collide by hash alone"
    pairs = search(hashes, radius=10)
    assert [(hashes.images[i], hashes.images[j]) for i, j in zip(pairs.a, pairs.b, strict=True)] == [
        ("teal.png", "teal_again.png")
    ]
