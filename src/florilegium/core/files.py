"""Files: written whole or not at all, read, hashed."""

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from florilegium.core.diagnosis import unwritable
from florilegium.core.errors import UserError
from florilegium.core.system import bar, say

CHUNK = 1 << 20
LARGE = 1 << 28  # bytes of a file whose hash is noted
THREADS = 4  # that hash files
PROBE = 1 << 16  # bytes that a disk must take so as not to count as full


def local_path(text: str) -> Path:
    """A path as a person types it: `~` is the home folder, and an address that begins with file:// is a path, too."""
    if not text.lower().startswith("file://"):
        return Path(os.path.expanduser(text))  # noqa: PTH111 -- as it is where there is no such person
    from urllib.request import url2pathname  # brings the whole of HTTP

    return Path(url2pathname(urlsplit(text).path))


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed to `path`, else `path` stays.

    Remains of processes that were killed while they wrote into this folder are removed before.

    Raises:
        OSError: the body's, with a file name; ENOSPC for whatever a library raises on a full disk.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(path.parent)
    temporary = _beside(path, "part")
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            if str(error.filename or temporary) == str(temporary):  # which no person knows
                error.filename = str(path)
        elif number := unwritable(error) or _is_full(path.parent):  # numpy and Pillow drop it
            raise OSError(number, os.strerror(number), str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _is_full(folder: Path) -> int | None:
    """The number of the system's error if the disk of `folder`, or the user's share of it, takes no more."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            return errno.ENOSPC if file.write(bytes(PROBE)) < PROBE else None
    except OSError as error:
        return unwritable(error)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` on success, else `folder` stays as it was.

    Remains of processes that were killed while they did so are removed before, and the folder that they had set aside
    comes back.
    """
    clear_leftovers(folder.parent)
    fresh, old = _beside(folder, "part"), _beside(folder, "old")
    fresh.mkdir(parents=True)
    try:
        yield fresh
    except BaseException as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if isinstance(error, OSError) and unwritable(error):
            error.filename = error.filename or str(folder)
        raise
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


# Leftovers: what a process that was killed had not finished. A download's `.part` is none, since it is resumed.

MACHINE = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
BESIDE = re.compile(r"\.(?P<name>.+?)(\.(?P<pid>\d+)-(?P<machine>[0-9a-f]{6}))?\.[0-9a-f]{8}\.(?P<kind>part|old)")
UNTOUCHED = 3600.0  # seconds after which what another machine began counts as abandoned
SKEW = 60.0  # seconds by which the clock of a file system may differ
_cleared: set[Path] = set()


def _beside(path: Path, kind: str) -> Path:
    """A path beside `path` that tells which process uses it."""
    return path.with_name(f".{path.name}.{os.getpid()}-{MACHINE}.{uuid.uuid4().hex[:8]}.{kind}")


def is_leftover(name: str) -> bool:
    """True for the name of a file or folder that `atomic` or `replacing` leaves if its process is killed."""
    return name.startswith(".") and name.endswith((".part", ".old"))


def clear_leftovers(folder: Path) -> None:
    """Remove what processes that are gone began in `folder` and did not finish; once in the life of this process."""
    place = folder.absolute()
    if place in _cleared or not folder.is_dir():
        return
    _cleared.add(place)
    found = []
    with suppress(OSError):  # a folder may be written by who may not read it
        found = [(path, match) for path in folder.iterdir() if (match := BESIDE.fullmatch(path.name))]
    removed = [path.name for path, match in found if _is_abandoned(path, match) and _is_cleared(path, match)]
    if removed:
        say(f"{folder}: removed {len(removed)} unfinished files of processes that were killed, such as {removed[0]}")


def _is_abandoned(path: Path, match: "re.Match[str]") -> bool:
    """True if the process that began a file is gone. A process may have the number of one that is gone; it is younger
    than the file."""
    with suppress(OSError):
        changed = path.stat().st_ctime  # renaming a folder changes it, too
        if match["machine"] != MACHINE:
            return time.time() - changed > UNTOUCHED
        try:
            return bool(psutil.Process(int(match["pid"])).create_time() > changed + SKEW)
        except psutil.NoSuchProcess:
            return True
        except psutil.Error:
            return False
    return False


def _is_cleared(path: Path, match: "re.Match[str]") -> bool:
    """Remove a file or folder; one that was set aside comes back if nothing has taken its place."""
    with suppress(OSError):
        if match["kind"] == "old" and not path.with_name(match["name"]).exists():
            path.rename(path.with_name(match["name"]))
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
        return True
    return False


def link(source: Path, target: Path) -> None:
    """Let `target`, which does not exist, be the same file as `source`; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:  # or where it is another one
        shutil.copy2(source, target)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8 with `\\n` line ends on every system, atomically; names that are no UTF-8 are escaped."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys; NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def digest(path: Path | str, algorithm: str = "sha256") -> str:
    """Hexadecimal hash of a file's content."""
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(CHUNK):
            hasher.update(block)
    return hasher.hexdigest()


def noted_digest(path: Path) -> str:
    """The sha256 of a file; of a large one, which would take minutes each time, as a hidden file beside it says that
    noted it for the file as it is."""
    state = _state(path)
    if state["bytes"] < LARGE:
        return digest(path)
    note = path.with_name(f".{path.name}.sha256")
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = read_json(note)
        if noted["of"] == state:
            return str(noted["sha256"])
    found = digest(path)
    if state == _state(path):
        with suppress(OSError):  # the folder may be another's
            write_json(note, {"of": state, "sha256": found})
    return found


def _state(path: Path) -> dict[str, int]:
    """What differs after a file was changed or replaced: nobody sets the last of these times by hand."""
    now = path.stat()
    return {"file": now.st_ino, "bytes": now.st_size, "modified": now.st_mtime_ns, "changed": now.st_ctime_ns}


def digest_if_readable(path: Path) -> str | None:
    """The sha256 of a file; None for one that cannot be read, or whose name no system takes."""
    with suppress(OSError, ValueError):
        return digest(path)
    return None


def digests(paths: Sequence[Path], title: str) -> list[str | None]:
    """`digest_if_readable` of each, several at once, with a progress bar."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(bar(pool.map(digest_if_readable, paths), title, "file", len(paths)))
