"""Cut, framed and turned copies are found where features and pixels prove them, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from florilegium.audit.alignment import align
from florilegium.audit.comparison import Collection, compare
from florilegium.audit.hashing import NAMES, apply
from florilegium.audit.points import AREA, SMALLEST, describe, working, working_size
from florilegium.audit.proof import overlap
from florilegium.config.products import Audit
from tests.helpers import audit


def collection(name: str, root: Path, images: dict[str, Image.Image]) -> Collection:
    return audit.collection(name, root, images, crops=True)


WIDTH, HEIGHT = 240, 200


def scene(seed: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    """Coloured shapes in front of each other, with grain."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(random.integers(0, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(90):
        x, y = random.integers(-20, size[0]), random.integers(-20, size[1])
        box = (x, y, x + random.integers(6, 50), y + random.integers(6, 50))
        (draw.ellipse if random.random() < 0.5 else draw.rectangle)(box, tuple(random.integers(0, 256, 3)))
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.7))) + random.normal(0, 4, (size[1], size[0], 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def framed(image: Image.Image) -> Image.Image:
    whole = Image.new("RGB", (image.width + 80, image.height + 60), "white")
    whole.paste(image, (40, 30))
    return whole


def written_on(image: Image.Image) -> Image.Image:
    copy = image.crop((12, 0, 240, 190))
    ImageDraw.Draw(copy).rectangle((0, 165, 228, 190), "black")
    return copy


COPIES = {
    "half of the area": lambda image: image.crop((60, 50, 230, 191)),
    "a corner, squeezed": lambda image: image.crop((0, 0, 180, 150)).resize((150, 150)),
    "framed": framed,
    "written on": written_on,
    "turned a little": lambda image: image.rotate(12, Image.Resampling.BICUBIC),
    "grey": lambda image: image.crop((50, 30, 240, 200)).convert("L").convert("RGB"),
    "dark": lambda image: image.crop((50, 30, 240, 200)).point([int(255 * (v / 255) ** 1.8) for v in range(256)] * 3),
    "small": lambda image: image.crop((40, 20, 240, 190)).resize((100, 85)),
    "mirrored": lambda image: image.crop((40, 20, 240, 190)).transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Copies of scenes, each of its own, among other scenes."""
    a = {f"train/x/{n}.png": scene(n) for n in range(len(COPIES))} | {"train/x/own.png": scene(90)}
    b = {f"test/x/{n}.jpg": change(scene(n)) for n, change in enumerate(COPIES.values())} | {"test/x/o.png": scene(91)}
    root = tmp_path_factory.mktemp("crops")
    return compare(collection("a", root / "a", a), collection("b", root / "b", b), Audit())


def test_every_copy_is_a_leak_and_nothing_else_is(found):
    leaks = found.leaks()
    assert set(zip(leaks["image_a"], leaks["image_b"], strict=True)) == {
        (f"train/x/{n}.png", f"test/x/{n}.jpg") for n in range(len(COPIES))
    }
    assert (leaks["verdict"] == "crop").sum() >= len(COPIES) - 1, "a hash may see one that was turned"


def test_scale_overlap_and_transform_are_those_of_the_change(found):
    pairs = found.same.set_index("image_b")
    half, framed_, mirrored = (
        pairs.loc[f"test/x/{list(COPIES).index(name)}.jpg"] for name in ("half of the area", "framed", "mirrored")
    )
    cut = 170 * 141 / (WIDTH * HEIGHT)
    assert half["overlap"] == pytest.approx(cut, abs=0.03) and half["scale"] == pytest.approx(cut**-0.5, abs=0.03)
    inner = WIDTH * HEIGHT / (320 * 260)
    assert framed_["overlap"] == pytest.approx(inner, abs=0.03) and framed_["scale"] == pytest.approx(
        inner**0.5, abs=0.03
    )
    assert half["transform"] == "identity" and mirrored["transform"] == "flip"
    assert half["frame"] == pytest.approx([240 / 170, 0, -60 / 170, 0, 200 / 141, -50 / 141], abs=0.03)


@pytest.mark.parametrize("transform", range(8))
def test_a_turned_part_has_its_transform(tmp_path, transform):
    turned = apply(np.asarray(scene(5).crop((30, 0, 220, 190)))[None], transform)[0]
    sides = [
        collection(name, tmp_path / name, {"test/x/1.png": image})
        for name, image in (("a", scene(5)), ("b", Image.fromarray(turned)))
    ]
    (pair,) = compare(*sides, Audit()).same.itertuples()
    assert pair.transform == NAMES[transform]
    assert len(compare(*sides, Audit(dihedral=False)).same) == (transform == 0)


def test_a_crop_in_another_split_of_one_set_is_dropped_and_told(tmp_path):
    images = {"train/x/whole.png": scene(1), "test/x/part.png": scene(1).crop((50, 40, 240, 200))}
    data = collection("set", tmp_path, images)
    inside = compare(data, data, Audit())
    assert inside.leaks()["verdict"].tolist() == ["crop"]
    assert compare(data, data, Audit(crops=False)).leaks().empty


def marked(image: Image.Image, mark: Image.Image, at: tuple[int, int]) -> Image.Image:
    image.paste(mark, at)
    return image


DIFFERENT = {
    "one mark on two pictures": lambda: (
        marked(scene(1), scene(50, (70, 60)), (5, 5)),
        marked(scene(2), scene(50, (70, 60)), (90, 60)),
    ),
    "one frame around two pictures": lambda: (
        marked(scene(60), scene(1, (160, 120)), (40, 40)),
        marked(scene(60), scene(2, (160, 120)), (40, 40)),
    ),
    "two frames of a series": lambda: (scene(60), moved(scene(60)).crop((40, 30, 240, 200))),
}


def moved(image: Image.Image) -> Image.Image:
    """The scene again, a moment later: its middle columns have moved by a few pixels, more and more of them."""
    pixels = np.asarray(image)
    shift = np.rint(5 * np.sin(np.arange(WIDTH) / 18)).astype(int)
    return Image.fromarray(np.stack([np.roll(pixels[:, x], shift[x], axis=0) for x in range(WIDTH)], axis=1))


@pytest.mark.parametrize("kind", DIFFERENT)
def test_what_only_shares_parts_is_no_copy(tmp_path, kind):
    one, other = DIFFERENT[kind]()
    sides = [collection(name, tmp_path / name, {"test/x/1.png": image}) for name, image in (("a", one), ("b", other))]
    assert compare(*sides, Audit()).leaks().empty


def test_pictures_that_are_too_small_or_plain_have_no_features():
    assert len(describe(scene(0).resize((SMALLEST - 1, 200)))) == 0
    assert len(describe(Image.new("RGB", (200, 200), "teal"))) == 0
    assert len(describe(scene(0).resize((SMALLEST, SMALLEST)))) > 0


@pytest.mark.parametrize("size", [(240, 200), (60, 50), (4000, 300), (48, 3000)])
def test_features_are_sought_in_as_many_pixels_of_any_picture(size):
    width, height = working_size(*size)
    assert width * height == pytest.approx(AREA, rel=0.05) and width / height == pytest.approx(
        size[0] / size[1], rel=0.1
    )
    assert working(Image.new("RGB", size)).shape == (height, width)


def test_features_of_a_mirror_image_are_computed_from_those_of_the_picture():
    image = scene(3)
    points = describe(image).mirrored(working(image).shape[1])
    alignment = align(points, describe(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    assert alignment is not None and alignment.points > 60
    assert alignment.matrix == pytest.approx(np.array([[1, 0, 0], [0, 1, 0]]), abs=0.6)


def test_the_overlap_of_a_picture_with_itself_is_whole():
    image, points = working(scene(4)), describe(scene(4))
    shared = overlap(image, image, align(points, points))
    assert (shared.scale, shared.overlap, shared.agreement) == pytest.approx((1, 1, 1), abs=1e-3)


def test_a_picture_that_vanishes_meanwhile_is_one_sentence(tmp_path):
    sides = [
        collection(name, tmp_path / name, {"test/x/1.png": image})
        for name, image in (("a", scene(1)), ("b", scene(1).crop((60, 50, 230, 191))))
    ]
    Path(tmp_path / "a/test/x/1.png").unlink()
    with pytest.raises(Exception, match=r"1\.png: .*it could be read before, start again"):
        compare(*sides, Audit())
