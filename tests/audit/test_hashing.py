import time
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from florilegium.audit.hashing import NAMES, Hashes, apply, hash_images, transformed_hashes
from florilegium.core.errors import UserError
from tests.helpers.audit import PILLOW, picture, transposed, write


def reference(path: Path) -> int:
    """pHash of the whole image as the imagehash package gives it."""
    with Image.open(path) as image:
        return int(str(imagehash.phash(image)), 16)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
def test_hashes_equal_imagehash_in_every_colour_mode(tmp_path, mode):
    suffix = "tif" if mode == "CMYK" else "png"
    image = picture(3)
    if mode == "RGBA":
        image.putalpha(picture(4).convert("L"))
    names = write(tmp_path, {f"picture.{suffix}": image.convert(mode)})
    hashes, _ = hash_images(tmp_path, names)
    assert int(hashes.hash[0]) == reference(tmp_path / names[0])


def test_exif_orientation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(1).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    picture(1).save(tmp_path / "upright.jpg", quality=95)
    hashes, _ = hash_images(tmp_path, ["turned.jpg", "upright.jpg"])
    assert hashes.hash[0] == hashes.hash[1]


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
