import dataclasses

import numpy as np
import pytest
from PIL import Image

from florilegium.audit.hashing import NAMES
from florilegium.audit.matching import confirm
from florilegium.audit.search import search
from florilegium.config.products import Audit
from tests.helpers.audit import hash_images, picture, transposed, write


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
