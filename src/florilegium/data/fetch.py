"""The files of a data set or of weights: from a person, a mirror or a disk, verified before use."""

import codecs
import hashlib
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Protocol

from florilegium.config.data import Dataset, DatasetOverride, LocalFile, RemoteFile
from florilegium.core.errors import UserError
from florilegium.core.files import digest, read_json, replacing, write_json
from florilegium.core.receipts import redacted
from florilegium.core.system import bar, say
from florilegium.core.walk import walk
from florilegium.data import cifar
from florilegium.data.extract import extract, is_archive
from florilegium.data.kinds import say_left_out

BLOCK = 1 << 20
TIMEOUT = 60.0  # seconds without a byte
PAUSES = (0.0, 2.0, 10.0, 60.0)  # seconds before each attempt to take up a connection that broke
AGENT = "florilegium"
PAGE_STARTS = (b"<!doctype html", b"<html", b"<head")


class Checked(Protocol):
    """A file with a checksum, perhaps with an `md5` as well."""

    @property
    def sha256(self) -> str | None: ...


class Unavailable(Exception):
    """A place does not have the right file; the text is the reason."""


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
    path = Path(place).expanduser()
    if "://" in place:
        path = Path(urllib.request.url2pathname(urllib.parse.urlsplit(place).path))
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


# Over the network


def download(url: str, target: Path, *, resume: bool) -> bool:
    """Download `url` to `target`; returns True if the part of an earlier call was continued.

    A connection that breaks is taken up again where it was, as long as each brings something. `resume` continues
    `<target>.part` of an earlier call as well: use it only with a checksum, which shows if both parts are of the same
    file. Without one, the server has to say by an ETag that they are. Raises Unavailable for no answer, an HTTP error,
    or a connection that ended before the file did.
    """
    part = target.with_name(target.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if not resume:
        part.unlink(missing_ok=True)
    continued = part.exists()
    version, pauses = "", PAUSES[:1]
    while True:
        offset = part.stat().st_size if part.exists() else 0
        response = _opened(url, offset, version, pauses)
        if response is None:
            return download(url, target, resume=False)
        with response:
            version = _version(response)
            continued &= response.status == 206  # else it is the whole file, from a server without ranges
            missing = _receive(response, offset, part)
        if not missing:
            part.replace(target)
            return continued
        if part.stat().st_size <= offset or not (resume or version):
            raise Unavailable(missing)
        say(f"{redacted(url)}: {missing}; the rest is asked for")
        pauses = PAUSES


def _opened(url: str, offset: int, version: str, pauses: Sequence[float]) -> HTTPResponse | None:
    """As `_open`, tried after each of the pauses."""
    for pause in pauses[:-1]:
        time.sleep(pause)
        with suppress(Unavailable):
            return _open(url, offset, version)
    time.sleep(pauses[-1])
    return _open(url, offset, version)


def _open(url: str, offset: int, version: str) -> HTTPResponse | None:
    """The answer with the bytes from `offset` on, or all of another version than that of the first ones, where it is
    known; None if the server has none there: the part is of another file."""
    headers = {"User-Agent": AGENT} | ({"Range": f"bytes={offset}-"} if offset else {})
    headers |= {"If-Range": version} if offset and version else {}
    try:
        response: HTTPResponse = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
        return response
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and offset:
            return None
        raise Unavailable(f"HTTP {error.code} {error.reason}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(f"no answer ({getattr(error, 'reason', None) or error})") from None


def _version(response: HTTPResponse) -> str:
    """The ETag of a file's bytes; empty if the server gives none, or a weak one, which other bytes may share."""
    tag = response.headers.get("ETag", "")
    return "" if tag.startswith("W/") else tag


def _receive(response: HTTPResponse, offset: int, part: Path) -> str:
    """Write the answer to `part`; why the file is not whole then, empty if it is. An error of the disk stays one."""
    continued = response.status == 206
    content_range = response.headers.get("Content-Range", "")
    if continued and not content_range.startswith(f"bytes {offset}-"):
        raise Unavailable(f"it sent '{content_range}' when asked for the bytes from {offset} on")
    length = response.headers.get("Content-Length")
    rest = None if length is None else int(length)
    why = ""
    with open(part, "ab" if continued else "wb") as file:
        start = file.tell()
        blocks = None if rest is None else -(-rest // BLOCK)
        try:
            for block in bar(_blocks(response), part.stem, unit="MiB", total=blocks):
                file.write(block)
        except _Broken as error:
            why = f"the connection broke ({error})"
        file.flush()
        os.fsync(file.fileno())
        end = file.tell()
    if not why and rest is not None and end != start + rest:
        why = f"{end} of {start + rest} bytes came"
    return why and f"the download is truncated, {why}"


class _Broken(Exception):
    """The network failed in the middle of an answer."""


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    try:
        while block := response.read(BLOCK):
            yield block
    except (OSError, HTTPException) as error:
        raise _Broken(str(error) or type(error).__name__) from None
