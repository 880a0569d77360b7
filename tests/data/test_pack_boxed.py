"""Pictures of any shape in buckets: the sizes that they are brought to, and what lies where."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from florilegium.config.base import parse
from florilegium.config.data import DetectionData
from florilegium.core.errors import UserError
from florilegium.data.decode import fit, padded
from florilegium.data.pack import COLUMNS, open_packed, pack_buckets
from tests.helpers.annotated import photo, write
from tests.helpers.data import encoded


@pytest.mark.parametrize(
    ("height", "width", "scale", "content", "doubled", "least"),
    [  # the first two: what the study's code does, by hand
        (375, 500, 1.621333, (608, 811), (640, 832), (608, 832)),
        (200, 800, 1.28, (256, 1024), (288, 1056), (256, 1024)),
        (800, 200, 1.28, (1024, 256), (1056, 288), (1024, 256)),
        (608, 608, 1.0, (608, 608), (640, 640), (608, 608)),
        (1216, 2000, 0.5, (608, 1000), (640, 1024), (608, 1024)),
        (3, 3000, 1024 / 3000, (1, 1024), (32, 1056), (32, 1024)),
        (1, 4000, 0.256, (1, 1024), (32, 1056), (32, 1024)),
    ],
)
def test_sizes_are_those_of_the_study(
    height: int, width: int, scale: float, content: tuple[int, int], doubled: tuple[int, int], least: tuple[int, int]
) -> None:
    found = fit(height, width, 608, 1024)
    assert found.scale == pytest.approx(scale, abs=1e-6)
    assert (found.height, found.width) == content
    assert tuple(padded(side, "doubled") for side in content) == doubled
    assert tuple(padded(side, "least") for side in content) == least


def gradient(width: int, height: int) -> bytes:
    """Red grows to the right, green downwards, blue is full."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[..., 0] = np.linspace(20, 220, width)
    pixels[..., 1] = np.linspace(20, 220, height)[:, None]
    return encoded(Image.fromarray(pixels), "PNG")


def packed(folder: Path, sizes: dict[str, tuple[int, int]], **options: object) -> tuple[pd.DataFrame, list]:
    """Pack pictures (width, height) at 48/96 pixels; the table and the buckets."""
    fits = {name: fit(height, width, 48, 96) for name, (width, height) in sizes.items()}
    out = folder / "scenes.npy"
    pack_buckets(folder / "in", fits, "least", out, **options)
    buckets, table = open_packed(out)
    return table.reset_index(), buckets


SIZES = {"a.png": (60, 40), "b.png": (40, 60), "c.png": (61, 40), "d.png": (200, 40), "e.png": (30, 30)}


def test_pictures_lie_where_the_table_says(tmp_path: Path) -> None:
    write(tmp_path / "in", {name: gradient(*size) for name, size in SIZES.items()})
    table, buckets = packed(tmp_path, SIZES)
    assert tuple(table.columns) == COLUMNS
    assert [bucket.shape for bucket in buckets] == [*((1, 32, 96, 3), (1, 64, 64, 3), (2, 64, 96, 3), (1, 96, 64, 3))]
    assert isinstance(buckets[0].base, np.memmap) or isinstance(buckets[0], np.memmap)
    for row in table.itertuples():
        assert (row.original_width, row.original_height) == SIZES[row.image]
        whole = buckets[row.bucket][row.row]
        picture = whole[: row.height, : row.width].astype(int)
        assert not whole[row.height :].any() and not whole[:, row.width :].any()
        assert (picture[..., 2] == 255).all()
        assert picture[row.height // 2, :, 0] == pytest.approx(np.linspace(20, 220, row.width), abs=6)
        assert picture[:, row.width // 2, 1] == pytest.approx(np.linspace(20, 220, row.height), abs=6)
        assert row.scale == min(48 / min(SIZES[row.image]), 96 / max(SIZES[row.image]))


def test_nobody_writes_to_the_pixels(tmp_path: Path) -> None:
    write(tmp_path / "in", {name: gradient(*size) for name, size in SIZES.items()})
    _, buckets = packed(tmp_path, SIZES)
    before = (tmp_path / "scenes.npy").read_bytes()
    with pytest.raises(ValueError, match="read-only"):
        buckets[0][:] = 0
    assert (tmp_path / "scenes.npy").read_bytes() == before


def test_pictures_are_antialiased(tmp_path: Path) -> None:
    board = (np.indices((400, 400)).sum(axis=0) % 2 * 255).astype(np.uint8)
    write(tmp_path / "in", {"a.png": encoded(Image.fromarray(board), "PNG")})
    _, (bucket,) = packed(tmp_path, {"a.png": (400, 400)})
    assert np.abs(bucket[0, 2:46, 2:46].astype(int) - 127).max() < 12


def test_bad_pictures_are_skipped_or_stop(tmp_path: Path) -> None:
    content = {name: photo(i, size) for i, (name, size) in enumerate(SIZES.items())}
    write(tmp_path / "in", content | {"a.png": content["a.png"][:200], "d.png": photo(7, (40, 200))})
    with pytest.raises(UserError, match=r"2 of 5 images cannot be decoded .*corrupt_images: skip"):
        packed(tmp_path, SIZES)
    assert not (tmp_path / "scenes.npy").exists()
    table, buckets = packed(tmp_path, SIZES, corrupt="skip")
    assert sorted(table["image"]) == ["b.png", "c.png", "e.png"]
    assert list(table["bucket"]) == [0, 1, 2] and [len(bucket) for bucket in buckets] == [1, 1, 1]
    assert np.load(tmp_path / "scenes.npy").shape == (sum(bucket.size for bucket in buckets),)
    skipped = (tmp_path / "scenes.skipped.csv").read_text()
    assert "d.png,is 40 x 200 in place of 200 x 40" in skipped and "a.png," in skipped


def test_sizes_are_those_of_the_upright_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    stored = Image.new("RGB", (60, 40))
    stored.paste((255, 0, 0), (0, 0, 60, 20))  # red above, black below
    write(tmp_path / "in", {"a.png": encoded(stored, "PNG", exif=exif)})
    _, (upright,) = packed(tmp_path, {"a.png": (40, 60)})
    assert upright[0, :72, 30:48, 0].min() == 255 and upright[0, :72, :18, 0].max() == 0
    with pytest.raises(UserError, match=r"a\.png: is 40 x 60 in place of 60 x 40"):
        packed(tmp_path, {"a.png": (60, 40)})


def test_a_square_picture_is_turned_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    stored = Image.new("RGB", (40, 40))
    stored.paste((255, 0, 0), (0, 0, 40, 20))
    write(tmp_path / "in", {"a.png": encoded(stored, "PNG", exif=exif)})
    _, (upright,) = packed(tmp_path, {"a.png": (40, 40)})
    assert upright[0, 30:48, :48, 0].min() == 255 and upright[0, :18, :48, 0].max() == 0


def test_the_number_of_workers_does_not_change_a_byte(tmp_path: Path) -> None:
    sizes = {f"{i:03d}.png": (30 + i % 9, 30) for i in range(40)}
    write(tmp_path / "in", {name: photo(i, size) for i, (name, size) in enumerate(sizes.items())})
    contents = []
    for workers in (1, 2):
        packed(tmp_path, sizes, workers=workers)
        contents.append([(tmp_path / f"scenes.{suffix}").read_bytes() for suffix in ("npy", "csv")])
    assert contents[0] == contents[1]


def test_what_an_experiment_says_of_its_data_names_its_packed_file() -> None:
    assert DetectionData(dataset="voc5").packing == "608-1024-least"
    with pytest.raises(UserError, match="long_side: 500 is less than short_side = 608"):
        parse(DetectionData, {"dataset": "voc5", "long_side": 500}, "study")
    with pytest.raises(UserError, match="both hold the split val, so images would leak"):
        parse(DetectionData, {"dataset": "voc5", "test": ["val"]}, "study")
