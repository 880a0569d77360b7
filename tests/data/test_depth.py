"""Pictures of more than 8 bits look as bright as they are, whatever they are stored in."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from florilegium.config.pictures import Pictures
from florilegium.data.decode import BadImage, decode
from tests.helpers.data import encoded
from tests.helpers.pictures import chunk, pixels, png, saved, tiff

HEIGHT, WIDTH = 9, 14
RAMP = np.linspace(0, 1, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)  # from black to white
BRIGHT = np.rint(RAMP * 255)
COLOURS = np.dstack([RAMP, RAMP / 2, RAMP[::-1]])
CLEAR = np.zeros((HEIGHT, WIDTH))


def levels(bits: int, share: np.ndarray = RAMP) -> np.ndarray:
    return np.rint(share * (2**bits - 1)).astype(int)


def of(array: np.ndarray, kind: str, **options: object) -> bytes:
    return encoded(Image.fromarray(array), kind, **options)


def pgm(bits: int) -> bytes:
    return f"P5\n{WIDTH} {HEIGHT}\n65535\n".encode() + levels(bits).astype(">u2").tobytes()


def packed12(values: np.ndarray) -> bytes:
    """Two values in three bytes, as cameras write them."""
    pairs = values.reshape(-1, 2)
    first, second = pairs[:, 0], pairs[:, 1]
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8).tobytes()


GREY = {
    **{f"png_{bits}": png(levels(bits), 16, 0) for bits in (10, 12, 14, 16)},
    "png_interlaced_12": png(levels(12), 16, 0, interlaced=True),
    **{f"tiff{order}{bits}": tiff(levels(bits)[..., None], 16, 1, order=order) for bits in (12, 16) for order in "<>"},
    "tiff_packed_12": tiff(levels(12)[..., None], 12, 1, data=packed12(levels(12))),
    "tiff_of_32_bits_that_holds_12": tiff(levels(12)[..., None], 32, 1),
    "tiff_lzw_12": of(levels(12).astype(np.uint16), "TIFF", compression="tiff_lzw"),
    "tiff_white_is_zero": tiff(levels(16, 1 - RAMP)[..., None], 16, 0),
    "jpeg_2000_12": of(levels(12).astype(np.uint16), "JPEG2000"),
    "pgm_12": pgm(12),
    "pgm_of_12_bits": pgm(12).replace(b"65535", b"4095", 1),
    "float_to_1": of(RAMP.astype(np.float32), "TIFF"),
    "float_to_255": of((RAMP * 255).astype(np.float32), "TIFF"),
    "pfm": f"Pf\n{WIDTH} {HEIGHT}\n-1.0\n".encode() + RAMP[::-1].astype("<f4").tobytes(),
}


@pytest.mark.parametrize("kind", GREY)
def test_a_grey_picture_is_as_bright_as_its_depth_makes_it(tmp_path: Path, kind: str) -> None:
    found = pixels(decode(saved(tmp_path, GREY[kind])))
    assert np.abs(found - BRIGHT[..., None]).max() <= 1


def ppm(bits: int) -> bytes:
    return f"P6\n{WIDTH} {HEIGHT}\n65535\n".encode() + levels(bits, COLOURS).astype(">u2").tobytes()


RGB = {
    **{f"png_{bits}": png(levels(bits, COLOURS), 16, 2) for bits in (10, 12, 16)},
    "png_interlaced_12": png(levels(12, COLOURS), 16, 2, interlaced=True),
    **{f"tiff{order}{bits}": tiff(levels(bits, COLOURS), 16, 2, order=order) for bits in (12, 16) for order in "<>"},
    **{
        f"tiff_deflated{order}": tiff(
            levels(12, COLOURS),
            *(16, 2),
            order=order,
            tags={259: [8]},
            data=zlib.compress(levels(12, COLOURS).astype(f"{order}u2").tobytes()),
        )
        for order in "<>"
    },
    "ppm_12": ppm(12),
    "ppm_16": ppm(16),
}


@pytest.mark.parametrize("kind", RGB)
def test_colours_of_16_bits_are_scaled_together(tmp_path: Path, kind: str) -> None:
    found = pixels(decode(saved(tmp_path, RGB[kind])))
    assert np.abs(found - np.rint(COLOURS * 255)).max() <= 1


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("order", "<>")
def test_inks_of_16_bits(tmp_path: Path, bits: int, order: str) -> None:
    inks = np.dstack([COLOURS, CLEAR])
    found = pixels(decode(saved(tmp_path, tiff(levels(bits, inks), 16, 5, order=order))))
    assert np.abs(found - np.rint((1 - COLOURS) * 255)).max() <= 1


HALF = np.full((HEIGHT, WIDTH), 32768)
ALPHA = {
    "png_rgba": png(np.dstack([levels(12, COLOURS), HALF]), 16, 6),
    "png_rgba_interlaced": png(np.dstack([levels(12, COLOURS), HALF]), 16, 6, interlaced=True),
    **{
        f"tiff{order}": tiff(np.dstack([levels(16, COLOURS), HALF]), 16, 2, order=order, tags={338: [2]})
        for order in "<>"
    },
    **{
        f"tiff_multiplied{order}": tiff(np.dstack([levels(16, COLOURS / 2), HALF]), 16, 2, order=order, tags={338: [1]})
        for order in "<>"
    },
}


@pytest.mark.parametrize("kind", ALPHA)
@pytest.mark.parametrize(("ground", "rgb"), [("white", (255, 255, 255)), ("#0000ff", (0, 0, 255))])
def test_colours_of_16_bits_lie_on_the_ground(tmp_path: Path, kind: str, ground: str, rgb: tuple[int, ...]) -> None:
    found = pixels(decode(saved(tmp_path, ALPHA[kind]), Pictures(ground=ground)))
    assert np.abs(found - (COLOURS * 255 + np.array(rgb)) / 2).max() <= 2.5


def test_grey_and_alpha_of_16_bits(tmp_path: Path) -> None:
    alpha = np.where(np.arange(WIDTH) < 7, 0, 65535) + CLEAR
    found = pixels(decode(saved(tmp_path, png(np.dstack([levels(12), alpha]), 16, 4))))
    assert (found[:, :7] == 255).all()
    assert np.abs(found[:, 7:] - BRIGHT[:, 7:, None]).max() <= 1


@pytest.mark.parametrize(
    ("values", "colour", "key"), [(levels(12), 0, (0,)), (levels(12, COLOURS), 2, tuple(levels(12, COLOURS)[0, 0]))]
)
def test_a_key_colour_of_16_bits_is_that_value_alone(
    tmp_path: Path, values: np.ndarray, colour: int, key: tuple[int, ...]
) -> None:
    transparent = chunk(b"tRNS", b"".join(int(value).to_bytes(2, "big") for value in key))
    found = pixels(decode(saved(tmp_path, png(values, 16, colour, before=transparent)), Pictures(ground="red")))
    assert tuple(found[0, 0]) == (255, 0, 0)
    opaque = pixels(decode(saved(tmp_path, png(values, 16, colour))))
    assert (found.reshape(-1, 3)[1:] == opaque.reshape(-1, 3)[1:]).all()


DARK = RAMP / 8  # uses three bits less than there are
DECLARED = {
    "png_significant_bits": png(levels(12, DARK), 16, 0, before=chunk(b"sBIT", b"\x0c")),
    "png_colours_with_significant_bits": png(
        levels(12, np.dstack([DARK] * 3)), 16, 2, before=chunk(b"sBIT", b"\x0c\x0c\x0c")
    ),
    "png_of_11_bits": png(levels(11, DARK), 16, 0, before=chunk(b"sBIT", b"\x0b")),
    "tiff_largest_value": tiff(levels(12, DARK)[..., None], 16, 1, tags={281: [4095]}),
    "tiff_packed": tiff(levels(12)[..., None], 12, 1, data=packed12(levels(12, DARK))),
    "pgm": f"P5\n{WIDTH} {HEIGHT}\n4095\n".encode() + levels(12, DARK).astype(">u2").tobytes(),
    "ppm": f"P6\n{WIDTH} {HEIGHT}\n4095\n".encode() + levels(12, np.dstack([DARK] * 3)).astype(">u2").tobytes(),
}


@pytest.mark.parametrize("kind", DECLARED)
def test_a_dark_picture_stays_dark_where_the_file_says_its_depth(tmp_path: Path, kind: str) -> None:
    found = pixels(decode(saved(tmp_path, DECLARED[kind])))
    assert np.abs(found - np.rint(DARK * 255)[..., None]).max() <= 1


def test_significant_bits_of_values_that_were_spread_over_16_are_none_less(tmp_path: Path) -> None:
    """As PNG's standard asks for, and few programs do."""
    found = pixels(decode(saved(tmp_path, png(levels(16), 16, 0, before=chunk(b"sBIT", b"\x0c")))))
    assert np.abs(found - BRIGHT[..., None]).max() <= 1


def test_black_is_black(tmp_path: Path) -> None:
    for values, colour in ((CLEAR, 0), (np.dstack([CLEAR] * 3), 2)):
        assert not pixels(decode(saved(tmp_path, png(values, 16, colour)))).any()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (of((RAMP * 900).astype(np.float32), "TIFF"), "floating-point numbers from 0 to 900; scale them to 0 to 1"),
        (of((RAMP - 0.5).astype(np.float32), "TIFF"), "floating-point numbers from -0.5 to 0.5"),
        (of(np.where(RAMP > 0.5, np.nan, RAMP).astype(np.float32), "TIFF"), "some of which are not finite"),
        (of(np.where(RAMP > 0.5, np.inf, RAMP).astype(np.float32), "TIFF"), "some of which are not finite"),
        (tiff(levels(20)[..., None], 32, 1), "integers below 0 or of more than 16 bits"),
        (of(levels(12).astype(np.int32) - 9, "TIFF"), "integers below 0 or of more than 16 bits"),
        (tiff(levels(8)[..., None], 8, 1, tags={339: [2]}), "signed numbers of 8 bits"),
        (tiff(levels(16, COLOURS), 16, 2, separate=True), "separate planes"),
        (tiff(levels(16, COLOURS), 16, 2, separate=True, order=">"), "separate planes"),
        (ppm(12)[:-5], "is cut short"),
        (png(levels(12, COLOURS), 16, 2)[:-40], "is cut short"),
    ],
)
def test_what_has_no_known_range_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        decode(saved(tmp_path, content))
