"""Files of a person's own, which stages read where they lie: what decides that a stage runs again when they change.

They are no inputs of Snakemake: it takes `{name}` in a path for a wildcard, compares times only with those of outputs,
so that a time in the future stops a run and an older one hides a change, and checks every file of a folder by itself.
In place of them a stage has a *mark*, a short text that stays the same while the files do.

A stage remembers what it has read: of each file the size, the times and the hash, in `state/local_files`. A file of
another time is hashed again before anything is planned, so that one that was only touched or copied re-runs nothing.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from florilegium.core.files import digest_if_readable, digests, read_json, write_text
from florilegium.core.names import name_bytes, shown
from florilegium.core.walk import walk

FOLDER = Path("state/local_files")
PREFIX = "files:"  # of every mark


class Status(NamedTuple):
    """Size in bytes and times in nanoseconds. The time of the last change of the entry itself (`ctime`) cannot be set
    by a person, so that it shows a file that was replaced by one of the same size and modification time."""

    size: int
    modified: int
    changed: int


NEVER = Status(-1, 0, 0)  # of a file that came while others were read


@dataclass(frozen=True)
class LocalFiles:
    """Files by a name each, and what they are called in a sentence.

    A folder stands for all that lies below it; single files that are gone count as unchanged, since a stage keeps what
    it made of them.
    """

    title: str
    paths: Mapping[str, Path]
    is_folder: bool = False

    def status(self) -> dict[str, Status]:
        """The present state of each file that is there."""
        return {name: status for name, path in self.paths.items() if (status := _status(path)) is not None}


def below(folder: Path) -> LocalFiles:
    """All files below a folder, without those that `core.walk` leaves out. Raises UserError as that does."""
    return LocalFiles(f"files below {folder}", {name: folder / name for name in walk(folder).files}, is_folder=True)


def listed(name: str, paths: Mapping[str, Path]) -> LocalFiles:
    """Single files of the data set or the weights `name`."""
    return LocalFiles(f"files of {name}", paths)


def _status(path: Path) -> Status | None:
    with suppress(OSError):
        found = path.stat()
        return Status(found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return None


# The mark


class Mark(NamedTuple):
    """What a plan knows of local files."""

    text: str
    told: str = ""
    """What has changed since a stage read them, for people; empty if nothing has, or if no stage has."""
    touched: Mapping[str, Status] = MappingProxyType({})
    """The present states of files whose content is as it was, but not their times; for `refresh`."""


def mark(files: LocalFiles, record: Path) -> Mark:
    """The mark of files; the one of the last time while their content is the same.

    Args:
        record: the file in which `remember` has written what a stage read.
    """
    now, then = files.status(), _read(record)
    if then is None:
        return Mark(_text_of(now, {}))
    known: dict[str, tuple[Status, str]] = {
        name: (Status(*entry["status"]), entry["sha256"]) for name, entry in then["files"].items()
    }
    gone = sorted(known.keys() - now.keys()) if files.is_folder else []
    new = sorted(now.keys() - known.keys())
    unlike = [name for name in sorted(now.keys() & known.keys()) if now[name] != known[name][0]]
    resized = {name for name in unlike if now[name].size != known[name][0].size}
    same_size = [name for name in unlike if name not in resized]
    found = digests([files.paths[name] for name in same_size], f"hashing changed {files.title}")
    hashes = dict(zip(same_size, found, strict=True))
    changed = [name for name in unlike if name in resized or hashes.get(name) != known[name][1]]
    if not (gone or new or changed):
        return Mark(then["mark"], touched={name: now[name] for name in unlike})
    text = _text_of(now, {name: hashes.get(name) for name in changed})
    return Mark(text, _told(files, {"new": new, "changed": changed, "gone": gone}, now))


def content_mark(path: Path) -> Mark:
    """The mark of one file by its content alone, for a file that no stage remembers; empty if it cannot be read."""
    sha256 = digest_if_readable(path)
    return Mark(PREFIX + sha256[:16] if sha256 else "")


def _text_of(now: Mapping[str, Status], hashes: Mapping[str, str | None]) -> str:
    lines = (f"{status.size} {status.modified} {hashes.get(name) or ''} {name}" for name, status in sorted(now.items()))
    return PREFIX + hashlib.sha256(name_bytes("\0".join(lines))).hexdigest()[:16]


def _told(files: LocalFiles, changes: Mapping[str, list[str]], now: Mapping[str, Status]) -> str:
    """`files below pictures changed: 2 new (a.png, 2026-11-30 12:00), 1 gone (b.png)`; of each kind the newest."""
    parts = []
    for kind, names in changes.items():
        if names:
            newest = max(names, key=lambda name: now[name].modified if name in now else 0)
            parts.append(f"{len(names)} {kind} ({shown(newest)}{_time(now.get(newest))})")
    return f"{files.title} changed: {', '.join(parts)}"


def _time(status: Status | None) -> str:
    with suppress(OSError, ValueError, OverflowError):
        if status is not None:
            return f", {datetime.fromtimestamp(status.modified // 10**9):%Y-%m-%d %H:%M}"
    return ""


# The record


def record_of(kind: str, name: str) -> Path:
    """The record of a data set (`datasets`) or of weights (`weights`)."""
    return FOLDER / kind / f"{name}.json"


def remember(
    kind: str, name: str, text: str, files: LocalFiles, before: Mapping[str, Status], read: Iterable[Mapping[str, Any]]
) -> None:
    """Write the record of what a stage has read.

    Args:
        text: the mark that the stage was started with.
        before: the states from before the files were read, so that a change while that went on is seen later.
        read: entries with the sha256 of each file, by its `path` in a folder or as a published `file`.
    """
    hashes = {str(entry.get("path") or entry.get("file")): entry["sha256"] for entry in read}
    entries = {
        file: {"status": before.get(file, NEVER), "sha256": sha256}
        for file, sha256 in hashes.items()
        if files.is_folder or file in files.paths
    }
    if entries:
        paths = {} if files.is_folder else {file: os.fspath(files.paths[file].absolute()) for file in entries}
        _write(record_of(kind, name), {"mark": text, "files": entries, "paths": paths})


def refresh(record: Path, touched: Mapping[str, Status]) -> None:
    """Write the states of files whose content is as it was, so that they need not be hashed again."""
    then = _read(record) if touched else None
    if then is not None:
        for name, status in touched.items():
            then["files"][name]["status"] = status
        _write(record, then)


def _read(record: Path) -> dict[str, Any] | None:
    """The record; None if there is none, or none that can be read."""
    try:
        found = read_json(record)
        assert isinstance(found["mark"], str)
        assert isinstance(found["paths"], dict)
        assert all(len(entry["status"]) == 3 and isinstance(entry["sha256"], str) for entry in found["files"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError):
        return None
    return dict(found)


def _write(record: Path, content: Mapping[str, Any]) -> None:
    write_text(record, json.dumps(content, separators=(",", ":")))


def recorded_paths(kind: str, name: str, project: Path = Path()) -> dict[str, Path]:
    """Where single files lay that a stage has read, by their published names; empty without a record."""
    then = _read(project / record_of(kind, name))
    return {file: Path(path) for file, path in then["paths"].items()} if then else {}
