"""Packing: known pixels, every kind of picture, and pictures that are none."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florilegium.core.errors import UserError
from florilegium.data.decode import square
from florilegium.data.pack import pack
from tests.helpers.data import encoded, noise, picture


def write(folder: Path, **files: bytes) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return list(files)


def png(image: Image.Image, **options: object) -> bytes:
    return encoded(image, "PNG", **options)


def test_rows_follow_the_sorted_names(tmp_path: Path) -> None:
    colours = {"b": (250, 10, 20), "a": (10, 250, 30), "c": (0, 0, 200)}
    names = write(tmp_path / "in", **{n: png(Image.new("RGB", (40, 30), c)) for n, c in colours.items()})
    packed = pack(tmp_path / "in", names, 8, tmp_path / "pixels8.npy")
    pixels = np.load(tmp_path / "pixels8.npy", mmap_mode="r")
    assert (pixels.shape, pixels.dtype) == ((3, 8, 8, 3), np.uint8) and pixels.flags.c_contiguous
    assert packed.images == ("a", "b", "c") and not packed.skipped
    assert (tmp_path / "pixels8.csv").read_text() == "image\na\nb\nc\n"
    assert (tmp_path / "pixels8.skipped.csv").read_text() == "image,reason\n"
    for row, name in zip(pixels, "abc", strict=True):
        assert (row == colours[name]).all()


@pytest.mark.parametrize("size", [(64, 32), (32, 64), (97, 41), (16, 16), (7, 5)])
def test_a_picture_is_resized_by_its_short_side_and_cropped_in_the_middle(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """A linear ramp along the long side stays one, whose middle is the picture's middle."""
    width, height = size
    along = np.linspace(40, 200, max(size))
    values = np.broadcast_to(along if width >= height else along[:, None], (height, width))
    Image.fromarray(np.rint(values).astype(np.uint8)).save(tmp_path / "a.png")
    result = square(tmp_path / "a.png", 16)[..., 0].astype(float)
    assert result.shape == (16, 16)
    ramp = result.mean(axis=0 if width >= height else 1)
    assert ramp.mean() == pytest.approx(120, abs=1.5)
    covered = 160 * min(size) / (max(size) - 1)
    assert ramp[-3] - ramp[2] == pytest.approx(covered * 11 / 16, abs=3)


def bad_images() -> dict[str, bytes]:
    whole = encoded(noise(60, 50), "JPEG")
    return {
        "bad_text.jpg": b"no picture at all",
        "bad_page.jpg": b"<!DOCTYPE html><html></html>",
        "bad_empty.jpg": b"",
        "bad_cut.jpg": whole[: len(whole) // 2],
        "bad_cut.png": png(noise(30, 30))[:-700],
        "bad_float.tiff": encoded(Image.new("F", (4, 4), -0.5), "TIFF"),
    }


def test_bad_images_stop_the_stage_and_are_named_and_counted(tmp_path: Path) -> None:
    names = write(tmp_path / "in", **bad_images(), **{"good.jpg": picture()})
    out = tmp_path / "pixels8.npy"
    out.write_bytes(b"older")
    with pytest.raises(UserError) as caught:
        pack(tmp_path / "in", [*names, "bad_gone.jpg"], 8, out)
    sentence = str(caught.value)
    assert "7 of 8 images cannot be decoded" in sentence and "and 2 more" in sentence
    assert "bad_cut.jpg: is cut short" in sentence and "corrupt_images: skip" in sentence
    assert "bad_gone.jpg: there is no such file" in sentence
    assert "good.jpg" not in sentence
    assert out.read_bytes() == b"older" and sorted(p.name for p in tmp_path.iterdir()) == ["in", out.name]


def test_bad_images_are_skipped_and_listed_when_asked(tmp_path: Path) -> None:
    names = write(tmp_path / "in", **bad_images(), **{"a.jpg": picture(), "z.jpg": picture((0, 0, 9))})
    packed = pack(tmp_path / "in", names, 8, tmp_path / "p.npy", corrupt="skip")
    assert packed.images == ("a.jpg", "z.jpg") and set(packed.skipped) == set(bad_images())
    pixels = np.load(tmp_path / "p.npy", mmap_mode="r")
    assert pixels.shape == (2, 8, 8, 3)
    assert pixels[0].mean() > pixels[1].mean()
    listed = (tmp_path / "p.skipped.csv").read_text()
    assert "bad_text.jpg,not an image\n" in listed and len(listed.splitlines()) == 7


def test_when_no_image_is_left_nothing_is_written(tmp_path: Path) -> None:
    names = write(tmp_path / "in", **bad_images())
    with pytest.raises(UserError, match="not one is left"):
        pack(tmp_path / "in", names, 8, tmp_path / "p.npy", corrupt="skip")
    with pytest.raises(UserError, match="there are no images"):
        pack(tmp_path / "in", [], 8, tmp_path / "p.npy")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_the_number_of_workers_does_not_change_a_byte(tmp_path: Path) -> None:
    images = {f"{i:03d}.jpg": encoded(noise(20 + i % 7, 18, i), "JPEG") for i in range(70)}
    names = write(tmp_path / "in", **images, **{"035x.jpg": b"bad"})
    for workers in (1, 2):
        pack(tmp_path / "in", names, 8, tmp_path / f"{workers}.npy", workers=workers, corrupt="skip")
    for suffix in ("npy", "csv", "skipped.csv"):
        assert (tmp_path / f"1.{suffix}").read_bytes() == (tmp_path / f"2.{suffix}").read_bytes()


def test_a_full_disk_keeps_the_older_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = write(tmp_path / "in", **{"a.jpg": picture()})
    out = tmp_path / "p.npy"
    out.write_bytes(b"older")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        pack(tmp_path / "in", names, 8, out)
    assert out.read_bytes() == b"older" and sorted(p.name for p in tmp_path.iterdir()) == ["in", "p.npy"]
