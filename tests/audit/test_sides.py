"""How the two pictures of a pair are laid side by side, and what is framed in them."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from florilegium.audit.hashing import NAMES
from florilegium.audit.sides import Outline, clipped, outlines, picture, turn_of, turned
from tests.helpers.audit import collection, transposed


def crop(frame: list[float], transform: str = "identity") -> dict[str, object]:
    return {"verdict": "crop", "transform": transform, "frame": np.array(frame)}


def test_the_part_that_was_cut_out_is_framed_in_the_whole_and_the_part_itself_all_around() -> None:
    """b is the right half of a, without its upper fifth."""
    drawn = outlines(crop([2, 0, -1, 0, 1.25, -0.25]))
    assert np.allclose(sorted(drawn["a"]), [(0.5, 0.2), (0.5, 1), (1, 0.2), (1, 1)])
    assert np.allclose(sorted(drawn["b"]), [(0, 0), (0, 1), (1, 0), (1, 1)])


def test_two_parts_of_one_photograph_are_framed_where_they_meet() -> None:
    """b lies a third of a picture to the right of a, and a third below it."""
    drawn = outlines(crop([1, 0, -1 / 3, 0, 1, -1 / 3]))
    assert sorted(drawn["a"])[0] == pytest.approx((1 / 3, 1 / 3)) and sorted(drawn["a"])[-1] == pytest.approx((1, 1))
    assert sorted(drawn["b"])[0] == pytest.approx((0, 0)) and sorted(drawn["b"])[-1] == pytest.approx((2 / 3, 2 / 3))


def test_a_frame_that_lies_aslant_has_its_corners_cut_off() -> None:
    """A square that stands on its corner, and reaches beyond all four sides."""
    half = 0.7
    corners = clipped([(0.5, 0.5 - half), (0.5 + half, 0.5), (0.5, 0.5 + half), (0.5 - half, 0.5)])
    assert len(corners) == 8 and np.abs(np.array(corners) - 0.5).max() == pytest.approx(0.5)
    assert clipped([(2.0, 2.0), (3.0, 2.0), (2.0, 3.0)]) == []


@pytest.mark.parametrize("transform", NAMES)
def test_a_frame_is_turned_with_its_picture(transform: str) -> None:
    """A filled rectangle of a picture covers its own outline after every transform."""
    image = Image.new("L", (60, 40))
    box = (6, 4, 29, 15)  # pixels from 6 to 29, and from 4 to 15
    ImageDraw.Draw(image).rectangle(box, fill=255)
    outline: Outline = [(6 / 60, 4 / 40), (30 / 60, 4 / 40), (30 / 60, 16 / 40), (6 / 60, 16 / 40)]
    left, top, right, bottom = transposed(image, transform).getbbox()
    width, height = transposed(image, transform).size
    places = np.array(turned(outline, NAMES.index(transform))) * (width, height)
    assert [*places.min(axis=0), *places.max(axis=0)] == pytest.approx([left, top, right, bottom])


def test_whole_copies_have_no_frame() -> None:
    assert outlines({"verdict": "same_picture", "transform": "flip", "frame": float("nan")}) == {}


def test_a_picture_keeps_its_shape_and_is_turned_as_the_other_one_is(tmp_path) -> None:
    image = Image.new("RGB", (90, 60), "red")
    ImageDraw.Draw(image).rectangle((0, 0, 89, 29), fill="blue")  # its upper half
    of = collection("x", tmp_path / "x", {"train/rose/1.png": image})
    pair = {"transform": "rotate90"}
    left, right = (picture(of, "train/rose/1.png", turn_of(pair, side), 30) for side in "ab")
    assert left.size == (20, 30) and right.size == (30, 20)
    assert left.getpixel((2, 15)) == right.getpixel((15, 2)) == (0, 0, 255)
    (tmp_path / "x/train/rose/1.png").write_text("no picture any more")
    assert max(picture(of, "train/rose/1.png", 0, 30).size) == 30
