"""The reader of pictures: upright, opaque, by content, within a limit; and what it says of what is no picture."""

import errno
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from florilegium.config.pictures import Pictures
from florilegium.data.decode import BadImage, decode, measured, square, stored, what_it_is
from tests.helpers.data import encoded, noise
from tests.helpers.pictures import chunk, header, pixels, png, saved, tiff

pytestmark = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # the reader's own are reset
ORIENTATION = 0x0112
TURN = Image.Transpose
# How the pixels of an upright picture are stored under each orientation.
STORED = {
    1: (),
    2: (TURN.FLIP_LEFT_RIGHT,),
    3: (TURN.ROTATE_180,),
    4: (TURN.FLIP_TOP_BOTTOM,),
    5: (TURN.TRANSPOSE,),
    6: (TURN.ROTATE_90,),
    7: (TURN.TRANSVERSE,),
    8: (TURN.ROTATE_270,),
}
QUARTERS = np.kron(
    np.array([[(255, 0, 0), (0, 255, 0)], [(0, 0, 255), (255, 255, 0)]], np.uint8), np.ones((16, 12, 1), np.uint8)
)
SEEN = Image.fromarray(QUARTERS)  # 24 x 32


def as_stored(orientation: int) -> Image.Image:
    image = SEEN
    for step in STORED.get(orientation, ()):
        image = image.transpose(step)
    return image


def with_orientation(kind: str, orientation: int, **options: object) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(as_stored(orientation), kind, exif=exif, **options)


def is_seen(path: Path) -> bool:
    image = decode(path)
    return image.size == SEEN.size and bool(np.abs(pixels(image) - QUARTERS).max(axis=2).mean() < 20)


# Upright

EXIF = {
    "JPEG": {"quality": 100, "subsampling": 0},
    "MPO": {"quality": 100, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 100, "subsampling": "4:4:4"},
    "TIFF": {},
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", EXIF)
def test_a_picture_is_upright_whatever_its_orientation_and_so_are_its_sides(
    tmp_path: Path, kind: str, orientation: int
) -> None:
    path = saved(tmp_path, with_orientation(kind, orientation, **EXIF[kind]))
    assert is_seen(path)
    assert measured(path, upright=True) == SEEN.size
    assert stored(path) == (as_stored(orientation).size, orientation)
    assert measured(path) == as_stored(orientation).size


@pytest.mark.parametrize("orientation", [3, 5, 6, 7, 8])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "F"])
@pytest.mark.parametrize("compression", ["raw", "tiff_deflate"])
def test_a_tiff_is_upright_in_every_mode(tmp_path: Path, mode: str, orientation: int, compression: str) -> None:
    """Pillow turns it itself, by other ways in some modes."""

    def content(number: int) -> bytes:
        image = as_stored(number)
        if mode in ("I;16", "F"):
            grey = np.asarray(image.convert("L"))
            image = Image.fromarray(grey.astype(np.uint16) * 257 if mode == "I;16" else grey.astype(np.float32))
        exif = Image.Exif()
        exif[ORIENTATION] = number
        image = image if mode in ("I;16", "F") else image.convert(mode, dither=Image.Dither.NONE)
        return encoded(image, "TIFF", exif=exif, compression=compression)

    upright = pixels(decode(saved(tmp_path, content(1), "upright")))
    path = saved(tmp_path, content(orientation))
    assert (pixels(decode(path)) == upright).all() and len(np.unique(upright)) > 1
    assert measured(path, upright=True) == SEEN.size


NOTES = (
    b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>"""
)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_only_exif_turns_a_picture_as_in_browsers(tmp_path: Path, kind: str) -> None:
    """Editors that turn the pixels and remove the tag often leave another note of it."""
    if kind == "PNG":
        content = png(QUARTERS, 8, 2, before=chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + NOTES))
    elif kind == "TIFF":
        info = TiffImagePlugin.ImageFileDirectory_v2()
        info[700] = NOTES
        content = encoded(SEEN, kind, tiffinfo=info)
    else:
        content = encoded(SEEN, kind, xmp=NOTES, **EXIF[kind])
    assert NOTES in content
    path = saved(tmp_path, content)
    assert is_seen(path) and stored(path) == (SEEN.size, 1)


@pytest.mark.parametrize("orientation", [0, 9, 300, 65535])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_orientation_that_does_not_exist_is_none(tmp_path: Path, kind: str, orientation: int) -> None:
    path = saved(tmp_path, with_orientation(kind, orientation, **EXIF[kind]))
    assert is_seen(path) and stored(path) == (SEEN.size, 1)


def test_an_orientation_behind_the_pixels_of_a_png_counts(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    content = png(np.asarray(as_stored(6)), 8, 2, after=chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    path = saved(tmp_path, content)
    assert is_seen(path) and measured(path, upright=True) == SEEN.size


def test_colours_of_16_bits_are_turned_too(tmp_path: Path) -> None:
    for order in "<>":
        path = saved(
            tmp_path, tiff(np.asarray(as_stored(6)).astype(int) * 257, 16, 2, order=order, tags={ORIENTATION: [6]})
        )
        assert is_seen(path) and stored(path) == ((32, 24), 6)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"junk",
        b"II*\0\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\xff\xff" + b"\1" * 40,  # 65,535 entries are announced
        b"II*\0\x08\0\0\0\1\0\x12\1\2\0\4\0\0\0abc\0\0\0\0\0",  # the orientation is a text
        b"II*\0\x08\0\0\0\1\0\x12\1\5\0\1\0\0\0\0\xff\xff\0\0\0\0\0",  # and a fraction that lies outside
    ],
)
def test_a_broken_block_of_exif_spoils_no_picture(tmp_path: Path, kind: str, block: bytes) -> None:
    path = saved(tmp_path, encoded(SEEN, kind, exif=b"Exif\0\0" + block, **EXIF[kind]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow, which pytest would show
        assert is_seen(path) and stored(path) == (SEEN.size, 1)


# Opaque

CUT = np.where((np.arange(24) < 12)[None], 0, 255).repeat(32, 0).astype(np.uint8)  # the left half is transparent


def rgba() -> Image.Image:
    image = SEEN.copy()
    image.putalpha(Image.fromarray(CUT))
    return image


def palette(**options: object) -> bytes:
    """Colour 0 on the left, colour 1 on the right."""
    image = Image.fromarray((CUT > 0).astype(np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 255, 0, 0])
    return encoded(image, "PNG", **options)


def palette_and_alpha() -> Image.Image:
    image = Image.frombytes("PA", (24, 32), np.dstack([CUT > 0, CUT]).astype(np.uint8).tobytes())
    image.putpalette([10, 20, 30, 255, 0, 0])
    return image


def keyed(values: np.ndarray, depth: int, colour: int, key: tuple[int, ...]) -> bytes:
    return png(values, depth, colour, before=chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)))


LEFT = CUT == 0
TRANSPARENT = {
    **{f"rgba_{kind}": encoded(rgba(), kind) for kind in ("PNG", "TIFF", "ICO", "QOI", "DDS")},
    "rgba_WEBP": encoded(rgba(), "WEBP", lossless=True, exact=True),
    "rgba_AVIF": encoded(rgba(), "AVIF", quality=100),
    "grey_and_alpha": encoded(rgba().convert("LA"), "PNG"),
    "grey_and_alpha_TIFF": encoded(rgba().convert("LA"), "TIFF"),
    "palette_and_alpha": encoded(palette_and_alpha(), "TIFF"),
    "palette_index": palette(transparency=0),
    "palette_bytes": palette(transparency=b"\0\xff"),
    "gif": encoded(rgba(), "GIF"),
    **{
        f"key_{depth}_bits": keyed(np.where(LEFT, 1, 2**depth - 1 if depth > 1 else 0), depth, 0, (1,))
        for depth in (1, 2, 4, 8)
    },
    "key_colour": keyed(np.where(LEFT[..., None], (1, 2, 3), (9, 9, 9)), 8, 2, (1, 2, 3)),
}


@pytest.mark.parametrize("kind", TRANSPARENT)
@pytest.mark.parametrize(("ground", "colour"), [("white", 255), ("#000000", 0)])
def test_what_is_transparent_shows_the_ground(tmp_path: Path, kind: str, ground: str, colour: int) -> None:
    path = saved(tmp_path, TRANSPARENT[kind])
    found = pixels(decode(path, Pictures(ground=ground)))
    width = found.shape[1]
    assert np.abs(found[:, : width // 2 - 1] - colour).max() <= 3
    for other in ("white", "black"):
        assert (pixels(decode(path, Pictures(ground=other)))[:, width // 2 + 1 :] == found[:, width // 2 + 1 :]).all()


@pytest.mark.parametrize("control", [b"", b"\x21\xf9\x04\x01\0\0\x02\0"], ids=["opaque", "transparent"])
def test_a_gif_that_covers_a_part_of_its_canvas_lies_on_the_ground(tmp_path: Path, control: bytes) -> None:
    """4 x 4 pixels of colour 1, green, at (5, 3) of 20 x 16; colour 0, which Pillow would show beside them, is red."""
    start = b"GIF89a" + struct.pack("<HHBBB", 20, 16, 0x81, 2, 0) + bytes([255, 0, 0, 0, 255, 0, 0, 0, 255, 7, 7, 7])
    frame = b"\x2c" + struct.pack("<HHHHB", 5, 3, 4, 4, 0)
    codes = sum(code << 3 * place for place, code in enumerate([4, 1] * 16 + [5]))  # 4 keeps the width of a code at 3
    pixels_of_frame = b"\x02\x0d" + codes.to_bytes(13, "little") + b"\0;"
    expected = np.full((16, 20, 3), (0, 0, 255))
    expected[3:7, 5:9] = (0, 255, 0)
    path = saved(tmp_path, start + control + frame + pixels_of_frame, "a.gif")
    assert (pixels(decode(path, Pictures(ground="blue"))) == expected).all()


@pytest.mark.parametrize("name", ["a.tga", "a.bmp", "a.dib"])
def test_an_unused_fourth_band_is_no_transparency(tmp_path: Path, name: str) -> None:
    image = SEEN.copy()
    image.putalpha(0)
    if name == "a.tga":
        content = encoded(image, "TGA")
    else:
        masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
        body = image.transpose(TURN.FLIP_TOP_BOTTOM).tobytes("raw", "BGRA")
        header = struct.pack("<IiiHHIIiiII4I52x", 108, *image.size, 1, 32, 3, len(body), 0, 0, 0, 0, *masks)
        begin = b"BM" + struct.pack("<IHHI", 14 + len(header) + len(body), 0, 0, 14 + len(header))
        content = (begin if name == "a.bmp" else b"") + header + body
    assert (pixels(decode(saved(tmp_path, content, name))) == QUARTERS).all()


def test_half_transparent_is_mixed_with_the_ground(tmp_path: Path) -> None:
    path = saved(tmp_path, encoded(Image.new("RGBA", (4, 4), (200, 0, 100, 51)), "PNG"))
    assert decode(path).getpixel((1, 1)) == (244, 204, 224)
    assert decode(path, Pictures(ground="#0000ff")).getpixel((1, 1)) == (40, 0, 224)
    assert (square(path, 2, Pictures(ground="#0000ff")) == (40, 0, 224)).all()


def test_what_is_opaque_keeps_its_colours_to_the_bit(tmp_path: Path) -> None:
    image = noise(20, 30)
    opaque = image.copy()
    opaque.putalpha(255)
    for other in (image, opaque):
        path = saved(tmp_path, encoded(other, "PNG"))
        assert (pixels(decode(path, Pictures(ground="red"))) == np.asarray(image)).all()


# Colours


INKS = encoded(SEEN.convert("CMYK"), "JPEG", quality=100, subsampling=0)  # stored inverted, as by Adobe's programs
COLOURS = {
    "RGB": encoded(SEEN, "BMP"),
    "inks_jpeg": INKS,
    "inks_tiff": encoded(SEEN.convert("CMYK"), "TIFF"),
    "luminance_and_chroma": encoded(SEEN.convert("YCbCr"), "TIFF"),
    "lab": encoded(SEEN.convert("LAB"), "TIFF"),
    "palette": encoded(SEEN.quantize(8), "PNG"),
}


@pytest.mark.parametrize("kind", COLOURS)
def test_every_space_of_colours_becomes_rgb(tmp_path: Path, kind: str) -> None:
    most = 8 if kind == "lab" else 2.5  # of the full colours, which that space does not hold exactly
    assert np.abs(pixels(decode(saved(tmp_path, COLOURS[kind]))) - QUARTERS).mean() < most


def test_grey_and_two_levels(tmp_path: Path) -> None:
    grey, bits = Image.fromarray(CUT // 2), Image.fromarray(CUT).convert("1")
    for image, factor in ((grey, 0.5), (bits, 1)):
        found = pixels(decode(saved(tmp_path, encoded(image, "PNG"))))
        assert np.abs(found - CUT[..., None] * factor).max() <= 1


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF", "MPO"])
def test_of_several_pictures_the_first_is_read(tmp_path: Path, kind: str) -> None:
    others = [Image.new("RGB", SEEN.size, colour) for colour in ("white", "black")]
    options = EXIF.get(kind, {}) | {"save_all": True, "append_images": others}
    assert is_seen(saved(tmp_path, encoded(SEEN, kind, **options)))


# By content

NAMES = ("a.jpg", "a.png", "a.gif", "a.txt", "a", "a.JPG", "a.heic", "no picture", "ä ü.jpg", "-a.jpg", "None")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM", "QOI"])
def test_the_content_decides_and_no_name(tmp_path: Path, kind: str) -> None:
    content = encoded(SEEN, kind)
    first = pixels(decode(saved(tmp_path, content)))
    for name in NAMES:
        path = saved(tmp_path, content, name)
        assert (pixels(decode(path)) == first).all() and measured(path, upright=True) == SEEN.size


@pytest.mark.parametrize(("kind", "name"), [("TGA", "a.tga"), ("TGA", "A.TGA"), ("DIB", "a.dib")])
def test_a_format_without_a_signature_is_told_by_its_suffix(tmp_path: Path, kind: str, name: str) -> None:
    assert is_seen(saved(tmp_path, encoded(SEEN, kind), name))


def test_no_program_is_started_and_no_document_read(tmp_path: Path) -> None:
    for kind in ("EPS", "PDF"):
        path = saved(tmp_path, encoded(SEEN, kind), f"a.{kind.lower()}")
        with pytest.raises(BadImage, match=r"vector graphics|not an image"):
            decode(path)
        assert measured(path) is None


# What is no picture

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)
PAGE = b"<!DOCTYPE html><html></html>"
CONVERT = r"is of a kind that is not read \({}\); convert it"
REASONS = {
    b"": "is empty",
    b"no picture at all": "not an image",
    PAGE: "not an image",
    HEIC: CONVERT.format("HEIC"),
    b"\xff\x0a" + bytes(40): CONVERT.format("JPEG XL"),
    b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>": CONVERT.format("vector graphics"),
    bytes(128) + b"DICM" + bytes(40): CONVERT.format("DICOM"),
    encoded(noise(60, 50), "JPEG")[:900]: "is cut short; copy",
    encoded(noise(60, 50), "JPEG", progressive=True)[:900]: "is cut short; copy",
    encoded(noise(30, 30), "PNG")[:-700]: "is cut short; copy",
    encoded(noise(60, 50), "WEBP")[:-60]: r"is damaged \(",
    encoded(noise(60, 50), "JPEG2000")[:-900]: r"is damaged \(",
    b"GIF89a" + bytes(7) + b";": "is damaged",
    header(0, 5) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""): "is damaged|no pixels",
    b"\x89PNG\r\n\x1a\n": "is damaged",
}


@pytest.mark.parametrize("content", REASONS)
def test_a_sentence_says_why_a_file_is_no_picture(tmp_path: Path, content: bytes) -> None:
    path = saved(tmp_path, content, "a.jpg")
    with pytest.raises(BadImage, match=REASONS[content]) as caught:
        decode(path)
    assert str(tmp_path) not in str(caught.value)


def test_folders_and_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    for name, reason in {"folder.jpg": "is a folder", "gone.jpg": "no such file", "a\0.jpg": "no such file"}.items():
        with pytest.raises(BadImage, match=reason):
            decode(tmp_path / name)
        assert measured(tmp_path / name) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(BadImage, match="is a socket, pipe or device"):
        decode(tmp_path / "pipe.png")
    assert measured(tmp_path / "pipe.png") is None


def test_a_file_that_may_not_be_read_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, encoded(noise(8, 8), "PNG"), "a.png")

    def refused(*_: object) -> object:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refused)
    with pytest.raises(BadImage, match=r"cannot be read \(Permission denied\)$"):
        decode(path)
    assert what_it_is(path).startswith("cannot be read")


# The limit

LIMIT = r"more than the 250 megapixels that are read; raise pictures\.max_megapixels"


@pytest.mark.parametrize(
    ("width", "height"), [(16_000, 16_000), (25_000, 20_000), (25_001, 20_000), (2**31 - 1, 2**31 - 1), (1, 2**30)]
)
def test_a_small_file_that_unpacks_to_more_than_the_limit_is_refused_before_it_is_unpacked(
    tmp_path: Path, width: int, height: int
) -> None:
    path = saved(tmp_path, header(width, height) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b""))
    with pytest.raises(BadImage, match=LIMIT):
        decode(path)


def test_the_limit_is_a_key(tmp_path: Path) -> None:
    path = saved(tmp_path, encoded(Image.new("L", (60, 50)), "PNG"))
    assert decode(path, Pictures(max_megapixels=0.003)).size == (60, 50)
    for limit in (0.002999, 0.001):  # Pillow's own limit is another one from twice ours on
        with pytest.raises(BadImage, match=f"more than the {limit:g} megapixels"):
            decode(path, Pictures(max_megapixels=limit))
    assert measured(path) == (60, 50)


def test_a_photograph_of_108_megapixels_is_read(tmp_path: Path) -> None:
    path = saved(tmp_path, encoded(Image.new("1", (12_032, 9_024), 1), "PNG"))
    assert square(path, 4).min() == 255


LONG = zlib.compress(b"a" * 70_000_000)


@pytest.mark.parametrize(
    "block",
    [
        chunk(b"zTXt", b"comment\0\0" + LONG),
        chunk(b"iTXt", b"comment\0\1\0\0\0" + LONG),
        chunk(b"iCCP", b"profile\0\0" + LONG),
    ],
)
def test_text_and_profiles_that_unpack_without_end_are_refused(tmp_path: Path, block: bytes) -> None:
    path = saved(tmp_path, png(np.asarray(SEEN), 8, 2, before=block))
    with pytest.raises(BadImage, match="unpacks to more than a picture needs"):
        decode(path)


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Pillow's limit and Python's filters of warnings are of the whole process."""
    small, large = saved(tmp_path, encoded(SEEN, "PNG"), "small"), saved(tmp_path, header(20_000, 20_000), "large")

    def read(path: Path) -> str:
        try:
            return str(decode(path).size)
        except BadImage as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, [small, large] * 100))
    assert set(found[::2]) == {"(24, 32)"} and len(set(found[1::2])) == 1 and "400" not in found[0]
