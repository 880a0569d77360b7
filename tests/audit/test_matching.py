import dataclasses

import numpy as np
import pytest
from PIL import Image

from florilegium.audit import matching
from florilegium.audit.hashing import NAMES, Hashes, transformed_hashes
from florilegium.audit.matching import FAR, confirm, search
from florilegium.config.products import Audit
from tests.helpers.audit import hash_images, picture, transposed, write


def random_hashes(n: int, seed: int) -> Hashes:
    """Hashes of n noisy thumbnails around a few patterns, so that many pairs are near."""
    random = np.random.default_rng(seed)
    patterns = np.random.default_rng(9).integers(0, 256, (5, 8, 8)).repeat(4, axis=1).repeat(4, axis=2)
    noise = random.normal(0, 60, (n, 32, 32))
    grey = (patterns[random.integers(0, 5, n)] + noise).clip(0, 255).astype(np.uint8)
    return Hashes(
        images=np.array([f"{seed}_{i:04}" for i in range(n)]),
        hash=transformed_hashes(grey),
        reliable=random.random(n) > 0.05,
        thumb=grey[..., None].repeat(3, axis=3),
    )


def brute_force(a: Hashes, b: Hashes | None, radius: int) -> tuple[set, list[int]]:
    """All pairs by two loops over Python integers."""
    other = a if b is None else b
    found, nearest = set(), [int(FAR)] * len(other)
    for i in np.flatnonzero(a.reliable):
        for j in np.flatnonzero(other.reliable):
            if b is None and i >= j:
                continue
            for t in range(8):
                distance = (int(a.hash[i, t]) ^ int(other.hash[j, 0])).bit_count()
                nearest[j] = min(nearest[j], distance)
                if b is None:
                    nearest[i] = min(nearest[i], distance)
                if distance <= radius:
                    found.add((int(i), int(j), t, distance))
    return found, nearest


@pytest.mark.parametrize(("inside", "workers"), [(False, 1), (True, 1), (True, 2)])
def test_search_finds_exactly_the_pairs_of_a_brute_force_search(monkeypatch, inside, workers):
    monkeypatch.setattr(matching, "ROWS", 7)
    monkeypatch.setattr(matching, "COLUMNS", 16)
    a, b = random_hashes(45, 1), None if inside else random_hashes(38, 2)
    expected, nearest = brute_force(a, b, radius=12)
    found = search(a, b, radius=12, workers=workers)
    pairs = list(zip(found.a, found.b, found.transform, found.distance, strict=True))
    assert len(expected) > 20
    assert len(pairs) == len(set(pairs)) and set(pairs) == expected
    assert found.nearest.tolist() == nearest
    upright = search(a, b, radius=12, dihedral=False)
    assert len(upright.a) == sum(t == 0 for _, _, t, _ in expected)


def test_flat_images_meet_only_their_equals(tmp_path):
    colours = {"navy.png": "navy", "white.png": "white", "teal.png": "teal", "teal_again.png": "teal"}
    flat = {name: Image.new("RGB", (40, 40), colour) for name, colour in colours.items()}
    hashes, _ = hash_images(tmp_path, write(tmp_path, flat | {"photo.png": picture(0)}))
    assert len(set(hashes.hash[~hashes.reliable, 0].tolist())) == 1, "they would collide by hash alone"
    pairs = search(hashes, radius=10)
    assert [(hashes.images[i], hashes.images[j]) for i, j in zip(pairs.a, pairs.b, strict=True)] == [
        ("teal.png", "teal_again.png")
    ]
    assert confirm(hashes, hashes, pairs, Audit()).same.tolist() == [True]


@pytest.mark.parametrize("transform", NAMES)
def test_a_pair_keeps_the_transform_that_shows_it(tmp_path, transform):
    image = picture(5)
    hashes_a, _ = hash_images(tmp_path, write(tmp_path, {"a.png": image}))
    hashes_b, _ = hash_images(tmp_path, write(tmp_path, {"b.png": transposed(image, transform)}))
    pairs = confirm(hashes_a, hashes_b, search(hashes_a, hashes_b, radius=64), Audit())
    assert len(pairs.a) == 1, "eight candidates, one pair"
    assert NAMES[pairs.transform[0]] == transform
    assert pairs.same[0] and pairs.pixel_distance[0] < 1e-4


def test_near_in_hash_but_another_picture_is_different(tmp_path):
    image = picture(6)
    grey = np.asarray(image.convert("L"))
    painted = Image.fromarray(np.stack([grey, 255 - grey // 3, grey // 2], axis=-1))
    hashes, _ = hash_images(tmp_path, write(tmp_path, {"a.png": image, "b.png": painted}))
    alike = dataclasses.replace(hashes, hash=hashes.hash[[0, 0]])
    pairs = confirm(alike, alike, search(alike, radius=0, dihedral=False), Audit())
    assert pairs.hash_distance.tolist() == [0] and pairs.same.tolist() == [False]
    expected = np.square((hashes.thumb[0] / 255.0) - (hashes.thumb[1] / 255.0)).mean()
    assert pairs.pixel_distance[0] == pytest.approx(expected, abs=1e-6)


def test_pale_pictures_need_more_than_a_small_difference(tmp_path):
    """Two faint, unrelated pictures differ little in pixels, yet by all the contrast they have."""
    faint = {f"{seed}.png": picture(seed).point(lambda v: 200 + v // 10) for seed in range(2)}
    hashes, _ = hash_images(tmp_path, write(tmp_path, faint))
    pairs = confirm(hashes, hashes, search(hashes, radius=64, dihedral=False), Audit())
    assert pairs.pixel_distance[0] < Audit().pixel_threshold
    assert pairs.contrast_share[0] > 0.5 and not pairs.same[0]
