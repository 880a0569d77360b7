"""What an audit keeps of each picture, in a folder: appended as it comes, mapped into memory, never made twice.

A picture is a row. Its hashes have a fixed length in `rows.bin`; its name, thumbnail and local features stand in files
of their own, in the same order. A row counts once it is in `rows.bin`, which is written after all else is on the disk,
so that whatever ends the process leaves a tail that belongs to no row and is cut. `seen.bin` has the state of each file
when it was read; it alone depends on more than the pictures, and no artifact holds it. `form.json` says how pictures
were read, and the version of all this: what differs there is made anew.

A picture that changed gets another row, the last of its name counts; `compact` drops those that nobody asks for.
"""

import os
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from florilegium.audit.columns import POINT, Picked, PickedPoints
from florilegium.audit.hashing import SIDE, Hashes
from florilegium.config.pictures import Pictures
from florilegium.core.errors import UserError, some
from florilegium.core.files import clear_leftovers, is_leftover, link, read_json, replacing, write_json
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
COMMIT_EVERY = 1.0  # seconds of work that a kill may cost
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


# Writing


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file while the body runs; raises UserError where another process does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"{path}: another audit holds it, and is writing beside it; wait for it, or end it") from None
    try:
        yield
    finally:
        lock.release()


def open_kept(folder: Path, pictures: Pictures) -> Kept:
    """What `folder` has of pictures that were read as `pictures` says; made, or emptied, where it has nothing of use.

    Raises:
        UserError: it holds files of something else.
    """
    clear_leftovers(folder.parent)
    folder.mkdir(parents=True, exist_ok=True)
    clear_leftovers(folder)
    others = sorted(path.name for path in folder.iterdir() if path.name not in (*HASHES, SEEN))
    if strange := [name for name in others if not is_leftover(name)]:
        raise UserError(
            f"{folder}: holds what no audit has written ({some(strange, 3)}); move it away, or give another folder"
        )
    form = {"version": VERSION, "pictures": pictures.model_dump(mode="json")}
    with suppress(OSError, ValueError):
        if read_json(folder / FORM) == form:
            return Kept.read(folder)
    if (folder / ROWS).exists():
        say(f"{folder}: is damaged, of another version, or of pictures that were read in another way; made anew")
    for name in (ROWS, *DATA):  # the rows first, without which the rest counts for nothing
        (folder / name).unlink(missing_ok=True)
    for name in (ROWS, *DATA):
        (folder / name).touch()
    write_json(folder / FORM, form)
    return Kept.read(folder)


class Appender:
    """Appends pictures to a folder that `open_kept` has read. Whatever ends it, what was committed stays."""

    def __init__(self, kept: Kept) -> None:
        self.folder, self.committed = kept.folder, len(kept)
        self._ends = {end: int(kept.rows[end][-1]) if len(kept) else 0 for end in ("name_end", "point_end")}
        self._waiting: list[NDArray[Any]] = []
        self._since = time.monotonic()
        self._files: dict[str, BinaryIO] = {}
        self._open = ExitStack()

    def __enter__(self) -> "Appender":
        self._cut()
        for name in (*DATA, ROWS):
            self._files[name] = self._open.enter_context(open(self.folder / name, "ab", buffering=0))
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            if kind is None:
                self.commit()
        finally:
            self._open.close()
            if kind is not None:
                with suppress(OSError):
                    self._cut()

    def append(self, part: Part) -> None:
        """Write pictures; from time to time they are committed."""
        rows = np.zeros(len(part.names), ROW)
        encoded = [name_bytes(name) for name in part.names]
        rows["facts"] = part.facts
        rows["name_end"] = self._ends["name_end"] + np.cumsum([len(name) for name in encoded], dtype=np.int64)
        rows["point_end"] = self._ends["point_end"] + np.cumsum(part.count)
        self._write(NAMES, b"".join(encoded))
        self._write(THUMBS, part.thumb.tobytes())
        self._write(POINTS, part.points.tobytes())
        self._write(SEEN, part.seen.tobytes())
        if len(rows):
            self._ends = {end: int(rows[end][-1]) for end in self._ends}
            self._waiting.append(rows)
        if time.monotonic() - self._since >= COMMIT_EVERY:
            self.commit()

    def commit(self) -> None:
        """Bring everything that was appended to the disk, the rows last."""
        for name in DATA:
            self._sync(name)
        for rows in self._waiting:
            self._write(ROWS, rows.tobytes())
            self.committed += len(rows)
        self._sync(ROWS)
        self._waiting, self._since = [], time.monotonic()

    def _write(self, name: str, data: bytes) -> None:
        rest = memoryview(data)
        with self._named(name):
            while len(rest):
                rest = rest[self._files[name].write(rest) :]

    def _sync(self, name: str) -> None:
        with self._named(name):
            os.fsync(self._files[name].fileno())

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        """Tell the file in an error of the system, which says it of opening alone."""
        try:
            yield
        except OSError as error:
            error.filename = error.filename or str(self.folder / name)
            raise

    def _cut(self) -> None:
        """Remove what belongs to no row."""
        committed = Kept(self.folder, [], np.fromfile(self.folder / ROWS, ROW, self.committed))
        for name, size in committed.sizes().items():
            if (self.folder / name).stat().st_size > size:
                os.truncate(self.folder / name, size)


def compact(kept: Kept, rows: NDArray[np.intp]) -> Kept:
    """Write a folder again with `rows` alone, in that order."""
    with replacing(kept.folder) as fresh:
        write_json(fresh / FORM, read_json(kept.folder / FORM))
        for name in (ROWS, *DATA):
            (fresh / name).touch()
        with Appender(Kept(fresh, [], kept.rows[:0])) as appender:
            for start in range(0, len(rows), BLOCK):
                appender.append(kept.part(rows[start : start + BLOCK]))
    return Kept.read(kept.folder)


def withdraw(out: Path) -> None:
    """Remove what `publish` has put into `out`, before files that it may share with a folder are written on."""
    for name in HASHES:
        (out / name).unlink(missing_ok=True)


def publish(kept: Kept, rows: Sequence[int], out: Path) -> list[Path]:
    """Put the pictures of `rows`, sorted by name, into the folder `out`, without the states of their files.

    The files hold these pictures alone, so that their bytes depend on nothing else. Where the file system has links,
    they take no room of their own.
    """
    withdraw(out)
    if list(rows) != list(range(len(kept))):
        kept = compact(kept, np.array(rows, np.intp))
    out.mkdir(parents=True, exist_ok=True)
    for name in (NAMES, ROWS, THUMBS, POINTS):
        link(kept.folder / name, out / name)
        os.utime(out / name)  # made now, for the workflow, however long ago pictures were read
    write_json(out / FORM, read_json(kept.folder / FORM) | {"images": len(kept)})
    return [out / name for name in HASHES]
