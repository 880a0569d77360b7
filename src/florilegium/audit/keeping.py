"""How pictures are appended to what an audit keeps of them, and handed to the workflow; see `audit.kept`."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from florilegium.audit.kept import BLOCK, DATA, FORM, NAMES, POINTS, ROW, ROWS, SEEN, THUMBS, VERSION, Kept, Part
from florilegium.config.pictures import Pictures
from florilegium.core.errors import UserError, some
from florilegium.core.files import clear_leftovers, is_leftover, link, read_json, replacing, write_json
from florilegium.core.names import name_bytes
from florilegium.core.outputs import HASHES
from florilegium.core.system import say

COMMIT_EVERY = 1.0  # seconds of work that a kill may cost


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
