"""Unpack an archive from an unknown maker, and trust nothing in it.

Only plain files and folders are made, only below the target, without the archive's owners, modes and dates. Memory is
bounded whatever an archive says: headers of a tar are read through a meter, and a zip is read by methods that unpack
piece by piece.
"""

import bz2
import codecs
import errno
import gzip
import lzma
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PureWindowsPath
from typing import IO, Any, cast

from florilegium.core.errors import UserError
from florilegium.core.files import CHUNK
from florilegium.core.system import bar

SUFFIXES = (".tar", ".tgz", ".tar.gz", ".txz", ".tar.xz", ".tbz2", ".tar.bz2", ".tlz", ".tar.lzma", ".zip")
# Archives that are not unpacked here, by their first bytes, and the suffixes that people know them by.
FOREIGN = {
    b"Rar!\x1a\x07": "RAR", b"7z\xbc\xaf\x27\x1c": "7z", b"\x28\xb5\x2f\xfd": "Zstandard", b"\x04\x22\x4d\x18": "LZ4",
    b"\x1f\x9d": "compress (.Z)", b"LZIP": "lzip", b"MSCF": "cabinet",
}  # fmt: skip
FOREIGN_SUFFIXES = (".rar", ".7z", ".zst", ".tzst", ".lz4", ".z", ".lz", ".cab")
PACKED: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"\x5d\x00\x00": lzma.open,  # the older .lzma
}  # by first bytes, a tar inside
USTAR = slice(257, 262)  # where a tar says what it is
# OSError: gzip's and bzip2's, without errno; RuntimeError: zipfile's, for unknown compression.
FORMAT_ERRORS = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, struct.error, OverflowError)
DAMAGE = (*FORMAT_ERRORS, EOFError, OSError, ValueError, LookupError, RuntimeError)
DEEPEST = 100  # folders around a file
LONGEST = 255  # bytes of a name on most disks
MOST_HEADER = 1 << 16  # bytes before a member's content: long names, attributes, the map of a sparse file
MOST_GLOBAL = 100
DIGITS = re.compile(rb"\d{300}")  # `tarfile` takes time in the square of their number
STORED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # other methods unpack a piece at once, however large it becomes
MOST_TABLE, TABLE_SHARE = 1 << 24, 4  # bytes of a zip's table, which is read whole, or that part of a larger archive
ZIP_HEADER = 30  # bytes before a zip's member, at least
ENCRYPTED = 0x1  # of a zip's flags
ODD_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)


def _latin_1(error: UnicodeError) -> tuple[str, int]:
    """The bytes of a name that are no UTF-8, each as a letter of its own, so that two names stay two."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("latin-1", _latin_1)


@dataclass(frozen=True)
class Limits:
    """Limits that an archive of images stays below. `ratio`, of unpacked to packed bytes, holds beyond the
    first `free` bytes, since small archives of similar files pack very well; a member counts as one block at least."""

    bytes: int = 1 << 38
    files: int = 5_000_000
    ratio: int = 100
    free: int = 1 << 28


def is_archive(name: str) -> bool:
    """True for a file name that says archive: such a file is unpacked, or refused by `extract`; others are copied."""
    return name.lower().endswith((*SUFFIXES, *FOREIGN_SUFFIXES))


def extract(archive: Path, target: Path, limits: Limits | None = None) -> None:
    """Unpack a zip, or a tar plain or packed by gzip, bzip2 or xz, below the folder `target`.

    The content decides on the format, not the name. On an error `target` is left half full: use it inside `replacing`.
    Raises UserError if the archive is damaged, truncated, encrypted or of another format, holds a path that leaves
    `target` or that no disk takes, a link, a device, one path twice or headers without end, or unpacks beyond `limits`.
    """
    with open(archive, "rb") as file:
        start = file.read(512)
    for magic, name in FOREIGN.items():
        if start.startswith(magic):
            way_out = "unpack it and give the folder (`folder` of the data set), or pack it as .zip or .tar.gz"
            raise UserError(f"{archive}: is a {name} archive, which cannot be read here; {way_out}")
    guard = _Guard(archive, target, limits or Limits())
    opener = next((opener for magic, opener in PACKED.items() if start.startswith(magic)), open)
    try:
        if opener is open and start[USTAR] != b"ustar" and zipfile.is_zipfile(archive):
            _unpack_zip(archive, target, guard)
        else:
            with opener(archive, "rb") as stream:
                _unpack_tar(stream, target, guard)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno in ODD_NAME and error.filename:
            raise guard.refusal(guard.name, f"cannot be written ({error.strerror})") from None
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        reason = _short(str(error)) or type(error).__name__
        sentence = f"{archive}: damaged or truncated, or no archive ({reason}); remove it and fetch it again"
        raise UserError(sentence) from None


# Tar


class _Meter:
    """The bytes of a tar for `tarfile`, which reads whatever a header says into memory: `left` bytes in one go."""

    def __init__(self, stream: IO[bytes], guard: "_Guard") -> None:
        self.stream, self.guard = stream, guard
        self.in_header, self.left = True, MOST_HEADER

    def allow(self, left: int, *, in_header: bool) -> None:
        self.in_header, self.left = in_header, left

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.left:
            raise self.guard.bomb(f"a header in it is longer than {MOST_HEADER} bytes")
        self.left -= size
        content = self.stream.read(size)
        if self.in_header and size > tarfile.BLOCKSIZE and DIGITS.search(content):
            raise self.guard.bomb("a header in it is a number without end")
        return content

    def seek(self, offset: int) -> int:
        return self.stream.seek(offset)

    def tell(self) -> int:
        return self.stream.tell()


def _unpack_tar(stream: IO[bytes], target: Path, guard: "_Guard") -> None:
    meter = _Meter(stream, guard)
    with tarfile.TarFile(fileobj=cast(IO[bytes], meter), encoding="utf-8", errors="latin-1") as tar:
        for member in bar(_members(tar, meter, guard), f"unpacking {guard.archive.name}", "file"):
            link = member.islnk() or member.issym()
            guard.check_kind(member.name, link=link, plain=member.isreg() or member.isdir())
            if member.isdir():
                guard.count(0)
            else:
                member.name = guard.admit(member.name, member.size)
                meter.allow(member.size, in_header=False)
                tar.extract(member, target, set_attrs=False, filter="data")
        _check_end(stream, tar.offset, guard)


def _members(tar: tarfile.TarFile, meter: _Meter, guard: "_Guard") -> Iterator[tarfile.TarInfo]:
    """The members one by one; `tarfile` would keep them all."""
    while (member := tar.next()) is not None:
        guard.count(MOST_HEADER - meter.left, members=0)
        if len(tar.pax_headers) > MOST_GLOBAL:
            raise guard.bomb(f"more than {MOST_GLOBAL} values in it are for all members")
        yield member
        tar.members.clear()  # type: ignore[attr-defined]  # which typeshed leaves out
        meter.allow(MOST_HEADER, in_header=True)


def _check_end(stream: IO[bytes], offset: int, guard: "_Guard") -> None:
    """Raise EOFError if the tar has no end mark at `offset`: `tarfile` stops alike at the mark, at garbage and where
    the file was cut. Reads on to the last byte, where gzip, bzip2 and xz keep their checksums."""
    stream.seek(offset)
    if stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise EOFError("the end mark is missing")
    while block := stream.read(CHUNK):
        guard.count(len(block), members=0)


# Zip


def _unpack_zip(archive: Path, target: Path, guard: "_Guard") -> None:
    with open(archive, "rb") as stream, zipfile.ZipFile(_Table(stream, guard)) as content:
        _check_apart(content.infolist(), guard)
        for member in bar(content.infolist(), f"unpacking {archive.name}", "file"):
            name = member.orig_filename
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0: packed on a system without such kinds
            plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            guard.check_kind(name, link=kind == stat.S_IFLNK, plain=plain)
            if name.endswith(("/", "\\")):  # Windows, too, writes folders
                guard.count(0)
                continue
            if member.flag_bits & ENCRYPTED:
                raise UserError(
                    f"{archive}: is encrypted; unpack it with its password and give the folder (`folder` of the data "
                    "set), or get it without one"
                )
            if member.compress_type not in STORED:
                raise guard.refusal(name, f"is packed by method {member.compress_type} in place of deflate")
            member.filename = guard.admit(name, member.file_size)
            content.extract(member, target)


class _Table:
    """The bytes of a zip for `zipfile`, which reads the table of all members at once, and makes ten times of it."""

    def __init__(self, stream: IO[bytes], guard: "_Guard") -> None:
        self.guard, self.read_on = guard, stream.read
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable
        self.most = max(MOST_TABLE, guard.archive.stat().st_size // TABLE_SHARE)

    def read(self, size: int = -1) -> bytes:
        if size > self.most:
            raise self.guard.bomb(f"its table of contents takes more than {self.most} bytes")
        return self.read_on(size)


def _check_apart(members: list[zipfile.ZipInfo], guard: "_Guard") -> None:
    """Raise UserError where two members share bytes of the archive, which makes it unpack to more than it can hold."""
    if len(members) > guard.limits.files:
        raise guard.bomb(f"it holds more than {guard.limits.files} files")
    ordered = sorted(members, key=lambda member: member.header_offset)
    for first, second in pairwise(ordered):
        if first.header_offset + ZIP_HEADER + first.compress_size > second.header_offset:
            raise guard.bomb(f"'{_short(first.filename)}' and '{_short(second.filename)}' in it lie over each other")


# Both


class _Guard:
    """Checks each member of an archive before it is unpacked, and counts files and bytes."""

    def __init__(self, archive: Path, target: Path, limits: Limits) -> None:
        self.archive, self.target, self.limits = archive, target, limits
        self.most = min(limits.bytes, max(limits.free, limits.ratio * archive.stat().st_size))
        self.bytes = self.files = 0
        self.name = ""  # of the member that is being written

    def check_kind(self, name: str, *, link: bool, plain: bool) -> None:
        if link:
            raise self.refusal(name, "is a link")
        if not plain:
            raise self.refusal(name, "is neither a file nor a folder")

    def count(self, size: int, members: int = 1) -> None:
        """Add a member of `size` bytes; raises UserError beyond the limits."""
        self.bytes += size + members * tarfile.BLOCKSIZE
        self.files += members
        if self.bytes > self.most or self.files > self.limits.files:
            raise self.bomb(f"it unpacks to more than {self.most} bytes or {self.limits.files} files")

    def admit(self, name: str, size: int) -> str:
        """The path of a file of `size` bytes below the target, whose folder is made; raises UserError."""
        self.name = name
        inside = PureWindowsPath(name)  # the strictest rules, so that a path stays inside on every system
        if name.startswith("/") or inside.anchor or ".." in inside.parts or not inside.name:
            raise self.refusal(name, "leads outside its folder")
        if "\0" in name:
            raise self.refusal(name, "has the character NUL in its name")
        if len(inside.parts) > DEEPEST:
            raise self.refusal(name, f"lies in more than {DEEPEST} folders")
        if any(len(os.fsencode(part)) > LONGEST for part in inside.parts):
            raise self.refusal(name, f"has a name of more than {LONGEST} bytes, which disks do not take")
        if size < 0:
            raise self.refusal(name, "has a size below zero")
        self.count(size)
        path = self.target / inside.as_posix()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            taken = path.exists()
        except (FileExistsError, NotADirectoryError):
            taken = True
        if taken:
            raise self.refusal(name, "is named twice, or is a file and a folder at once")
        return inside.as_posix()

    def refusal(self, name: str, why: str) -> UserError:
        sentence = f"not unpacked, since '{_short(name)}' in it {why}; get the archive from its makers"
        return UserError(f"{self.archive}: {sentence}")

    def bomb(self, why: str) -> UserError:
        made = "as archives do that are made to fill a disk or a memory"
        return UserError(f"{self.archive}: not unpacked, since {why}, {made}; get it from its makers")


def _short(name: str) -> str:
    """A text for a sentence: one line, without its middle where it is long."""
    shown = "".join(character if character.isprintable() else "\ufffd" for character in name[:60] + name[60:][-60:])
    return shown if len(name) <= 120 else f"{shown[:60]}…{shown[60:]}"
