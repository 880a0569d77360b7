"""Turned photographs: boxes turn as their pixels do, and sizes tell where they can what boxes belong to."""

from pathlib import Path

import numpy as np
import pytest

from florilegium.data.decode import decode
from florilegium.data.frames import Frame, Seen, frame_of, seen
from tests.helpers.annotated import tagged

ORIENTATIONS = range(1, 9)
BOX = [7, 3, 12, 5]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_box_turns_as_the_pixels_do(tmp_path: Path, orientation: int, suffix: str) -> None:
    """The square is drawn on the stored pixels, and looked for in the picture as all rooms read it."""
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(tagged((40, 24), BOX, orientation, {"jpg": "JPEG", "png": "PNG", "tif": "TIFF"}[suffix]))
    frame, picture = frame_of(path), decode(path)
    assert frame == Frame((40, 24), orientation) and frame.upright == picture.size
    red = np.argwhere(np.asarray(picture)[..., 0] > 128)
    (top, left), (bottom, right) = red.min(axis=0), red.max(axis=0)
    assert frame.to_upright(BOX) == [left, top, right - left + 1, bottom - top + 1]
    assert frame.to_stored(frame.to_upright(BOX)) == BOX


def test_what_is_no_picture_has_no_frame(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    assert frame_of(tmp_path / "a.jpg") is None and frame_of(tmp_path / "b.jpg") is None


PLAIN, TURNED, FLIPPED = (Frame((40, 24), orientation) for orientation in (1, 6, 2))
SQUARE = Frame((30, 30), 8)


@pytest.mark.parametrize(
    ("frame", "stated", "upright", "stored"),
    [
        (PLAIN, (40, 24), Seen((40, 24)), Seen((40, 24))),
        (PLAIN, (None, 24), Seen((40, 24)), Seen((40, 24))),
        (PLAIN, (24, 40), None, None),
        (TURNED, (24, 40), Seen((24, 40)), Seen((24, 40))),
        (TURNED, (40, 24), Seen((24, 40), None, True), Seen((24, 40), TURNED, True)),
        (TURNED, (None, None), Seen((24, 40)), Seen((24, 40), TURNED)),
        (TURNED, (40, 25), None, None),
        (FLIPPED, (40, 24), Seen((40, 24)), Seen((40, 24), FLIPPED)),
        (SQUARE, (30, 30), Seen((30, 30)), Seen((30, 30), SQUARE)),
        (None, (40, 24), Seen((40, 24)), Seen((40, 24))),
        (None, (40, None), None, None),
    ],
)
def test_sizes_tell_what_boxes_belong_to(
    frame: Frame | None, stated: tuple[int | None, int | None], upright: Seen | None, stored: Seen | None
) -> None:
    assert seen(frame, stated, None) == seen(frame, stated, "upright") == upright
    assert seen(frame, stated, "stored") == stored
