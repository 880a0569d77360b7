"""The audit on real photographs: the hash is imagehash's, and copies are found among others."""

import sys
import tarfile
from pathlib import Path

import imagehash
import pandas as pd
import pytest
from PIL import Image

from florilegium.__main__ import command_line
from tests.helpers.audit import hash_images

N = 40


@pytest.fixture(scope="module")
def photos(photographs, tmp_path_factory) -> Path:
    """Forty daffodils at their original size, each picture once: the folders a and b in turns."""
    root = tmp_path_factory.mktemp("photos")
    with tarfile.open(photographs / "flowers17.tar.xz") as archive:
        for i, member in zip(range(N), archive, strict=False):
            member.name = f"{'ab'[i % 2]}/{Path(member.name).name}"
            archive.extract(member, root, filter="data")
    return root


def test_hashes_equal_imagehash_bit_for_bit(photos):
    images = [path.relative_to(photos).as_posix() for path in photos.rglob("*.jpg")]
    hashes, broken = hash_images(photos, images)
    assert len(hashes) == N and not broken and hashes.reliable.all()
    for image, value in zip(hashes.images, hashes.hash[:, 0].tolist(), strict=True):
        with Image.open(photos / image) as whole:
            assert f"{value:016x}" == str(imagehash.phash(whole))


def test_copies_are_found_and_nothing_else(photos, tmp_path, monkeypatch):
    command = ["florilegium", "audit", str(photos / "a"), str(photos / "b"), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [*command, "--workers", "1"])
    assert command_line() == 0
    first, second, third = sorted((photos / "a").iterdir())[:3]
    with Image.open(first) as image:
        image.resize((image.width // 3, image.height // 3)).save(photos / "b" / "small.png")
    with Image.open(second) as image:
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(photos / "b" / "flipped.jpg", quality=40)
    with Image.open(third) as image:
        edge = image.width // 40
        cropped = image.crop((edge, edge, image.width - edge, image.height - edge))
        cropped.rotate(270, expand=True).save(photos / "b" / "cropped.jpg", quality=80)
    assert command_line() == 1
    pairs = pd.read_csv(tmp_path / "pairs.csv")
    same = pairs[pairs["verdict"] == "same_picture"].set_index("image_b")
    assert same["image_a"].to_dict() == {"small.png": first.name, "flipped.jpg": second.name, "cropped.jpg": third.name}
    assert same["transform"].to_dict() == {"small.png": "identity", "flipped.jpg": "flip", "cropped.jpg": "rotate270"}
