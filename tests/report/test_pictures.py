"""Pictures of the page are small, look as the files do, and say what they show."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from florilegium.figures import style
from florilegium.report import pictures
from florilegium.report.pictures import Picture


def decoded(picture: Picture) -> Image.Image:
    kind, _, text = picture.address.partition(",")
    assert kind == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    def draw() -> tuple[Figure, str]:
        fig = style.figure(3)
        ax = fig.subplots()
        for at in range(6):
            ax.plot([0, 1, 2], [at, at + 1, 0], **style.line(at))
        return fig, "Six lines, “drawn”."

    return style.write(tmp_path / "lines.png", "Which is steepest?", draw, is_demo=True)


def test_a_drawing_is_smaller_and_looks_the_same(drawing: Path) -> None:
    picture = pictures.figure(drawing)
    with Image.open(drawing) as image:
        whole = image.convert("RGB")
    assert len(picture.address) < 0.5 * drawing.stat().st_size
    assert (picture.width, picture.height) == whole.size == decoded(picture).size
    off = np.abs(np.asarray(decoded(picture), float) - np.asarray(whole, float))
    assert off.mean() < 1.5 and np.percentile(off, 99) <= 16, "no one sees a sixteenth of a step"


def test_a_figure_carries_its_question_and_its_caption(drawing: Path) -> None:
    assert pictures.figure(drawing).said == "Which is steepest? Six lines, “drawn”."
    assert pictures.figure(drawing, "other words").said == "other words"


def test_photographs_are_compressed_as_such(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(128, 20, (300, 400, 3)).clip(0, 255).astype(np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert len(pictures.figure(tmp_path / "noise.png").address) < 0.3 * (tmp_path / "noise.png").stat().st_size


def test_of_a_long_sheet_whole_rows_are_left(tmp_path: Path) -> None:
    """Rows of pictures, 150 of 200 pixels, with white between them."""
    rows = np.full((3000, 1362, 3), 255, np.uint8)
    for top in range(0, 3000, 200):
        rows[top : top + 150] = (200, 30, 30)
    for n, is_whole in ((3000, False), (600, True)):
        Image.fromarray(rows[:n]).save(tmp_path / "sheet.png")
        sheet = pictures.sheet(tmp_path / "sheet.png", "pairs")
        assert sheet.is_whole == is_whole and sheet.width == pictures.SHEET_WIDTH
        last = np.asarray(decoded(sheet), int)[-3]
        assert (last > 240).all(), "the cut is not through a picture"
        assert is_whole or pictures.SHEET_HEIGHT - 134 < sheet.height <= pictures.SHEET_HEIGHT
