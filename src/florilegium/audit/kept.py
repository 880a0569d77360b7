"""What an audit keeps of each picture, in a folder: appended as it comes, mapped into memory, never made twice.

A picture is a row. Its hashes have a fixed length in `rows.bin`; its name, thumbnail and local features stand in files
of their own, in the same order. A row counts once it is in `rows.bin`, which is written after all else is on the disk,
so that whatever ends the process leaves a tail that belongs to no row and is cut. `seen.bin` has the state of each file
when it was read; it alone depends on more than the pictures, and no artifact holds it. `form.json` says how pictures
were read, and the version of all this: what differs there is made anew.

A picture that changed gets another row, the last of its name counts; `compact` drops those that nobody asks for.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from florilegium.audit.columns import POINT, Picked, PickedPoints
from florilegium.audit.hashing import SIDE, Hashes
from florilegium.config.pictures import Pictures
from florilegium.core.errors import UserError, some
from florilegium.core.files import read_json
from florilegium.core.local_files import listed
from florilegium.core.names import name_bytes, shown
from florilegium.core.outputs import HASHES
from florilegium.core.system import say

VERSION = 1  # raise it when hashes, thumbnails or features of the same picture become others
FORM, NAMES, ROWS, THUMBS, POINTS = HASHES
SEEN = "seen.bin"
DATA = (NAMES, THUMBS, POINTS, SEEN)  # written before the rows that they belong to
FACTS = np.dtype(
    [("hash", "<u8", 8), ("reliable", "?"), ("described", "?"), ("side", "<u4", 2), ("bytes", "<u8"), ("sum", "<u4")]
)
ROW = np.dtype([("facts", FACTS), ("name_end", "<i8"), ("point_end", "<i8")])
STATE = np.dtype([("modified", "<i8"), ("changed", "<i8")])  # nanoseconds, of `core.local_files.Status`
SIZE = {ROWS: ROW.itemsize, THUMBS: SIDE * SIDE * 3, SEEN: STATE.itemsize}  # bytes of a row
BLOCK = 1024  # rows that are copied or checked at once


@dataclass(frozen=True)
class Part:
    """Some pictures as they are kept."""

    names: list[str]
    facts: NDArray[Any]  # (n,) FACTS
    thumb: NDArray[np.uint8]  # (n, 32, 32, 3)
    count: NDArray[np.int64]  # (n,) of features
    points: NDArray[Any]  # POINT, one picture after another
    seen: NDArray[Any]  # (n,) STATE

    def sums(self) -> NDArray[np.uint32]:
        """(n,) a checksum of all that is kept of each picture but for the state of its file."""
        bare, ends = self.facts.copy(), np.cumsum(self.count)
        bare["sum"] = 0
        sums = np.zeros(len(self.names), np.uint32)
        for k, name in enumerate(self.names):
            points = self.points[ends[k] - self.count[k] : ends[k]]
            for data in (name_bytes(name), bare[k].tobytes(), self.thumb[k].tobytes(), points.tobytes()):
                sums[k] = zlib.crc32(data, int(sums[k]))
        return sums


# Reading


@dataclass(frozen=True)
class Kept:
    """The rows of a folder that are whole."""

    folder: Path
    names: list[str]
    rows: NDArray[Any]  # (N,) ROW

    @classmethod
    def read(cls, folder: Path, *, published: bool = False) -> "Kept":
        """The rows whose data is there, up to the first that lacks some; a `published` folder has no states of files.

        Raises OSError where a file is missing.
        """
        count = min((folder / name).stat().st_size // SIZE[name] for name in SIZE if name != SEEN or not published)
        rows = np.fromfile(folder / ROWS, ROW, count)
        text, points = (folder / NAMES).read_bytes(), (folder / POINTS).stat().st_size // POINT.itemsize
        whole = (rows["name_end"] <= len(text)) & (rows["point_end"] <= points)
        for end in ("name_end", "point_end"):
            whole &= np.diff(rows[end], prepend=0) >= 0
        rows = rows[: len(rows) if whole.all() else int(np.argmin(whole))]
        starts = [0, *rows["name_end"].tolist()]
        names = [text[a:b].decode("utf-8", "surrogateescape") for a, b in pairwise(starts)]
        return cls(folder, names, rows)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def seen(self) -> NDArray[Any]:
        return np.fromfile(self.folder / SEEN, STATE, len(self))

    def sizes(self) -> dict[str, int]:
        """The bytes of each file that belong to these rows."""
        ends = {end: int(self.rows[end][-1]) if len(self) else 0 for end in ("name_end", "point_end")}
        sizes = {name: size * len(self) for name, size in SIZE.items()}
        return sizes | {NAMES: ends["name_end"], POINTS: ends["point_end"] * POINT.itemsize}

    def last(self) -> dict[str, int]:
        """The row of each name that is not damaged."""
        sound = self.sound()
        if bad := int((~sound).sum()):
            say(f"{self.folder}: {bad:,} of {len(self):,} pictures are damaged there, and are read again")
        return {name: row for row, name in enumerate(self.names) if sound[row]}

    def sound(self) -> NDArray[np.bool_]:
        """(N,) True where all that is kept of the picture is as it was written."""
        sound = np.empty(len(self), np.bool_)
        for start in range(0, len(self), BLOCK):
            part = self.part(np.arange(start, min(start + BLOCK, len(self))), with_seen=False)
            sound[start : start + BLOCK] = part.sums() == part.facts["sum"]
        return sound

    def hashes(self, rows: Sequence[int] | NDArray[np.intp]) -> Hashes:
        """The pictures of `rows`, in that order; thumbnails and features stay in their files."""
        rows = np.asarray(rows, np.intp)
        facts = self.rows["facts"][rows]
        names = np.array([self.names[row] for row in rows.tolist()], object)
        thumb, points = self._thumb.take(rows), self._points(rows)
        return Hashes(names, facts["hash"], facts["reliable"], thumb, facts["side"], points)

    def part(self, rows: NDArray[np.intp], *, with_seen: bool = True) -> Part:
        """The pictures of `rows`, to be written again or checked."""
        if (np.diff(rows) == 1).all():  # read and not mapped, see `PickedPoints`
            size = SIZE[THUMBS]
            thumb = np.fromfile(self.folder / THUMBS, np.uint8, len(rows) * size, offset=int(rows[0]) * size)
        else:
            thumb = self._thumb[rows]
        points, names = self._points(rows), [self.names[row] for row in rows.tolist()]
        seen = self.seen[rows] if with_seen else np.zeros(len(rows), STATE)
        thumb, packed = thumb.reshape(-1, SIDE, SIDE, 3), points.packed(np.arange(len(rows)))
        return Part(names, self.rows["facts"][rows], thumb, points.count, packed, seen)

    @cached_property
    def _thumb(self) -> Picked:
        shape = (len(self), SIDE, SIDE, 3)
        whole = np.memmap(self.folder / THUMBS, np.uint8, "r", shape=shape) if len(self) else np.empty(shape, np.uint8)
        return Picked(whole, np.arange(len(self)))

    def _points(self, rows: NDArray[np.intp]) -> PickedPoints:
        count = np.diff(self.rows["point_end"], prepend=0)[rows]
        return PickedPoints(self.folder / POINTS, self.rows["point_end"][rows] - count, count)


def load(folder: Path, pictures: Pictures, *, crops: bool = False, root: Path | None = None) -> Hashes:
    """All pictures of a folder that `publish` has made, by name.

    Args:
        pictures: how they must have been read.
        crops: their local features are needed.
        root: where the pictures themselves lie; those that are no longer there are not missed.

    Raises:
        UserError: it is of another version, was made in another way, lacks a file or was damaged, or pictures below
            `root` have another size.
    """
    remedy = "delete this folder and start the workflow, whose stage dedup_hash makes it again"
    try:
        form = dict(read_json(folder / FORM))
        if form.get("version") != VERSION:
            raise UserError(f"{folder}: its hashes are of version {form.get('version')}, not of {VERSION}; {remedy}")
        kept = Kept.read(folder, published=True)
        sizes = {name: (folder / name).stat().st_size for name in HASHES}
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no file of an audit"
        raise UserError(f"{folder}: its hashes cannot be read ({reason}); {remedy}") from error
    if form.get("pictures") != pictures.model_dump(mode="json"):
        raise UserError(f"{folder}: its hashes are of pictures that were read in another way; {remedy}")
    fits = all(sizes[name] == size for name, size in kept.sizes().items() if name in sizes)
    if form.get("images") != len(kept) or not fits or not kept.sound().all():
        raise UserError(f"{folder}: its hashes are damaged; {remedy}")
    if crops and not kept.rows["facts"]["described"].all():
        raise UserError(f"{folder}: its hashes are without local features, which audit.crops needs; {remedy}")
    if root is not None:
        sizes = dict(zip(kept.names, kept.rows["facts"]["bytes"].tolist(), strict=True))
        now = listed(str(root), {name: root / name for name in sizes}).status()
        if changed := [shown(name) for name, status in now.items() if status.size != sizes[name]]:
            raise UserError(f"{folder}: {len(changed):,} pictures have changed since ({some(changed, 3)}); {remedy}")
    return kept.hashes(sorted(range(len(kept)), key=kept.names.__getitem__))
