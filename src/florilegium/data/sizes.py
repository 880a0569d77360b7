"""Width and height of image files, read from their first bytes."""

import warnings
from pathlib import Path

from PIL import Image

ORIENTATION = 0x0112  # the EXIF tag
SIDEWAYS = (5, 6, 7, 8)


def measured(path: Path, *, upright: bool = False) -> tuple[int, int] | None:
    """Width and height as stored, or with `upright` after the rotation in the EXIF tag; None if unreadable."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
                turned = upright and image.getexif().get(ORIENTATION) in SIDEWAYS
    except Exception:  # Pillow's parsers raise whatever a damaged file makes them meet
        return None
    return (height, width) if turned else (width, height)
