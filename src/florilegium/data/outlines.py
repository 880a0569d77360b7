"""The box of an object that is given by its outline alone: polygons, or a mask in run lengths.

Lin et al., 2014, and its tools: a polygon is x, y, x, y, … in pixels; a mask counts pixels column by column, by turns
outside and inside of the object, as a list of numbers or packed into a text (six bits a character).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from florilegium.data.json_files import number, whole

LEAST_POINTS = 3
PLACES = 14  # characters of a packed number: more than any picture has pixels


def box_of(segmentation: Any) -> list[float] | None:
    """The least box x, y, width, height around an outline; None where there is none, or it cannot be read.

    Of polygons it reaches from the least to the greatest corner, of a mask it holds whole pixels.
    """
    if isinstance(segmentation, dict):
        return _box_of_mask(segmentation)
    if not isinstance(segmentation, list) or not segmentation:
        return None
    nested = all(isinstance(part, list) for part in segmentation)
    return _box_of_polygons(segmentation if nested else [segmentation])


def _box_of_polygons(polygons: Sequence[Sequence[Any]]) -> list[float] | None:
    if any(len(polygon) % 2 for polygon in polygons):
        return None
    values = [number(value) for polygon in polygons for value in polygon]
    found = [value for value in values if value is not None]
    if len(found) < len(values) or len(found) < 2 * LEAST_POINTS:
        return None
    across, down = found[::2], found[1::2]
    return [min(across), min(down), max(across) - min(across), max(down) - min(down)]


def _box_of_mask(mask: dict[str, Any]) -> list[float] | None:
    size, counts = mask.get("size"), mask.get("counts")
    if not isinstance(size, list) or len(size) != 2:
        return None
    height, width = whole(size[0]), whole(size[1])
    lengths = _unpacked(counts) if isinstance(counts, str) else _numbers(counts)
    if not height or not width or height < 0 or width < 0 or lengths is None:
        return None
    if min(lengths, default=0) < 0 or sum(lengths) > height * width:
        return None
    runs = list(_runs(lengths))
    if not runs:
        return None
    columns = [place // height for start, end in runs for place in (start, end - 1)]
    rows = [row for start, end in runs for row in _rows(start, end - 1, height)]
    left, top = min(columns), min(rows)
    return [left, top, max(columns) - left + 1, max(rows) - top + 1]


def _runs(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Start and end of each run of pixels inside the object."""
    place = 0
    for turn, length in enumerate(lengths):
        if turn % 2 and length:
            yield place, place + length
        place += length


def _rows(first: int, last: int, height: int) -> tuple[int, int]:
    """The highest and the lowest row between two pixels; a run that goes on in the next column has all rows."""
    return (first % height, last % height) if first // height == last // height else (0, height - 1)


def _numbers(counts: Any) -> list[int] | None:
    found = [whole(count) for count in counts] if isinstance(counts, list) else [None]
    known = [count for count in found if count is not None]
    return known if len(known) == len(found) else None


def _unpacked(text: str) -> list[int] | None:
    """The run lengths of a packed mask: five bits a character, the lowest first, the sixth says that more follow. From
    the fourth on they are differences to the one before the last."""
    lengths: list[int] = []
    value = bits = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or bits >= 5 * PLACES:
            return None
        value |= (code & 31) << bits
        bits += 5
        if code & 32:
            continue
        if code & 16:  # negative
            value -= 1 << bits
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
        value = bits = 0
    return None if bits else lengths
