"""Unpack an archive from an unknown maker, and trust nothing in it.

Only plain files and folders are made, only below the target, without the archive's owners, modes and dates.
Sizes in headers can be trusted before unpacking: `tarfile` and `zipfile` read no more than they say.
"""

import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from florilegium.core.errors import UserError
from florilegium.core.files import CHUNK
from florilegium.core.system import bar

SUFFIXES = (".tar", ".tgz", ".tar.gz", ".txz", ".tar.xz", ".tbz2", ".tar.bz2", ".zip")
# OSError: gzip's and bzip2's, without errno; RuntimeError: zipfile's, for an encrypted member or unknown compression.
FORMAT_ERRORS = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, struct.error)
DAMAGE = (*FORMAT_ERRORS, EOFError, OSError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Limits:
    """Limits that an archive of images stays below. `ratio`, of unpacked to packed bytes, holds beyond the
    first `free` bytes, since small archives of similar files pack very well."""

    bytes: int = 1 << 38
    files: int = 5_000_000
    ratio: int = 100
    free: int = 1 << 28


def is_archive(name: str) -> bool:
    """True for a file name that says archive: such a file is unpacked, others are copied."""
    return name.lower().endswith(SUFFIXES)


def extract(archive: Path, target: Path, limits: Limits | None = None) -> None:
    """Unpack a zip, or a tar plain or packed by gzip, bzip2 or xz, below the folder `target`.

    The content decides on the format, not the name. On an error `target` is left half full: use it inside `replacing`.
    Raises UserError if the archive is damaged or truncated, holds a path that leaves `target`, a link, a device or one
    path twice, or unpacks beyond `limits`.
    """
    guard = _Guard(archive, target, limits or Limits())
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, target, guard)
        else:
            _unpack_tar(archive, target, guard)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error) or type(error).__name__
        sentence = f"{archive}: damaged or truncated, or no archive ({reason}); remove it and fetch it again"
        raise UserError(sentence) from None


def _unpack_tar(archive: Path, target: Path, guard: "_Guard") -> None:
    with tarfile.open(archive, "r:*", encoding="utf-8", errors="replace") as tar:
        for member in bar(tar, f"unpacking {archive.name}", "file"):
            link = member.islnk() or member.issym()
            guard.check_kind(member.name, link=link, plain=member.isreg() or member.isdir())
            if not member.isdir():
                member.name = guard.admit(member.name, member.size)
                tar.extract(member, target, set_attrs=False, filter="data")
        _check_end(tar)


def _check_end(tar: tarfile.TarFile) -> None:
    """Raise EOFError if the tar has no end mark: `tarfile` stops alike at the mark, at garbage and where the
    file was cut. Reads on to the last byte, where gzip, bzip2 and xz keep their checksums."""
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise EOFError("the end mark is missing")
    while tar.fileobj.read(CHUNK):
        pass


def _unpack_zip(archive: Path, target: Path, guard: "_Guard") -> None:
    with zipfile.ZipFile(archive) as content:
        for member in bar(content.infolist(), f"unpacking {archive.name}", "file"):
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0: packed on a system without such kinds
            plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            guard.check_kind(member.filename, link=kind == stat.S_IFLNK, plain=plain)
            if not member.is_dir():
                member.filename = guard.admit(member.filename, member.file_size)
                content.extract(member, target)


class _Guard:
    """Checks each member of an archive before it is unpacked, and counts files and bytes."""

    def __init__(self, archive: Path, target: Path, limits: Limits) -> None:
        self.archive, self.target, self.limits = archive, target, limits
        self.most = min(limits.bytes, max(limits.free, limits.ratio * archive.stat().st_size))
        self.bytes = self.files = 0

    def check_kind(self, name: str, *, link: bool, plain: bool) -> None:
        if link:
            raise self._refusal(name, "is a link")
        if not plain:
            raise self._refusal(name, "is neither a file nor a folder")

    def admit(self, name: str, size: int) -> str:
        """The path of a file of `size` bytes below the target, whose folder is made; raises UserError."""
        inside = PureWindowsPath(name)  # the strictest rules, so that a path stays inside on every system
        if name.startswith("/") or inside.anchor or ".." in inside.parts or not inside.name:
            raise self._refusal(name, "leads outside its folder")
        self.bytes += size
        self.files += 1
        if self.bytes > self.most or self.files > self.limits.files:
            size_limit = f"more than {self.most} bytes or {self.limits.files} files"
            why = f"it unpacks to {size_limit}, as archives do that are made to fill a disk"
            raise UserError(f"{self.archive}: not unpacked, since {why}; get it from its makers")
        path = self.target / inside.as_posix()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            taken = path.exists()
        except (FileExistsError, NotADirectoryError):
            taken = True
        if taken:
            raise self._refusal(name, "is named twice, or is a file and a folder at once")
        return inside.as_posix()

    def _refusal(self, name: str, why: str) -> UserError:
        return UserError(f"{self.archive}: not unpacked, since '{name}' in it {why}; get the archive from its makers")
