"""The files of a data set, verified and in one folder, wherever they can be had.

Each file is looked for in its places in order (the person's own file, or mirrors and then official
addresses) until one gives what the checksum asks for. Archives are unpacked side by side.
"""

import codecs
import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florilegium.core.errors import UserError
from florilegium.core.files import digest, replacing
from florilegium.core.places import disclosed
from florilegium.core.progress import bar
from florilegium.core.sources import Dataset, DatasetOverride, LocalFile, RemoteFile
from florilegium.data import cifar
from florilegium.data.download import Unavailable, download
from florilegium.data.extract import extract, is_archive

PAGE_STARTS = (b"<!doctype html", b"<html", b"<head")


@dataclass(frozen=True)
class Verified:
    """A file that holds what it should: its published name, where it came from, where it lies."""

    file: str
    place: str
    path: Path


def fetch(
    name: str, dataset: Dataset, override: DatasetOverride | None, *, root: Path, downloads: Path
) -> dict[str, Any]:
    """Bring a data set's files below one folder; the content of `files.json`.

    Args:
        name: the data set's key, for error sentences.
        root: the folder that is made for published files. A folder of the person's own is used where
            it is, and nothing is copied.
        downloads: where downloads are kept, whole ones and beginnings.

    Raises:
        UserError: a file cannot be had, or what was had is not what it should be.
    """
    if dataset.rendered is not None:
        raise UserError(f"{name}: is rendered by the project, there is nothing to fetch; render it")
    if dataset.folder is not None:
        folder = Path(dataset.folder).expanduser()
        if not folder.is_dir():
            raise UserError(f"{name}: folder = '{dataset.folder}': there is no such folder; mend the path")
        return {"root": folder.as_posix(), "origin": [], "files": content_table(folder)}
    override = override or DatasetOverride()
    found = [obtain(name, remote, override, downloads) for remote in dataset.files]
    verified = [file for file in found if file is not None]
    with replacing(root) as folder:
        for file in verified:
            if is_archive(file.file):
                extract(file.path, folder)
            else:
                shutil.copyfile(file.path, folder / file.file)
        if dataset.layout in cifar.FORMS:
            cifar.unpack_batches(dataset, folder)
        files = content_table(folder)
    remotes = {remote.file: remote for remote in dataset.files}
    origin = [
        _origin(file) | {"published": _is_published(file, remotes[file.file], override)} for file in verified
    ]
    return {"root": root.as_posix(), "origin": origin, "files": files}


def obtain(name: str, remote: RemoteFile, override: DatasetOverride, downloads: Path) -> Verified | None:
    """One file of the data set `name`, verified; None for an optional one that is said to be absent.

    Raises UserError that names every place that failed, and how.
    """
    key = f"config.yaml: datasets.{name}"
    own = override.files.get(remote.file)
    if own == "absent":
        if not remote.optional:
            raise UserError(
                f"{key}.files.{remote.file}: cannot be absent, the data set needs it; give a path"
            )
        return None
    if isinstance(own, LocalFile):
        try:
            return _local(own.path, own, remote.file)
        except Unavailable as error:
            raise UserError(
                f"{key}.files.{remote.file}: {own.path}: {error}; mend the path or the file"
            ) from None
    failures = []
    for place in _places(remote, override):
        try:
            return _from(place, remote, downloads)
        except Unavailable as error:
            failures.append(f"{place}: {error}")
    raise UserError(
        f"{remote.file} of {name} cannot be had ({'; '.join(failures) or 'no address is known'}); put the path "
        f"of a copy at datasets.{name}.files.{remote.file}.path in config.yaml, or a folder or address that "
        f"has it at datasets.{name}.mirrors"
        + (f", or write datasets.{name}.files.{remote.file}: absent" if remote.optional else "")
    )


def verify(path: Path, expected: RemoteFile | LocalFile) -> None:
    """Raise Unavailable unless the file at `path` has the checksums that are expected, where any are,
    and is not a web page that a server sent in its place."""
    with open(path, "rb") as file:
        start = file.read(512).removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if start.startswith(PAGE_STARTS):
        raise Unavailable("it is an HTML page in place of the file")
    for algorithm in ("md5", "sha256"):
        wanted = getattr(expected, algorithm)
        if wanted is not None and (got := digest(path, algorithm)) != wanted.lower():
            raise Unavailable(f"its {algorithm} is {got}, and {wanted} was expected")


def _places(remote: RemoteFile, override: DatasetOverride) -> Iterator[str]:
    for mirror in override.mirrors:
        yield f"{mirror.rstrip('/')}/{remote.file}"
    yield from remote.urls


def _from(place: str, remote: RemoteFile, downloads: Path) -> Verified:
    scheme = urllib.parse.urlsplit(place).scheme if "://" in place else "file"
    if scheme == "file":
        return _local(place, remote, remote.file)
    if scheme in ("http", "https"):
        return _remote(place, remote, downloads / remote.file)
    raise Unavailable(f"'{scheme}://' is not supported; use a folder, file://, http:// or https://")


def _local(place: str, expected: RemoteFile | LocalFile, file: str) -> Verified:
    path = Path(place).expanduser()
    if "://" in place:
        path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(place).path))
    if not path.is_file():
        raise Unavailable("there is no such file")
    verify(path, expected)
    return Verified(file, place, path)


def _remote(url: str, remote: RemoteFile, target: Path) -> Verified:
    """A download; a whole one of an earlier run is used if a checksum says that it is right."""
    has_checksum = bool(remote.md5 or remote.sha256)
    if has_checksum and target.exists():
        try:
            verify(target, remote)
            return Verified(remote.file, url, target)
        except Unavailable:
            target.unlink()
    resumed = download(url, target, resume=has_checksum)
    try:
        verify(target, remote)
    except Unavailable:
        target.unlink()
        if resumed:  # the part may have been of another file: once more, from the start
            return _remote(url, remote, target)
        raise
    return Verified(remote.file, url, target)


def _origin(file: Verified) -> dict[str, Any]:
    size = file.path.stat().st_size
    return {"file": file.file, "from": disclosed(file.place), "sha256": digest(file.path), "bytes": size}


def _is_published(file: Verified, remote: RemoteFile, override: DatasetOverride) -> bool | None:
    """Whether a file holds what the makers publish, also where a local one was taken as it is; None where they give no
    checksum."""
    if not (remote.md5 or remote.sha256):
        return None
    if not isinstance(override.files.get(file.file), LocalFile):
        return True  # verified when it was obtained
    try:
        verify(file.path, remote)
    except Unavailable:
        return False
    return True


def content_table(root: Path) -> list[dict[str, Any]]:
    """Every file below `root` with its size and hash, sorted by path."""
    paths = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    return [
        {"path": name, "bytes": paths[name].stat().st_size, "sha256": digest(paths[name])}
        for name in bar(sorted(paths), "hashing", "file")
    ]
