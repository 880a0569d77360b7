import dataclasses

import numpy as np
import pytest
from PIL import Image

from florilegium.audit.hashing import NAMES
from florilegium.audit.matching import confirm, recoloured
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


def grain(seed: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """A smooth picture with something to see everywhere."""
    fine = np.random.default_rng(seed + 100).integers(0, 100, (40, 48, 3), np.uint8)
    fine = np.asarray(Image.fromarray(fine).resize(size), np.float32) - 50
    return Image.fromarray((np.asarray(picture(seed, size)) * 0.6 + 50 + fine).clip(0, 255).astype(np.uint8))


def near_in_hash(tmp_path, one: Image.Image, other: Image.Image):
    """The one pair of two pictures whose hashes are made equal."""
    hashes, _ = hash_images(tmp_path, write(tmp_path, {"a.png": one, "b.png": other}))
    alike = dataclasses.replace(hashes, hash=hashes.hash[[0, 0]], reliable=np.array([True, True]))
    return hashes, confirm(alike, alike, search(alike, radius=0, dihedral=False), Audit())


def test_near_in_hash_but_another_picture_is_different(tmp_path):
    hashes, pairs = near_in_hash(tmp_path, grain(6), grain(7))
    assert pairs.hash_distance.tolist() == [0] and pairs.same.tolist() == [False]
    expected = np.square((hashes.thumb[0] / 255.0) - (hashes.thumb[1] / 255.0)).mean()
    assert pairs.pixel_distance[0] == pytest.approx(expected, abs=1e-6)


def channels(image: Image.Image, change) -> Image.Image:
    return Image.fromarray(change(np.asarray(image, np.float32)).clip(0, 255).round().astype(np.uint8))


RECOLOURED = {
    "grey": lambda image: image.convert("L").convert("RGB"),
    "hues exchanged": lambda image: channels(image, lambda v: v[..., [1, 2, 0]]),
    "complementary hues": lambda image: channels(
        image, lambda v: v.max(axis=2, keepdims=True) + v.min(axis=2, keepdims=True) - v
    ),
    "bright": lambda image: channels(image, lambda v: 1.5 * v),
    "dark": lambda image: channels(image, lambda v: 0.4 * v),
    "gamma": lambda image: channels(image, lambda v: 255 * (v / 255) ** 0.45),
    "inverted": lambda image: channels(image, lambda v: 255 - v),
}


@pytest.mark.parametrize("change", RECOLOURED)
def test_a_recoloured_copy_is_the_same_picture(tmp_path, change):
    one, other = grain(8), RECOLOURED[change](grain(8))
    for name, pair in {"there": (one, other), "back": (other, one)}.items():
        _, pairs = near_in_hash(tmp_path / name, *pair)
        assert pairs.pixel_distance[0] > Audit().pixel_threshold or pairs.contrast_share[0] > Audit().contrast_share
        assert pairs.same.tolist() == [True]


def test_a_recoloured_copy_is_found_in_any_orientation(tmp_path):
    """Under the transform of the hash that is near, and of no other."""
    copy = transposed(RECOLOURED["gamma"](grain(9)), "flip_rotate90")
    hashes, _ = hash_images(tmp_path, write(tmp_path, {"a.png": grain(9), "b.png": copy}))
    pairs = confirm(hashes, hashes, search(hashes, radius=10), Audit())
    assert pairs.same.tolist() == [True] and NAMES[pairs.transform[0]] == "flip_rotate90"


def test_skies_that_grow_darker_are_not_one_picture(tmp_path):
    """Any smooth change of light can be fitted to another; their grain cannot."""
    ramp = np.linspace(40, 200, 80)[:, None, None]
    skies = [
        (ramp * np.array(colour) + np.random.default_rng(seed).normal(0, 6, (80, 96, 3))).clip(0, 255).astype(np.uint8)
        for seed, colour in enumerate(((0.4, 0.7, 1.0), (1.2, 0.6, 0.3)))
    ]
    _, pairs = near_in_hash(tmp_path, *map(Image.fromarray, skies))
    assert pairs.pixel_distance[0] > Audit().pixel_threshold and pairs.same.tolist() == [False]


def framed(image: Image.Image) -> Image.Image:
    whole = Image.new("RGB", (image.width + 20, image.height + 20), "white")
    whole.paste(image, (10, 10))
    whole.paste(Image.radial_gradient("L").resize((20, 15)), (12, 70))
    return whole


def test_one_frame_and_one_mark_do_not_make_a_recoloured_copy(tmp_path):
    one, other = (framed(grain(seed).point(lambda level: 60 + level // 2)) for seed in (6, 7))
    hashes, _ = hash_images(tmp_path, write(tmp_path, {"a.png": one, "b.png": other}))
    first, upright = np.array([0]), np.array([0])
    assert not recoloured(hashes, hashes, first, np.array([1]), upright)
    assert recoloured(hashes, hashes, first, first, upright)


def in_frame(image: Image.Image, colour: str, sides: tuple[int, int, int, int]) -> Image.Image:
    """With that many pixels of one colour on the left, above, on the right and below."""
    left, above, right, below = sides
    whole = Image.new("RGB", (image.width + left + right, image.height + above + below), colour)
    whole.paste(image, (left, above))
    return whole


@pytest.mark.parametrize(
    ("colour", "sides"), [("white", (60, 60, 60, 60)), ("black", (0, 100, 0, 100)), ("ivory", (10, 10, 10, 160))]
)
def test_a_frame_of_one_colour_makes_no_two_pictures_one(tmp_path, colour, sides):
    one, other = (in_frame(grain(seed), colour, sides) for seed in (6, 7))
    _, pairs = near_in_hash(tmp_path, one, other)
    assert pairs.contrast_share[0] < Audit().contrast_share, "near each other with the frame"
    assert pairs.same.tolist() == [False]
    again = one.resize((one.width // 2, one.height // 2))
    assert near_in_hash(tmp_path, one, again)[1].same.tolist() == [True]


def test_pale_pictures_need_more_than_a_small_difference(tmp_path):
    """Two faint, unrelated pictures differ little in pixels, yet by all the contrast they have."""
    faint = {f"{seed}.png": picture(seed).point(lambda v: 200 + v // 10) for seed in range(2)}
    hashes, _ = hash_images(tmp_path, write(tmp_path, faint))
    pairs = confirm(hashes, hashes, search(hashes, radius=64, dihedral=False), Audit())
    assert pairs.pixel_distance[0] < Audit().pixel_threshold
    assert pairs.contrast_share[0] > 0.5 and not pairs.same[0]
