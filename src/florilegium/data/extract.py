"""Unpack a stranger's archive and trust nothing that it says.

Only plain files and folders are made, only below the target, with neither owner, mode nor date of the
archive's; bytes are counted as they unpack, whatever the headers claim.
"""

import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import IO

from florilegium.core.errors import UserError
from florilegium.core.files import CHUNK
from florilegium.core.progress import bar

SUFFIXES = (".tar", ".tgz", ".tar.gz", ".txz", ".tar.xz", ".tbz2", ".tar.bz2", ".zip")
DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    struct.error,
    EOFError,
    OSError,  # gzip's and bzip2's, too
    ValueError,
    RuntimeError,  # zipfile's for an encrypted member or an unknown compression
)


@dataclass(frozen=True)
class Limits:
    """What an honest archive of images stays below. `ratio` is unpacked to packed bytes, and holds
    beyond the first `free` bytes, since small archives of like files pack very well."""

    bytes: int = 1 << 38
    files: int = 5_000_000
    ratio: int = 100
    free: int = 1 << 28


def is_archive(name: str) -> bool:
    """Whether a file of that name is unpacked rather than copied."""
    return name.lower().endswith(SUFFIXES)


def extract(archive: Path, target: Path, limits: Limits | None = None) -> None:
    """Unpack a zip, or a tar plain or packed by gzip, bzip2 or xz, below the folder `target`.

    Which it is, is read from its content. On an error `target` is left half full: use it inside
    `replacing`.

    Raises:
        UserError: the archive is damaged or truncated, holds a path that leaves `target`, a link, a
            device or one path twice, or unpacks beyond `limits`.
    """
    budget = _Budget(archive, limits or Limits())
    try:
        is_zip = zipfile.is_zipfile(archive)
        members = _zip_members(archive) if is_zip else _tar_members(archive)
        for name, content in bar(members, f"unpacking {archive.name}", "file"):
            _write(archive, name, content, target, budget)
    except _Damaged as error:
        raise UserError(
            f"{archive}: damaged or truncated, or no archive ({error}); remove it and fetch it again"
        ) from None


class _Damaged(Exception):
    """The archive cannot be read on; the text is the reason."""


@contextmanager
def _reading() -> Iterator[None]:
    """Faults of the archive become `_Damaged`; those of the disk that is written to do not pass here."""
    try:
        yield
    except DAMAGE as error:
        raise _Damaged(str(error) or type(error).__name__) from None


def _tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with _reading():
        tar = tarfile.open(archive, "r:*", encoding="utf-8", errors="replace")  # noqa: SIM115
    with tar:
        while True:
            with _reading():
                member = tar.next()
            if member is None:
                break
            if member.islnk() or member.issym():
                raise _refusal(archive, member.name, "is a link")
            if member.isdir():
                continue
            with _reading():
                content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise _refusal(archive, member.name, "is neither a file nor a folder")
            yield member.name, content
        _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """`next` stops alike at the end mark, at garbage and where the file was cut: tell them apart, and
    read on to the last byte, where the packers keep their checksum."""
    assert tar.fileobj is not None
    with _reading():
        tar.fileobj.seek(tar.offset)
        if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise EOFError("the end mark is missing")
        while tar.fileobj.read(CHUNK):
            pass


def _zip_members(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with _reading():
        whole = zipfile.ZipFile(archive)
    with whole:
        for member in whole.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind == stat.S_IFLNK:
                raise _refusal(archive, member.filename, "is a link")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refusal(archive, member.filename, "is neither a file nor a folder")
            if member.is_dir():
                continue
            with _reading():
                content = whole.open(member)
            with content:
                yield member.filename, content


def _write(archive: Path, name: str, content: IO[bytes], target: Path, budget: "_Budget") -> None:
    path = target / _inside(archive, name)
    budget.spend(files=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "xb")  # noqa: SIM115 (closed below)
    except (FileExistsError, NotADirectoryError):
        raise _refusal(archive, name, "is named twice, or is a file and a folder at once") from None
    with file:
        while True:
            with _reading():
                block = content.read(CHUNK)
            if not block:
                return
            budget.spend(bytes=len(block))
            file.write(block)


def _inside(archive: Path, name: str) -> str:
    """`name` if it stays inside a folder on every system: Windows' rules are the strictest."""
    path = PureWindowsPath(name)
    if name.startswith("/") or path.anchor or ".." in path.parts or not path.name:
        raise _refusal(archive, name, "leads outside its folder")
    return path.as_posix()


def _refusal(archive: Path, name: str, why: str) -> UserError:
    return UserError(f"{archive}: not unpacked, since '{name}' in it {why}; get the archive from its makers")


class _Budget:
    """Counts what was unpacked, and stops at the limits."""

    def __init__(self, archive: Path, limits: Limits) -> None:
        self.archive, self.limits = archive, limits
        self.most = min(limits.bytes, max(limits.free, limits.ratio * archive.stat().st_size))
        self.bytes = self.files = 0

    def spend(self, *, bytes: int = 0, files: int = 0) -> None:
        self.bytes += bytes
        self.files += files
        if self.bytes > self.most or self.files > self.limits.files:
            raise UserError(
                f"{self.archive}: not unpacked, since it unpacks to more than {self.most} bytes or "
                f"{self.limits.files} files, as archives do that are made to fill a disk; get it from "
                "its makers"
            )
