"""The files of a data set or of weights: from a person, a mirror or a disk, verified before use."""

import codecs
import hashlib
import shutil
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from florilegium.config.datasets import Dataset, DatasetOverride, LocalFile, RemoteFile
from florilegium.core.errors import UserError
from florilegium.core.files import digest, local_path, read_json, replacing, write_json
from florilegium.core.receipts import redacted
from florilegium.core.system import bar
from florilegium.core.walk import walk
from florilegium.data import cifar
from florilegium.data.download import Unavailable, download
from florilegium.data.extract import extract, is_archive
from florilegium.data.kinds import say_left_out

PAGE_STARTS = (b"<!doctype html", b"<html", b"<head")


class Checked(Protocol):
    """A file with a checksum, perhaps with an `md5` as well."""

    @property
    def sha256(self) -> str | None: ...


@dataclass(frozen=True)
class Verified:
    """A verified file."""

    file: str  # its published name
    place: str  # where it came from: a path or an address
    path: Path  # where it lies
    revision: str | None = None  # of the repository, where it is of one


# A whole data set


def fetch(
    name: str, dataset: Dataset, override: DatasetOverride | None, *, root: Path, downloads: Path
) -> dict[str, Any]:
    """Bring a data set's files below one folder, archives unpacked; returns the content of `files.json`.

    Args:
        name: the data set's key, for error sentences.
        root: the folder that is made for published files; one of the person's own is used where it is.
        downloads: the folder of downloads, complete and partial.

    Raises:
        UserError: no place has a file with the right content, or an archive cannot be unpacked.
    """
    if dataset.rendered is not None:
        raise UserError(f"{name}: is rendered by the project, there is nothing to fetch; render it")
    if dataset.folder is not None:
        folder = Path(dataset.folder).expanduser()
        return {"root": folder.as_posix(), "origin": [], "files": content_table(folder)}
    override = override or DatasetOverride()
    obtained = [
        (obtain(f"{remote.file} of {name}", f"datasets.{name}", remote, override, downloads), remote)
        for remote in dataset.files
    ]
    verified = [(file, remote) for file, remote in obtained if file is not None]
    with replacing(root) as folder:
        for file, _ in verified:
            if is_archive(file.file):
                extract(file.path, folder)
            else:
                shutil.copyfile(file.path, folder / file.file)
        if dataset.layout in cifar.FORMS:
            cifar.unpack_batches(dataset, folder)
        files = content_table(folder)
    origin = [origin_of(file, remote, override) for file, remote in verified]
    return {"root": root.as_posix(), "origin": origin, "files": files}


def content_table(root: Path) -> list[dict[str, Any]]:
    """Every file below `root` with its size and hash, sorted by path; says what is left out.

    Raises UserError for a file that cannot be read, and as `walk` does.
    """
    found = walk(root)
    say_left_out(root, found.left_out)
    return [_content(root, file) for file in bar(found.files, "hashing", "file")]


def _content(root: Path, file: str) -> dict[str, Any]:
    path = root / file
    try:
        return {"path": file, "bytes": path.stat().st_size, "sha256": digest(path)}
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
        raise UserError(f"{path}: {why}; give yourself the right to read it, or move it away") from None


def origin_of(file: Verified, remote: RemoteFile, override: DatasetOverride) -> dict[str, Any]:
    """The file in a receipt; `published` says if its content is the makers' own, whatever checksum the override gives,
    and is null where they state none."""
    by_hand = isinstance(override.files.get(file.file), LocalFile)  # any other was verified when it was obtained
    return ({} if file.revision is None else {"revision": file.revision}) | {
        "file": file.file,
        "from": redacted(file.place),
        "sha256": digest(file.path),
        "bytes": file.path.stat().st_size,
        "published": (not by_hand or mismatch(file.path, remote) is None) if remote.md5 or remote.sha256 else None,
    }


# One file


def obtain(
    title: str,
    key: str,
    remote: RemoteFile,
    override: DatasetOverride,
    downloads: Path,
    *,
    last: Callable[[], Verified] | None = None,
    path_key: str = "",
    otherwise: str = "",
) -> Verified | None:
    """One published file, verified; None for an optional file that `override` says is absent.

    Args:
        title: the file in error sentences, such as "a.tgz of flowers".
        key: where `config.yaml` holds `override`, such as "datasets.flowers".
        downloads: the folder of downloads, complete and partial.
        last: gives the file where no address has it, or raises Unavailable.
        path_key: where a person gives the path of a copy; by default below `key`.
        otherwise: what else a person can do when no place has the file; ends the error sentence.

    Raises:
        UserError: no place has the file; the sentence gives the reason for each.
    """
    own_key = f"{key}.files.{remote.file}"
    own = override.files.get(remote.file)
    if own == "absent":
        if not remote.optional:
            raise UserError(f"config.yaml: {own_key}: cannot be absent, it is needed; give a path")
        return None
    if isinstance(own, LocalFile):
        try:
            return _local(own.path, own, remote.file)
        except Unavailable as error:
            raise UserError(f"config.yaml: {own_key}: {own.path}: {error}; mend the path or the file") from None
    failures = []
    for place in (*(f"{mirror.rstrip('/')}/{remote.file}" for mirror in override.mirrors), *remote.urls):
        scheme = urllib.parse.urlsplit(place).scheme if "://" in place else "file"
        try:
            if scheme == "file":
                return _local(place, remote, remote.file)
            return _remote(place, remote, downloads / remote.file)
        except Unavailable as error:
            failures.append(f"{place}: {error}")
    try:
        if last is not None:
            return last()
    except Unavailable as error:
        failures.append(str(error))
    raise UserError(
        f"{title} cannot be had ({'; '.join(failures) or 'no address is known'}); put the path of a copy at "
        f"{path_key or f'{own_key}.path'} in config.yaml, or a folder or address that has it at {key}.mirrors"
        + (f", or write {own_key}: absent" if remote.optional else "")
        + (f"; {otherwise}" if otherwise else "")
    )


def mismatch(path: Path, expected: Checked) -> str | None:
    """The reason why the file at `path` is not the expected one: another checksum, or a web page that a server sent
    in its place. None if it is, as far as a checksum can tell."""
    with open(path, "rb") as file:
        start = file.read(512).removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if start.startswith(PAGE_STARTS):
        return "it is an HTML page in place of the file"
    for algorithm in ("md5", "sha256"):
        wanted = getattr(expected, algorithm, None)
        if wanted is not None and (got := digest(path, algorithm)) != wanted.lower():
            return f"its {algorithm} is {got}, and {wanted} was expected"
    return None


def _local(place: str, expected: RemoteFile | LocalFile, file: str) -> Verified:
    path = local_path(place)
    if not path.is_file():
        raise Unavailable("there is no such file")
    if reason := mismatch(path, expected):
        raise Unavailable(reason)
    return Verified(file, place, path)


def _remote(url: str, remote: RemoteFile, target: Path) -> Verified:
    """A download to `target`, or the complete one of an earlier run if it is intact.

    Where the makers state no checksum, that of the first download is recorded in `<target>.json`, and tells
    whether the file that came from `url` is still intact.
    """
    has_checksum = bool(remote.md5 or remote.sha256)
    record = target.with_name(target.name + ".json")
    if has_checksum and target.exists():
        if mismatch(target, remote) is None:
            return Verified(remote.file, url, target)
        target.unlink()
    elif target.exists() and record.exists() and read_json(record) == _recorded(url, target):
        return Verified(remote.file, url, target)
    resumed = download(url, target, resume=has_checksum)
    if reason := mismatch(target, remote):
        target.unlink()
        if resumed:  # the part may have been of another file: once more, from the start
            return _remote(url, remote, target)
        raise Unavailable(reason)
    if not has_checksum:
        write_json(record, _recorded(url, target))
    return Verified(remote.file, url, target)


def _recorded(url: str, target: Path) -> dict[str, str]:
    """The content of a download and its address, the latter as a hash since a query may hold a token."""
    return {"address": hashlib.sha256(url.encode()).hexdigest(), "sha256": digest(target)}
