"""Which files are pictures, by name and by content."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florilegium.data.decode import BadImage, decode
from florilegium.data.kinds import (
    FREQUENT,
    NAMED,
    RARE,
    SUFFIXES,
    UNREADABLE_SUFFIXES,
    is_image,
    looks_like_image,
    unreadable_kind,
)
from tests.helpers.data import encoded, noise
from tests.helpers.pictures import saved

# Formats that Pillow opens and that are no pictures of pixels to read, with what they are.
LEFT_OUT = {
    **dict.fromkeys(("EPS", "WMF", "PDF"), "drawn by other programs"),
    **dict.fromkeys(("MPEG", "PALM"), "not decoded by Pillow"),
    **dict.fromkeys(("BUFR", "GRIB", "HDF5", "FITS", "IPTC", "IM"), "measurements, notes, or going to be removed"),
    **dict.fromkeys(("IMT", "MCIDAS", "SPIDER", "XVTHUMB", "FPX", "MIC"), "measurements, or rare"),
}
MODES = {"1": ("MSP", "XBM"), "P": ("BLP",)}
WRITTEN = (
    *("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "AVIF", "JPEG2000", "ICO", "ICNS", "QOI", "DDS", "SGI"),
    *("PCX", "MSP", "XBM", "BLP", "MPO"),
)


@cache
def written(kind: str) -> bytes:
    mode = next((mode for mode, kinds in MODES.items() if kind in kinds), "RGB")
    return encoded(noise(64, 64).convert(mode), kind)


def test_every_format_of_pillow_is_read_or_left_out_on_purpose() -> None:
    Image.init()
    read = {*FREQUENT, *RARE, *NAMED}
    assert not read & LEFT_OUT.keys()
    assert set(Image.OPEN) <= read | LEFT_OUT.keys()
    for suffix, kind in Image.registered_extensions().items():
        if kind in LEFT_OUT:
            assert suffix not in SUFFIXES


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jfif", ".avif", ".webp", ".TIF", ".jp2", ".mpo", ".apng", ".tga"])
def test_a_picture_is_told_by_its_name(suffix: str) -> None:
    assert is_image(f"a/b c/photo{suffix}") and is_image(Path(f"photo.old{suffix}"))
    assert not is_image(f".photo{suffix}") and not is_image(f"photo{suffix}.txt") and not is_image(suffix)


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("name", ["photo", "photo.data", "photo.jpg_large", "photo.jpg?size=l", "photo.txt"])
def test_a_picture_with_another_suffix_is_told_by_its_content_and_read(tmp_path: Path, kind: str, name: str) -> None:
    path = saved(tmp_path, written(kind), name)
    assert looks_like_image(path) and not is_image(path)
    assert decode(path).size == ((1024, 1024) if kind == "ICNS" else (64, 64))


OTHER = {
    "notes.txt": b"Pictures of 2024",
    "table.csv": b"image,class\n",
    "BM.txt": b"BM stands for bitmap, and this for a text of some length",
    "P5.txt": b"P5 was the last of the pictures",
    "model.h": b"#define SIZE 3\n#define WIDTH 4\n",
    "list.json": b'{"images": []}',
    "page.html": b"<html></html>",
    "cloud.pcd": b"# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\n",
    "board.gbr": b"G04 layers*\n%FSLAX46Y46*%\n",
    "plugin.vst": bytes(40),
    "array.npy": b"\x93NUMPY\x01\0" + bytes(120),
    "part.zip": b"PK\3\4" + bytes(60),
    "empty": b"",
    "zeros": bytes(3000),
    "font.ttf": b"\0\1\0\0\0\x0c" + bytes(60),
    "film.mp4": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(60),
}


@pytest.mark.parametrize("name", OTHER)
def test_other_files_are_no_pictures(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, OTHER[name], name)
    assert not looks_like_image(path) and unreadable_kind(path) is None


def test_hidden_and_absent_files_are_no_pictures(tmp_path: Path) -> None:
    assert not looks_like_image(saved(tmp_path, written("PNG"), "._photo.png"))
    assert not looks_like_image(saved(tmp_path, written("PNG"), ".photo"))
    assert not looks_like_image(tmp_path / "gone")
    (tmp_path / "folder").mkdir()
    assert not looks_like_image(tmp_path / "folder")


HEIC = b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(40)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("phone.HEIC", HEIC, "HEIC"),
        ("phone", HEIC, "HEIC"),
        ("camera.nef", encoded(noise(8, 8), "TIFF"), "camera raw"),  # as the small picture in such a file
        ("camera.CR3", b"", "camera raw"),
        ("logo.svg", b"<svg/>", "vector graphics"),
        ("logo", b"<?xml version='1.0'?>\n<!-- a -->\n<svg xmlns='x'/>", "vector graphics"),
        ("figure.eps", b"%!PS-Adobe-3.0", "vector graphics"),
        ("new.jxl", b"\xff\x0a", "JPEG XL"),
        ("scan.dcm", b"", "DICOM"),
        ("scan", bytes(128) + b"DICM", "DICOM"),
        ("sky", b"SIMPLE  =   T", "FITS"),
        ("light", b"\x76\x2f\x31\x01", "high dynamic range"),
        ("light of colours", b"PF\n4 4\n-1.0\n" + bytes(192), "high dynamic range"),
        ("portable", b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nENDHDR\n" + bytes(8), "PAM"),
    ],
)
def test_kinds_of_pictures_that_cannot_be_read_have_names(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    path = saved(tmp_path, content, name)
    assert unreadable_kind(path) == kind and not looks_like_image(path)


def test_no_suffix_is_of_both_kinds() -> None:
    assert not SUFFIXES & UNREADABLE_SUFFIXES.keys()
    assert all(suffix == suffix.lower() for suffix in (*SUFFIXES, *UNREADABLE_SUFFIXES))


def test_a_picture_suffix_on_something_else_is_read_and_refused(tmp_path: Path) -> None:
    """So that it is named and counted as one that cannot be decoded, and not passed over."""
    path = saved(tmp_path, HEIC, "phone.jpg")
    assert looks_like_image(path) and unreadable_kind(path) is None
    with pytest.raises(BadImage, match="HEIC"):
        decode(path)


def test_a_targa_under_its_rarer_suffixes(tmp_path: Path) -> None:
    content = encoded(noise(20, 30), "TGA")
    for name in ("a.vst", "a.icb", "a.VDA"):
        path = saved(tmp_path, content, name)
        assert looks_like_image(path)
        assert (np.asarray(decode(path)) == np.asarray(noise(20, 30))).all()


@pytest.mark.parametrize(("name", "found"), [("phone.heic", True), ("a.jxl", True), ("a.svg", True), ("a.dng", False)])
def test_a_jpeg_is_one_whatever_it_is_called_but_a_raw_picture_may_start_as_any(
    tmp_path: Path, name: str, found: bool
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / name)
    assert looks_like_image(tmp_path / name) is found
