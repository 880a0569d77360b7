from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from florilegium.audit.hashing import NAMES, apply, thumbnails, transformed_hashes
from florilegium.config.pictures import Pictures
from florilegium.core.errors import UserError
from florilegium.data.pack import pack
from tests.helpers.audit import PILLOW, hash_images, picture, transposed, write
from tests.helpers.data import encoded
from tests.helpers.pictures import png


def reference(path: Path) -> int:
    """pHash of the whole image as the imagehash package gives it."""
    with Image.open(path) as image:
        return int(str(imagehash.phash(image)), 16)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "CMYK", "1"])
def test_hashes_equal_imagehash_in_every_colour_mode(tmp_path, mode):
    suffix = "tif" if mode == "CMYK" else "png"
    image = picture(3)
    names = write(tmp_path, {f"picture.{suffix}": image.convert(mode)})
    hashes, _ = hash_images(tmp_path, names)
    assert int(hashes.hash[0, 0]) == reference(tmp_path / names[0])


def turned():
    """A picture that its EXIF tag turns, and the same upright."""
    exif = Image.Exif()
    exif[0x0112] = 6  # by 90 degrees clockwise
    image = picture(1)
    return encoded(image, "PNG", exif=exif), image.transpose(Image.Transpose.ROTATE_270)


def cut_out():
    """A picture whose transparency is that of another, and the same on the ground `GROUND`."""
    image, alpha = picture(3), picture(4).convert("L")
    share = np.asarray(alpha)[..., None] / 255
    flat = np.asarray(image) * share + np.array((0, 0, 128)) * (1 - share)
    image.putalpha(alpha)
    return encoded(image, "PNG"), Image.fromarray(np.rint(flat).astype(np.uint8))


def of_12_bits():
    """Colours of 12 bits in 16, and the same in 8."""
    values = np.asarray(picture(5)).astype(int)
    return png(np.rint(values * 4095 / 255), 16, 2), picture(5)


def grey_of_12_bits():
    values = np.asarray(picture(6).convert("L")).astype(int)
    return png(np.rint(values * 4095 / 255), 16, 0), picture(6).convert("L")


GROUND = Pictures(ground="navy")


@pytest.mark.parametrize("kind", [turned, cut_out, of_12_bits, grey_of_12_bits])
def test_an_audit_compares_what_a_training_sees(tmp_path, kind):
    """Beside a plain picture of the same content both agree: hash, thumbnails, and packed pixels."""
    content, plain = kind()
    (tmp_path / "brought.png").write_bytes(content)
    plain.save(tmp_path / "plain.png")
    names = ["brought.png", "plain.png"]
    hashes, _ = hash_images(tmp_path, names, pictures=GROUND)
    assert np.bitwise_count(hashes.hash[0] ^ hashes.hash[1]).max() <= 2
    pack(tmp_path, names, 24, tmp_path / "pixels.npy", pictures=GROUND)
    for pair in (hashes.thumb[:], np.load(tmp_path / "pixels.npy")):
        assert np.abs(pair[0].astype(int) - pair[1]).max() <= 1


def stored_as(mode):
    """A square picture in a file of that mode."""
    image = picture(7, (96, 96))
    if mode == "I;16":
        return encoded(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 16), "TIFF")
    if mode == "F":
        return encoded(Image.fromarray(np.asarray(image.convert("L")) / np.float32(255)), "TIFF")
    if mode in ("LA", "RGBA"):
        image.putalpha(picture(8, (96, 96)).convert("L"))
    exif = Image.Exif()
    exif[0x0112] = 8
    return encoded(image.convert(mode), "TIFF", exif=exif)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "F"])
@pytest.mark.parametrize("ground", ["white", "teal"])
def test_thumbnails_are_those_of_the_packed_pixels_to_the_bit(tmp_path, mode, ground):
    (tmp_path / "a").write_bytes(stored_as(mode))
    pictures = Pictures(ground=ground)
    hashes, _ = hash_images(tmp_path, ["a"], pictures=pictures)
    pack(tmp_path, ["a"], 96, tmp_path / "pixels.npy", pictures=pictures)  # at their own size
    grey, thumb = thumbnails(Image.fromarray(np.load(tmp_path / "pixels.npy")[0]))
    assert (hashes.hash == transformed_hashes(np.asarray(grey)[None])).all()
    assert (hashes.thumb[0] == np.asarray(thumb)).all()


def test_icons_of_one_transparent_colour_are_no_pair(tmp_path):
    """All their colours are black, and only their transparency draws."""
    for seed in range(2):
        icon = Image.new("RGBA", (96, 80))
        icon.putalpha(picture(seed).convert("L"))
        icon.save(tmp_path / f"{seed}.png")
    hashes, _ = hash_images(tmp_path, ["0.png", "1.png"])
    assert hashes.reliable.all() and np.bitwise_count(hashes.hash[0] ^ hashes.hash[1]).min() > 10


@pytest.mark.parametrize("transform", NAMES)
def test_a_computed_transform_is_the_hash_of_the_turned_image(tmp_path, transform):
    images = {f"{seed}.png": picture(seed) for seed in range(6)}
    turned = {f"turned_{name}": transposed(image, transform) for name, image in images.items()}
    upright, _ = hash_images(tmp_path, write(tmp_path, images))
    actual, _ = hash_images(tmp_path, write(tmp_path, turned))
    assert set(NAMES) == set(PILLOW)
    computed = upright.hash[:, NAMES.index(transform)]
    assert np.bitwise_count(computed ^ actual.hash[:, 0]).max() <= 2
    difference = apply(upright.thumb[:], NAMES.index(transform)).astype(int) - actual.thumb[:]
    assert np.abs(difference).max() <= 1


def test_flat_and_symmetric_images_are_not_reliable(tmp_path):
    checkers = np.kron(np.indices((4, 4)).sum(axis=0) % 2, np.ones((8, 8))).astype(np.uint8) * 255
    images = {
        "checkers.png": Image.fromarray(checkers),
        "flat.png": Image.new("RGB", (50, 40), "teal"),
        "photo.png": picture(0),
    }
    hashes, _ = hash_images(tmp_path, write(tmp_path, images))
    assert dict(zip(hashes.images.tolist(), hashes.reliable.tolist(), strict=True)) == {
        "checkers.png": False,
        "flat.png": False,
        "photo.png": True,
    }


def test_hashes_of_many_at_once_are_those_of_one_at_a_time():
    """Noise, gradients and few grey levels, where coefficients come near their median."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 256, (200, 32, 32))
    steps = random.integers(0, 3, (200, 32, 32)) * 100
    slopes = np.add.outer(np.arange(200), np.indices((32, 32)).sum(axis=0)) % 256
    greys = np.concatenate([noise, steps, slopes]).astype(np.uint8)
    expected = [int(str(imagehash.phash(Image.fromarray(grey))), 16) for grey in greys]
    assert transformed_hashes(greys)[:, 0].tolist() == expected


def test_corrupt_images_are_listed_or_skipped_and_counted(tmp_path):
    names = write(tmp_path, {f"{seed}.jpg": picture(seed) for seed in range(3)})
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:600])
    (tmp_path / "2.jpg").write_text("<html>not found</html>")
    with pytest.raises(UserError, match=r"2 of 3 images cannot be decoded \(1\.jpg: .*2\.jpg: not an image\)"):
        hash_images(tmp_path, names)
    hashes, broken = hash_images(tmp_path, names, corrupt="skip")
    assert hashes.images.tolist() == ["0.jpg"] and list(broken) == ["1.jpg", "2.jpg"]
    with pytest.raises(UserError, match=r"2 of 2 images cannot be decoded .* not one is left"):
        hash_images(tmp_path, names[1:], corrupt="skip")
