import time
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from florilegium.audit.hashing import NAMES, Hashes, apply, hash_images, transformed_hashes
from florilegium.config.pictures import Pictures
from florilegium.core.errors import UserError
from florilegium.data.pack import pack
from tests.helpers.audit import PILLOW, picture, transposed, write
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
    assert int(hashes.hash[0]) == reference(tmp_path / names[0])


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
    assert np.bitwise_count(hashes.hash[0] ^ hashes.hash[1]) <= 2
    pack(tmp_path, names, 24, tmp_path / "pixels.npy", pictures=GROUND)
    for pair in (hashes.grey, hashes.thumb, np.load(tmp_path / "pixels.npy")):
        assert np.abs(pair[0].astype(int) - pair[1]).max() <= 1


def test_icons_of_one_transparent_colour_are_no_pair(tmp_path):
    """All their colours are black, and only their transparency draws."""
    for seed in range(2):
        icon = Image.new("RGBA", (96, 80))
        icon.putalpha(picture(seed).convert("L"))
        icon.save(tmp_path / f"{seed}.png")
    hashes, _ = hash_images(tmp_path, ["0.png", "1.png"])
    assert hashes.reliable.all() and np.bitwise_count(hashes.hash[0] ^ hashes.hash[1]) > 10


@pytest.mark.parametrize("transform", NAMES)
def test_a_computed_transform_is_the_hash_of_the_turned_image(tmp_path, transform):
    images = {f"{seed}.png": picture(seed) for seed in range(6)}
    turned = {f"turned_{name}": transposed(image, transform) for name, image in images.items()}
    upright, _ = hash_images(tmp_path, write(tmp_path, images))
    actual, _ = hash_images(tmp_path, write(tmp_path, turned))
    assert set(NAMES) == set(PILLOW)
    computed = transformed_hashes(upright.grey)[NAMES.index(transform)]
    assert np.bitwise_count(computed ^ actual.hash).max() <= 2
    difference = apply(upright.thumb, NAMES.index(transform)).astype(int) - actual.thumb
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


def test_processes_change_nothing_and_neither_does_the_hour(tmp_path):
    names = write(tmp_path, {f"{seed:03}.png": picture(seed, (20, 20)) for seed in range(130)})
    hash_images(tmp_path, names)[0].save(tmp_path / "one.npz")
    time.sleep(2.1)  # zip archives count time in steps of two seconds
    hash_images(tmp_path, names[::-1], workers=2)[0].save(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    loaded = Hashes.load(tmp_path / "two.npz")
    assert loaded.images.tolist() == names and loaded.thumb.shape == (130, 32, 32, 3)


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
